"""The command line of tritonserver."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from .ports import Ports
from .server_security import Restriction, ServerTls

EXIT_TIMEOUT_SECONDS = 2  # the server waits this long for clients that keep idle connections open

ModelControl = Literal["none", "explicit"]


def listening_arguments(*, address: str, web_address: str, ports: Ports) -> list[str]:
    """Where each protocol listens.

    Args:
        address: Address of gRPC.
        web_address: Address of HTTP and metrics.
        ports: Ports.
    """
    return [
        f"--grpc-address={address}",
        f"--http-address={web_address}",
        f"--metrics-address={web_address}",
        f"--grpc-port={ports.grpc}",
        f"--http-port={ports.http}",
        f"--metrics-port={ports.metrics}",
    ]


def security_arguments(tls: ServerTls | None, restriction: Restriction | None) -> list[str]:
    """Encryption and restricted protocols."""
    return [*(tls.arguments() if tls else ()), *(restriction.arguments() if restriction else ())]


def general_arguments(*, repository: Path, backends: Path, model_control: ModelControl) -> list[str]:
    """What is served and how.

    Args:
        repository: Model repository.
        backends: Folder of backends.
        model_control: `explicit` loads every model at the start, and again when a client asks for it.
    """
    control = ["--model-control-mode=explicit", "--load-model=*"] if model_control == "explicit" else []
    return [
        f"--model-repository={repository.resolve()}",
        f"--backend-directory={backends}",
        *control,
        f"--exit-timeout-secs={EXIT_TIMEOUT_SECONDS}",
        "--allow-gpu-metrics=false",
        "--pinned-memory-pool-byte-size=0",
        "--log-format=ISO8601",
    ]
