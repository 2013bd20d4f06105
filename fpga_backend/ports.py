"""Who listens where: free ports, and the holder of a busy one."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ..core import ConfigError, ServiceError

LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"
LISTENING = "0A"  # state column of /proc/net/tcp


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Ports of a server; 0 lets the kernel choose.

    Attributes:
        grpc: gRPC inference protocol.
        http: HTTP inference protocol and health.
        metrics: Prometheus metrics.
    """

    grpc: int = 0
    http: int = 0
    metrics: int = 0

    def resolved(self, *, address: str = LOOPBACK, web_address: str = LOOPBACK) -> Ports:
        """The same with every 0 replaced by a free port.

        Args:
            address: Where gRPC will listen.
            web_address: Where HTTP and metrics will listen.

        Raises:
            ServiceError: A port asked for is in use; the message names it and its holder.
            ConfigError: Two ports are equal, or one is out of range.
        """
        asked = [port for port in (self.grpc, self.http, self.metrics) if port]
        if len(set(asked)) < len(asked) or any(not 0 < port < 65536 for port in asked):
            raise ConfigError(f"ports {asked} are not distinct port numbers", remedy="give three different ports")
        for port, where in ((self.grpc, address), (self.http, web_address), (self.metrics, web_address)):
            if port or where != LOOPBACK:  # 0 is always free, but an address may not be of this machine
                require_free(port, address=where)
        spare = iter([port for port in free_ports(3 + len(asked)) if port not in asked])
        grpc, http_port, metrics = (port or next(spare) for port in (self.grpc, self.http, self.metrics))
        return Ports(grpc=grpc, http=http_port, metrics=metrics)


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
            raise ServiceError(
                f"{address} port {port}: {error.strerror}", remedy="choose another port, or an address of this machine"
            ) from error


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
