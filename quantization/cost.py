"""What a typed graph costs: multiplications and the bits in them, before any synthesis.

Three counts of the multiplications of the Dense nodes, the only ones of a typed graph:

* MACs: one per weight, zero or not, and row.
* BOPs, bit operations of a Dense of `n` inputs and `m` outputs, per row:
  `m n ((1 - f) b_a b_w + b_a + b_w + log2 n)` with the widths `b_a` of the activation and `b_w` of the weight, sign
  included, and `f` the share of weights that are 0. Baskin et al., UNIQ, arXiv:1804.10969; the factor for pruned
  weights is that of Hawks et al., "Ps and Qs", arXiv:2102.11289.
* EBOPs, effective bit operations: the sum over all multiplications of the bits of both operands, where a weight, a
  constant, has only the bits of its magnitude from the highest to the lowest that is set (a weight of 0 costs nothing),
  and an activation has the bits that its derived range needs, sign included (HGQ2 counts the sign of formats that
  saturate, as ours do). Sun et al., HGQ, arXiv:2405.00645.

The additions of Add and EdgeAggregate nodes are in none of the three; a Dense's own are in the BOPs' last terms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..core import GraphError
from .fixed_point import FixedPoint
from .graph import TypedGraph
from .nodes import Dense, Node


@dataclass(frozen=True, kw_only=True)
class NodeCost:
    """Cost of one node.

    Attributes:
        name: Name of the node.
        rows: Rows it computes: the rows, nodes or edges of the sizes asked for.
        macs: Multiplications per row.
        bops: Bit operations per row.
        ebops: Effective bit operations per row.
        weights: Weights, those of 0 included; no biases.
        nonzero_weights: Weights that are not 0.
        weight_bits: Bits of all weights at the width of their format; no biases.

    """

    name: str
    rows: int
    macs: int = 0
    bops: float = 0.0
    ebops: int = 0
    weights: int = 0
    nonzero_weights: int = 0
    weight_bits: int = 0

    @property
    def total_macs(self) -> int:
        """Multiplications of all rows."""
        return self.rows * self.macs

    @property
    def total_bops(self) -> float:
        """Bit operations of all rows."""
        return self.rows * self.bops

    @property
    def total_ebops(self) -> int:
        """Effective bit operations of all rows."""
        return self.rows * self.ebops


@dataclass(frozen=True, kw_only=True)
class GraphCost:
    """Cost of every node of a graph, in order, and their sums; the sums are over all rows.

    Attributes:
        nodes: One entry per node; those without multiplications cost 0.

    """

    nodes: tuple[NodeCost, ...]

    def __getitem__(self, name: str) -> NodeCost:
        for node in self.nodes:
            if node.name == name:
                return node
        raise GraphError(f"there is no cost of a node {name}", remedy=f"use one of {[n.name for n in self.nodes]}")

    @property
    def macs(self) -> int:
        """Multiplications of one inference."""
        return sum(node.total_macs for node in self.nodes)

    @property
    def bops(self) -> float:
        """Bit operations of one inference."""
        return math.fsum(node.total_bops for node in self.nodes)

    @property
    def ebops(self) -> int:
        """Effective bit operations of one inference."""
        return sum(node.total_ebops for node in self.nodes)

    @property
    def weights(self) -> int:
        """Weights, those of 0 included."""
        return sum(node.weights for node in self.nodes)

    @property
    def nonzero_weights(self) -> int:
        """Weights that are not 0."""
        return sum(node.nonzero_weights for node in self.nodes)

    @property
    def weight_bits(self) -> int:
        """Bits of all weights."""
        return sum(node.weight_bits for node in self.nodes)


def graph_cost(graph: TypedGraph, *, nodes: int | None = None, edges: int | None = None, rows: int = 1) -> GraphCost:
    """Count multiplications, bit operations and weights.

    Args:
        graph: The network.
        nodes: Nodes of the graph it is applied to; None takes the maximum.
        edges: Edges of that graph; None takes the maximum.
        rows: Rows a row network is applied to.

    Returns:
        The cost of every node, per row and of one inference.

    Raises:
        GraphError: A size is negative or exceeds its maximum.

    """
    sizes = {
        "R": _size("rows", rows, None),
        "N": _size("nodes", nodes, graph.maxima.nodes),
        "E": _size("edges", edges, graph.maxima.edges),
    }
    return GraphCost(nodes=tuple(_node_cost(graph, node, sizes) for node in graph.nodes))


def _size(name: str, value: int | None, maximum: int | None) -> int:
    if value is None:
        assert maximum is not None
        return maximum
    if value < 0 or (maximum is not None and value > maximum):
        limit = "0 or more" if maximum is None else f"0 to {maximum}"
        raise GraphError(f"the cost of {value} {name} is not defined", remedy=f"give {limit}")
    return value


def _node_cost(graph: TypedGraph, node: Node, sizes: dict[str, int]) -> NodeCost:
    rows = math.prod(size if isinstance(size, int) else sizes[size] for size in node.tensor.shape[:-1])
    if not isinstance(node, Dense):
        return NodeCost(name=node.name, rows=rows)
    (source,) = (graph[name].tensor for name in node.inputs)
    count, inputs = node.weight.size, node.weight.shape[1]
    integers = [int(weight) for weight in node.weight.reshape(-1)]
    nonzero = sum(weight != 0 for weight in integers)
    activation, width = source.format.width, node.weight_format.width
    activation_bits = FixedPoint.covering(source.low, source.high, fraction=0).width if source.low or source.high else 0
    return NodeCost(
        name=node.name,
        rows=rows,
        macs=count,
        bops=nonzero * activation * width + count * (activation + width + math.log2(inputs)),
        ebops=activation_bits * sum(effective_bits(weight) for weight in integers),
        weights=count,
        nonzero_weights=nonzero,
        weight_bits=count * width,
    )


def effective_bits(constant: int) -> int:
    """Bits of a constant's magnitude from the highest to the lowest that is set; 0 has none."""
    magnitude = abs(constant)
    if magnitude == 0:
        return 0
    return magnitude.bit_length() - ((magnitude & -magnitude).bit_length() - 1)
