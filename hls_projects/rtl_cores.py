"""Row-wise nodes of a typed graph as pipelined Verilog without multipliers, equal to the graph bit by bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from ..core import GraphError, atomic_file
from ..quantization import Add, Concat, Dense, Node, Requantize, TypedGraph
from .rtl_core_counting import total
from .rtl_core_netlist import Netlist, Term
from .rtl_core_schedule import schedule
from .rtl_core_sums import scaled, shift_add_sums
from .rtl_core_verilog import module_text
from .rtl_fields import Core, Field

Range = tuple[int, int]


class CoreSettings(Protocol):
    """What a core takes from the configuration of an RTL design."""

    @property
    def register_spacing(self) -> float:
        """Levels of logic between registers."""
        ...

    @property
    def solver_seconds(self) -> float:
        """Time that the solver may take for one layer."""
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
    netlist = Netlist()
    values = _enter(netlist, graph, fields, ranges or {})
    for node in nodes:
        values[node] = _compute(netlist, graph, graph[node], values)
    leaving = [(netlist.positive(term), field.bits) for field in results for term in _read(values, field.tensor, name)]
    plan = schedule(netlist, [term for term, _ in leaving], spacing=config.register_spacing)
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
        lut_estimate=None,
        register_bits=plan.register_bits,
        solver="shift_add",
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


def _compute(netlist: Netlist, graph: TypedGraph, node: Node, values: Mapping[str, list[Term]]) -> list[Term]:
    sources = [_read(values, name, node.name) for name in node.inputs]
    fraction = node.tensor.format.fraction
    shifts = [fraction - graph[name].tensor.format.fraction for name in node.inputs]
    match node:
        case Dense():
            return _dense(netlist, node, sources[0], shifts[0])
        case Requantize():
            return [_requantize(netlist, node, term, -shifts[0]) for term in sources[0]]
        case Concat():
            return [scaled(term, up) for terms, up in zip(sources, shifts, strict=True) for term in terms]
        case Add():
            left, right = ([scaled(term, up) for term in terms] for terms, up in zip(sources, shifts, strict=True))
            return [netlist.add(a, b) for a, b in zip(left, right, strict=True)]
    raise GraphError(
        f"node {node.name} is {type(node).__name__}, not row-wise", remedy="give Dense, Requantize, Concat and Add"
    )


def _dense(netlist: Netlist, node: Dense, sources: list[Term], shift: int) -> list[Term]:
    up = shift - node.weight_format.fraction
    sums = shift_add_sums(netlist, sources, node.weight.tolist())
    for row, terms in enumerate(sums):
        terms[:] = [scaled(term, up) for term in terms]
        if node.bias is not None and node.bias_format is not None and node.bias[row]:
            value = int(node.bias[row]) << (node.tensor.format.fraction - node.bias_format.fraction)
            terms.append(netlist.constant(value))
    return [total(netlist, terms) for terms in sums]


def _requantize(netlist: Netlist, node: Requantize, term: Term, shift: int) -> Term:
    format = node.tensor.format
    rounded = netlist.round(term, shift=shift, to_even=format.rounding == "RND_CONV")
    return netlist.clip(rounded, low=format.low, high=format.high)
