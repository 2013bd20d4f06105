"""Runs the real Triton server with the hitfabric backend, on the loopback interface."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from ..core import ConfigError, ServiceError
from .build import build_backend
from .ports import LOOPBACK, free_ports, require_free
from .triton_install import find_triton

READY_PATH = "/v2/health/ready"
POLL_SECONDS = 0.05
EXIT_TIMEOUT_SECONDS = 2  # the server waits this long for clients that keep idle connections open
KILL_AFTER_SECONDS = 8.0
LOG_LINES = 3
LOGGED_ERROR = re.compile(r" E \d+ [\w.]+:\d+\] (.*)")
IGNORED_ERROR = "CudaDriverHelper"  # what the server says on every machine without a GPU


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

    def resolved(self) -> Ports:
        """The same with every 0 replaced by a free port.

        Raises:
            ServiceError: A port asked for is in use; the message names it and its holder.
            ConfigError: Two ports are equal, or one is out of range.
        """
        asked = [port for port in (self.grpc, self.http, self.metrics) if port]
        if len(set(asked)) < len(asked) or any(not 0 < port < 65536 for port in asked):
            raise ConfigError(f"ports {asked} are not distinct port numbers", remedy="give three different ports")
        for port in asked:
            require_free(port)
        spare = iter([port for port in free_ports(3 + len(asked)) if port not in asked])
        grpc, http_port, metrics = (port or next(spare) for port in (self.grpc, self.http, self.metrics))
        return Ports(grpc=grpc, http=http_port, metrics=metrics)


@dataclass(kw_only=True)
class TritonServer:
    """Context manager around one tritonserver process.

    Attributes:
        repository: Model repository, see `write_repository`.
        log: File the server and its workers write to.
        ports: Ports wanted; once started, the ports in use.
        start_timeout: Seconds until every model must be ready.
    """

    repository: Path
    log: Path
    ports: Ports = field(default_factory=Ports)
    start_timeout: float = 300.0
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Address of the gRPC protocol, `host:port`."""
        return f"{LOOPBACK}:{self.ports.grpc}"

    @property
    def metrics_url(self) -> str:
        """Address of the Prometheus metrics."""
        return f"http://{LOOPBACK}:{self.ports.metrics}/metrics"

    @property
    def pid(self) -> int:
        """Process number of the running server."""
        if self._process is None:
            raise ServiceError("the server is not running", remedy="start it first")
        return self._process.pid

    def start(self) -> None:
        """Build the backend, start the server and wait until every model is ready.

        Raises:
            ServiceError: A port is in use, or the server did not become ready; the message holds the log's reason.
            ToolError: The server or the compiler is missing.
        """
        if not self.repository.is_dir():
            raise ServiceError(f"{self.repository} is no model repository", remedy="write it first")
        self.ports = self.ports.resolved()
        command = self._command(find_triton(), build_backend())
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as stream:
            # A session of its own: Ctrl-C must reach us alone, who then stop the server in order.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            self._wait_ready(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server and its workers within seconds, even when clients hold connections open."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(KILL_AFTER_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def wait(self) -> int:
        """Wait until the server ends by itself and return its exit status."""
        if self._process is None:
            return 0
        return self._process.wait()

    def _command(self, executable: Path, backends: Path) -> list[str]:
        return [
            str(executable),
            f"--model-repository={self.repository.resolve()}",
            f"--backend-directory={backends}",
            *(f"--{protocol}-address={LOOPBACK}" for protocol in ("grpc", "http", "metrics")),
            f"--grpc-port={self.ports.grpc}",
            f"--http-port={self.ports.http}",
            f"--metrics-port={self.ports.metrics}",
            f"--exit-timeout-secs={EXIT_TIMEOUT_SECONDS}",
            "--allow-gpu-metrics=false",
            "--pinned-memory-pool-byte-size=0",
            "--log-format=ISO8601",
        ]

    def _wait_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self.start_timeout
        while time.monotonic() < deadline:
            status = process.poll()
            if status is not None:
                raise ServiceError(
                    f"tritonserver ended with status {status} before it was ready: {self._reason()}",
                    remedy=f"see {self.log}",
                )
            if _answers_ready(self.ports.http):
                return
            time.sleep(POLL_SECONDS)
        raise ServiceError(
            f"tritonserver was not ready within {self.start_timeout:.0f} s: {self._reason()}",
            remedy=f"see {self.log}, or raise the start timeout",
        )

    def _reason(self) -> str:
        """The log's first errors, or its last lines, in one line."""
        lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        errors = [found[1] for line in lines if (found := LOGGED_ERROR.search(line)) and IGNORED_ERROR not in line]
        return " | ".join(errors[:LOG_LINES] or lines[-LOG_LINES:]) or "the log is empty"


def _answers_ready(port: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2)
    try:
        connection.request("GET", READY_PATH)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
