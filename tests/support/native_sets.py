"""The native executor with every instruction set that code can be run for here."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from hitfabric.emulation import make_executor
from hitfabric.emulation.native import NativeExecutor
from hitfabric.emulation.native_build import native_library
from hitfabric.emulation.native_library import NativeLibrary
from hitfabric.emulation.native_plan import plan
from hitfabric.emulation.native_source import uses_matrices
from hitfabric.quantization import TypedGraph
from support.hand_graph import hand_graph
from support.random_graphs import Vectors

EMULATED_TILES = "-DHITFABRIC_EMULATED_TILES"
"""AMX matrices in plain C++, so that the code around them runs on every processor with AVX-512 VNNI."""


@cache
def instruction_sets() -> tuple[str, ...]:
    """Those of this processor, best first; amx wherever it can be emulated."""
    available = NativeLibrary(native_library(plan(hand_graph())), None).available
    return ("amx", *available) if "avx512vnni" in available and "amx" not in available else available


def native_sets_of(graph: TypedGraph) -> tuple[str, ...]:
    """Instruction sets for a network: amx only where it has matrices for it."""
    return tuple(name for name in instruction_sets() if name != "amx" or uses_matrices(plan(graph)))


def native_executors(graph: TypedGraph, *, threads: int = 2) -> list[NativeExecutor]:
    """One executor per instruction set."""
    return [native_executor(graph, name, threads=threads) for name in native_sets_of(graph)]


def native_executor(graph: TypedGraph, instructions: str, *, threads: int = 2) -> NativeExecutor:
    """The executor with one instruction set."""
    extra = (EMULATED_TILES,) if instructions == "amx" else ()
    return NativeExecutor(graph, threads=threads, instructions=instructions, extra_flags=extra)


def assert_native_equals_golden(graph: TypedGraph, batches: Sequence[Vectors], *, threads: int = 2) -> None:
    """Every integer of every visible node, and every output, by every instruction set."""
    golden = make_executor("golden", graph)
    natives = native_executors(graph, threads=threads)
    for number, batch in enumerate(batches):
        integers, outputs = golden.run_integers(batch), golden.run(batch)
        for native in natives:
            found, given = native.run_integers(batch), native.run(batch)
            assert (found.keys(), given.keys()) == (integers.keys(), outputs.keys())
            wrong = {name: int(np.count_nonzero(found[name] != integers[name])) for name in integers}
            assert not any(wrong.values()), (native.instructions, number, wrong)
            assert all(np.array_equal(given[name], outputs[name]) for name in outputs), native.instructions
            assert all(array.dtype == np.float32 for array in given.values())
