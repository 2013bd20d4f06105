"""The typed graph: derived ranges, storage, and refusal of what is malformed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitfabric.core import GraphError
from hitfabric.emulation.golden import GoldenExecutor
from hitfabric.quantization import FixedPoint, GraphBuilder, Maxima, TypedGraph
from support.random_graphs import graph_networks, random_inputs, row_networks

A8 = FixedPoint(signed=True, width=8, integer=3)
WEIGHT = FixedPoint(signed=True, width=4, integer=1, overflow="SAT_SYM")


@given(graph=st.one_of(row_networks(), graph_networks()), seed=st.integers(0, 99))
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_every_value_stays_within_its_derived_range(graph: TypedGraph, seed: int) -> None:
    sizes = {"R": 40, "N": graph.maxima.nodes, "E": graph.maxima.edges}
    values = GoldenExecutor(graph).run_all(random_inputs(graph, seed=seed, sizes=sizes))
    for node in graph.nodes:
        assert values[node.name].min() >= node.tensor.low
        assert values[node.name].max() <= node.tensor.high
        assert node.tensor.format.low <= node.tensor.low
        assert node.tensor.high <= node.tensor.format.high


@given(graph=st.one_of(row_networks(), graph_networks()))
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_save_and_load_give_the_same_graph(graph: TypedGraph, tmp_path: Path) -> None:
    graph.save(tmp_path / "graph", provenance={"seed": 1})
    loaded = TypedGraph.load(tmp_path / "graph")
    assert loaded.digest == graph.digest
    assert [node.tensor for node in loaded.nodes] == [node.tensor for node in graph.nodes]


def small_graph(*, maxima: Maxima | None = None) -> TypedGraph:
    builder = GraphBuilder(maxima=maxima or Maxima(nodes=4, edges=8))
    nodes, index = builder.input("nodes", shape=("N", 2), format=A8), builder.edge_index("edge_index")
    edges = builder.edge_gather("gather", nodes, index)
    dense = builder.dense("dense", edges, weight=np.array([[1, -2, 3, 7]]), weight_format=WEIGHT)
    total = builder.edge_aggregate("total", dense, index)
    builder.output("sums", builder.requantize("sum_quant", total, format=A8))
    return TypedGraph.from_builder(builder, name="small")


def test_ranges_of_a_small_graph_by_hand() -> None:
    graph = small_graph()
    dense = graph["dense"].tensor
    assert (dense.low, dense.high) == (-128 * 11 + 127 * -2, 127 * 11 + 128 * 2)
    assert dense.format.fraction == 5 + 3
    total = graph["total"].tensor
    assert (total.low, total.high) == (8 * dense.low, 8 * dense.high)
    assert graph["edge_index"].tensor.format.width == 3


def test_with_maxima_derives_the_sums_again() -> None:
    wider = small_graph().with_maxima(Maxima(nodes=100, edges=1000))
    assert wider["total"].tensor.high == 1000 * wider["dense"].tensor.high
    assert wider["edge_index"].tensor.format.width == 7


def saved(tmp_path: Path) -> Path:
    small_graph().save(tmp_path / "graph")
    return tmp_path / "graph"


@pytest.mark.parametrize("name", ["graph.json", "weights.npz", "manifest.json"])
def test_missing_file_is_named(tmp_path: Path, name: str) -> None:
    directory = saved(tmp_path)
    (directory / name).unlink()
    with pytest.raises(GraphError, match=name):
        TypedGraph.load(directory)


@pytest.mark.parametrize("name", ["graph.json", "weights.npz", "manifest.json"])
def test_any_flipped_byte_is_refused(tmp_path: Path, name: str) -> None:
    directory = saved(tmp_path)
    content = bytearray((directory / name).read_bytes())
    content[len(content) // 2] ^= 0xFF
    (directory / name).write_bytes(bytes(content))
    with pytest.raises(GraphError):
        TypedGraph.load(directory)


def test_a_declared_type_that_is_not_the_derived_one_is_refused(tmp_path: Path) -> None:
    directory = saved(tmp_path)
    stored = json.loads((directory / "graph.json").read_text())
    next(node for node in stored["nodes"] if node["name"] == "dense")["tensor"]["high"] += 1
    _rewrite(directory, stored)
    with pytest.raises(GraphError, match="node dense"):
        TypedGraph.load(directory)


def test_unknown_key_and_kind_are_refused(tmp_path: Path) -> None:
    directory = saved(tmp_path)
    original = json.loads((directory / "graph.json").read_text())
    _rewrite(directory, {**original, "extra": 1})
    with pytest.raises(GraphError, match="extra"):
        TypedGraph.load(directory)
    original["nodes"][0]["kind"] = "Magic"
    _rewrite(directory, original)
    with pytest.raises(GraphError, match="kind"):
        TypedGraph.load(directory)


def _rewrite(directory: Path, stored: dict[str, object]) -> None:
    import hashlib

    text = json.dumps(stored)
    (directory / "graph.json").write_text(text)
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["sha256"]["graph.json"] = hashlib.sha256(text.encode()).hexdigest()
    (directory / "manifest.json").write_text(json.dumps(manifest))


def test_builder_refuses_what_makes_no_sense() -> None:
    builder = GraphBuilder()
    features = builder.input("x", shape=("R", 2), format=A8)
    with pytest.raises(GraphError, match="twice"):
        builder.input("x", shape=("R", 2), format=A8)
    with pytest.raises(GraphError, match="identifier"):
        builder.input("a b", shape=("R", 2), format=A8)
    with pytest.raises(GraphError, match="does not exist"):
        builder.output("y", "nothing")
    with pytest.raises(GraphError, match=r"expected \(None, 2\)"):
        builder.dense("d", features, weight=np.array([[1, 2, 3]]), weight_format=WEIGHT)
    with pytest.raises(GraphError, match="exceeds"):
        builder.dense("d", features, weight=np.array([[1, 9]]), weight_format=WEIGHT)
    with pytest.raises(GraphError, match="dtype float64"):
        builder.dense("d", features, weight=np.array([[1.0, 2.0]]), weight_format=WEIGHT)  # type: ignore[arg-type]
    with pytest.raises(GraphError, match="no edge index"):
        builder.edge_gather("g", builder.input("n", shape=("N", 2), format=A8), features)
    with pytest.raises(GraphError, match="used by nothing"):
        TypedGraph.from_builder(builder, name="unused")
