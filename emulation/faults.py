"""What a planted fault is, and whether vectors can show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..core import GraphError
from ..quantization import Node, Output, Requantize, TypedGraph
from .executor import EXECUTORS, Arrays
from .golden import GoldenExecutor, compute_node
from .inputs import Sizes, check_inputs

Integers = NDArray[np.int64]
Change = Callable[[Mapping[str, Integers], Arrays, Sizes], Integers]
"""What the faulty node gives, from the sound values of every node, the inputs, and the sizes of the call."""

KINDS = (
    "weight bit",
    "bias bit",
    "accumulator width",
    "rounding",
    "saturation",
    "negative values",
    "edge ends",
    "edge index",
    "gather ends",
    "aggregate column",
    "aggregate mode",
    "concat order",
    "add sign",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class InputFault:
    """A change of the edge index on its way into the executor.

    Attributes:
        index: Name of the edge index input.
        edge: Edge that is changed; None changes every edge.
        column: Column of it that gets `value`; None swaps the ends.
        value: New index.
        target: Input that gets the changed index; that of the sound network keeps its own.

    """

    index: str
    target: str
    edge: int | None = None
    column: int | None = None
    value: int = 0

    def apply(self, inputs: Arrays) -> dict[str, NDArray[np.generic]]:
        """Inputs of the faulty network from those of the sound one."""
        given, index = dict(inputs), np.array(inputs[self.index])
        rows = slice(None) if self.edge is None else slice(self.edge, self.edge + 1)
        if self.column is None:
            index[rows] = index[rows, ::-1]
        else:
            index[rows, self.column] = self.value
        given[self.target] = index
        return given


@dataclass(frozen=True, kw_only=True, eq=False)
class Fault:
    """One possible fault.

    Attributes:
        kind: One of `KINDS`.
        node: Node that computes something else.
        what: What is changed, in words.
        changed: What the node gives instead.
        graph: Builds the faulty network; None keeps the sound one.
        accumulator_widths: Accumulators that wrap, by node.
        inputs: Change of the inputs.
        executors: Executors that can have the fault.

    """

    kind: str
    node: str
    what: str
    changed: Change
    graph: Callable[[], TypedGraph] | None = None
    accumulator_widths: Mapping[str, int] = field(default_factory=dict)
    inputs: InputFault | None = None
    executors: tuple[str, ...] = EXECUTORS


class Vectors:
    """Batches with what the golden model makes of each.

    Args:
        graph: The network.
        batches: Inputs.

    """

    def __init__(self, graph: TypedGraph, batches: Sequence[Arrays]) -> None:
        self.graph = graph
        self.batches = batches
        golden = GoldenExecutor(graph)
        self.values = [golden.run_all(inputs) for inputs in batches]
        self.sizes = [check_inputs(graph, inputs) for inputs in batches]

    def shows(self, fault: Fault, *, outputs_only: bool = False) -> int | None:
        """Number of the first batch on which the fault changes a visible node, by the arithmetic of the golden model.

        Only the nodes between the fault and the next visible ones are computed anew.

        Args:
            fault: The fault.
            outputs_only: Whether an output has to change, for an executor that shows nothing else.
        """
        visible = (Output,) if outputs_only else (Requantize, Output)
        for number, (inputs, values, sizes) in enumerate(zip(self.batches, self.values, self.sizes, strict=True)):
            if fault.inputs is not None and fault.inputs.edge is not None and sizes.edges <= fault.inputs.edge:
                continue
            if self._reaches(fault.node, fault.changed(values, inputs, sizes), values, sizes, visible):
                return number
        return None

    def largest(self, name: str) -> tuple[int, int]:
        """Smallest and largest integer of a node over all batches; 0, 0 where there is none."""
        arrays = [values[name] for values in self.values if values[name].size]
        return (min(int(a.min()) for a in arrays), max(int(a.max()) for a in arrays)) if arrays else (0, 0)

    def _reaches(
        self,
        name: str,
        changed: Integers,
        values: Mapping[str, Integers],
        sizes: Sizes,
        visible: tuple[type[Node], ...],
    ) -> bool:
        if changed.shape == values[name].shape and np.array_equal(changed, values[name]):
            return False
        current = {name: changed}
        if isinstance(self.graph[name], visible):
            return True
        for node in self.graph.nodes:
            if not any(source in current for source in node.inputs):
                continue
            sources = [current.get(source, values[source]) for source in node.inputs]
            result = compute_node(self.graph, node, sources, sizes)
            if np.array_equal(result, values[node.name]):
                continue
            if isinstance(node, visible):
                return True
            current[node.name] = result
        return False


def built(fault: Fault, graph: TypedGraph) -> TypedGraph | None:
    """The faulty network; None where its types cannot be derived (a sum that outgrows 62 bits)."""
    try:
        return graph if fault.graph is None else fault.graph()
    except GraphError:
        return None
