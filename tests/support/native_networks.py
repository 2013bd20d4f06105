"""Networks that take native code to its rare paths; each by a seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hitfabric.quantization import FixedPoint, GraphBuilder, Maxima, TypedGraph

Rounding = Literal["TRN", "RND_CONV"]


def activation(
    width: int, integer: int, *, signed: bool = True, rounding: Rounding = "TRN", narrow: bool = False
) -> FixedPoint:
    """A saturating format."""
    overflow = "SAT_SYM" if narrow else "SAT"
    return FixedPoint(signed=signed, width=width, integer=integer, rounding=rounding, overflow=overflow)


def weights(
    generator: np.random.Generator, shape: tuple[int, int], *, bits: int, zeros: float = 0.0
) -> tuple[NDArray[np.int64], FixedPoint]:
    """Narrow signed weights, the share `zeros` of them zero; the extremes are among them."""
    form = FixedPoint(signed=True, width=bits, integer=1, overflow="SAT_SYM")
    drawn = generator.integers(form.low, form.high + 1, shape)
    drawn[generator.random(shape) < 0.1] = form.low
    drawn[generator.random(shape) < zeros] = 0
    return drawn, form


def perceptron_of(
    formats: Sequence[FixedPoint],
    widths: Sequence[int],
    *,
    seed: int,
    weight_bits: int = 8,
    zeros: float = 0.0,
    idle: float = 0.0,
    bias: bool = True,
) -> TypedGraph:
    """A perceptron whose activations have these formats and widths; the last width is that of the raw sums.

    The share `idle` of the groups of eight inputs is used by no output.
    """
    generator, builder = np.random.default_rng(seed), GraphBuilder()
    source = builder.input("features", shape=("R", widths[0]), format=formats[0])
    for number, width in enumerate(widths[1:]):
        weight, form = weights(generator, (width, widths[number]), bits=weight_bits, zeros=zeros)
        unused = generator.random(-(-widths[number] // 8)) < idle
        weight[:, np.repeat(unused, 8)[: widths[number]]] = 0
        source = builder.dense(
            f"dense{number}",
            source,
            weight=weight,
            weight_format=form,
            bias=generator.integers(form.low, form.high + 1, width) if bias else None,
            bias_format=form if bias else None,
        )
        if number + 1 < len(formats):
            source = builder.requantize(f"quant{number}", source, format=formats[number + 1])
    builder.output("result", source)
    return TypedGraph.from_builder(builder, name="perceptron")


def requantized(source: FixedPoint, targets: Sequence[FixedPoint], *, features: int = 5) -> TypedGraph:
    """An input carried to each format, and from the first to each of the others."""
    builder = GraphBuilder()
    given = builder.input("features", shape=("R", features), format=source)
    for number, form in enumerate(targets):
        builder.output(f"result{number}", builder.requantize(f"quant{number}", given, format=form))
        if number:
            builder.output(f"again{number}", builder.requantize(f"twice{number}", "quant0", format=form))
    return TypedGraph.from_builder(builder, name="requantized")


def messages(
    message: FixedPoint,
    total: FixedPoint,
    *,
    mode: Literal["sum", "max"] = "sum",
    features: int = 3,
    column: Literal[0, 1] = 1,
    edges: int = 16,
) -> TypedGraph:
    """Edge features aggregated at nodes, and requantized; `edges` are the maxima, which long messages are held to."""
    builder = GraphBuilder(maxima=Maxima(nodes=8, edges=edges))
    given = builder.input("edges", shape=("E", features), format=message)
    nodes = builder.input("nodes", shape=("N", 1), format=activation(8, 4))
    index = builder.edge_index("edge_index")
    gathered = builder.edge_aggregate("total", given, index, column=column, mode=mode)
    joined = builder.concat("joined", [builder.requantize("quant", gathered, format=total), nodes])
    builder.output("result", joined)
    return TypedGraph.from_builder(builder, name="messages")


def unlike_grids(*, seed: int, rounding: Rounding = "TRN") -> TypedGraph:
    """Concat of three grids, a residual sum of unlike grids, and sums that are both read and requantized."""
    generator, builder = np.random.default_rng(seed), GraphBuilder()
    given = builder.input("features", shape=("R", 6), format=activation(8, 3, rounding=rounding))
    coarse = builder.requantize("coarse", given, format=activation(4, 3, rounding=rounding, narrow=True))
    positive = builder.requantize("positive", given, format=activation(8, 2, signed=False, rounding=rounding))
    long = builder.requantize("long", given, format=activation(14, 5, rounding=rounding))
    joined = builder.concat("joined", [coarse, positive, long])
    weight, form = weights(generator, (6, 18), bits=6, zeros=0.3)
    dense = builder.dense("dense", joined, weight=weight, weight_format=form)
    residual = builder.add("residual", dense, long)
    twice = builder.add("twice", residual, residual)
    for number, (source, width) in enumerate(((residual, 9), (dense, 7), (twice, 18), (joined, 6))):
        target = activation(width, 5, rounding=rounding, narrow=number == 1)
        builder.output(f"result{number}", builder.requantize(f"quant{number}", source, format=target))
    builder.output("raw", twice)
    return TypedGraph.from_builder(builder, name="unlike")
