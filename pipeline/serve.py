"""`hitfabric repository` and `hitfabric serve`: the model repository, and Triton with the hitfabric backend."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from ..core import ConfigError, RunDirectory, StrictModel, atomic_directory
from ..fpga_backend import Ports, TritonServer, write_repository
from ..fpga_backend.ports import LOOPBACK
from ..fpga_backend.repository import ModelOptions
from ..fpga_backend.repository_versions import is_repository
from ..fpga_backend.server_security import ADMINISTRATION, Restriction, ServerTls
from ..models.zoo import zoo_path
from .layout import REPOSITORY, SERVER_LOG, find_model

ServedDevice = Literal["native", "numpy", "csim", "golden", "xrt", "shadow"]
"""Device behind a server."""


class RepositoryConfig(StrictModel):
    """Which chain is served under which names, and by which workers.

    Attributes:
        model: Run directory of `train`, or a chain directory; None takes the shipped weights.
        chain: Name of a shipped chain, instead of `model`.
        repository: Model repository to write.
        name: Detector; its models are called `<name>_tracking` and so on. None gives no prefix.
        version: Version to write beside those that are there; None writes version 1 in place of all.
        replace: Let it take the place of an existing version of that number.
        versions: The newest so many versions are served; None serves all.
        device: Device behind the server.
        settings: Settings of the device by name.
        instances: Worker processes per model.
        threads: Threads of a worker; None gives a single worker all cores, and several an equal share.
        max_queue_size: Most requests that wait for a model; one more is answered UNAVAILABLE. None sets no limit.
        max_queue_delay_us: How long, in us, a batch of rows waits for more requests.
        worker_timeout_ms: Longest time one batch may take before its worker is replaced, in ms.
        python: Python interpreter of the workers; None takes this one.
    """

    model: Path | None = None
    chain: str | None = None
    repository: Path | None = None
    name: str | None = None
    version: int | None = Field(default=None, ge=1)
    replace: bool = False
    versions: int | None = Field(default=None, ge=1)
    device: ServedDevice = "native"
    settings: dict[str, str | int | float] = Field(default_factory=dict)
    instances: int = Field(default=1, ge=1, le=64)
    threads: int | None = Field(default=None, ge=1)
    max_queue_size: int | None = Field(default=None, ge=1)
    max_queue_delay_us: int | None = Field(default=None, ge=0)
    worker_timeout_ms: int = Field(default=60_000, ge=1)
    python: Path | None = None

    @model_validator(mode="after")
    def _one_chain(self) -> Self:
        if self.model is not None and self.chain is not None:
            raise ValueError("model and chain are both given; give one")
        return self

    def options(self) -> ModelOptions:
        """The same, for `write_repository`."""
        return ModelOptions(
            device=self.device,
            instances=self.instances,
            threads=self.threads,
            settings=[f"{name}={value}" for name, value in self.settings.items()],
            max_queue_size=self.max_queue_size,
            max_queue_delay_us=self.max_queue_delay_us,
            versions=self.versions,
            worker_timeout_ms=self.worker_timeout_ms,
            python=self.python or sys.executable,
        )


class TlsFiles(StrictModel):
    """Encryption of gRPC; see `ServerTls`."""

    certificate: Path
    key: Path
    authorities: Path | None = None


class ServeConfig(RepositoryConfig):
    """Configuration of `hitfabric serve`.

    Attributes:
        repository: Model repository. One that exists is served as it is, unless something of it is given: then the
            models are written into it first. None writes one into the run directory.
        out: Run directory to write: server log, and the model repository unless `repository` says where.
        grpc_port: Port of the gRPC protocol; 0 takes a free one.
        http_port: Port of the HTTP protocol.
        metrics_port: Port of the Prometheus metrics.
        address: Where gRPC listens; another than loopback needs `tls` or `insecure`.
        tls: Encryption of gRPC; None is none.
        insecure: Let everybody who reaches `address` use gRPC, HTTP and metrics, unencrypted.
        admin_token: File with the token that `restrict` asks for; None restricts nothing.
        restrict: Protocols that take the token.
        model_control: `explicit` lets clients load models again, `none` does not. None is explicit on loopback or with
            a token, and none otherwise.
        restarts: Most restarts in a row of a server that dies.
        start_timeout_s: Longest time until every model is ready.
    """

    out: Path = Path("runs/serve")
    grpc_port: int = Field(default=8001, ge=0, le=65535)
    http_port: int = Field(default=8000, ge=0, le=65535)
    metrics_port: int = Field(default=8002, ge=0, le=65535)
    address: str = LOOPBACK
    tls: TlsFiles | None = None
    insecure: bool = False
    admin_token: Path | None = None
    restrict: tuple[str, ...] = ADMINISTRATION
    model_control: Literal["none", "explicit"] | None = None
    restarts: int = Field(default=5, ge=0)
    start_timeout_s: float = Field(default=300.0, gt=0)

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if "restrict" in self.model_fields_set and self.admin_token is None:
            raise ValueError("restrict needs admin_token, the file of the token that is asked for")
        return self


OF_MODELS = frozenset(RepositoryConfig.model_fields) - {"repository"}
"""Settings that say what is written; a repository that is served as it is has none of them."""


def repository(config: RepositoryConfig) -> Path:
    """Write the models of a chain into a model repository.

    Args:
        config: Which chain, and where.

    Returns:
        The repository.

    Raises:
        ConfigError: No repository is named, it is a folder of something else, or an option is wrong.
        DataError: There is no model.
        GraphError: The model is malformed.
    """
    if config.repository is None:
        raise ConfigError("--repository is missing", remedy="give --repository")
    return _write(config, config.repository)


def prepare_server(config: ServeConfig) -> TritonServer:
    """Write the model repository; the server returned is started by entering it as a context manager.

    Args:
        config: What to serve, and where.

    Returns:
        A server, not yet started.

    Raises:
        ServiceError: A port is in use; its holder is named.
        ConfigError: Certificates, token or repository cannot be used.
        DataError: There is no model.
        GraphError: The model is malformed.
    """
    server = TritonServer(
        repository=config.repository or config.out / REPOSITORY,
        log=config.out / SERVER_LOG,
        ports=Ports(grpc=config.grpc_port, http=config.http_port, metrics=config.metrics_port),
        start_timeout=config.start_timeout_s,
        address=config.address,
        tls=ServerTls(**dict(config.tls)) if config.tls else None,
        insecure=config.insecure,
        restriction=Restriction(token_file=config.admin_token, protocols=config.restrict)
        if config.admin_token
        else None,
    )
    server.model_control = config.model_control or ("explicit" if server.local or config.admin_token else "none")
    server.check()  # first: a busy port must be told before anything is written
    chain = None if _served_as_it_is(config) else _chain(config)
    if chain is not None and config.repository is not None:
        _write(config, config.repository)
    elif chain is not None:
        with atomic_directory(server.repository) as temporary:  # the run directory's own, of nothing but this run
            _write(config, temporary)
    RunDirectory(path=config.out).record(command="serve", config=config, inputs=[chain or server.repository])
    return server


def _served_as_it_is(config: ServeConfig) -> bool:
    where = config.repository
    return where is not None and is_repository(where) and not config.model_fields_set & OF_MODELS


def _chain(config: RepositoryConfig) -> Path:
    return zoo_path(config.chain) if config.chain is not None else find_model(config.model).chain


def _write(config: RepositoryConfig, directory: Path) -> Path:
    return write_repository(
        directory,
        _chain(config),
        name=config.name,
        version=config.version,
        replace=config.replace,
        options=config.options(),
    )
