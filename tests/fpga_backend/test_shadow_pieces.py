"""Parts of a call that are computed by themselves."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hitfabric.emulation import make_executor
from hitfabric.fpga_backend.shadow_pieces import Piece, draw_piece, sizes_of
from hitfabric.quantization import FixedPoint, GraphBuilder, Maxima, TypedGraph


def row_graph() -> TypedGraph:
    builder = GraphBuilder()
    builder.output("y", builder.input("x", shape=("R", 1), format=FixedPoint(signed=True, width=12, integer=11)))
    return TypedGraph.from_builder(builder, name="rows")


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 1000))
def test_rows_are_drawn_from_the_call(rows: int, most: int, seed: int) -> None:
    graph = row_graph()
    rng = np.random.default_rng(seed)
    values = np.arange(rows, dtype=np.float32)[:, None]
    piece = Piece.of_call(graph, {"x": values}, {"y": -values}, rows=most, rng=rng)
    kept = piece.inputs["x"][:, 0]
    assert len(kept) == min(rows, most)
    assert len(np.unique(kept)) == len(kept)
    assert np.array_equal(piece.outputs["y"][:, 0], -kept)


@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(0, 90))
def test_a_part_of_a_graph_gives_the_answer_of_the_whole(
    graphs: dict[str, TypedGraph], seed: int, nodes: int, edges: int
) -> None:
    graph, rng = graphs["interaction_network"], np.random.default_rng(seed)
    ends = rng.integers(0, nodes, size=edges)
    inputs = {
        "nodes": rng.uniform(-4, 4, size=(nodes, 3)).astype(np.float32),
        "edges": rng.uniform(-4, 4, size=(edges, 4)).astype(np.float32),
        "edge_index": np.stack([ends, np.minimum(ends + rng.integers(0, 2, size=edges), nodes - 1)], axis=1),
    }
    golden = make_executor("golden", graph)
    whole = Piece(inputs=inputs, outputs=dict(golden.run(inputs)))
    maxima = Maxima(nodes=int(rng.integers(1, 64)), edges=int(rng.integers(1, 64)))
    piece = draw_piece(graph, whole, maxima, rng)
    if nodes <= maxima.nodes and edges <= maxima.edges:
        assert piece is whole
        return
    if piece is None:
        return
    sizes = sizes_of(graph, piece)
    assert 0 < sizes[0] <= maxima.nodes
    assert 0 < sizes[1] <= maxima.edges
    assert np.array_equal(golden.run(piece.inputs)["logits"], piece.outputs["logits"])
