"""How the firmware is served: the chain, the Triton backend and its worker, model repository, server, clients."""

from .build import build_backend
from .chain import NETWORKS, Chain, ChainConfig, TrackingResult, save_chain
from .client import (
    DEFAULT_URL,
    ENGINES,
    DirectClient,
    Engine,
    InferenceClient,
    TrackingClient,
    TritonClient,
    open_client,
)
from .repository import MODELS, write_repository
from .server import Ports, TritonServer
from .triton_install import find_triton

__all__ = [
    "DEFAULT_URL",
    "ENGINES",
    "MODELS",
    "NETWORKS",
    "Chain",
    "ChainConfig",
    "DirectClient",
    "Engine",
    "InferenceClient",
    "Ports",
    "TrackingClient",
    "TrackingResult",
    "TritonClient",
    "TritonServer",
    "build_backend",
    "find_triton",
    "open_client",
    "save_chain",
    "write_repository",
]
