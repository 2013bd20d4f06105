"""Compiling C++ once: shared libraries cached by content, safe under concurrent builds."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from .errors import ToolError
from .files import atomic_file
from .tools import find_tool

CACHE_REMEDY = "set XDG_CACHE_HOME to a folder that can be written"
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What a system says of a disk that is full, or of a file that is too large for it."""


def cache_directory() -> Path:
    """Folder for compiled libraries and fetched tools: `$XDG_CACHE_HOME/hitfabric`, by default `~/.cache/hitfabric`.

    Raises:
        ToolError: There is no home directory: no $HOME, and the user is not in the system's list.
    """
    root = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(root) if root else Path.home() / ".cache") / "hitfabric"
    except RuntimeError as error:
        raise ToolError("there is no home directory for compiled code", remedy=CACHE_REMEDY) from error


def cache_error(error: OSError, folder: Path) -> ToolError:
    """The error for a cache, or `folder` in it, that cannot be written."""
    remedy = f"make room, or {CACHE_REMEDY}" if error.errno in NO_ROOM else CACHE_REMEDY
    return ToolError(f"cannot write {error.filename or folder}: {error.strerror or error}", remedy=remedy)


def processor_fingerprint() -> str:
    """Identifies the processor's instruction sets, for code compiled with `-march=native`."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return os.uname().machine
    flags = [line for line in lines if line.startswith(("flags", "Features"))]
    return hashlib.sha256((os.uname().machine + "".join(flags[:1])).encode()).hexdigest()[:12]


@cache
def compiler_version() -> str | None:
    """First line of what the C++ compiler says of itself, such as its version; None where there is no compiler."""
    try:
        compiler = find_tool("g++", purpose="compile C++")
    except ToolError:
        return None
    done = subprocess.run([str(compiler), "--version"], capture_output=True, text=True, check=False)
    return done.stdout.splitlines()[0] if done.stdout else str(compiler)


def compile_library(
    sources: Sequence[Path], *, target: Path, flags: Sequence[str], purpose: str, timeout_seconds: float = 900.0
) -> Path:
    """Compile C++ sources (or link objects) to a shared library, whole or not at all.

    Args:
        sources: C++ files or objects.
        target: Library to write; its folder is created.
        flags: Further compiler flags.
        purpose: What the library is for, as a phrase for the error message.
        timeout_seconds: Longest time the compiler may take.

    Returns:
        `target`.

    Raises:
        ToolError: No compiler, or it failed; its full output is kept beside the target as `.log`.

    """
    return _compile(["-shared", *flags], sources, target=target, purpose=purpose, timeout_seconds=timeout_seconds)


def compile_object(
    source: Path, *, target: Path, flags: Sequence[str], purpose: str, log: Path, timeout_seconds: float = 900.0
) -> Path:
    """Compile one C++ source to an object for a shared library; as `compile_library`, with the output kept in `log`."""
    return _compile(["-c", *flags], [source], target=target, purpose=purpose, timeout_seconds=timeout_seconds, log=log)


def _compile(
    flags: Sequence[str],
    sources: Sequence[Path],
    *,
    target: Path,
    purpose: str,
    timeout_seconds: float,
    log: Path | None = None,
) -> Path:
    compiler = find_tool("g++", purpose=purpose)
    with atomic_file(target) as temporary:
        command = [str(compiler), "-std=c++17", "-fPIC", *flags, "-o", str(temporary), *map(str, sources)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_seconds, check=False)
        except subprocess.TimeoutExpired as error:
            raise ToolError(
                f"g++ took more than {timeout_seconds:.0f} s to {purpose}", remedy="build a smaller network"
            ) from error
        if done.returncode != 0:
            log = log or target.with_suffix(".log")
            log.write_text(" ".join(command) + "\n" + done.stderr, encoding="utf-8")
            reason = next(
                (line for line in done.stderr.splitlines() if "error" in line), f"exit code {done.returncode}"
            )
            raise ToolError(f"g++ could not {purpose}: {reason.strip()}", remedy=f"see {log}")
    return target
