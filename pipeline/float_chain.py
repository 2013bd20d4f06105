"""Chains of float networks: the reference that a quantized chain is compared with. Needs torch (extra `train`).

A float chain directory holds its own `chain.json` (a float chain has its own radius and thresholds) and one float
network directory per network.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ..core import GraphError, atomic_directory
from ..fpga_backend import NETWORKS, Chain, ChainConfig
from ..fpga_backend.chain import load_config
from .extras import require_extra
from .layout import CHAIN_FILE

if TYPE_CHECKING:
    from ..emulation import Executor
    from ..models.checkpoints import Trained

FLOAT = "float"
"""Folder of the float references in a run directory of `train`, and beside shipped weights."""


def save_float_chain(directory: Path, config: ChainConfig, networks: Mapping[str, Trained]) -> None:
    """Write a chain of float networks, whole or not at all.

    Args:
        directory: Directory to write; an existing one is replaced.
        config: Radius and thresholds chosen for these networks.
        networks: Float networks `embedding`, `filter` and `interaction_network`.

    Raises:
        GraphError: A network is missing.
        DataError: A network is quantized, or a weight is not finite.
    """
    from ..models.float_networks import save_float_network

    for name in NETWORKS:
        if name not in networks:
            raise GraphError(f"the chain has no network {name}", remedy=f"give {', '.join(NETWORKS)}")
    with atomic_directory(directory) as temporary:
        (temporary / CHAIN_FILE).write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")
        for name in NETWORKS:
            save_float_network(networks[name], temporary / name)


def load_float_chain(directory: Path) -> Chain:
    """Read a chain of float networks; it runs as a quantized chain does, in float32.

    Args:
        directory: Written by `save_float_chain`.

    Returns:
        The chain. It cannot be saved as a chain of typed graphs.

    Raises:
        ToolError: The extra `train` is not installed.
        GraphError: `chain.json` is missing or malformed, or a network is of another kind than its folder says.
        DataError: A network is missing or malformed.
    """
    require_extra("train")
    from ..models.float_networks import FloatExecutor, kind_of, load_float_network

    config = load_config(directory)
    executors = {}
    for name in NETWORKS:
        network = load_float_network(directory / name)
        if kind_of(network) != name:
            raise GraphError(f"{directory / name} holds a float {kind_of(network)}", remedy=f"give the float {name}")
        executors[name] = FloatExecutor(network)
    # The chain asks an executor for its typed graph only where that limits sizes, which here it does not.
    return Chain(config=config, executors=cast("Mapping[str, Executor]", executors))
