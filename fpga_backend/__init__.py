"""How the firmware is served: the chain, the Triton backend and its worker, model repository, server, clients."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .build import build_backend
    from .chain import Chain, ChainConfig, TrackingResult, save_chain
    from .client import (
        DEFAULT_URL,
        ENGINES,
        Answer,
        AsyncInferenceClient,
        AsyncTritonClient,
        ClientConfig,
        DeadlineError,
        DirectClient,
        DirectConfig,
        Engine,
        InferenceClient,
        ModelClient,
        ModelMetadata,
        OnnxClient,
        OnnxConfig,
        TensorMetadata,
        TrackingClient,
        TritonClient,
        TritonConfig,
        UnavailableError,
        open_async_client,
        open_client,
        open_inference_client,
        open_model,
        stream,
        stream_async,
    )
    from .names import MODELS, NETWORKS
    from .repository import write_repository
    from .server import Ports, TritonServer
    from .triton_install import find_triton

__all__ = [
    "DEFAULT_URL",
    "ENGINES",
    "MODELS",
    "NETWORKS",
    "Answer",
    "AsyncInferenceClient",
    "AsyncTritonClient",
    "Chain",
    "ChainConfig",
    "ClientConfig",
    "DeadlineError",
    "DirectClient",
    "DirectConfig",
    "Engine",
    "InferenceClient",
    "ModelClient",
    "ModelMetadata",
    "OnnxClient",
    "OnnxConfig",
    "Ports",
    "TensorMetadata",
    "TrackingClient",
    "TrackingResult",
    "TritonClient",
    "TritonConfig",
    "TritonServer",
    "UnavailableError",
    "build_backend",
    "find_triton",
    "open_async_client",
    "open_client",
    "open_inference_client",
    "open_model",
    "save_chain",
    "stream",
    "stream_async",
    "write_repository",
]

_MODULES = {
    "build": ("build_backend",),
    "chain": ("Chain", "ChainConfig", "TrackingResult", "save_chain"),
    "client": (
        "DEFAULT_URL",
        "ENGINES",
        "Answer",
        "AsyncInferenceClient",
        "AsyncTritonClient",
        "ClientConfig",
        "DeadlineError",
        "DirectClient",
        "DirectConfig",
        "Engine",
        "InferenceClient",
        "ModelClient",
        "ModelMetadata",
        "OnnxClient",
        "OnnxConfig",
        "TensorMetadata",
        "TrackingClient",
        "TritonClient",
        "TritonConfig",
        "UnavailableError",
        "open_async_client",
        "open_client",
        "open_inference_client",
        "open_model",
        "stream",
        "stream_async",
    ),
    "names": ("MODELS", "NETWORKS"),
    "repository": ("write_repository",),
    "server": ("Ports", "TritonServer"),
    "triton_install": ("find_triton",),
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the module holds
    """Import on first use: a worker needs a fraction of the package, and every server start waits for its workers."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f".{module}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
