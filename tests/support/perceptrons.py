"""Random networks of rows by seed, for tests that compile or execute each of them."""

from __future__ import annotations

import numpy as np

from hitfabric.quantization import FixedPoint, GraphBuilder, TypedGraph


def perceptron(seed: int, *, bits: int = 8, layers: int = 3, width: int = 8, branches: bool = False) -> TypedGraph:
    """A multilayer perceptron of mixed widths, grids, roundings and saturations; `branches` adds Add and Concat."""
    generator = np.random.default_rng(seed)
    builder = GraphBuilder()
    source = builder.input("features", shape=("R", int(generator.integers(2, width))), format=_form(generator, bits))
    first = source
    for number in range(layers):
        source = _dense(builder, generator, source, f"dense{number}", bits, int(generator.integers(2, width)))
        source = builder.requantize(f"quant{number}", source, format=_form(generator, bits))
    if branches:
        same = _dense(builder, generator, source, "same", bits, builder.nodes[source].tensor.width)
        skipped = builder.add("skipped", same, source)
        joined = builder.concat("joined", [builder.requantize("kept", skipped, format=_form(generator, bits)), first])
        builder.output("middle", joined)
        source = joined
    builder.output("result", _dense(builder, generator, source, "last", bits, 3))
    return TypedGraph.from_builder(builder, name=f"perceptron{seed}")


def _form(generator: np.random.Generator, bits: int) -> FixedPoint:
    signed, width = bool(generator.integers(2)), int(generator.integers(2, bits + 1))
    return FixedPoint(
        signed=signed,
        width=width,
        integer=int(generator.integers(0, width + 1)),
        rounding="RND_CONV" if generator.integers(2) else "TRN",
        overflow="SAT_SYM" if signed and generator.integers(2) else "SAT",
    )


def _dense(
    builder: GraphBuilder, generator: np.random.Generator, source: str, name: str, bits: int, outputs: int
) -> str:
    width = int(generator.integers(2, bits + 1))
    form = FixedPoint(signed=True, width=width, integer=int(generator.integers(0, 3)), overflow="SAT_SYM")
    bias_form = FixedPoint(signed=True, width=width, integer=int(generator.integers(0, 3)))
    inputs = builder.nodes[source].tensor.width
    biased = bool(generator.integers(2))
    return builder.dense(
        name,
        source,
        weight=generator.integers(form.low, form.high + 1, (outputs, inputs)),
        weight_format=form,
        bias=generator.integers(bias_form.low, bias_form.high + 1, outputs) if biased else None,
        bias_format=bias_form if biased else None,
    )
