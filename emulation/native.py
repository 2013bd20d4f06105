"""The native executor: C++ specialised to the graph, compiled once, exact at the speed of compiled code."""

from __future__ import annotations

import ctypes
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core import GraphError, atomic_file, cache_directory, compile_library, processor_fingerprint
from ..quantization import TypedGraph
from .executor import Arrays, wanted_nodes
from .inputs import Sizes, check_inputs
from .native_plan import plan
from .native_source import native_source

KERNELS = Path(__file__).parent / "cpp"
FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fopenmp", f"-I{KERNELS}")


class NativeExecutor:
    """Bit-identical to the golden executor, for any number of rows, nodes and edges.

    Args:
        graph: The network.
        threads: Threads of one call; by default the cores this process may use.

    Raises:
        ToolError: No C++ compiler, or it failed.
        GraphError: A tensor needs more than 53 bits.

    """

    name = "native"
    maxima_limited = False

    def __init__(self, graph: TypedGraph, *, threads: int | None = None) -> None:
        self.graph = graph
        self.threads = threads or len(os.sched_getaffinity(0))
        self._plan = plan(graph)
        self._library = ctypes.CDLL(str(_compiled(native_source(graph, self._plan))))
        self._library.hitfabric_run.restype = ctypes.c_int

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.float32]]:
        """Outputs as float32 by output name; inputs as `check_inputs` describes."""
        sizes = self._check(inputs)
        outputs = {node.name: np.empty(self._shape(node.name, sizes), dtype=np.float32) for node in self.graph.outputs}
        self._call(inputs, sizes, outputs=[outputs[node.name] for node in self.graph.outputs])
        return outputs

    def run_integers(self, inputs: Arrays, nodes: Sequence[str] | None = None) -> dict[str, NDArray[np.int64]]:
        """Integers of the visible nodes asked for, each on its node's grid."""
        sizes = self._check(inputs)
        taps = {name: np.empty(self._shape(name, sizes), dtype=np.int64) for name in wanted_nodes(self.graph, nodes)}
        self._call(inputs, sizes, taps=[taps.get(node.name) for node in self.graph.visible])
        return taps

    def _check(self, inputs: Arrays) -> Sizes:
        sizes = check_inputs(self.graph, inputs)
        if not self._plan.dynamic and sizes.edges > self.graph.maxima.edges:
            raise GraphError(
                f"graph of {sizes.edges} edges exceeds the {self.graph.maxima.edges} that network {self.graph.name} is"
                " proven for",
                remedy="raise the maxima, or requantize after each aggregate",
            )
        return sizes

    def _shape(self, name: str, sizes: Sizes) -> tuple[int, ...]:
        return tuple(sizes.of(dimension) for dimension in self.graph[name].tensor.shape)

    def _call(
        self,
        inputs: Arrays,
        sizes: Sizes,
        *,
        outputs: Sequence[NDArray[np.float32] | None] = (),
        taps: Sequence[NDArray[np.int64] | None] = (),
    ) -> None:
        given = [
            np.ascontiguousarray(inputs[node.name], dtype=np.int64 if node.tensor.is_index else np.float32)
            for node in self.graph.inputs
        ]
        lengths = (ctypes.c_int64 * 3)(sizes.rows, sizes.nodes, sizes.edges)
        status = self._library.hitfabric_run(
            lengths,
            _pointers(given),
            _pointers(outputs or [None] * len(self.graph.outputs)),
            _pointers(taps or [None] * len(self.graph.visible)),
            ctypes.c_int(self.threads),
        )
        if status != 0:
            raise GraphError(f"out of memory for {sizes}", remedy="give smaller batches")


def _pointers(arrays: Sequence[NDArray[np.generic] | None]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * len(arrays))(*[None if array is None else array.ctypes.data for array in arrays])


def _compiled(source: str) -> Path:
    kernels = (KERNELS / "native_kernels.h").read_text(encoding="utf-8")
    key = hashlib.sha256("\n".join([source, kernels, *FLAGS[:-1], processor_fingerprint()]).encode()).hexdigest()[:24]
    folder = cache_directory() / "native"
    library = folder / f"{key}.so"
    if not library.exists():
        code = folder / f"{key}.cpp"
        with atomic_file(code) as temporary:
            temporary.write_text(source, encoding="utf-8")
        compile_library([code], target=library, flags=FLAGS, purpose="compile the native executor")
    return library
