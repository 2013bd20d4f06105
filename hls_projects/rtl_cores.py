"""Row-wise nodes of a typed graph as pipelined Verilog without multipliers, equal to the graph bit by bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from ..core import GraphError, atomic_file
from ..quantization import Add, Concat, Dense, Node, Requantize, TypedGraph
from .rtl_core_cost import lut_estimate
from .rtl_core_netlist import Netlist, Term
from .rtl_core_schedule import schedule
from .rtl_core_search import Problem
from .rtl_core_solver import find_product
from .rtl_core_sums import scaled
from .rtl_core_verilog import module_text
from .rtl_fields import Core, Field, Solver

Range = tuple[int, int]


class CoreSettings(Protocol):
    """What a core takes from the configuration of an RTL design."""

    @property
    def register_spacing(self) -> float:
        """Levels of logic between registers."""
        ...

    @property
    def solver_seconds(self) -> float:
        """Time that the solver may take for one core, s."""
        ...


def write_core(
    graph: TypedGraph,
    *,
    name: str,
    nodes: Sequence[str],
    inputs: Sequence[str],
    outputs: Sequence[str],
    directory: Path,
    config: CoreSettings,
    ranges: Mapping[str, Range] | None = None,
) -> Core:
    """Write row-wise nodes as one Verilog module.

    Args:
        graph: The network.
        name: Name of the module and of its file.
        nodes: Dense, Requantize, Concat and Add nodes of one domain, in the graph's order.
        inputs: Tensors from outside, in the order of their fields.
        outputs: Tensors that leave; nodes or inputs.
        directory: Where `<name>.v` is written.
        config: Register spacing and the solver's time.
        ranges: Integers that an input can hold where they are fewer than its type says.

    Returns:
        What was written.

    Raises:
        GraphError: A node is not row-wise, or reads what is neither an input nor a node before it.
    """
    fields = tuple(Field.of(graph, tensor) for tensor in inputs)
    results = tuple(Field.of(graph, tensor) for tensor in outputs)
    maker = _Maker(graph, [graph[node] for node in nodes], config.solver_seconds)
    values = _enter(maker.netlist, graph, fields, ranges or {})
    for node in maker.nodes:
        values[node.name] = maker.compute(node, [_read(values, tensor, node.name) for tensor in node.inputs])
    netlist = maker.netlist
    leaving = [(netlist.positive(term), field.bits) for field in results for term in _read(values, field.tensor, name)]
    terms = [term for term, _ in leaving]
    plan = schedule(netlist, terms, spacing=config.register_spacing)
    text = module_text(netlist, leaving, plan, name=name, input_bits=sum(field.width for field in fields))
    path = directory / f"{name}.v"
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="ascii")
    return Core(
        name=name,
        inputs=fields,
        outputs=results,
        latency=plan.latency,
        sources=(path,),
        lut_estimate=float(lut_estimate(netlist, terms)),
        register_bits=plan.register_bits,
        solver=maker.solver,
    )


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

    def __init__(self, graph: TypedGraph, nodes: Sequence[Node], seconds: float) -> None:
        self.netlist = Netlist()
        self.nodes = nodes
        self.solver: Solver = "da4ml"
        self._graph = graph
        self._seconds = seconds / max(1, sum(isinstance(node, Dense) for node in nodes))

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
        product, solver = find_product(problem, name=node.name, seconds=self._seconds)
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
