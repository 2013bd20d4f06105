"""The benchmark of the native executor measures what it says, and counts what differs; no timing is asserted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import native_compare
import native_sides
import numpy as np
import pytest
from native import main
from native_compare import Comparison, compare_nodes, golden_outputs
from native_figure import curves, fit
from native_measure import Bench, Measurement, Settings
from native_networks import (
    RowNetwork,
    Workload,
    make_row_network,
    row_inputs,
)
from native_report import make_ratios, smallest
from native_run import QUICK, Plan, measure_row_network
from native_sides import Side
from numpy.typing import NDArray

from hitfabric.emulation import make_executor
from hitfabric.quantization import TypedGraph

SMALL = RowNetwork(hidden=(16, 16))
SPARSE = RowNetwork(hidden=(16, 16), sparsity=0.8)
SHORT = Settings(repeats=3, sample_seconds=0.0, side_seconds=0.0, longest_seconds=1e9, longest_reference_seconds=1e9)
TINY = Plan(
    rows=(1, 40, 200),
    headline_rows=200,
    graph_sizes=((30, 60), (60, 150)),
    headline_graph=(60, 150),
    row_networks=(SMALL, SPARSE),
    graph_networks=("sector-in-8",),
    compiled=False,
    settings=SHORT,
)


class WrongExecutor:
    """Golden, but for one step of one output in the last row."""

    maxima_limited = False

    def __init__(self, graph: TypedGraph) -> None:
        self.graph = graph
        self._golden = make_executor("golden", graph)

    def run(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        outputs = self._golden.run(inputs)
        for name, values in outputs.items():
            values[-1, 0] += self.graph[name].tensor.format.scale
        return outputs

    def run_integers(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[np.int64]]:
        integers = self._golden.run_integers(inputs)
        integers[self.graph.visible[0].name][-1, 0] += 1
        return integers


def make_wrong(name: str, graph: TypedGraph, **options: Any) -> Any:
    return WrongExecutor(graph) if name == "native" else make_executor(name, graph, **options)


@pytest.fixture(scope="module")
def small() -> TypedGraph:
    return make_row_network(SMALL)


def workload(rows: int) -> Workload:
    return Workload(network="n", items=rows, batches=({"features": row_inputs(rows)},))


@pytest.mark.slow
def test_whole_benchmark_writes_what_it_promises(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result, figure = tmp_path / "native.json", tmp_path / "native.png"
    assert main(["--json", str(result), "--figure", str(figure)], plan=TINY) == 0
    content = json.loads(result.read_text(encoding="utf-8"))
    assert content["mismatches"] == 0
    assert set(content["mismatches_by_side"]) == {"native", "exact_gemm", "csim"}
    rows = 2 * 2 * sum(TINY.rows) * 8  # networks, threads, sizes, outputs
    assert content["integers_compared"]["exact_gemm"] == 2 * rows  # two variants
    assert content["integers_compared"]["native"] > rows
    peers = {"onnxruntime_float32", "onnxruntime_int8", "torch_float32", "torch_float32_eager", "exact_gemm", "golden"}
    keys = {f"native_vs_{peer}" for peer in (*peers, "csim")}
    graph_peers = {"onnxruntime_float32", "torch_float32", "torch_float32_eager", "golden", "csim"}
    keys |= {f"native_vs_{peer}_1_thread" for peer in (*peers, "csim")}
    keys |= {f"native_vs_{peer}_sparse{end}" for peer in peers for end in ("", "_1_thread")}
    bound = {"onnxruntime_float32_io_binding", "onnxruntime_int8_io_binding"}
    keys |= {f"native_vs_{peer}{form}_batch1" for peer in bound | peers - {"golden"} for form in ("", "_sparse")}
    ends = ("", "_1_thread", "_small")
    keys |= {f"native_vs_{peer}_interaction_network{end}" for peer in graph_peers for end in ends}
    assert set(content["ratios"]) == keys
    assert all(ratio > 0 for ratio in content["ratios"].values())
    assert set(content["ratios_by_network"]) == {SMALL.name, SPARSE.name, "sector-in-8"}
    for each in content["measurements"]:
        assert each["repeats"] == 3 and 0 < each["fastest"] <= each["median"] and each["spread"] >= 0
    threads = {each["threads"] for each in content["measurements"] if each["side"] == "native"}
    assert threads == {1, 2}
    assert content["processor"]["cores"] >= 1 and "onnxruntime" in content["versions"]
    assert figure.stat().st_size > 10_000
    assert "native: 0 of" in capsys.readouterr().out


@pytest.mark.slow
def test_a_wrong_native_executor_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(native_sides, "make_executor", make_wrong)
    monkeypatch.setattr(native_compare, "make_executor", make_wrong)
    plan = replace(TINY, rows=(1, 40), headline_rows=40, row_networks=(SPARSE,), graph_networks=(), threads=(1, 2))
    result = tmp_path / "native.json"
    assert main(["--json", str(result)], plan=plan) == 1
    content = json.loads(result.read_text(encoding="utf-8"))
    assert content["mismatches"] == 2 * 2 + 1  # one in every output, and one among all nodes
    assert content["mismatches_by_side"] == {"native": 5, "exact_gemm": 0}
    assert "native: 5 of" in capsys.readouterr().out


def test_a_single_planted_difference_is_counted(small: TypedGraph) -> None:
    task = workload(64)
    expected = golden_outputs(small, task.batches[0])
    wrong = expected.copy()
    wrong[13, 5] = np.nextafter(wrong[13, 5], np.float32(np.inf))
    side = Side(family="native", prepare=lambda inputs: lambda: wrong, exact=True)
    bench = Bench(SHORT)
    bench.measure(task, [side], threads=1, golden=[expected])
    assert bench.comparison.mismatches == {"native": 1}
    assert bench.comparison.compared == {"native": expected.size}


def test_another_shape_differs_everywhere() -> None:
    comparison = Comparison()
    comparison.count("native", np.zeros((3, 8)), np.zeros((4, 8)))
    assert comparison.mismatches["native"] == 32


def test_hidden_nodes_are_compared_too(small: TypedGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    data, comparison = workload(20).batches[0], Comparison()
    compare_nodes(comparison, small, data, threads=1)
    assert comparison.mismatches == {"native": 0}
    assert comparison.compared["native"] == 20 * sum(node.tensor.width for node in small.visible)
    monkeypatch.setattr(native_compare, "make_executor", make_wrong)
    compare_nodes(comparison, small, data, threads=1)
    assert comparison.mismatches == {"native": 1}


def test_a_float_side_of_another_network_is_left_out() -> None:
    def constant(value: float) -> Side:
        return Side(family="torch_float32", variant=str(value), prepare=lambda inputs: lambda: np.full((4, 1), value))

    bench = Bench(SHORT)
    bench.measure(workload(4), [constant(1.0), constant(1.0001), constant(1.1)], threads=1)
    assert [each.variant for each in bench.measurements] == ["1.0", "1.0001"]
    assert [skip.side for skip in bench.skipped] == ["torch_float32, 1.1"]
    assert "wrong by 0.1" in bench.skipped[0].reason


def test_slow_and_limited_sides_are_left_out_with_a_reason() -> None:
    answer: Any = lambda inputs: lambda: np.zeros((4, 1))  # noqa: E731
    sides = [
        Side(family="torch_float32", prepare=answer),
        Side(family="golden", prepare=answer, threaded=False),
        Side(family="csim", prepare=answer, threaded=False, maxima=(10, 20)),
    ]
    bench = Bench(replace(SHORT, longest_reference_seconds=0.0))
    bench.measure(Workload(network="n", items=15, nodes=8, batches=({},)), sides, threads=1)
    assert len(bench.measurements) == 3 and bench.skipped == []
    bench.measure(Workload(network="n", items=25, nodes=8, batches=({},)), sides, threads=1)
    assert [each.side for each in bench.measurements[3:]] == ["torch_float32"]
    assert "the limit is 0 s" in bench.skipped[0].reason
    assert bench.skipped[1].reason == "larger than the maxima of 10 nodes and 20 edges"


def measurement(
    side: str, network: str, items: int, median: float, *, threads: int = 2, variant: str = ""
) -> Measurement:
    return Measurement(
        side=side,
        variant=variant,
        network=network,
        rows=items,
        nodes=0,
        edges=0,
        graphs=0,
        threads=2,
        median=median,
        fastest=median,
        spread=0.0,
        repeats=3,
        calls=1,
    )


def test_ratios_take_the_fastest_variant_and_the_smallest_network() -> None:
    plan = replace(TINY, row_networks=(SMALL, RowNetwork(hidden=(8,))), graph_networks=(), threads=(2,))
    first, second = (spec.name for spec in plan.row_networks)
    found = [
        measurement("native", first, 200, 0.5),
        measurement("native", second, 200, 0.25),
        measurement("onnxruntime_float32", first, 200, 3.0, variant="run"),
        measurement("onnxruntime_float32", first, 200, 2.0, variant="io binding"),
        measurement("onnxruntime_float32", second, 200, 2.0, variant="run"),
        measurement("torch_float32", first, 200, 1.0, variant="compiled"),
        measurement("torch_float32", first, 200, 1.5, variant="eager"),
        measurement("native", first, 1, 0.5),
        measurement("native", second, 1, 0.5),
        *(measurement("onnxruntime_float32", name, 1, 2.0, variant="run") for name in (first, second)),
        *(measurement("onnxruntime_float32", name, 1, 1.0, variant="io binding") for name in (first, second)),
        measurement("csim", first, 1, 5.0),
        measurement("csim", first, 40, 100.0),
        measurement("csim", second, 40, 100.0),
    ]
    ratios, by_network = make_ratios(plan, found)
    assert ratios["native_vs_onnxruntime_float32"] == 4.0
    assert by_network[second]["native_vs_onnxruntime_float32"] == 8.0
    assert by_network[first]["native_vs_torch_float32"] == 2.0
    assert by_network[first]["native_vs_torch_float32_eager"] == 3.0
    assert "native_vs_torch_float32" not in ratios  # one network lacks it
    assert ratios["native_vs_csim"] == 100.0 / 40 * 200 / 0.5
    assert ratios["native_vs_onnxruntime_float32_batch1"] == 4.0
    assert ratios["native_vs_onnxruntime_float32_io_binding_batch1"] == 2.0
    assert "native_vs_csim_batch1" not in ratios
    assert smallest([]) == {}


def test_exponent_is_of_the_upper_decades() -> None:
    sizes = (1, 100, 1_000, 10_000, 100_000)
    seconds = [1.0 if size < 1_000 else size**1.25 for size in sizes]
    exponent, start = fit(sizes, seconds)
    assert exponent == pytest.approx(1.25) and start == 1_000
    assert fit((1, 1_000), (1.0, 2.0)) == (None, None)
    (curve,) = curves([measurement("native", "n", 10, 3.0, variant="a"), measurement("native", "n", 10, 2.0)])
    assert curve.seconds == (2.0,) and curve.exponent is None


def test_rows_beyond_the_distinct_ones_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("native_run.DISTINCT_ROWS", 16)
    monkeypatch.setattr("native_run.onnx_row_sides", lambda *_, **__: [])
    bench = Bench(SHORT)
    measure_row_network(bench, replace(TINY, rows=(50,), threads=(1,)), SPARSE)
    assert bench.comparison.mismatches == {"native": 0, "exact_gemm": 0}
    assert bench.comparison.compared["exact_gemm"] == 2 * 50 * 8


def test_command_needs_a_file_to_write() -> None:
    with pytest.raises(SystemExit):
        main(["--quick"])


def test_quick_is_part_of_the_full_plan() -> None:
    assert set(QUICK.rows) < set(Plan().rows) and set(QUICK.graph_sizes) < set(Plan().graph_sizes)
    assert QUICK.headline_rows in QUICK.rows and QUICK.headline_graph in QUICK.graph_sizes
