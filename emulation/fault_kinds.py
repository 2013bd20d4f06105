"""The kinds of faults: which of them a network can have, node by node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..quantization import (
    Add,
    Concat,
    Dense,
    EdgeAggregate,
    EdgeGather,
    FixedPoint,
    Input,
    Node,
    Requantize,
    TypedGraph,
    rebuild,
)
from .executor import EXECUTORS, Arrays
from .faults import Change, Fault, InputFault, Vectors
from .golden import compute_node, wrap
from .inputs import Sizes

Integers = NDArray[np.int64]

ATTEMPTS = 60  # places tried for one fault


def possible_faults(graph: TypedGraph, vectors: Vectors, generator: np.random.Generator) -> Iterator[list[Fault]]:
    """Every fault to plant, as alternatives of which the first that the vectors show is taken.

    Args:
        graph: The network.
        vectors: Batches that are to show the faults.
        generator: Choice of places.

    Yields:
        Alternatives of one kind at one node; a fault that is provably none (a rounding where no bit is dropped) is
        left out.

    """
    for node in graph.nodes:
        match node:
            case Input(tensor=tensor) if tensor.is_index:
                yield _edges(node, vectors, generator, kind="edge ends")
                yield _edges(node, vectors, generator, kind="edge index")
            case Input() | Requantize():
                yield from _conversion(graph, node)
            case Dense():
                yield from _weight_bits(graph, node, generator)
                yield from _bias_bits(graph, node, generator)
                yield _accumulator(node, vectors)
            case EdgeGather():
                yield [_gather_ends(graph, node)]
            case EdgeAggregate():
                yield from _aggregate(graph, node, vectors)
            case Concat():
                yield [_concat_order(graph, node)]
            case Add():
                yield [_add_sign(graph, node)]


def _weight_bits(graph: TypedGraph, node: Dense, generator: np.random.Generator) -> Iterator[list[Fault]]:
    """Lowest, middle and highest bit, each of some weight."""
    width = node.weight_format.width
    places = generator.permutation(node.weight.size)[:ATTEMPTS]
    for bit in sorted({0, width // 2, width - 1}):
        yield [_weight_bit(graph, node, *divmod(int(place), node.weight.shape[1]), bit=bit) for place in places]


def _weight_bit(graph: TypedGraph, node: Dense, unit: int, source: int, *, bit: int) -> Fault:
    weight = np.array(node.weight)
    weight[unit, source] = _flipped(int(weight[unit, source]), bit, node.weight_format)
    change = int(weight[unit, source] - node.weight[unit, source])
    products = node.weight_format.fraction + graph[node.inputs[0]].tensor.format.fraction
    shift = node.tensor.format.fraction - products

    def changed(values: Mapping[str, Integers], _: Arrays, __: Sizes) -> Integers:
        result = np.array(values[node.name])
        result[..., unit] += (values[node.inputs[0]][..., source] * change) << shift
        return result

    return Fault(
        kind="weight bit",
        node=node.name,
        what=f"bit {bit} of weight [{unit}, {source}] of {node.name}",
        changed=changed,
        graph=lambda: rebuild(graph, replacements={node.name: replace(node, weight=weight, weight_format=_wide(node))}),
    )


def _wide(node: Dense) -> FixedPoint:
    """The weights' format, with room for its most negative integer where it is symmetric."""
    return replace(node.weight_format, overflow="WRAP")


def _flipped(value: int, bit: int, form: FixedPoint) -> int:
    pattern = (value & ((1 << form.width) - 1)) ^ (1 << bit)
    return pattern - (1 << form.width) if form.signed and pattern >> (form.width - 1) else pattern


def _bias_bits(graph: TypedGraph, node: Dense, generator: np.random.Generator) -> Iterator[list[Fault]]:
    """Lowest and highest bit, each of some bias."""
    if node.bias is None or node.bias_format is None:
        return
    units = [int(unit) for unit in generator.permutation(len(node.bias))[:ATTEMPTS]]
    for bit in sorted({0, node.bias_format.width - 1}):
        yield [_bias_bit(graph, node, unit, bit, node.bias, node.bias_format) for unit in units]


