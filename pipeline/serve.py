"""`hitfabric serve`: Triton with the hitfabric backend."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from ..core import RunDirectory, StrictModel
from ..fpga_backend import Ports, TritonServer, write_repository
from .layout import REPOSITORY, SERVER_LOG, Device, find_model


class ServeConfig(StrictModel):
    """Configuration of `hitfabric serve`.

    Attributes:
        model: Run directory of `train`, or a chain directory; None takes the shipped weights.
        out: Run directory to write: model repository and server log.
        device: Executor behind the server.
        instances: Worker processes per model.
        grpc_port: Port of the gRPC protocol on the loopback interface; 0 takes a free one.
        http_port: Port of the HTTP protocol.
        metrics_port: Port of the Prometheus metrics.
    """

    model: Path | None = None
    out: Path = Path("runs/serve")
    device: Device = "native"
    instances: int = Field(default=1, ge=1, le=64)
    grpc_port: int = Field(default=8001, ge=0, le=65535)
    http_port: int = Field(default=8000, ge=0, le=65535)
    metrics_port: int = Field(default=8002, ge=0, le=65535)


def prepare_server(config: ServeConfig) -> TritonServer:
    """Write the model repository; the server returned is started by entering it as a context manager.

    Args:
        config: What to serve, and where.

    Returns:
        A server, not yet started.

    Raises:
        ServiceError: A port is in use; its holder is named.
        DataError: There is no model.
        GraphError: The model is malformed.
    """
    # Ports first: a busy one must be told before anything is written.
    ports = Ports(grpc=config.grpc_port, http=config.http_port, metrics=config.metrics_port).resolved()
    model = find_model(config.model)
    repository = write_repository(
        config.out / REPOSITORY, model.chain, device=config.device, instances=config.instances
    )
    RunDirectory(path=config.out).record(command="serve", config=config, inputs=[model.chain])
    return TritonServer(repository=repository, log=config.out / SERVER_LOG, ports=ports)
