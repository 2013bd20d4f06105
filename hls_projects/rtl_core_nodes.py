"""Row-wise nodes of a typed graph as operations of a netlist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..core import GraphError
from ..quantization import Add, Concat, Dense, Node, Requantize, TypedGraph
from .rtl_core_netlist import Netlist, Term
from .rtl_core_products import Product
from .rtl_core_search import Problem
from .rtl_core_solver import find_product
from .rtl_core_sums import scaled
from .rtl_fields import Field, Solver

Range = tuple[int, int]


class ProductFinder(Protocol):
    """What finds the additions of a matrix product, as `find_product` does."""

    def __call__(self, problem: Problem, *, name: str, seconds: float) -> tuple[Product, Solver]:
        """A product with the problem's matrix, and what found it."""
        ...


@dataclass(frozen=True, kw_only=True)
class NodeNetlist:
    """Nodes as a netlist.

    Attributes:
        netlist: The operations.
        values: A term for each feature of each tensor, on the tensor's grid.
        solver: What found the additions of the dense layers.
    """

    netlist: Netlist
    values: dict[str, list[Term]]
    solver: Solver

    def read(self, tensor: str, reader: str) -> list[Term]:
        """Terms of a tensor.

        Raises:
            GraphError: It is neither an input nor a node of the core.
        """
        return _read(self.values, tensor, reader)


def make_netlist(
    graph: TypedGraph,
    *,
    nodes: Sequence[str],
    inputs: Sequence[Field],
    ranges: Mapping[str, Range],
    seconds: float,
    find: ProductFinder = find_product,
) -> NodeNetlist:
    """Operations of row-wise nodes.

    Args:
        graph: The network.
        nodes: The nodes in order.
        inputs: Tensors of the row, the first lowest.
        ranges: Integers that an input can hold, where they are fewer than its type says.
        seconds: Time that the solver may take for all nodes together.
        find: Finds the additions of a matrix product.

    Returns:
        The netlist.

    Raises:
        GraphError: A node is not row-wise, or reads what is not there.
    """
    dense = sum(isinstance(graph[node], Dense) for node in nodes)
    maker = _Maker(graph, seconds / max(1, dense), find)
    values = _enter(maker.netlist, graph, inputs, ranges)
    for node in map(graph.__getitem__, nodes):
        values[node.name] = maker.compute(node, [_read(values, tensor, node.name) for tensor in node.inputs])
    return NodeNetlist(netlist=maker.netlist, values=values, solver=maker.solver)


def _enter(
    netlist: Netlist, graph: TypedGraph, fields: Sequence[Field], ranges: Mapping[str, Range]
) -> dict[str, list[Term]]:
    values, offset = {}, 0
    for field in fields:
        tensor = graph[field.tensor].tensor
        low, high = ranges.get(field.tensor, (tensor.low, tensor.high))
        values[field.tensor] = [
            netlist.input(offset=offset + i * field.bits, bits=field.bits, low=low, high=high)
            for i in range(field.features)
        ]
        offset += field.width
    return values


def _read(values: Mapping[str, list[Term]], tensor: str, reader: str) -> list[Term]:
    if tensor not in values:
        raise GraphError(f"{reader} reads {tensor}, which is not in the core", remedy="name it among its inputs")
    return values[tensor]


class _Maker:
    """Turns nodes into operations of one netlist."""

    def __init__(self, graph: TypedGraph, seconds: float, find: ProductFinder) -> None:
        self.netlist = Netlist()
        self.solver: Solver = "da4ml"
        self._graph = graph
        self._seconds = seconds
        self._find = find

    def compute(self, node: Node, sources: Sequence[list[Term]]) -> list[Term]:
        """Terms of a node from those of its inputs."""
        fraction = node.tensor.format.fraction
        shifts = [fraction - self._graph[name].tensor.format.fraction for name in node.inputs]
        match node:
            case Dense():
                return self._dense(node, sources[0], shifts[0] - node.weight_format.fraction)
            case Requantize():
                return [self._requantize(node, term, -shifts[0]) for term in sources[0]]
            case Concat():
                return [scaled(term, up) for terms, up in zip(sources, shifts, strict=True) for term in terms]
            case Add():
                left, right = ([scaled(term, up) for term in terms] for terms, up in zip(sources, shifts, strict=True))
                return [self.netlist.add(a, b) for a, b in zip(left, right, strict=True)]
        raise GraphError(
            f"node {node.name} is {type(node).__name__}, not row-wise", remedy="give Dense, Requantize, Concat and Add"
        )

    def _dense(self, node: Dense, sources: Sequence[Term], up: int) -> list[Term]:
        """Sums over the wires themselves: shifts and signs of the terms, and what is constant, go to the factors."""
        constants = [0] * len(node.weight)
        if node.bias is not None and node.bias_format is not None:
            finer = node.tensor.format.fraction - node.bias_format.fraction
            constants = [value << finer for value in node.bias.tolist()]
        varying = [place for place, term in enumerate(sources) if self.netlist.value(term) is None]
        factors = [_factor(sources[place]) << up for place in varying]
        weight = [
            [row[place] * factor for place, factor in zip(varying, factors, strict=True)]
            for row in node.weight.tolist()
        ]
        for place, term in enumerate(sources):
            value = self.netlist.value(term)
            if value is not None:
                constants = [
                    constant + ((int(row[place]) * value) << up)
                    for constant, row in zip(constants, node.weight, strict=True)
                ]
        if not varying:
            return [self.netlist.constant(constant) for constant in constants]
        wires = [Term(sources[place].wire) for place in varying]
        problem = Problem(
            weight=weight,
            constants=constants,
            ranges=[self.netlist.range(wire) for wire in wires],
            depths=[self.netlist.depth(wire) for wire in wires],
        )
        product, solver = self._find(problem, name=node.name, seconds=self._seconds)
        if solver == "shift_add":
            self.solver = solver
        return product.build(self.netlist, wires, constants)

    def _requantize(self, node: Requantize, term: Term, shift: int) -> Term:
        format = node.tensor.format
        rounded = self.netlist.round(term, shift=shift, to_even=format.rounding == "RND_CONV")
        return self.netlist.clip(rounded, low=format.low, high=format.high)


def _factor(term: Term) -> int:
    """What a term multiplies its wire by."""
    return (-1 if term.negative else 1) << term.shift
