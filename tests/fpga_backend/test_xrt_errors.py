"""What can go wrong with a card: each is an error that says what and what to do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from hitfabric.core import ConfigError, HitfabricError, ToolError
from hitfabric.core.errors import MissingToolError
from hitfabric.fpga_backend import xrt_device
from hitfabric.fpga_backend.device_errors import DeviceLostError
from hitfabric.fpga_backend.device_settings import DeviceSettings
from hitfabric.fpga_backend.xrt_device import open_kernels
from hitfabric.quantization import TypedGraph
from support.fake_kernels import bitstream_of, golden_kernels
from support.fake_xclbin import FakeBitstream
from support.fake_xrt import FakeXrt, State
from support.random_graphs import random_inputs
from support.xrt_executors import open_one


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
        put_in(FakeXrt(golden_kernels(graphs)))  # a card without a bitstream
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

    put_in(FakeXrt(golden_kernels(graphs))).shifted_banks = 1
    found = refusal(graph, changed(graph, lambda described: None, tmp_path / "shifted.xclbin"))
    assert "argument pairs_words of hitfabric_filter_kernel:{filter_1} has memory in HBM[1]" in found
    assert "is connected to HBM[0]" in found
    assert "logits_words" in refused(unused, "unused")
    assert "HBM[0], which has 1048576" in refused(small, "small")
    put_in(FakeXrt(golden_kernels(graphs)))
    open_one(graph, changed(graph, small, tmp_path / "fits.xclbin"), run_rows=1000)


def test_a_kernel_of_other_weights_is_refused(
    graphs: dict[str, TypedGraph],
    make_interaction_network: Callable[..., TypedGraph],
    put_in: Callable[[FakeXrt], FakeXrt],
    bitstream: Path,
) -> None:
    graph = graphs["interaction_network"]
    put_in(FakeXrt(golden_kernels({"interaction_network": make_interaction_network(4)})))
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
