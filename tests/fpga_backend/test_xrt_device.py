"""Networks on a card, by a stand-in for its library that checks the calls and computes on the words it gets."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from hitfabric.core import ConfigError, GraphError, HitfabricError, ToolError
from hitfabric.core.errors import MissingToolError
from hitfabric.emulation import extreme_vectors, make_executor
from hitfabric.fpga_backend import shadow, xrt_device
from hitfabric.fpga_backend.chain import Chain
from hitfabric.fpga_backend.device_checks import Checks
from hitfabric.fpga_backend.device_errors import DeviceLostError
from hitfabric.fpga_backend.device_settings import DeviceSettings
from hitfabric.fpga_backend.served import NetworkModel, TrackingModel, load_model
from hitfabric.fpga_backend.xrt_device import XrtExecutor, open_kernels
from hitfabric.hls_projects import ProjectConfig, cached_project
from hitfabric.quantization import FixedPoint, GraphBuilder, TypedGraph
from support.fake_kernels import bitstream_of, compiled_kernel, golden_kernel
from support.fake_xclbin import FakeBitstream
from support.fake_xrt import Compute, Direction, FakeXrt, State
from support.hand_graph import hand_graph
from support.random_graphs import random_inputs


def kernels(graphs: Mapping[str, TypedGraph], *, parallelism: int = 1) -> dict[str, Compute]:
    lanes = {name: parallelism if graph.is_graph_network else 1 for name, graph in graphs.items()}
    return {
        f"hitfabric_{graph.name}_kernel": golden_kernel(graph, parallelism=lanes[name])
        for name, graph in graphs.items()
    }


@pytest.fixture
def put_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[FakeXrt], FakeXrt]:
    """Function that makes a fake the module `pyxrt`."""

    def put(fake: FakeXrt) -> FakeXrt:
        monkeypatch.setitem(sys.modules, "pyxrt", fake.module())
        return fake

    return put


@pytest.fixture
def card(graphs: dict[str, TypedGraph], put_in: Callable[[FakeXrt], FakeXrt]) -> FakeXrt:
    """A card that computes the chain's networks."""
    return put_in(FakeXrt(kernels(graphs)))


@pytest.fixture
def bitstream(graphs: dict[str, TypedGraph], tmp_path: Path) -> Path:
    """A bitstream with the chain's networks, two compute units each."""
    return bitstream_of(*graphs.values(), units=2).write(tmp_path / "chain.xclbin")


def open_one(graph: TypedGraph, xclbin: Path, *, instance: str = "", **settings: object) -> XrtExecutor:
    options = DeviceSettings.model_validate({"xclbin": xclbin} | settings)
    (executor,) = open_kernels({graph.name: graph}, options, directory=xclbin.parent, instance=instance).values()
    assert isinstance(executor, XrtExecutor)
    return executor


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
    put_in(FakeXrt(kernels({"interaction_network": graph}, parallelism=parallelism)))
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
    put_in(FakeXrt(kernels({"wide": graph})))
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


def refusal(graph: TypedGraph, xclbin: Path, **settings: object) -> str:
    with pytest.raises(HitfabricError) as caught:
        open_one(graph, xclbin, instance="", **settings)
    assert caught.value.remedy
    return str(caught.value)


