"""Opening clients: in process, the float reference or servers, as a configuration or a command asks."""

from __future__ import annotations

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
    Counts,
    DeadlineError,
    InferenceClient,
    ModelClient,
    TrackingClient,
    UnavailableError,
)
from .client_local import AsyncLocalClient, DirectClient, LocalClient, OnnxClient, OnnxExecutor
from .client_metadata import ModelMetadata, TensorMetadata, differences, expected_metadata
from .client_stream import Answer, stream, stream_async
from .client_triton import AsyncTritonClient, TritonClient

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
    "stream",
    "stream_async",
]


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
