"""Accumulators may stop early only where no reader can tell."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hitfabric.hls_projects.rtl_accumulators import Accumulator
from hitfabric.hls_projects.rtl_config import RtlConfig
from hitfabric.quantization import EdgeAggregate, FixedPoint, GraphBuilder, Maxima, TypedGraph
from support.hand_graph import A8, U4
from support.random_graphs import activation_formats


def summed(message: FixedPoint, readers: list[FixedPoint], *, mode: str = "sum", named: bool = False) -> TypedGraph:
    builder = GraphBuilder(maxima=Maxima(nodes=4, edges=9))
    edges, index = builder.input("edges", shape=("E", 2), format=message), builder.edge_index("edge_index")
    total = builder.edge_aggregate("total", edges, index, mode=mode)  # type: ignore[arg-type] - a literal in each test
    for number, reader in enumerate(readers):
        builder.output(f"out{number}", builder.requantize(f"quant{number}", total, format=reader))
    if named:
        builder.output("seen", total)
    return TypedGraph.from_builder(builder, name="summed")


def accumulator(graph: TypedGraph) -> Accumulator:
    node = graph["total"]
    assert isinstance(node, EdgeAggregate)
    return Accumulator.of(graph, node, config=RtlConfig(), banks=2)


@settings(max_examples=60)
@given(
    message=activation_formats(bits=8, signed=False),
    readers=st.lists(activation_formats(bits=8), min_size=1, max_size=2),
)
def test_readers_cannot_tell(message: FixedPoint, readers: list[FixedPoint]) -> None:
    graph = summed(message, readers)
    found, tensor = accumulator(graph), graph["total"].tensor
    exact = np.arange(tensor.high + 1)
    kept = np.minimum(exact, (1 << found.bits) - 1)
    assert found.bits <= tensor.format.width and found.high == kept.max()
    for reader in readers:
        fraction = tensor.format.fraction
        assert (reader.requantize(kept, fraction=fraction) == reader.requantize(exact, fraction=fraction)).all()


def test_a_saturating_reader_narrows_the_sum() -> None:
    message = FixedPoint(signed=False, width=6, integer=6)
    found = accumulator(summed(message, [U4]))
    assert (found.bits, found.saturates) == (4, True)  # 15 and more are 15


def test_what_could_tell_keeps_every_bit() -> None:
    unsigned = FixedPoint(signed=False, width=6, integer=6)
    for graph in (
        summed(A8, [U4]),  # a sum could come back from above 15
        summed(unsigned, [U4], named=True),  # an output is read whole
        summed(unsigned, [FixedPoint(signed=False, width=12, integer=12)]),  # wide enough for every sum
        summed(unsigned, [U4], mode="max"),
    ):
        found = accumulator(graph)
        assert not found.saturates and found.bits == graph["total"].tensor.format.width
