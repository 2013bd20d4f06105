"""What the golden executor gives on the inputs of the benchmark, and how many integers of the other sides differ."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from native_networks import Inputs
from numpy.typing import NDArray

from hitfabric.emulation import make_executor
from hitfabric.emulation.golden import compute_node
from hitfabric.emulation.inputs import check_inputs
from hitfabric.quantization import Input, TypedGraph

GOLDEN_ROWS = 10_000
"""Rows of a row network compared at a time: the golden executor keeps every node's integers."""


@dataclass(kw_only=True)
class Comparison:
    """Integers compared with the golden executor's so far, by family of the side.

    Attributes:
        compared: Number of integers.
        mismatches: How many of them differ.
        largest_difference: Largest difference of a float32 side from torch, over the largest output.

    """

    compared: dict[str, int] = field(default_factory=dict)
    mismatches: dict[str, int] = field(default_factory=dict)
    largest_difference: float = 0.0

    def count(self, family: str, found: NDArray[np.generic], expected: NDArray[np.generic]) -> None:
        """Count differing entries; another shape is different in every entry."""
        same_shape = found.shape == expected.shape
        different = int(np.count_nonzero(found != expected)) if same_shape else max(found.size, expected.size)
        self.compared[family] = self.compared.get(family, 0) + expected.size
        self.mismatches[family] = self.mismatches.get(family, 0) + different


def golden_outputs(graph: TypedGraph, inputs: Inputs) -> NDArray[np.float32]:
    """The golden executor's only output; rows in parts, and no tensor kept longer than it is read, to save memory."""
    (output,) = graph.outputs
    if graph.is_graph_network:
        return output.tensor.format.to_float(_golden_integers(graph, inputs)).astype(np.float32)
    golden, ((name, rows),) = make_executor("golden", graph), inputs.items()
    starts = range(0, len(rows), GOLDEN_ROWS)
    return np.concatenate([golden.run({name: rows[start : start + GOLDEN_ROWS]})[output.name] for start in starts])


def _golden_integers(graph: TypedGraph, inputs: Inputs) -> NDArray[np.int64]:
    """Node by node as the golden executor does, which keeps all of them."""
    sizes, values = check_inputs(graph, inputs), {}
    last_reader = {name: number for number, node in enumerate(graph.nodes) for name in node.inputs}
    for number, node in enumerate(graph.nodes):
        if isinstance(node, Input):
            given = inputs[node.name]
            values[node.name] = given.astype(np.int64) if node.tensor.is_index else node.tensor.format.quantize(given)
        else:
            values[node.name] = compute_node(graph, node, [values[name] for name in node.inputs], sizes)
        for name in [name for name in values if last_reader.get(name, len(graph.nodes)) <= number]:
            del values[name]
    return values[graph.outputs[0].name]


def compare_nodes(comparison: Comparison, graph: TypedGraph, inputs: Inputs, *, threads: int) -> None:
    """Compare native with golden at every visible node, as integers."""
    native = make_executor("native", graph, threads=threads).run_integers(inputs)
    golden = make_executor("golden", graph).run_integers(inputs)
    for name, expected in golden.items():
        comparison.count("native", native[name], expected)
