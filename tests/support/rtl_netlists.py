"""Netlists evaluated in Python integers, and random row-wise networks of every kind of node."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from hitfabric.hls_projects.rtl_core_netlist import Clip, Constant, Count, InputBits, Netlist, Round, Sum, Term, Track
from hitfabric.quantization import FixedPoint, GraphBuilder, TypedGraph


def evaluate(netlist: Netlist, row: int) -> list[int]:
    """Value of every wire for the bits of one row; each is checked to be in the range that the wire states."""
    values: list[int] = []
    for wire in netlist.wires:
        value = _value(netlist, values, wire.operation, row)
        bits = value & ((1 << wire.width) - 1)  # what the wire's bits say
        signed = wire.low < 0 and bits >> (wire.width - 1)
        values.append(bits - (1 << wire.width) if signed else bits)
        assert wire.low <= values[-1] <= wire.high, wire
    return values


def term_value(values: Sequence[int], term: Term) -> int:
    """Value of a term."""
    return (-values[term.wire] if term.negative else values[term.wire]) << term.shift


def _value(netlist: Netlist, values: Sequence[int], operation: object, row: int) -> int:
    match operation:
        case InputBits(offset, bits):
            return (row >> offset) & ((1 << bits) - 1)
        case Constant(value):
            return value
        case Sum(low, high, shift, subtract, reverse):
            high_value = values[high] << shift
            if reverse:
                return high_value - values[low]
            return values[low] - high_value if subtract else values[low] + high_value
        case Count(base, tracks, constant, level, _):
            columns = [constant, *(_track(netlist, values, track) for track in tracks)]
            top = max(column.bit_length() for column in columns)
            ones = [sum(column >> place & 1 for column in columns) for place in range(top)]
            counted = sum((count >> level & 1) << (place + level) for place, count in enumerate(ones))
            return _track(netlist, values, base) + counted
        case Round(wire, shift, to_even):
            if not to_even:
                return values[wire] >> shift
            floor, rest = divmod(values[wire], 1 << shift)
            return floor + (2 * rest > 1 << shift or (2 * rest == 1 << shift and floor % 2 == 1))
        case Clip(wire, shift, low, high):
            return min(max(values[wire] << shift, low), high)
    raise AssertionError(operation)


def _track(netlist: Netlist, values: Sequence[int], track: Track) -> int:
    total = 0
    for piece in track:
        width = netlist.wires[piece.wire].width
        assert piece.start + piece.bits <= width
        ones = (1 << piece.bits) - 1
        bits = ((values[piece.wire] & ((1 << width) - 1)) >> piece.start) & ones
        assert total >> piece.column == 0, "pieces of a track overlap"
        total |= (bits ^ ones if piece.inverted else bits) << piece.column
    return total


def random_rows_network(seed: int, *, chains: int) -> TypedGraph:
    """Chains of Dense, Requantize, Concat and Add nodes in every format, side by side, over two inputs."""
    random = np.random.default_rng(seed)
    builder = GraphBuilder()
    sources = [
        builder.input(f"input{number}", shape=("R", int(random.integers(1, 5))), format=random_format(random))
        for number in range(2)
    ]
    for number in range(chains):
        name = _chain(builder, random, f"c{number}_", sources[int(random.integers(0, len(sources)))], sources)
        builder.output(f"result{number}", name)
    for name in sources:
        builder.output(f"unused_{name}", builder.requantize(f"again_{name}", name, format=random_format(random)))
    return TypedGraph.from_builder(builder, name="chains")


def random_format(random: Generator, *, bits: int = 9) -> FixedPoint:
    """A saturating format, the narrowest and coarsest included."""
    signed = bool(random.integers(0, 2))
    width = int(random.integers(2 if signed else 1, bits))
    overflow = "SAT_SYM" if signed and random.integers(0, 2) else "SAT"
    rounding = "RND_CONV" if random.integers(0, 2) else "TRN"
    return FixedPoint(
        signed=signed, width=width, integer=int(random.integers(-2, width + 3)), rounding=rounding, overflow=overflow
    )


def _chain(builder: GraphBuilder, random: Generator, prefix: str, source: str, inputs: Sequence[str]) -> str:
    for number in range(int(random.integers(1, 4))):
        kind = random.choice(["dense", "dense", "requantize", "concat", "add"])
        name = f"{prefix}{number}"
        if kind == "requantize":
            source = builder.requantize(name, source, format=random_format(random))
        elif kind == "concat":
            source = builder.concat(name, [source, str(random.choice(inputs))])
        elif kind == "add":
            narrow = builder.requantize(f"{name}_other", source, format=random_format(random))
            source = builder.add(name, source, narrow)
        else:
            source = _dense(builder, random, name, source)
    return builder.requantize(f"{prefix}last", source, format=random_format(random))


def _dense(builder: GraphBuilder, random: Generator, name: str, source: str) -> str:
    weights = FixedPoint(signed=True, width=int(random.integers(2, 8)), integer=int(random.integers(-1, 3)))
    biases = FixedPoint(signed=True, width=int(random.integers(2, 12)), integer=int(random.integers(0, 4)))
    shape = int(random.integers(1, 5)), builder.nodes[source].tensor.width
    weight = random.integers(weights.low, weights.high + 1, shape) * (random.random(shape) < 0.8)
    biased = bool(random.integers(0, 2))
    return builder.dense(
        name,
        source,
        weight=weight,
        weight_format=weights,
        bias=random.integers(biases.low, biases.high + 1, shape[0]) if biased else None,
        bias_format=biases if biased else None,
    )
