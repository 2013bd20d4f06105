"""Cores simulated by Verilator, and what the golden model says of the same rows."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hitfabric.emulation.golden import compute_node
from hitfabric.emulation.inputs import Sizes
from hitfabric.hls_projects.rtl_fields import Core
from hitfabric.hls_projects.rtl_simulation import build_model
from hitfabric.hls_projects.rtl_simulation_words import Integers, pack_rows, unpack_rows
from hitfabric.hls_projects.rtl_verilator import Verilator
from hitfabric.quantization import TypedGraph

DRIVER = Path(__file__).parents[1] / "hls_projects" / "driver_rows.cpp"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The part of an RTL configuration that a core reads."""

    register_spacing: float = 3.0
    solver_seconds: float = 60.0


class CoreSimulation:
    """Runs rows through a core, one per cycle.

    Args:
        core: The core, a module with the ports `clk`, `row_in` and `row_out`.
        seed: Of the random values that all registers start with.
        verilator: As `build_model` takes it.
        cache: As `build_model` takes it.

    Raises:
        ToolError: Verilator or g++ is missing or fails.
    """

    def __init__(
        self, core: Core, *, seed: int = 0, verilator: Verilator | Path | None = None, cache: Path | None = None
    ) -> None:
        self.core, self.seed = core, seed
        self.library = build_model(core.sources, core.name, driver=DRIVER, verilator=verilator, cache=cache)
        self._run = ctypes.CDLL(str(self.library)).hitfabric_rows
        number, address = ctypes.c_int64, ctypes.c_void_p
        self._run.argtypes = [ctypes.c_uint64, number, number, address, number, address, number]
        self._run.restype = ctypes.c_char_p

    def run(self, tensors: Mapping[str, Integers]) -> dict[str, Integers]:
        """The core's outputs, by tensor.

        Args:
            tensors: int64 [rows, features] of every input, all of the same number of rows.

        Returns:
            int64 [rows, features] of every output.

        Raises:
            GraphError: A tensor does not fit its field.
            AssertionError: The model failed.
        """
        core = self.core
        rows = pack_rows(core.inputs, [tensors[field.tensor] for field in core.inputs])
        results = np.zeros((len(rows), -(-sum(field.width for field in core.outputs) // 8)), dtype=np.uint8)
        given, found = (rows.ctypes.data, rows.shape[1]), (results.ctypes.data, results.shape[1])
        problem = self._run(self.seed, core.latency, len(rows), *given, *found)
        assert problem is None, problem
        names = [field.tensor for field in core.outputs]
        return dict(zip(names, unpack_rows(core.outputs, results), strict=True))


def expected(graph: TypedGraph, nodes: Sequence[str], rows: Mapping[str, Integers]) -> dict[str, Integers]:
    """Integers of row-wise nodes by the golden model."""
    values = dict(rows)
    for name in nodes:
        node = graph[name]
        values[name] = compute_node(
            graph, node, [values[source] for source in node.inputs], Sizes(rows=0, nodes=0, edges=0)
        )
    return values


def random_rows(graph: TypedGraph, tensors: Sequence[str], count: int, *, seed: int = 0) -> dict[str, Integers]:
    """Integers of the whole range of each tensor, its ends and 0 among them."""
    random = np.random.default_rng(seed)
    rows = {}
    for name in tensors:
        tensor = graph[name].tensor
        values = random.integers(tensor.low, tensor.high, size=(count, tensor.width), endpoint=True)
        special = random.choice([tensor.low, tensor.high, min(max(0, tensor.low), tensor.high)], size=values.shape)
        rows[name] = np.where(random.random(values.shape) < 0.2, special, values)
        rows[name][:2] = [[tensor.low], [tensor.high]]
    return rows
