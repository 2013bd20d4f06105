"""Who listens where: free ports, and the holder of a busy one."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import ExitStack
from pathlib import Path

from ..core import ServiceError

LOOPBACK = "127.0.0.1"
LISTENING = "0A"  # state column of /proc/net/tcp


def free_ports(count: int) -> list[int]:
    """Distinct free TCP ports of the loopback interface, as the kernel gives them."""
    with ExitStack() as held:
        ports = []
        for _ in range(count):
            listener = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            listener.bind((LOOPBACK, 0))
            ports.append(listener.getsockname()[1])
        return ports


def require_free(port: int, *, address: str = LOOPBACK) -> None:
    """Check that a port can be listened on.

    Raises:
        ServiceError: It is taken (the process that holds it is named), or may not be used.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                held = port_holder(port)
                by = f" by {held}" if held else ""
                raise ServiceError(f"port {port} is in use{by}", remedy="stop it, or choose other ports") from error
            raise ServiceError(f"port {port}: {error.strerror}", remedy="choose another port") from error


def port_holder(port: int) -> str | None:
    """Name and number of the process listening on a port, or None where that cannot be seen."""
    inodes = _listening_inodes(port)
    for directory in Path("/proc").glob("[0-9]*"):
        if inodes & _socket_inodes(directory):
            try:
                name = (directory / "comm").read_text().strip()
            except OSError:
                continue
            return f"{name} (process {directory.name})"
    return None


def _listening_inodes(port: int) -> set[str]:
    found = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        try:
            lines = table.read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            columns = line.split()
            local, state, inode = columns[1], columns[3], columns[9]
            if state == LISTENING and int(local.rsplit(":", 1)[1], 16) == port:
                found.add(inode)
    return found


def _socket_inodes(process: Path) -> set[str]:
    found = set()
    try:
        for descriptor in os.scandir(process / "fd"):
            target = os.readlink(descriptor.path)
            if target.startswith("socket:["):
                found.add(target[len("socket:[") : -1])
    except OSError:
        pass  # it ended meanwhile, or belongs to somebody else
    return found
