"""Where things lie in a run directory, and how a model given on the command line is found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..core import DataError
from ..models.zoo import zoo_path

Device = Literal["native", "numpy", "csim", "golden"]
"""Executor behind an engine."""

CHAIN = "chain"
TRAINING = "training"
PROJECTS = "projects"
RTL = "rtl"
EVENTS = "events"
LABELS = "labels"
REPOSITORY = "model_repository"
SERVER_LOG = "tritonserver.log"
CHAIN_FILE = "chain.json"
SECTOR_NETWORK = "sector_interaction_network"
CHECKPOINTS = "checkpoints"
SHIPPED_CHAIN = "event-pixel"
SHIPPED_SECTOR = "sector-in-8"


@dataclass(frozen=True, kw_only=True)
class Model:
    """A trained chain on disk.

    Attributes:
        chain: Chain directory: `chain.json` and one typed graph directory per network.
        checkpoints: Folder of the Brevitas checkpoints it was traced from, None where they are not kept.
        sector: Typed graph directory of the interaction network of the sector workload, if there is one.
    """

    chain: Path
    checkpoints: Path | None
    sector: Path | None = None


def find_model(path: Path | None) -> Model:
    """Find the chain in a run directory of `train`, or a chain directory itself.

    Args:
        path: Either of them; None takes the weights shipped with hitfabric.

    Returns:
        The model.

    Raises:
        DataError: There is no chain.
    """
    if path is None:
        return Model(chain=zoo_path(SHIPPED_CHAIN), checkpoints=None, sector=zoo_path(SHIPPED_SECTOR))
    for chain in (path, path / CHAIN):
        if (chain / CHAIN_FILE).is_file():
            checkpoints = chain.parent / CHECKPOINTS
            sector = chain.parent / SECTOR_NETWORK
            return Model(
                chain=chain,
                checkpoints=checkpoints if any(checkpoints.glob("*.pt")) else None,
                sector=sector if (sector / "graph.json").is_file() else None,
            )
    if (path / SECTOR_NETWORK / "graph.json").is_file():
        raise DataError(
            f"{path} holds no trained chain, but the sector network alone",
            remedy=f"name {path / SECTOR_NETWORK} itself in place of --model, as build and validate take it",
        )
    raise DataError(
        f"{path} holds no trained chain", remedy="give the --out folder of hitfabric train, or a chain directory"
    )
