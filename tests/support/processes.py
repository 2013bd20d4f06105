"""Looking at the server's processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


def workers(server_pid: int) -> dict[str, list[int]]:
    """Live worker processes of a server, by model."""
    found: dict[str, list[int]] = {}
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((directory / "stat").read_text().rsplit(")", 1)[1].split()[1])
            words = (directory / "cmdline").read_bytes().decode().split("\0")
        except (OSError, IndexError):
            continue
        if parent == server_pid and "hitfabric.fpga_backend.worker" in words:
            model = Path(words[words.index("--model") + 1])  # <repository>/<name>/<version>/model
            found.setdefault(model.parents[1].name, []).append(int(directory.name))
    return found


def alive(pid: int) -> bool:
    """Whether a process exists and has not ended: its first thread may end before the last, which closes its files."""
    try:
        ended = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        return not ended or len(list(Path(f"/proc/{pid}/task").iterdir())) > 1
    except OSError:
        return False


def eventually(condition: Callable[[], bool], *, seconds: float = 20.0) -> bool:
    """Whether a condition comes true within a time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()
