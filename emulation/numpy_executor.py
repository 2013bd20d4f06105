"""The NumPy executor: exact through BLAS and element-wise functions, for hosts without a compiler."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import GraphError
from ..quantization import EdgeAggregate, EdgeGather, Input, Maxima, Node, TypedGraph
from .executor import Arrays, wanted_nodes
from .inputs import Sizes, check_inputs
from .numpy_kernels import aggregate, compute
from .numpy_plan import Numbers, Pass, Plan, plan
from .ranges import largest_value
from .row_passes import any_edges

Write = Callable[[str, slice, Numbers], None]
"""Takes the integers of some rows of a node."""


class NumpyExecutor:
    """Bit-identical to the golden executor, for any number of rows, nodes and edges; thread-safe.

    Sums run in float32 where every partial sum is proven to stay within 24 bits, in float64 within 53 bits, else in
    int64. That takes a BLAS in the arithmetic of IEEE 754, as every one that NumPy is built with.

    Args:
        graph: The network.
        threads: Threads over blocks of rows; by default the cores this process may use. BLAS has threads of its own
            besides (`OPENBLAS_NUM_THREADS`).

    """

    name = "numpy"
    maxima_limited = False

    def __init__(self, graph: TypedGraph, *, threads: int | None = None) -> None:
        self.graph = graph
        self.threads = threads or len(os.sched_getaffinity(0))
        self._any_edges = any_edges(graph)
        self._plan = plan(graph)

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.float32]]:
        """Outputs as float32 by output name; inputs as `check_inputs` describes."""
        sizes = check_inputs(self.graph, inputs)
        outputs = {node.name: np.empty(_shape(node, sizes), dtype=np.float32) for node in self.graph.outputs}
        scales = {node.name: node.tensor.format.scale for node in self.graph.outputs}

        def write(name: str, rows: slice, values: Numbers) -> None:
            if name in outputs:
                outputs[name][rows] = values.astype(np.float64) * scales[name] + 0.0  # no negative zeros

        self._run(inputs, sizes, write)
        return outputs

    def run_integers(self, inputs: Arrays, nodes: Sequence[str] | None = None) -> dict[str, NDArray[np.int64]]:
        """Integers of the visible nodes asked for, each on its node's grid."""
        sizes = check_inputs(self.graph, inputs)
        taps = {
            name: np.empty(_shape(self.graph[name], sizes), dtype=np.int64) for name in wanted_nodes(self.graph, nodes)
        }

        def write(name: str, rows: slice, values: Numbers) -> None:
            if name in taps:
                taps[name][rows] = values

        self._run(inputs, sizes, write)
        return taps

    def _run(self, inputs: Arrays, sizes: Sizes, write: Write) -> None:
        try:
            _Call(self._plan_for(sizes), inputs, sizes, write).run(self.threads)
        except MemoryError as error:
            raise GraphError(f"out of memory for {sizes}", remedy="give smaller batches") from error

    def _plan_for(self, sizes: Sizes) -> Plan:
        """A plan whose ranges cover a number of edges; the largest asked for is kept."""
        current, maxima = self._plan, self.graph.maxima
        if sizes.edges <= current.graph.maxima.edges or not self.graph.is_graph_network:
            return current
        if not self._any_edges:
            raise GraphError(
                f"graph of {sizes.edges} edges exceeds the {maxima.edges} that network {self.graph.name} is proven for",
                remedy="raise the maxima, or requantize after each aggregate",
            )
        larger = Maxima(nodes=max(maxima.nodes, sizes.nodes), edges=1 << sizes.edges.bit_length())
        self._plan = wide = plan(self.graph.with_maxima(larger))
        return wide


class _Call:
    """One call: the tensors that live between passes, and where results go.

    Args:
        plan: How to compute.
        inputs: Checked inputs.
        sizes: Their sizes.
        write: Takes every node's integers, block by block, from several threads.

    """

    def __init__(self, plan: Plan, inputs: Mapping[str, NDArray[Any]], sizes: Sizes, write: Write) -> None:
        self.plan, self.inputs, self.sizes, self.write = plan, inputs, sizes, write
        self.indices = {
            node.name: np.minimum(inputs[node.name], sizes.nodes).astype(np.intp)
            for node in plan.graph.inputs
            if node.tensor.is_index
        }
        self.stored: dict[str, Numbers] = {}

    def run(self, threads: int) -> None:
        """Every pass in order, its blocks on a number of threads."""
        blocks = max((self._rows(step) + step.block - 1) // step.block for step in self.plan.passes)
        workers = min(threads, blocks)
        with ThreadPoolExecutor(workers) if workers > 1 else nullcontext() as pool:
            for number, step in enumerate(self.plan.passes):
                first = step.nodes[0]
                if isinstance(first, EdgeAggregate):
                    self._aggregate(first)
                else:
                    self._blocks(step, map if pool is None else pool.map)
                for name in [name for name in self.stored if self.plan.last_read[name] == number]:
                    del self.stored[name]

    def _rows(self, step: Pass) -> int:
        return self.sizes.of(step.dimension)

    def _blocks(self, step: Pass, spread: Callable[..., Iterable[None]]) -> None:
        rows = self._rows(step)
        for node in step.nodes:
            if node.name in self.plan.last_read:
                room = np.empty((rows + 1, node.tensor.width), dtype=self.plan.kinds[node.name])
                room[rows] = 0  # what a gather takes for padding
                self.stored[node.name] = room
        starts = range(0, rows, step.block)
        for _ in spread(lambda start: self._block(step, slice(start, min(start + step.block, rows))), starts):
            pass

    def _block(self, step: Pass, rows: slice) -> None:
        local: dict[str, Numbers] = {}
        for node in step.nodes:
            values = compute(self.plan, node, self._sources(node, rows, local))
            local[node.name] = values
            if node.name in self.plan.last_read:
                self.stored[node.name][rows] = values
            self.write(node.name, rows, values)

    def _sources(self, node: Node, rows: slice, local: Mapping[str, Numbers]) -> list[Numbers]:
        if isinstance(node, Input):
            return [self.inputs[node.name][rows]]
        if isinstance(node, EdgeGather):
            nodes, index = node.inputs
            return [self.stored[nodes], self.indices[index][rows]]
        return [local[name] if name in local else self.stored[name][rows] for name in node.inputs]

    def _aggregate(self, node: EdgeAggregate) -> None:
        source, index = node.inputs
        self.stored[node.name] = aggregate(
            node,
            self.stored[source][: self.sizes.edges],
            self.indices[index][:, node.column],
            nodes=self.sizes.nodes,
            largest=largest_value(self.plan.nodes[source].tensor),
        )


def _shape(node: Node, sizes: Sizes) -> tuple[int, ...]:
    return tuple(sizes.of(dimension) for dimension in node.tensor.shape)
