"""Errors become one line with a remedy, and an exit code."""

from __future__ import annotations

import errno
import io
import logging
import os
import re
import shutil
import signal
import sys
import warnings
from collections.abc import Callable
from types import FrameType

import typer
from rich.console import Console

from ..core import HitfabricError, ToolError, cache_directory
from ..core.compiler import CACHE_REMEDY, NO_ROOM
from ..core.errors import HitfabricWarning
from ..pipeline.extras import extra_of
from .printing import print_warning

USER_ERROR = 2
INTERRUPTED = 130
BROKEN_PIPE = 141
TERMINATED = 143


class Terminated(BaseException):
    """SIGTERM, or SIGHUP of a closed terminal, raised where the program is, so that it cleans up after itself."""


class OutputClosed(BaseException):
    """Whoever read standard output has gone, as `head` does."""


def run_guarded(call: Callable[[], int | None], *, debug: bool) -> int:
    """Run the program; what the user can act on is told in one line.

    Args:
        call: The program; returns its exit code.
        debug: Let errors through with their traceback.

    Returns:
        Exit code: 0, the program's own, 2 for an error of the user, 130 after Ctrl-C, 141 where whoever reads the
        output has gone, 143 after SIGTERM or SIGHUP.
    """
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
        signal.signal(signal.SIGHUP, _terminate)
    _print_any_name()
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # long lines where its folder of settings is not writable
    warnings.showwarning = _show_warning
    warnings.simplefilter("once", HitfabricWarning)  # the three networks of a chain say it once
    try:
        return call() or 0
    except HitfabricError as error:
        if debug:
            raise
        return fail(str(error))
    except ModuleNotFoundError as error:
        extra = extra_of((error.name or "").partition(".")[0])
        if debug or extra is None:
            raise
        remedy = f"run: pip install 'hitfabric[{extra}]'"
        return fail(str(ToolError(f"package {error.name} is not installed", remedy=remedy)))
    except OutputClosed:
        _discard_output()
        return BROKEN_PIPE
    except OSError as error:
        # Disk full, no permission, not a directory: the user's to solve, and named by the system.
        if debug:
            raise
        return fail(_system_error(error))
    except MemoryError:
        if debug:
            raise
        return fail("there is not enough memory; take less at a time (--limit, --workers), or a larger machine")
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
    except Terminated:
        return TERMINATED


def fail(message: str) -> int:
    """Print one line `error: ...` on standard error; returns the exit code of a user's error."""
    line = " ".join(message.split())
    Console(stderr=True, soft_wrap=True, highlight=False).print("[bold red]error:[/]", end=" ")
    sys.stderr.write(line + "\n")
    return USER_ERROR


def _system_error(error: OSError) -> str:
    """What the system said, of which file, and what to do."""
    if isinstance(error, shutil.Error):
        error = _first_of(error)
    reason = error.strerror or str(error) or type(error).__name__
    if error.errno in NO_ROOM:
        remedy = "make room, or give another path"
    elif error.errno == errno.EMFILE:
        remedy = "allow more open files: ulimit -n"
    else:
        remedy = "give another path, or change its permissions"
    if error.filename is None:
        return f"{reason}; {remedy}"
    name = os.fspath(error.filename)
    if _in_the_cache(os.fsdecode(name)):
        remedy = f"make room, or {CACHE_REMEDY}" if error.errno in NO_ROOM else CACHE_REMEDY
    return f"{os.fsdecode(name)}: {reason}; {remedy}"


def _first_of(error: shutil.Error) -> OSError:
    """The first failure of many in the copy of a folder; shutil keeps the text of each."""
    failures = error.args[0]
    if not isinstance(failures, list):
        return error
    _, target, text = failures[0]
    found = re.match(r"\[Errno (\d+)\]", str(text))
    number = int(found[1]) if found else errno.EIO
    return OSError(number, os.strerror(number), target)


def _in_the_cache(name: str) -> bool:
    try:
        return name.startswith(str(cache_directory().parent))
    except HitfabricError:
        return False  # there is no home for it


def _print_any_name() -> None:
    """Let names of files that are not UTF-8, and terminals that are not, take nothing but the look of a letter."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _discard_output() -> None:
    """Let Python's last flush of standard output end where no one reads."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print_warning(str(message))
