"""Starts the server as a process that does not outlive this one."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import BinaryIO

from ..core import find_tool


def spawn(command: list[str], log: BinaryIO) -> subprocess.Popen[bytes]:
    """Start a command whose process the kernel kills when this process ends, however it ends.

    Args:
        command: Program and arguments.
        log: Takes what it prints.

    Returns:
        The process, in a session of its own.

    Raises:
        ToolError: setpriv is missing.
    """
    setpriv = find_tool("setpriv", purpose="end the server with this program")
    return _starter().submit(_start, [str(setpriv), "--pdeathsig", "KILL", "--", *command], log).result()


@cache
def _starter() -> ThreadPoolExecutor:
    # The kernel's "parent" is the thread that starts the process, not this program: a thread that ended early would
    # take the server with it. This one lasts until the interpreter ends.
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="triton-parent")


def _start(command: list[str], log: BinaryIO) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C must reach us alone, who then stop the server in order.
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
