"""Files and directories that appear whole or not at all."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

LEFT = re.compile(
    r"\.(?P<name>.+)\.(?P<machine>[0-9a-f]{8})-(?P<process>\d{1,9})\.[a-z0-9_]{8}(?P<old>\.old)?", re.DOTALL
)
"""Temporary names that `_prefix` begins and `tempfile` ends."""

CORRUPT = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    SyntaxError,  # a header of NumPy is a literal of Python
    MemoryError,  # a size that was damaged
    OverflowError,
    RuntimeError,  # an encrypted member, a compression that zipfile does not know
    zipfile.BadZipFile,
    zlib.error,
)
"""What NumPy, zipfile and torch raise on bytes that are no archive of arrays."""


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it into place on success, remove it on failure.

    Args:
        path: Final path; its parent directory is created.

    Yields:
        Path to write to.

    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear(path.parent)
    handle, name = tempfile.mkstemp(prefix=_prefix(path.name), dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Give a temporary directory beside `path`; on success it takes the place of `path`, whole.

    Args:
        path: Final directory; an existing one is replaced only once the new one is complete.

    Yields:
        Directory to write into.

    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = make_temporary_directory(path.parent, path.name)
    retired = temporary.with_name(temporary.name + ".old")
    try:
        yield temporary
        temporary.chmod(0o755)
        if path.exists():
            os.replace(path, retired)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(retired, ignore_errors=True)


def make_temporary_directory(parent: Path, name: str) -> Path:
    """Make a hidden directory to prepare `name` in; whoever writes there next removes it if this process is killed."""
    _clear(parent)
    return Path(tempfile.mkdtemp(prefix=_prefix(name), dir=parent))


def _prefix(name: str) -> str:
    """Start of a temporary name: hidden, and it says which process of which machine writes."""
    return f".{name}.{_machine()}-{os.getpid()}."


@cache
def _clear(folder: Path) -> None:
    """Remove what killed processes of this machine left in a folder; once, as folders of events are large."""
    with suppress(OSError):  # it may be written to, but not be listed
        for left in folder.iterdir():
            found = LEFT.fullmatch(left.name)
            if found and found["machine"] == _machine() and not _runs(int(found["process"])):
                _remove(left, target=folder / found["name"], retired=found["old"] is not None)


def _remove(left: Path, *, target: Path, retired: bool) -> None:
    if retired and not target.exists():  # killed between the two renames
        os.replace(left, target)
    elif left.is_dir():
        shutil.rmtree(left, ignore_errors=True)
    else:
        left.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # another user's
    return True


@cache
def _machine() -> str:
    """Names the boot and the space of process numbers: elsewhere, numbers say nothing of what still runs."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        return hashlib.sha256(f"{boot}{os.readlink('/proc/self/ns/pid')}".encode()).hexdigest()[:8]
    except OSError:
        return "unknown"
