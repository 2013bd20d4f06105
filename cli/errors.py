"""Errors become one line with a remedy, and an exit code."""

from __future__ import annotations

import signal
import sys
import warnings
from collections.abc import Callable
from types import FrameType

import typer
from rich.console import Console

from ..core import HitfabricError, ToolError
from ..core.errors import HitfabricWarning
from ..pipeline.extras import extra_of

USER_ERROR = 2
INTERRUPTED = 130
TERMINATED = 143


class Terminated(BaseException):
    """SIGTERM, raised where the program is, so that servers and temporary files are cleaned up."""


def run_guarded(call: Callable[[], int | None], *, debug: bool) -> int:
    """Run the program; what the user can act on is told in one line.

    Args:
        call: The program; returns its exit code.
        debug: Let errors through with their traceback.

    Returns:
        Exit code: 0, the program's own, 2 for an error of the user, 130 after Ctrl-C, 143 after SIGTERM.
    """
    signal.signal(signal.SIGTERM, _terminate)
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
    except OSError as error:
        # Disk full, no permission, not a directory: the user's to solve, and named by the system.
        if debug or error.filename is None:
            raise
        return fail(f"{error.filename}: {error.strerror}; give another path, or make room")
    except (KeyboardInterrupt, typer.Abort):
        Console(stderr=True).print("interrupted")
        return INTERRUPTED
    except Terminated:
        return TERMINATED


def fail(message: str) -> int:
    """Print one line `error: ...` on standard error; returns the exit code of a user's error."""
    line = " ".join(message.split())
    Console(stderr=True, soft_wrap=True, highlight=False).print("[bold red]error:[/]", end=" ")
    sys.stderr.write(line + "\n")
    return USER_ERROR


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    sys.stderr.write(f"warning: {' '.join(str(message).split())}\n")
