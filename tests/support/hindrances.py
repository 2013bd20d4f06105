"""What may be in the way of a program, done to the process that calls it."""

from __future__ import annotations

import errno
import itertools
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn


def nothing() -> None:
    """Leave everything as it is."""


def full_disk(limit: int = 100) -> None:
    """No file grows beyond `limit` bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


def home_is_a_file(file: Path) -> None:
    """There is no folder for settings and caches, and none can be made: not by root either."""
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR"):
        os.environ.pop(name, None)
    os.environ["HOME"] = str(file)


def no_home() -> None:
    """A user whom the system does not know, without HOME."""
    import pwd

    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "HOME"):
        os.environ.pop(name, None)

    def unknown(number: int) -> NoReturn:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    pwd.getpwuid = unknown


def no_tools(empty: Path) -> None:
    """No compiler, no git, no Graphviz."""
    os.environ["PATH"] = str(empty)


def one_core() -> None:
    """One core may be used."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def no_network() -> None:
    """Nothing but this machine answers."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))

    def unresolved(*_: object, **__: object) -> NoReturn:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    socket.socket.connect = refuse
    socket.getaddrinfo = unresolved


def ascii_terminal() -> None:
    """Standard output takes ASCII."""
    sys.stdout = open(1, "w", encoding="ascii", closefd=False)  # noqa: SIM115 - as long as the process
    sys.stderr = open(2, "w", encoding="ascii", closefd=False)  # noqa: SIM115


def small_machine() -> None:
    """Three in one: one core, no network, a terminal of ASCII."""
    one_core()
    no_network()
    ascii_terminal()


def no_reader() -> None:
    """Whoever read standard output has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    os.dup2(writer, 1)
    os.close(writer)


def killed_at_rename(number: int, how: signal.Signals) -> None:
    """A signal comes just before the rename of this number, from 1, that would put a file or a folder in its place."""
    rename, count = os.replace, itertools.count(1)

    def replace(*arguments: Any, **options: Any) -> None:
        if next(count) == number:
            os.kill(os.getpid(), how)
        rename(*arguments, **options)

    os.replace = replace
