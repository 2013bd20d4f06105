"""Runs the real Triton server with the hitfabric backend."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from ..core import ConfigError, ServiceError
from .build import build_backend
from .ports import EVERYWHERE, LOOPBACK, Ports
from .server_command import ModelControl, general_arguments, listening_arguments, security_arguments
from .server_log import reason, rotate
from .server_process import spawn
from .server_security import Restriction, ServerTls
from .triton_install import find_triton

__all__ = ["Ports", "TritonServer"]

READY_PATH = "/v2/health/ready"
POLL_SECONDS = 0.05
KILL_AFTER_SECONDS = 8.0
FREE_AGAIN_SECONDS = 10.0


@dataclass(kw_only=True)
class TritonServer:
    """Context manager around one tritonserver process, which never outlives this one.

    Attributes:
        repository: Model repository, see `write_repository`.
        log: File the server and its workers write to; those of earlier servers are kept as `<log>.1` to `<log>.3`.
        ports: Ports wanted; once started, the ports in use.
        start_timeout: Seconds until every model must be ready.
        address: Where gRPC listens, IPv4; 0.0.0.0 is everywhere, IPv6 too. HTTP and metrics, which know no encryption,
            stay on the loopback interface.
        tls: Encryption of gRPC; None is none.
        insecure: Lets `address` be another than loopback without `tls`, and then HTTP and metrics listen there too.
        restriction: Protocols that take a token; None restricts nothing.
        model_control: `none` serves what is there at the start; `explicit` loads models again when a client asks.
    """

    repository: Path
    log: Path
    ports: Ports = field(default_factory=Ports)
    start_timeout: float = 300.0
    address: str = LOOPBACK
    tls: ServerTls | None = None
    insecure: bool = False
    restriction: Restriction | None = None
    model_control: ModelControl = "none"
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)
    _log_offset: int = field(default=0, init=False, repr=False)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def local(self) -> bool:
        """Whether programs of this machine alone reach it."""
        return _is_loopback(self.address)

    @property
    def web_address(self) -> str:
        """Where HTTP and metrics listen."""
        return self.address if self.insecure else LOOPBACK

    @property
    def url(self) -> str:
        """Address of the gRPC protocol, `host:port`."""
        return f"{_reachable(self.address)}:{self.ports.grpc}"

    @property
    def metrics_url(self) -> str:
        """Address of the Prometheus metrics."""
        return f"http://{_reachable(self.web_address)}:{self.ports.metrics}/metrics"

    @property
    def pid(self) -> int:
        """Process number of the running server."""
        if self._process is None:
            raise ServiceError("the server is not running", remedy="start it first")
        return self._process.pid

    def check(self) -> None:
        """Check who may connect, before anything is started or written; and choose the ports.

        Raises:
            ServiceError: A port is in use, or the address is not of this machine.
            ConfigError: Another address than loopback without encryption, or a file of `tls` or `restriction` is wrong.
        """
        if not self.local and self.tls is None and not self.insecure:
            raise ConfigError(
                f"without TLS everybody who reaches {self.address} could read and send requests",
                remedy="give a certificate and a key, or say --insecure",
            )
        for guard in (self.tls, self.restriction):
            if guard is not None:
                guard.check()
        self.ports = self.ports.resolved(address=self.address, web_address=self.web_address)

    def start(self) -> None:
        """Build the backend, start the server and wait until every model is ready.

        Raises:
            ServiceError: A port is in use, or the server did not become ready; the message holds the log's reason.
            ConfigError: See `check`.
            ToolError: The server or the compiler is missing.
        """
        if not self.repository.is_dir():
            raise ServiceError(f"{self.repository} is no model repository", remedy="write it first")
        self.check()
        command = self._command(find_triton(), build_backend())
        self.log.parent.mkdir(parents=True, exist_ok=True)
        rotate(self.log)
        self._launch(command)

    def restart(self) -> None:
        """Start the server again, on the same ports; the log goes on.

        Raises:
            ServiceError: It did not become ready, or a port was taken by another program meanwhile.
        """
        self.stop()
        deadline = time.monotonic() + FREE_AGAIN_SECONDS
        while True:  # workers of a server that was killed may hold its ports for a moment
            try:
                self.ports.resolved(address=self.address, web_address=self.web_address)
                break
            except ServiceError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_SECONDS)
        self._launch(self._command(find_triton(), build_backend()))

    def stop(self) -> None:
        """End the server and its workers within seconds, even when clients hold connections open."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            process.wait(KILL_AFTER_SECONDS)
        except BaseException as error:  # a second Ctrl-C, too
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise

    def wait(self) -> int:
        """Wait until the server ends by itself and return its exit status."""
        if self._process is None:
            return 0
        return self._process.wait()

    def _launch(self, command: list[str]) -> None:
        with self.log.open("ab") as stream:
            stream.write(f"--- tritonserver started {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} ---\n".encode())
            stream.flush()
            self._log_offset = stream.tell()
            self._process = spawn(command, stream)
        try:
            self._wait_ready(self._process)
        except BaseException:
            self.stop()
            raise

    def _command(self, executable: Path, backends: Path) -> list[str]:
        return [
            str(executable),
            *general_arguments(repository=self.repository, backends=backends, model_control=self.model_control),
            *listening_arguments(address=self.address, web_address=self.web_address, ports=self.ports),
            *security_arguments(self.tls, self.restriction),
        ]

    def _wait_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self.start_timeout
        while time.monotonic() < deadline:
            status = process.poll()
            if status is not None:
                why = reason(self.log, self._log_offset)
                raise ServiceError(
                    f"tritonserver ended with status {status} before it was ready: {why}", remedy=f"see {self.log}"
                )
            if _answers_ready(_reachable(self.web_address), self.ports.http):
                return
            time.sleep(POLL_SECONDS)
        raise ServiceError(
            f"tritonserver was not ready within {self.start_timeout:.0f} s: {reason(self.log, self._log_offset)}",
            remedy=f"see {self.log}, or raise the start timeout",
        )


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.IPv4Address(address).is_loopback
    except ValueError:  # Triton itself would take "::1" for a host called ":" and a port
        raise ConfigError(f"{address!r} is no IPv4 address", remedy="give one of this machine, or 0.0.0.0") from None


def _reachable(address: str) -> str:
    """Where a client on this machine finds what listens at an address."""
    return LOOPBACK if address == EVERYWHERE else address


def _answers_ready(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", READY_PATH)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
