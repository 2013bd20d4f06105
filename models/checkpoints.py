"""Checkpoints: the state of one network and the configuration that rebuilds it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn

from ..core import CORRUPT, DataError
from .config import EmbeddingConfig, FilterConfig, InteractionConfig
from .networks import EmbeddingNetwork, FilterNetwork, InteractionNetwork
from .saved_tensors import save_tensors

Trained = EmbeddingNetwork | FilterNetwork | InteractionNetwork
NETWORKS: dict[str, tuple[type[Any], type[Any]]] = {
    "embedding": (EmbeddingNetwork, EmbeddingConfig),
    "filter": (FilterNetwork, FilterConfig),
    "interaction_network": (InteractionNetwork, InteractionConfig),
}


def is_quantized(network: nn.Module) -> bool:
    """Whether any layer of the network quantizes."""
    return any(type(module).__module__.partition(".")[0] == "brevitas" for module in network.modules())


def save_checkpoint(network: Trained, path: Path) -> None:
    """Write a network, quantized or float, whole or not at all.

    Args:
        network: The network.
        path: File to write; read back with `load_checkpoint`.
    """
    kind = next(name for name, (cls, _) in NETWORKS.items() if isinstance(network, cls))
    content = {
        "kind": kind,
        "config": network.config.model_dump_json(),
        "quantized": is_quantized(network),
        "state": network.state_dict(),
    }
    save_tensors(content, path)


def load_checkpoint(path: Path) -> Trained:
    """Read a network written by `save_checkpoint`; nothing in the file is executed.

    Args:
        path: The checkpoint.

    Returns:
        The network, in evaluation mode.

    Raises:
        DataError: The file is missing, is no such checkpoint, or its state does not fit its configuration.
    """
    remedy = "give a checkpoint written by training"
    try:
        content = torch.load(path, weights_only=True)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", remedy=remedy) from error
    except (*CORRUPT, pickle.UnpicklingError) as error:
        raise DataError(f"{path} is no checkpoint", remedy=remedy) from error
    try:
        make, config = NETWORKS[content["kind"]]
        quantized = content.get("quantized", True)  # older checkpoints are all quantized
        network: nn.Module = make(config=config.model_validate_json(content["config"]), quantized=quantized)
        network.load_state_dict(content["state"])
    except (KeyError, TypeError, RuntimeError, ValidationError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path} is no checkpoint of this version: {reason}", remedy=remedy) from error
    return network.eval()  # pyright: ignore[reportReturnType]
