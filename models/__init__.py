"""What is learned: the three networks, their training, the physics metrics and the shipped weights.

Configuration, metrics and shipped weights import without torch; the rest is loaded when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .config import EmbeddingConfig, FilterConfig, InteractionConfig
from .metrics import Fiducial, TrackMatching, combine, match_tracks
from .training_config import ChainTraining
from .zoo import zoo_names, zoo_path

if TYPE_CHECKING:
    from .checkpoints import load_checkpoint, save_checkpoint
    from .networks import EmbeddingNetwork, FilterNetwork, InteractionNetwork
    from .training_chain import TrainedChain, train_chain

_NEEDS_TORCH = {
    "EmbeddingNetwork": "networks",
    "FilterNetwork": "networks",
    "InteractionNetwork": "networks",
    "TrainedChain": "training_chain",
    "load_checkpoint": "checkpoints",
    "save_checkpoint": "checkpoints",
    "train_chain": "training_chain",
}

__all__ = [  # noqa: RUF022 - with torch, then without
    "EmbeddingNetwork",
    "FilterNetwork",
    "InteractionNetwork",
    "TrainedChain",
    "load_checkpoint",
    "save_checkpoint",
    "train_chain",
    "ChainTraining",
    "EmbeddingConfig",
    "Fiducial",
    "FilterConfig",
    "InteractionConfig",
    "TrackMatching",
    "combine",
    "match_tracks",
    "zoo_names",
    "zoo_path",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - classes and functions
    if name not in _NEEDS_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_NEEDS_TORCH[name]}", __name__), name)