def _bias_bit(graph: TypedGraph, node: Dense, unit: int, bit: int, sound: Integers, form: FixedPoint) -> Fault:
    bias = np.array(sound)
    bias[unit] = _flipped(int(bias[unit]), bit, form)
    change = int(bias[unit] - sound[unit]) << (node.tensor.format.fraction - form.fraction)

    def changed(values: Mapping[str, Integers], _: Arrays, __: Sizes) -> Integers:
        result = np.array(values[node.name])
        result[..., unit] += change
        return result

    faulty = replace(node, bias=bias, bias_format=replace(form, overflow="WRAP"))
    return Fault(
        kind="bias bit",
        node=node.name,
        what=f"bit {bit} of bias [{unit}] of {node.name}",
        changed=changed,
        graph=lambda: rebuild(graph, replacements={node.name: faulty}),
    )


def _accumulator(node: Node, vectors: Vectors) -> list[Fault]:
    """One bit less than the vectors use, or fewer still where that is hidden by saturation."""
    low, high = vectors.largest(node.name)
    used = FixedPoint.covering(low, high, fraction=0).width + (node.tensor.low < 0 <= low)
    return [
        Fault(
            kind="accumulator width",
            node=node.name,
            what=f"accumulator of {node.name} has {width} bits",
            changed=lambda values, _, __, width=width: wrap(node, values[node.name], width=width),
            accumulator_widths={node.name: width},
            executors=("golden", "csim", "rtl"),
        )
        for width in range(used - 1, max(1, used - 6), -1)
    ]


def _conversion(graph: TypedGraph, node: Input | Requantize) -> Iterator[list[Fault]]:
    form = node.tensor.format
    drops = isinstance(node, Input) or graph[node.inputs[0]].tensor.format.fraction > form.fraction
    if drops:
        other = replace(form, rounding="RND_CONV" if form.rounding == "TRN" else "TRN")
        yield [_converted(graph, node, other, kind="rounding", what=f"{node.name} rounds by {other.rounding}")]
    clips = [(replace(form, width=form.width + 1, integer=form.integer + 1), "one bit later")]
    if form.width > 2:
        clips.append((replace(form, width=form.width - 1, integer=form.integer - 1), "one bit earlier"))
    yield [
        _converted(graph, node, clip, kind="saturation", what=f"{node.name} saturates {when}") for clip, when in clips
    ]
    if not form.signed and (isinstance(node, Input) or graph[node.inputs[0]].tensor.low < 0):
        signed = replace(form, signed=True, width=form.width + 1, integer=form.integer + 1)
        yield [_converted(graph, node, signed, kind="negative values", what=f"{node.name} lets negative values pass")]


def _converted(graph: TypedGraph, node: Input | Requantize, form: FixedPoint, *, kind: str, what: str) -> Fault:
    def changed(values: Mapping[str, Integers], inputs: Arrays, _: Sizes) -> Integers:
        if isinstance(node, Input):
            return form.quantize(np.asarray(inputs[node.name]))
        source = node.inputs[0]
        return form.requantize(values[source], fraction=graph[source].tensor.format.fraction)

    faulty = replace(node, tensor=replace(node.tensor, format=form))
    return Fault(
        kind=kind,
        node=node.name,
        what=what,
        changed=changed,
        graph=lambda: rebuild(graph, replacements={node.name: faulty}),
    )


def _edges(node: Input, vectors: Vectors, generator: np.random.Generator, *, kind: str) -> list[Fault]:
    """Ends of one edge swapped, or one end moved to another node, of edges between two nodes."""
    faults = []
    usable = [number for number, sizes in enumerate(vectors.sizes) if sizes.nodes > 1 and sizes.edges]
    for _ in range(ATTEMPTS if usable else 0):
        number = int(generator.choice(usable))
        nodes, edge = vectors.sizes[number].nodes, int(generator.integers(vectors.sizes[number].edges))
        if kind == "edge ends":
            fault = InputFault(index=node.name, target=node.name, edge=edge)
            what = f"ends of edge {edge} swapped"
        else:
            column, value = int(generator.integers(2)), int(generator.integers(nodes))
            fault = InputFault(index=node.name, target=node.name, edge=edge, column=column, value=value)
            what = f"edge {edge} {('starts', 'ends')[column]} at node {value}"
        faults.append(Fault(kind=kind, node=node.name, what=what, changed=_edited(fault), inputs=fault))
    return faults


