"""Networks on a card, by a stand-in for its library that checks the calls and computes on the words it gets."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from hitfabric.core import ConfigError, GraphError
from hitfabric.emulation import extreme_vectors, make_executor
from hitfabric.fpga_backend import shadow
from hitfabric.fpga_backend.chain import Chain
from hitfabric.fpga_backend.device_checks import Checks
from hitfabric.fpga_backend.device_settings import DeviceSettings
from hitfabric.fpga_backend.served import NetworkModel, TrackingModel, load_model
from hitfabric.hls_projects import ProjectConfig, cached_project
from hitfabric.quantization import FixedPoint, GraphBuilder, TypedGraph
from support.fake_kernels import bitstream_of, compiled_kernel, golden_kernels
from support.fake_xrt import Direction, FakeXrt
from support.hand_graph import hand_graph
from support.random_graphs import random_inputs
from support.xrt_executors import open_one


@pytest.mark.parametrize("name", ["embedding", "filter"])
def test_rows_equal_native_bit_for_bit(
    name: str, graphs: dict[str, TypedGraph], card: FakeXrt, bitstream: Path
) -> None:
    graph = graphs[name]
    native, xrt = make_executor("native", graph, threads=1), open_one(graph, bitstream)
    for rows in (0, 1, 2, 1000):
        inputs = random_inputs(graph, seed=rows, sizes={"R": rows})
        expected, found = native.run(inputs), xrt.run(inputs)
        assert {key: array.tobytes() for key, array in expected.items()} == {
            key: array.tobytes() for key, array in found.items()
        }
        assert all(expected[key].shape == found[key].shape for key in expected)
    for inputs in extreme_vectors(graph):
        assert all(np.array_equal(native.run(inputs)[key], array) for key, array in xrt.run(inputs).items())


@pytest.mark.parametrize("parallelism", [1, 3, 7, 63, 64])
def test_graphs_equal_native_whatever_the_lanes(
    parallelism: int, graphs: dict[str, TypedGraph], put_in: Callable[[FakeXrt], FakeXrt], bitstream: Path
) -> None:
    graph = graphs["interaction_network"]
    put_in(FakeXrt(golden_kernels({"interaction_network": graph}, parallelism=parallelism)))
    native = make_executor("native", graph, threads=1)
    xrt = open_one(graph, bitstream)
    for nodes, edges in ((64, 128), (64, 0), (0, 0), (2, 1), (5, 120), (63, 127)):
        inputs = random_inputs(graph, seed=nodes, sizes={"N": nodes, "E": edges})
        assert np.array_equal(native.run(inputs)["logits"], xrt.run(inputs)["logits"])
    with pytest.raises(GraphError, match="65 nodes"):
        xrt.run(random_inputs(graph, seed=0, sizes={"N": 65, "E": 1}))


def test_more_rows_than_a_run_takes_are_split(graphs: dict[str, TypedGraph], card: FakeXrt, bitstream: Path) -> None:
    graph = graphs["embedding"]
    xrt = open_one(graph, bitstream, run_rows=300)
    card.counts.clear()
    inputs = random_inputs(graph, seed=1, sizes={"R": 1000})
    assert np.array_equal(xrt.run(inputs)["embedding"], make_executor("numpy", graph).run(inputs)["embedding"])
    assert card.counts == [300, 300, 300, 100]


def test_wide_words_and_unsigned_inputs(put_in: Callable[[FakeXrt], FakeXrt], tmp_path: Path) -> None:
    builder = GraphBuilder()
    rows = builder.input("rows", shape=("R", 3), format=FixedPoint(signed=False, width=16, integer=4))
    form = FixedPoint(signed=True, width=16, integer=16, overflow="SAT_SYM")
    weight = np.array([[30000, -32000, 5], [-1, 32767, 32767]])
    product = builder.dense("product", rows, weight=weight, weight_format=form)
    builder.output("result", builder.requantize("wide", product, format=FixedPoint(signed=True, width=40, integer=24)))
    graph = TypedGraph.from_builder(builder, name="wide")
    put_in(FakeXrt(golden_kernels({"wide": graph})))
    xrt = open_one(graph, bitstream_of(graph).write(tmp_path / "wide.xclbin"))
    inputs = random_inputs(graph, seed=2, sizes={"R": 50})
    assert np.array_equal(
        xrt.run_integers(inputs)["result"], make_executor("golden", graph).run_integers(inputs, ["result"])["result"]
    )
    with pytest.raises(ConfigError, match="does not show nodes"):
        xrt.run_integers(inputs, ["wide"])


def test_workers_take_the_compute_units_in_turn(graphs: dict[str, TypedGraph], card: FakeXrt, bitstream: Path) -> None:
    graph = graphs["filter"]
    inputs = random_inputs(graph, seed=0, sizes={"R": 4})
    executors = [open_one(graph, bitstream, instance=f"filter_0_{number}") for number in range(3)]
    card.runs.clear()
    for number in range(3):
        executors[number].run(inputs)
    kernel = "hitfabric_filter_kernel"
    assert card.runs == {f"{kernel}:filter_1": 2, f"{kernel}:filter_2": 1}
    assert len(card.live) == 6, "buffers of its own for each"
    del executors
    gc.collect()
    assert len(card.live) == 0, "all given back"


def test_only_what_is_used_is_transferred(graphs: dict[str, TypedGraph], card: FakeXrt, bitstream: Path) -> None:
    xrt = open_one(graphs["filter"], bitstream)
    card.transferred.clear()
    xrt.run(random_inputs(graphs["filter"], seed=0, sizes={"R": 16}))
    assert card.transferred == {
        Direction.XCL_BO_SYNC_BO_TO_DEVICE: 16 * 12 * 4,
        Direction.XCL_BO_SYNC_BO_FROM_DEVICE: 64,
    }


def test_the_chain_runs_on_one_bitstream(
    chain_directory: Path, card: FakeXrt, bitstream: Path, make_hits: Callable[..., np.ndarray]
) -> None:
    hits = make_hits(40)
    settings = DeviceSettings(xclbin=bitstream, threads=1)
    model = load_model(chain_directory, "xrt", settings, instance="tracking_0_1")
    assert isinstance(model, TrackingModel)
    found, expected = model.run({"FEATURES": hits}), Chain.load(chain_directory, "golden").track(hits)
    assert np.array_equal(found["LABELS"], expected.labels)
    assert np.array_equal(found["SCORES"], expected.scores)
    assert {name.rpartition("_")[2] for name in card.runs} == {"2"}, "the second unit of every kernel"
    assert len(card.runs) == 3
    assert model.device_seconds > 0


def test_a_relative_path_begins_at_the_model(
    chain_directory: Path, graphs: dict[str, TypedGraph], card: FakeXrt, tmp_path: Path
) -> None:
    graphs["embedding"].save(tmp_path / "model")
    bitstream_of(graphs["embedding"]).write(tmp_path / "model" / "here.xclbin")
    model = load_model(tmp_path / "model", "xrt", DeviceSettings(xclbin=Path("here.xclbin"), card="0000:3b:00.1"))
    assert isinstance(model, NetworkModel)
    assert model.signature.max_batch_size > 0


def test_the_audit_finds_what_a_card_gets_wrong_after_its_start(
    graphs: dict[str, TypedGraph], card: FakeXrt, bitstream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    golden_for_csim = {"csim": "golden"}  # the C simulation takes seconds to compile, and is tested elsewhere
    monkeypatch.setattr(
        shadow, "make_executor", lambda name, graph, **options: make_executor(golden_for_csim[name], graph, **options)
    )
    graphs["filter"].save(tmp_path / "model")
    settings = DeviceSettings(answers="xrt", xclbin=bitstream, check_share=1.0, vectors=tmp_path / "mismatches")
    model = load_model(tmp_path / "model", "shadow", settings)
    assert model._audit is not None
    right = card.computes["hitfabric_filter_kernel"]

    def worn(memory: Mapping[str, np.ndarray], count: int) -> None:
        right(memory, count)
        memory["logits_words"][0] ^= 1

    inputs = random_inputs(graphs["filter"], seed=1, sizes={"R": 5})
    for compute in (right, worn):
        card.computes["hitfabric_filter_kernel"] = compute
        model.run(inputs)
    model._audit.wait()
    assert model.take_checks() == Checks(checked=2, mismatched=1)
    assert len(list((tmp_path / "mismatches").iterdir())) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("name", "lanes"), [("embedding", 1), ("interaction_network", 1), ("hand", 3)])
def test_the_kernels_own_source_equals_native(
    name: str, lanes: int, graphs: dict[str, TypedGraph], put_in: Callable[[FakeXrt], FakeXrt], tmp_path: Path
) -> None:
    graph = hand_graph() if name == "hand" else graphs[name]
    project = cached_project(graph, config=ProjectConfig(parallelism=lanes))
    put_in(FakeXrt({f"{project.name}_kernel": compiled_kernel(project)}))
    native = make_executor("native", graph, threads=1)
    xrt = open_one(graph, bitstream_of(graph).write(tmp_path / "kernel.xclbin"))
    most = graph.maxima
    sizes = [{"R": 1}, {"R": 500}]
    if graph.is_graph_network:
        sizes = [{"N": most.nodes, "E": most.edges}, {"N": most.nodes // 2, "E": most.edges // 3}, {"N": 0, "E": 0}]
    for size in sizes:
        inputs = random_inputs(graph, seed=5, sizes=size)
        assert all(np.array_equal(native.run(inputs)[key], array) for key, array in xrt.run(inputs).items())
