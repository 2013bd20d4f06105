"""Who is compared by `hitfabric evaluate --all`: shipped networks, their float twins, and wider float ceilings.

<zoo>/<name>/           graph.json or chain.json: the quantized network or chain
<zoo>/<name>/float/     its float twin
<zoo>/<ceiling>/float/  the wider float reference
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np

from ..core import HitfabricError
from ..emulation import make_executor
from ..emulation.executor import Arrays
from ..fpga_backend import Chain
from ..quantization import TypedGraph
from .extras import require_extra
from .float_chain import FLOAT, load_float_chain
from .layout import CHAIN_FILE, Device
from .networks import GRAPH_FILE

CEILINGS = {
    "sector-in-8": "sector-ceiling",
    "sector-in-40": "sector-ceiling",
    "sector-in-4bit": "sector-ceiling",
    "event-pixel": "event-pixel-ceiling",
    "event-full": "event-full-ceiling",
}
NETWORK_FILE = "network.json"
Found = TypeVar("Found")


class Runner(Protocol):
    """What scores edges: an executor of a typed graph, or a float network."""

    def run(self, inputs: Arrays) -> dict[str, np.ndarray]:
        """Outputs as float32 by output name."""
        ...


@dataclass(frozen=True, kw_only=True)
class Contender(Generic[Found]):
    """A chain or network to be compared, or why there is none.

    Attributes:
        model: The chain or network.
        missing: Why there is none, in words; None where there is one.
    """

    model: Found | None
    missing: str | None = None

    @classmethod
    def load(cls, path: Path, file: str, load: Callable[[Path], Found]) -> Contender[Found]:
        """Load what `path` holds; what is not there, or cannot be used here, is said."""
        if not (path / file).is_file():
            name = path.parent.name if path.name == FLOAT else path.name
            kind = "" if name.endswith("-ceiling") or path.name != FLOAT else "float twin of "
            return cls(model=None, missing=f"not shipped: {kind}{name}")
        try:
            return cls(model=load(path))
        except HitfabricError as error:
            return cls(model=None, missing=str(error))


Chains = Mapping[str, Mapping[str, Contender[Chain]]]
"""Chains by workload and column."""


@dataclass(frozen=True, kw_only=True)
class ZooChains:
    """Where chains are, for processes that load them themselves.

    Attributes:
        zoo: Folder of networks.
        workloads: Names of the workloads.
        device: Executor of the quantized networks.
    """

    zoo: Path
    workloads: tuple[str, ...]
    device: Device


def load_chains(where: ZooChains) -> Chains:
    """The chains by workload and column: `quantized`, `float`, `ceiling`."""
    return {name: _chain_contenders(where.zoo, name, where.device) for name in where.workloads}


def _chain_contenders(zoo: Path, name: str, device: Device) -> dict[str, Contender[Chain]]:
    return {
        "quantized": Contender.load(zoo / name, CHAIN_FILE, lambda path: Chain.load(path, device)),
        "float": Contender.load(zoo / name / FLOAT, CHAIN_FILE, load_float_chain),
        "ceiling": Contender.load(zoo / CEILINGS[name] / FLOAT, CHAIN_FILE, load_float_chain),
    }


def sector_contenders(zoo: Path, name: str, device: Device) -> dict[str, Contender[Runner]]:
    """The networks of a workload by column: `quantized`, `float`, `ceiling`."""

    def quantized(path: Path) -> Runner:
        return make_executor(device, TypedGraph.load(path))

    return {
        "quantized": Contender.load(zoo / name, GRAPH_FILE, quantized),
        "float": Contender.load(zoo / name / FLOAT, NETWORK_FILE, _float_network),
        "ceiling": Contender.load(zoo / CEILINGS[name] / FLOAT, NETWORK_FILE, _float_network),
    }


def float_bops(item: Contender[Runner]) -> float:
    """Bit operations of a float network on the largest graph, operands of 32 bits; NaN where there is none."""
    if item.model is None:
        return math.nan
    from ..models.float_networks import FloatExecutor
    from ..models.training_cost import float_cost

    assert isinstance(item.model, FloatExecutor)
    return float_cost(item.model.network)["bops"]


def _float_network(path: Path) -> Runner:
    require_extra("train")
    from ..models.float_networks import FloatExecutor, load_float_network

    return FloatExecutor(load_float_network(path))