def test_what_cannot_be_opened_is_said(
    graphs: dict[str, TypedGraph], card: FakeXrt, bitstream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = graphs["filter"]
    assert "cannot read" in refusal(graph, tmp_path / "absent.xclbin")
    (tmp_path / "text.xclbin").write_text("text")
    assert "does not begin with xclbin2" in refusal(graph, tmp_path / "text.xclbin")
    assert "cannot open card 1: Could not open device" in refusal(graph, bitstream, card="1")
    assert "has no kernel other, only hitfabric_embedding_kernel" in refusal(graph, bitstream, kernel="other")
    for method, text in (("load_xclbin", "cannot load"), ("kernel", "cannot open compute unit"), ("bo", "allocate")):
        card.fails_at = method
        assert text in refusal(graph, bitstream)
    card.fails_at = ""
    open_one(graph, bitstream)
    other = bitstream_of(graph).write(tmp_path / "other.xclbin")
    assert "all models of a card share one bitstream" in refusal(graph, other)
    with pytest.raises(ConfigError, match="has no bitstream"):
        open_kernels({"filter": graph}, DeviceSettings(), directory=tmp_path, instance="")
    with pytest.raises(ConfigError, match="cannot be that of 3 networks"):
        open_kernels(graphs, DeviceSettings(xclbin=bitstream, kernel="a"), directory=tmp_path, instance="")
    monkeypatch.setitem(sys.modules, "pyxrt", None)
    with pytest.raises(MissingToolError, match=r"needs pyxrt.*setup\.sh"):
        open_one(graph, bitstream)


def changed(graph: TypedGraph, change: Callable[[FakeBitstream], object], path: Path) -> Path:
    described = bitstream_of(graph)
    change(described)
    return described.write(path)


def test_a_kernel_of_other_arguments_or_banks_is_refused(
    graphs: dict[str, TypedGraph], put_in: Callable[[FakeXrt], FakeXrt], tmp_path: Path
) -> None:
    graph = graphs["filter"]

    def refused(change: Callable[[FakeBitstream], object], name: str, **settings: object) -> str:
        put_in(FakeXrt(kernels(graphs)))  # a card without a bitstream
        return refusal(graph, changed(graph, change, tmp_path / f"{name}.xclbin"), **settings)

    unit = "filter_1"
    wanted = "needs (*pairs_words, *logits_words, count)"
    assert wanted in refused(lambda described: described.kernels[0].arguments.reverse(), "order")
    assert wanted in refused(lambda described: described.kernels[0].arguments.pop(1), "fewer")
    assert "has no compute unit" in refused(lambda described: described.kernels[0].units.clear(), "units")
    assert "is connected to none" in refused(lambda described: described.kernels[0].units[unit].pop(), "connected")

    def unused(described: FakeBitstream) -> None:
        described.banks[1] = ("HBM[1]", 1 << 18, False)

    def small(described: FakeBitstream) -> None:
        described.banks[0] = ("HBM[0]", 1024, True)

    put_in(FakeXrt(kernels(graphs))).shifted_banks = 1
    found = refusal(graph, changed(graph, lambda described: None, tmp_path / "shifted.xclbin"))
    assert "argument pairs_words of hitfabric_filter_kernel:{filter_1} has memory in HBM[1]" in found
    assert "is connected to HBM[0]" in found
    assert "logits_words" in refused(unused, "unused")
    assert "HBM[0], which has 1048576" in refused(small, "small")
    put_in(FakeXrt(kernels(graphs)))
    open_one(graph, changed(graph, small, tmp_path / "fits.xclbin"), run_rows=1000)


def test_a_kernel_of_other_weights_is_refused(
    graphs: dict[str, TypedGraph],
    make_interaction_network: Callable[..., TypedGraph],
    put_in: Callable[[FakeXrt], FakeXrt],
    bitstream: Path,
) -> None:
    graph = graphs["interaction_network"]
    put_in(FakeXrt(kernels({"interaction_network": make_interaction_network(4)})))
    assert "computes other numbers than the typed graph" in refusal(graph, bitstream)


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (State.ERT_CMD_STATE_TIMEOUT, "did not end within 50 ms"),
        (State.ERT_CMD_STATE_ERROR, "ended in state"),
    ],
)
def test_a_run_that_does_not_complete_loses_the_card(
    state: State, text: str, graphs: dict[str, TypedGraph], card: FakeXrt, bitstream: Path
) -> None:
    graph = graphs["filter"]
    xrt = open_one(graph, bitstream, run_timeout_ms=50)
    card.ends = state
    with pytest.raises(DeviceLostError, match=text):
        xrt.run(random_inputs(graph, seed=0, sizes={"R": 2}))


def test_errors_of_the_library_during_a_run_lose_the_card(
    graphs: dict[str, TypedGraph], card: FakeXrt, bitstream: Path
) -> None:
    xrt = open_one(graphs["filter"], bitstream)
    card.fails_at = "sync"
    with pytest.raises(DeviceLostError, match="Input/output error"):
        xrt.run(random_inputs(graphs["filter"], seed=0, sizes={"R": 2}))


def test_memory_that_the_kernel_did_not_write_is_found(
    graphs: dict[str, TypedGraph], card: FakeXrt, bitstream: Path
) -> None:
    graph = graphs["filter"]
    xrt = open_one(graph, bitstream)
    card.computes["hitfabric_filter_kernel"] = lambda memory, count: memory["logits_words"].fill(0xA5)
    with pytest.raises(ToolError, match="whose format holds"):
        xrt.run(random_inputs(graph, seed=0, sizes={"R": 2}))


def test_the_proof_sees_one_wrong_bit(
    graphs: dict[str, TypedGraph], card: FakeXrt, bitstream: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = card.computes["hitfabric_filter_kernel"]

    def wrong(memory: Mapping[str, np.ndarray], count: int) -> None:
        right(memory, count)
        if count == xrt_device.PROOF_ROWS:
            memory["logits_words"][4 * (count - 1)] ^= 1

    card.computes["hitfabric_filter_kernel"] = wrong
    assert "1 of 257 of logits" in refusal(graphs["filter"], bitstream)


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
