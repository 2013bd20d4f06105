"""Opening clients: in process, the float reference or servers, as a configuration or a command asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core import ConfigError
from .chain import Chain
from .client_config import (
    DEFAULT_URL,
    ENGINES,
    ClientConfig,
    DirectConfig,
    Engine,
    OnnxConfig,
    RetryConfig,
    TlsConfig,
    TokenConfig,
    TritonConfig,
)
from .client_fallback import AsyncFallbackClient, FallbackClient
from .client_interface import (
    AsyncInferenceClient,
    ClosesClient,
    Counts,
    DeadlineError,
    InferenceClient,
    Outputs,
    TrackingClient,
    UnavailableError,
)
from .client_local import AsyncLocalClient, DirectClient, LocalClient, OnnxClient, OnnxExecutor
from .client_metadata import ModelMetadata, TensorMetadata, differences, expected_metadata
from .client_stream import Answer, stream, stream_async
from .client_triton import AsyncTritonClient, TritonClient
from .names import TRACKING
from .signature import Arrays

__all__ = [
    "DEFAULT_URL",
    "ENGINES",
    "Answer",
    "AsyncInferenceClient",
    "AsyncLocalClient",
    "AsyncTritonClient",
    "ClientConfig",
    "Counts",
    "DeadlineError",
    "DirectClient",
    "DirectConfig",
    "Engine",
    "InferenceClient",
    "LocalClient",
    "ModelClient",
    "ModelMetadata",
    "OnnxClient",
    "OnnxConfig",
    "OnnxExecutor",
    "RetryConfig",
    "TensorMetadata",
    "TlsConfig",
    "TokenConfig",
    "TrackingClient",
    "TritonClient",
    "TritonConfig",
    "UnavailableError",
    "differences",
    "expected_metadata",
    "open_async_client",
    "open_client",
    "open_inference_client",
    "open_model",
    "stream",
    "stream_async",
]


@dataclass(frozen=True, kw_only=True)
class ModelClient(ClosesClient):
    """One model of a client; a context manager.

    Attributes:
        client: What computes.
        model: Its name.
        in_flight: Most requests under way in a stream.
    """

    client: InferenceClient
    model: str
    in_flight: int = 4

    @property
    def metadata(self) -> ModelMetadata:
        """Names, data types and shapes of the model's tensors."""
        return self.client.metadata(self.model)

    def infer(self, inputs: Arrays, *, outputs: Sequence[str] | None = None) -> Outputs:
        """Compute the outputs; arguments and errors as those of `InferenceClient.infer`."""
        return self.client.infer(self.model, inputs, outputs=outputs)

    def stream(self, events: Iterable[Arrays], *, stop_on_error: bool = False) -> Iterator[Answer]:
        """Compute many events, `in_flight` at a time; see `client_stream.stream`."""
        return stream(self.client, self.model, events, in_flight=self.in_flight, stop_on_error=stop_on_error)


def open_model(config: ClientConfig, model: str = TRACKING) -> ModelClient:
    """Open one model of the client that a configuration chooses; errors as those of `open_inference_client`."""
    return ModelClient(client=open_inference_client(config), model=model, in_flight=config.in_flight)


def open_inference_client(config: ClientConfig) -> InferenceClient:
    """Open the client that a configuration chooses.

    Args:
        config: As read by `core.load_config(ClientConfig, path)`.

    Returns:
        The client. A server is not asked before the first request; chains and networks are loaded now, that of
        `fall_back_to_direct` too, as a fallback that fails when it is needed is none.

    Raises:
        ConfigError: A certificate or token cannot be read.
        GraphError: A chain or network is missing or malformed.
        ToolError: A compiler or package is missing.
    """
    if config.engine != "triton":
        return _local_client(config)
    client = TritonClient(config=config.triton)
    if not config.fall_back_to_direct:
        return client
    return FallbackClient(client, _direct_client(config), outage_s=config.triton.skip_s)


def open_async_client(config: ClientConfig) -> AsyncInferenceClient:
    """The same for asyncio; arguments and errors as those of `open_inference_client`."""
    if config.engine != "triton":
        return AsyncLocalClient(_local_client(config))
    client = AsyncTritonClient(config=config.triton)
    if not config.fall_back_to_direct:
        return client
    secondary = AsyncLocalClient(_direct_client(config))
    return AsyncFallbackClient(client, secondary, outage_s=config.triton.skip_s)


def open_client(
    engine: Engine, *, chain_directory: Path | None = None, device: str = "native", url: str = DEFAULT_URL
) -> TrackingClient:
    """Open a tracking client with little to say; `open_inference_client` has every setting.

    Args:
        engine: `direct` (in this process), `onnx` (the float reference) or `triton` (a server, asked once).
        chain_directory: Chain to run (`direct`), or chain of ONNX files (`onnx`).
        device: Executor; `direct` only.
        url: `host:port` of the server; `triton` only.

    Raises:
        ConfigError: Unknown engine, or no chain for an engine that needs one.
    """
    if engine == "triton":
        return TrackingClient(TritonClient(url))
    if engine not in ENGINES or chain_directory is None:
        raise ConfigError(
            f"engine {engine!r} needs a chain directory", remedy=f"use one of {ENGINES}, and give a chain"
        )
    if engine == "onnx":
        return TrackingClient(OnnxClient(OnnxConfig(model=chain_directory)))
    return TrackingClient(DirectClient(Chain.load(chain_directory, device)))


def _local_client(config: ClientConfig) -> LocalClient:
    if config.engine == "onnx" and config.onnx is not None:
        return OnnxClient(config.onnx)
    return _direct_client(config)


def _direct_client(config: ClientConfig) -> LocalClient:
    if config.direct is None:  # the configuration has checked this
        raise ConfigError("direct.model is missing", remedy="give the chain to compute in this process")
    return DirectClient.load(config.direct)
