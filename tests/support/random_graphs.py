"""Hypothesis strategies for typed graphs and their inputs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from hitfabric.quantization import FixedPoint, GraphBuilder, Maxima, TypedGraph

Vectors = dict[str, NDArray[np.float32] | NDArray[np.int64]]
ROUNDINGS = st.sampled_from(["TRN", "RND_CONV"])


@st.composite
def activation_formats(draw: st.DrawFn, *, bits: int = 10, signed: bool | None = None) -> FixedPoint:
    """A saturating activation format of 2 bits or more."""
    is_signed = draw(st.booleans()) if signed is None else signed
    width = draw(st.integers(2, bits))
    overflow = draw(st.sampled_from(["SAT", "SAT_SYM"])) if is_signed else "SAT"
    return FixedPoint(
        signed=is_signed, width=width, integer=draw(st.integers(-1, width)), rounding=draw(ROUNDINGS), overflow=overflow
    )


@st.composite
def dense_chains(
    draw: st.DrawFn, *, builder: GraphBuilder, source: str, prefix: str, layers: int, last: int, bits: int
) -> str:
    """Append Dense and Requantize nodes to a builder and return the last Dense."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    for number in range(layers):
        width = last if number == layers - 1 else draw(st.integers(1, 6))
        weight_bits = draw(st.integers(2, bits))
        form = FixedPoint(signed=True, width=weight_bits, integer=draw(st.integers(0, 2)), overflow="SAT_SYM")
        bias_form = FixedPoint(signed=True, width=weight_bits, integer=draw(st.integers(0, 3)))
        inputs = builder.nodes[source].tensor.width
        with_bias = draw(st.booleans())
        source = builder.dense(
            f"{prefix}dense{number}",
            source,
            weight=generator.integers(form.low, form.high + 1, (width, inputs)),
            weight_format=form,
            bias=generator.integers(bias_form.low, bias_form.high + 1, width) if with_bias else None,
            bias_format=bias_form if with_bias else None,
        )
        if number < layers - 1:
            source = builder.requantize(f"{prefix}relu{number}", source, format=draw(activation_formats(bits=bits)))
    return source


@st.composite
def row_networks(draw: st.DrawFn, *, bits: int = 10) -> TypedGraph:
    """A multilayer perceptron of 1 to 3 layers with mixed widths."""
    builder = GraphBuilder()
    source = builder.input("features", shape=("R", draw(st.integers(1, 6))), format=draw(activation_formats(bits=bits)))
    layers, last = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    result = draw(dense_chains(builder=builder, source=source, prefix="m_", layers=layers, last=last, bits=bits))
    builder.output("result", result)
    return TypedGraph.from_builder(builder, name="rows")


@st.composite
def graph_networks(
    draw: st.DrawFn, *, bits: int = 8, maxima: Maxima | None = None, modes: tuple[str, ...] = ("sum", "max")
) -> TypedGraph:
    """An interaction network of 1 or 2 rounds with mixed widths, columns and aggregation modes."""
    builder = GraphBuilder(maxima=maxima or Maxima(nodes=draw(st.integers(1, 12)), edges=draw(st.integers(1, 24))))
    nodes = builder.input("nodes", shape=("N", draw(st.integers(1, 3))), format=draw(activation_formats(bits=bits)))
    edges = builder.input("edges", shape=("E", draw(st.integers(1, 3))), format=draw(activation_formats(bits=bits)))
    index = builder.edge_index("edge_index")
    for number in range(draw(st.integers(1, 2))):
        gathered = builder.edge_gather(f"gather{number}", nodes, index)
        joined = builder.concat(f"edge_concat{number}", [gathered, edges])
        width = draw(st.integers(1, 4))
        chain = dense_chains(
            builder=builder, source=joined, prefix=f"e{number}_", layers=draw(st.integers(1, 2)), last=width, bits=bits
        )
        edges = builder.requantize(f"edge_quant{number}", draw(chain), format=draw(activation_formats(bits=bits)))
        aggregate = builder.edge_aggregate(
            f"aggregate{number}",
            edges,
            index,
            column=draw(st.sampled_from([0, 1])),
            mode=draw(st.sampled_from(modes)),  # type: ignore[arg-type] - drawn from the literals
        )
        aggregate = builder.requantize(f"sum_quant{number}", aggregate, format=draw(activation_formats(bits=bits)))
        joined = builder.concat(f"node_concat{number}", [nodes, aggregate])
        chain = dense_chains(builder=builder, source=joined, prefix=f"n{number}_", layers=1, last=width, bits=bits)
        nodes = builder.requantize(f"node_quant{number}", draw(chain), format=draw(activation_formats(bits=bits)))
    joined = builder.concat("final_concat", [builder.edge_gather("final_gather", nodes, index), edges])
    builder.output(
        "logits", draw(dense_chains(builder=builder, source=joined, prefix="o_", layers=1, last=1, bits=bits))
    )
    return TypedGraph.from_builder(builder, name="interaction")


def random_inputs(graph: TypedGraph, *, seed: int, sizes: Mapping[str, int]) -> Vectors:
    """Features over one and a half times each format's range, and an edge index with some padding."""
    generator = np.random.default_rng(seed)
    result: Vectors = {}
    for node in graph.inputs:
        form, rows = node.tensor.format, sizes[str(node.tensor.shape[0])]
        if node.tensor.is_index:
            result[node.name] = generator.integers(0, sizes["N"] + 1, (rows, 2))
        else:
            values = generator.uniform(1.5 * form.low, 1.5 * form.high + 1, (rows, node.tensor.width)) * form.scale
            result[node.name] = values.astype(np.float32)
    return result