def _edited(fault: InputFault) -> Change:
    return lambda _, inputs, __: np.asarray(fault.apply(inputs)[fault.target]).astype(np.int64)


def _gather_ends(graph: TypedGraph, node: EdgeGather) -> Fault:
    """The gather alone reads an index with swapped ends: an input of its own."""
    source, index = node.inputs
    sole = graph.consumers(index) == (node,)
    other = index if sole else _unused(graph, f"{index}_swapped")

    def faulty() -> TypedGraph:
        extra = replace(graph[index], name=other)
        nodes = [(replace(item, inputs=(source, other)) if item.name == node.name else item) for item in graph.nodes]
        return rebuild(replace(graph, nodes=(extra, *nodes)))

    return Fault(
        kind="gather ends",
        node=node.name,
        what=f"{node.name} takes receiver for sender",
        changed=lambda values, _, sizes: compute_node(graph, node, [values[source], values[index][:, ::-1]], sizes),
        graph=None if sole else faulty,
        inputs=InputFault(index=index, target=other),
        executors=EXECUTORS if sole else tuple(name for name in EXECUTORS if name != "rtl"),  # it has one index
    )


def _aggregate(graph: TypedGraph, node: EdgeAggregate, vectors: Vectors) -> Iterator[list[Fault]]:
    end = ("sender", "receiver")[1 - node.column]
    mode = "max" if node.mode == "sum" else "sum"
    variants = (
        ("aggregate column", replace(node, column=1 - node.column), f"{node.name} aggregates at the {end}"),
        ("aggregate mode", replace(node, mode=mode), f"{node.name} takes the {mode}"),
    )
    for kind, faulty, what in variants:
        yield [
            Fault(
                kind=kind,
                node=node.name,
                what=what,
                changed=_recomputed(graph, faulty),
                graph=lambda faulty=faulty: rebuild(graph, replacements={node.name: faulty}),
            )
        ]
    if node.mode == "sum":
        yield _accumulator(node, vectors)


def _concat_order(graph: TypedGraph, node: Concat) -> Fault:
    faulty = replace(node, inputs=node.inputs[::-1])
    return Fault(
        kind="concat order",
        node=node.name,
        what=f"{node.name} joins its inputs in reverse",
        changed=_recomputed(graph, faulty),
        graph=lambda: rebuild(graph, replacements={node.name: faulty}),
    )


def _recomputed(graph: TypedGraph, node: Node) -> Change:
    return lambda values, _, sizes: compute_node(graph, node, [values[name] for name in node.inputs], sizes)


def _add_sign(graph: TypedGraph, node: Add) -> Fault:
    """The second term is subtracted: a Dense of weights 1 and -1 takes the place of the sum."""
    parts, width = _unused(graph, f"{node.name}_parts"), node.tensor.width
    identity = np.eye(width, dtype=np.int64)

    def faulty() -> TypedGraph:
        joined = Concat(name=parts, inputs=node.inputs, tensor=node.tensor)
        minus = Dense(
            name=node.name,
            inputs=(parts,),
            tensor=node.tensor,
            weight=np.concatenate([identity, -identity], axis=1),
            weight_format=FixedPoint(signed=True, width=2, integer=2, overflow="WRAP"),
        )
        nodes = [new for item in graph.nodes for new in ((joined, minus) if item.name == node.name else (item,))]
        return rebuild(replace(graph, nodes=tuple(nodes)))

    def changed(values: Mapping[str, Integers], _: Arrays, sizes: Sizes) -> Integers:
        left, right = (values[name] for name in node.inputs)
        return compute_node(graph, node, [left, -right], sizes)

    return Fault(
        kind="add sign", node=node.name, what=f"{node.name} subtracts its second term", changed=changed, graph=faulty
    )


def _unused(graph: TypedGraph, name: str) -> str:
    names = {node.name for node in graph.nodes}
    while name in names:
        name += "_"
    return name
