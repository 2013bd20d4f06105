"""Every side of the benchmark of the native executor computes the network that it is compared as."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from native_compare import golden_outputs
from native_graph_sides import onnx_graph_sides, plain, torch_graph_sides
from native_networks import (
    INPUTS,
    RowNetwork,
    Workload,
    graph_inputs,
    load_interaction_network,
    make_row_network,
    read_inputs,
    row_inputs,
    simulated_graph,
)
from native_onnx import onnx_row_sides
from native_run import QUICK, headline_edges
from native_sides import ExactGemm, executor_side, float_network, torch_row_sides

from hitfabric.core import GraphError
from hitfabric.detector import GraphSample, write_graph
from hitfabric.emulation import make_executor
from hitfabric.models.float_networks import load_float_network
from hitfabric.quantization import Dense, FixedPoint, GraphBuilder, TypedGraph

SMALL = RowNetwork(hidden=(16, 16))
SPARSE = RowNetwork(hidden=(16, 16), sparsity=0.8)


@pytest.fixture(scope="module")
def small() -> TypedGraph:
    return make_row_network(SMALL)


def workload(rows: int) -> Workload:
    return Workload(network="n", items=rows, batches=({"features": row_inputs(rows)},))


@pytest.mark.slow
def test_compiled_torch_computes_the_same(small: TypedGraph) -> None:
    data = workload(300).batches[0]
    expected = golden_outputs(small, data)
    for side in torch_row_sides(small, threads=1, compiled=True):
        found = side.prepare(data)()
        if side.exact:
            assert np.array_equal(found, expected), side.name
        else:
            assert np.allclose(found, float_network(small)(torch.from_numpy(data["features"])).numpy(), atol=1e-4)


@given(seed=st.integers(0, 2**32 - 1), rounding=st.sampled_from(["TRN", "RND_CONV"]), symmetric=st.booleans())
def test_exact_emulator_is_exact(seed: int, rounding: Any, symmetric: bool) -> None:
    generator, builder = np.random.default_rng(seed), GraphBuilder()
    weights = FixedPoint(signed=True, width=8, integer=int(generator.integers(-3, 4)), overflow="SAT_SYM")
    overflow = "SAT_SYM" if symmetric else "SAT"
    form = FixedPoint(signed=True, width=8, integer=2, rounding=rounding, overflow=overflow)
    source = builder.input("features", shape=("R", 5), format=form)
    for number, width in enumerate((7, 3)):
        source = builder.dense(
            f"dense{number}",
            source,
            weight=generator.integers(weights.low, weights.high + 1, (width, builder.nodes[source].tensor.width)),
            weight_format=weights,
            bias=generator.integers(-128, 128, width),
            bias_format=FixedPoint(signed=True, width=8, integer=int(generator.integers(0, 4))),
        )
        source = builder.requantize(f"quant{number}", source, format=form) if number == 0 else source
    builder.output("result", source)
    graph = TypedGraph.from_builder(builder, name="small")
    rows = {"features": generator.normal(0, 2, (50, 5)).astype(np.float32)}
    found = ExactGemm(graph)(torch.from_numpy(rows["features"].copy())).numpy()
    assert np.array_equal(found, make_executor("golden", graph).run(rows)["result"])


def test_emulator_refuses_what_float32_cannot_hold() -> None:
    wide, builder = FixedPoint(signed=True, width=16, integer=8), GraphBuilder()
    source = builder.input("features", shape=("R", 2), format=wide)
    options: dict[str, Any] = {"weight_format": wide, "bias": np.array([0]), "bias_format": wide}
    builder.output("result", builder.dense("dense", source, weight=np.array([[9000, 9000]]), **options))
    with pytest.raises(GraphError, match="float32 does not hold"):
        ExactGemm(TypedGraph.from_builder(builder, name="wide"))


def test_networks_use_their_formats() -> None:
    for spec, zeros in ((SMALL, 0.02), (SPARSE, 0.8)):
        graph = make_row_network(spec)
        dense = [node for node in graph.nodes if isinstance(node, Dense)]
        assert [node.weight.shape for node in dense] == [(16, INPUTS), (16, 16), (8, 16)]
        assert graph.inputs[0].tensor.format.width == 12
        assert all(node.weight_format.width == 8 and np.abs(node.weight).max() >= 120 for node in dense)
        share = np.concatenate([node.weight.ravel() == 0 for node in dense]).mean()
        assert share == pytest.approx(zeros, abs=0.02)
        outputs = golden_outputs(graph, workload(500).batches[0])
        assert all(len(np.unique(column)) > 20 for column in outputs.T)  # nothing is stuck


def test_onnx_sides_compute_the_network(small: TypedGraph) -> None:
    data = workload(400).batches[0]
    expected = float_network(small)(torch.from_numpy(data["features"])).numpy()
    golden = golden_outputs(small, data)
    sides = onnx_row_sides(small, data["features"], threads=1)
    assert {side.family for side in sides} == {"onnxruntime_float32", "onnxruntime_int8"}
    for side in sides:
        found = side.prepare(data)()
        if side.family == "onnxruntime_float32":
            assert np.allclose(found, expected, atol=1e-4)
        assert np.corrcoef(found.ravel(), golden.ravel())[0, 1] > 0.98, side.name


@given(nodes=st.integers(20, 3_000), ratio=st.integers(1, 8), seed=st.integers(0, 99))
def test_simulated_graphs_have_the_sizes_asked_for(nodes: int, ratio: int, seed: int) -> None:
    features, index = simulated_graph(nodes, nodes * ratio, seed=seed)
    assert features.shape == (nodes, 3) and index.shape == (nodes * ratio, 2)
    assert index.min() >= 0 and index.max() < nodes
    layer = np.searchsorted(np.unique(features[:, 0]), features[:, 0])
    assert np.all(layer[index[:, 1]] - layer[index[:, 0]] == 1)
    assert np.array_equal(index, simulated_graph(nodes, nodes * ratio, seed=seed)[1])


def test_graph_sides_compute_the_shipped_network() -> None:
    graph, twin = load_interaction_network("event-pixel")
    data = graph_inputs("event-pixel", *simulated_graph(60, 200))
    assert data["edges"].shape == (200, 6)
    expected = load_float_network(twin)(*(torch.from_numpy(array) for array in data.values())).detach().numpy()
    scale = np.abs(expected).max()
    for side in [*torch_graph_sides(twin, threads=1, compiled=False), *onnx_graph_sides(twin, data, threads=1)]:
        assert np.allclose(side.prepare(data)(), expected, atol=1e-4 * scale), side.name
    assert np.array_equal(golden_outputs(graph, data), make_executor("golden", graph).run(data)["logits"])
    assert plain(load_float_network(twin), "index_add") is not load_float_network(twin)


def test_graphs_of_a_folder_take_the_place_of_simulated_ones(tmp_path: Path) -> None:
    features, index = simulated_graph(50, 90)
    edges = graph_inputs("sector-in-8", features, index)
    units = np.array([1000, np.pi, 1000], dtype=np.float32)
    sample = GraphSample(
        name="graph",
        nodes=features / units,
        edges=edges["edges"],
        edge_index=index,
        labels=np.zeros(90, dtype=np.bool_),
        particle_id=np.zeros(50, dtype=np.int64),
    )
    write_graph(sample, tmp_path)
    (found,) = read_inputs("sector-in-8", tmp_path, 3)
    assert np.array_equal(found["edge_index"], index)
    assert np.allclose(found["nodes"], sample.nodes, atol=1e-5) and np.allclose(found["edges"], sample.edges, atol=1e-3)
    assert headline_edges(replace(QUICK, graphs=tmp_path, graph_networks=("sector-in-8",))) == 90
    assert headline_edges(QUICK) == 30_000


def test_executors_as_sides(small: TypedGraph) -> None:
    native, golden = (executor_side(name, small) for name in ("native", "golden"))
    assert (native.exact, native.threaded, native.maxima) == (True, True, None)
    assert (golden.exact, golden.threaded) == (False, False)
