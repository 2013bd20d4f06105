"""The benchmark of serving checks what it times, and says what it found; no timing is asserted."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import serving
import serving_tools
from chosen_event import choose_event
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from serving_figure import points
from serving_load import COLUMNS, Load, parse_report, processor_seconds
from serving_models import EDGE_INDEX, LABELS, STEPS, Port, ensemble_lines, ports
from serving_payloads import Payload, hit_inputs, row_inputs
from serving_report import describe
from serving_rows import Report, Row
from serving_run import Plan
from serving_sides import check_equal, served_name, time_direct
from serving_steps import STEPS as FUNCTIONS
from serving_targets import find_targets, per_turn

from hitfabric.core import DataError, ToolError
from hitfabric.detector.simulation_helix import simulate_helix_event
from hitfabric.fpga_backend import Chain, DirectClient
from hitfabric.fpga_backend.signature import Signature, Tensor
from hitfabric.models.zoo import zoo_path

TINY = Plan(rows=(64,), hits=(100,), concurrency=(1,), instances=(1,), turns=1, seconds=0.2)
SCORES_OF = {"custom": 4.0, "custom_shared": 4.0, "python": 3.0, "ensemble": 1.9, "direct": 5.0}


def row(
    side: str, *, model: str = "filter", items: int = 1000, p50: float = 1.0, rate: float = 1.0, turn: int = 0
) -> Row:
    found = {"requests_per_s": rate, "p50_ms": p50, "p90_ms": p50, "p99_ms": p50, "cpu_ms": 0.1}
    case = {"payload": f"{model} {items}", "model": model, "items": items, "side": side, "turn": turn}
    return Row.model_validate({**case, **found, "instances": 1, "concurrency": 1, "requests": 9, "errors": 0})


def report_text(**changes: str) -> str:
    line = {"Concurrency": "1", "Inferences/Second": "2e+06", **{column: "7" for column in COLUMNS.values()}}
    line |= {f"p{share} latency": str(share) for share in (50, 90, 95, 99)} | changes
    return f"{','.join(line)}\n{','.join(line.values())}\n"


def test_report_of_perf_analyzer_counts_requests_in_milliseconds() -> None:
    found = parse_report(report_text(**{"Server Queue": "41"}), batch=1000)
    assert (found["requests_per_s"], found["p50_ms"], found["p99_ms"]) == (2000.0, 0.05, 0.099)
    assert (found["queue_us"], found["network_us"]) == (41.0, 7.0)
    assert set(found) <= set(Row.model_fields)


@pytest.mark.parametrize(
    "text",
    [
        "",
        report_text().splitlines()[0],
        report_text() + report_text().splitlines()[1],
        report_text().replace("p50", "p51"),
        report_text(**{"Server Queue": "none"}),
    ],
)
def test_a_report_that_is_none_is_told(text: str) -> None:
    with pytest.raises(ToolError, match="not as expected"):
        parse_report(text, batch=1)


def test_slow_requests_are_counted_and_shared_memory_is_asked_for(tmp_path: Path) -> None:
    common: dict[str, Any] = {"model": "m", "batch": 7, "data": tmp_path, "concurrency": 3, "window_requests": 11}
    timed = Load(**common, window_seconds=0.25).arguments("here:1", tmp_path)
    slow = Load(**common, window_seconds=None, shared_bytes=32).arguments("here:1", tmp_path)
    assert timed[timed.index("--measurement-interval") + 1] == "250"
    assert "--shared-memory" not in timed
    assert slow[slow.index("--measurement-request-count") + 1] == "11"
    assert slow[slow.index("--output-shared-memory-size") + 1] == "32"


def test_targets_compare_sides_of_the_same_turn() -> None:
    rows = [
        row(side, p50=p50, turn=turn)
        for turn in (0, 1, 2)
        for side, p50 in (("direct", 1.0 + turn), ("custom", 1.3 + turn))
    ]
    rows += [row(side, model="tracking", items=80_000, rate=rate, p50=1 / rate) for side, rate in SCORES_OF.items()]
    rows += [row(side, model="tracking", items=900, rate=rate) for side, rate in SCORES_OF.items()]
    targets = find_targets(rows)
    assert [(each.payload, round(each.measured, 6), each.met) for each in targets] == [
        ("filter 1000", 0.3, True),
        ("tracking 80000", round(4 / 1.9, 6), True),
        ("tracking 900", round(4 / 1.9, 6), True),
        ("tracking 80000", 1.25, False),
        ("tracking 80000", 1.25, False),
    ]
    assert describe(targets[0]).endswith("0.3 ms; at most 0.35 ms: yes")
    assert describe(targets[-1]).endswith("at most 1.05 times: no")


@given(st.floats(0.01, 10), st.floats(0.01, 10))
def test_a_target_is_met_up_to_its_limit(direct: float, custom: float) -> None:
    (target,) = find_targets([row("direct", p50=direct), row("custom", p50=custom)])
    assert target.met == (custom - direct <= 0.35)


def test_what_was_not_measured_is_no_target() -> None:
    rows = [row("direct"), row("custom", turn=1), row("custom", model="embedding"), row("direct", items=64)]
    assert find_targets([*rows[2:], row("custom", items=64)]) == []
    with pytest.raises(ValueError, match="not measured in one turn"):
        per_turn(rows, "filter 1000", ("custom", "direct"), lambda custom, direct: custom.p50_ms)


def test_json_keeps_to_its_schema() -> None:
    rows = [row("direct"), row("custom")]
    report = Report(machine={}, versions={}, settings={}, equal={}, rows=rows, targets=find_targets(rows))
    content = json.loads(report.model_dump_json())
    schema = Report.model_json_schema()
    jsonschema.validate(content, schema)
    content["rows"][0]["p50_ms"] = -1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, schema)
    with pytest.raises(ValidationError):
        Row.model_validate({**row("custom").model_dump(), "side": "another"})
    assert points(rows) == {("direct", 1): ([1], [1.0]), ("custom", 1): ([1], [1.0])}


def test_an_answer_that_differs_in_a_bit_is_not_timed() -> None:
    payload = Payload(model="tracking", items=2, inputs={}, batched=False)
    labels = np.array([0, 1])
    assert check_equal(payload, "custom", {"LABELS": labels, "OTHER": labels}, {"LABELS": labels.copy()}) == ["LABELS"]
    for wrong in (
        {"LABELS": labels + 1},
        {"LABELS": labels.astype(np.int32)},
        {"LABELS": labels[:1]},
        {"OTHER": labels},
    ):
        with pytest.raises(DataError, match="custom and direct differ on tracking, 2 hits"):
            check_equal(payload, "custom", wrong, {"LABELS": labels})
    zeros = {"SCORES": np.zeros(1, np.float32)}
    with pytest.raises(DataError):
        check_equal(payload, "custom", {"SCORES": -zeros["SCORES"]}, zeros)


@pytest.mark.parametrize("name", ["event-full", "event-pixel"])
def test_three_steps_compute_what_the_chain_does(name: str) -> None:
    chain = Chain.load(zoo_path(name), threads=1)
    event = simulate_helix_event("helices", rng=np.random.default_rng(1), pile_up=4)
    inputs = hit_inputs(chain, event, None, names=set())
    tensors: dict[str, Any] = dict(inputs)
    for step in STEPS:
        outputs = FUNCTIONS[step.name](chain, {port.name: tensors[port.name] for port in step.inputs})
        assert list(outputs) == [port.name for port in step.outputs]
        tensors |= outputs
    expected = chain.track(inputs["FEATURES"])
    assert len(expected.edge_index) > 100
    for found, wanted in (
        ("LABELS", expected.labels),
        ("EDGE_INDEX", expected.edge_index),
        ("SCORES", expected.scores),
    ):
        assert np.array_equal(tensors[found], wanted)


def test_ensemble_joins_steps_and_leaves_out_what_nobody_takes() -> None:
    alone = "\n".join(ensemble_lines(STEPS, [LABELS]))
    assert 'output_map { key: "LABELS" value: "LABELS" }' in alone
    assert "SCORES" not in alone
    assert "SCORES" in "\n".join(ensemble_lines(STEPS, [LABELS, STEPS[-1].outputs[0]]))
    assert 'input_map { key: "EDGE_INDEX" value: "EDGE_INDEX" }' in alone


def test_configuration_leaves_out_the_dimension_of_the_batch() -> None:
    tensor = Tensor(name="pairs", data_type="TYPE_FP32", shape=("R", 12))
    for batch, dims in ((9, (12,)), (0, (-1, 12))):
        signature = Signature(max_batch_size=batch, inputs=(tensor,), outputs=(), limits={"R": 9})
        assert ports(signature, "inputs") == (Port(name="pairs", data_type="TYPE_FP32", dims=dims),)
    assert EDGE_INDEX.dims == (-1, 2)


def test_payloads_are_of_the_event_and_reach_the_file_whole(tmp_path: Path) -> None:
    chain = Chain.load(zoo_path("event-pixel"), threads=1)
    event = choose_event(None, pile_up=4)
    rows = row_inputs(chain, event, "filter", 50)["pairs"]
    assert (rows.shape, rows.dtype) == ((50, 12), np.float32)
    assert np.isfinite(rows).all()
    hits = hit_inputs(chain, event, 200, names={"FEATURES", "EVENT_ID"})
    assert 100 < len(hits["FEATURES"]) < 300
    Payload(model="filter", items=50, inputs={"pairs": rows}, batched=True).write(tmp_path / "rows", "custom")
    entries = json.loads((tmp_path / "rows").read_text())["data"]
    assert b"".join(base64.b64decode(entry["pairs"]["b64"]) for entry in entries) == rows.tobytes()
    many = np.resize(rows, (100_000, 12))
    Payload(model="filter", items=len(many), inputs={"pairs": many}, batched=True).write(tmp_path / "many", "custom")
    assert len(json.loads((tmp_path / "many").read_text())["data"]) == 10  # perf_analyzer prepares 1e5 rows for each
    payload = Payload(model="tracking", items=len(hits["FEATURES"]), inputs=hits, batched=False)
    payload.write(tmp_path / "hits", "custom")
    (entry,) = json.loads((tmp_path / "hits").read_text())["data"]
    assert entry["FEATURES"]["shape"] == list(hits["FEATURES"].shape)
    assert base64.b64decode(entry["EVENT_ID"]["b64"]) == hits["EVENT_ID"].tobytes()
    assert set(payload.inputs_of("ensemble")) == {"FEATURES"}
    assert served_name(payload, "ensemble") == "tracking_ensemble"


def test_an_empty_folder_of_events_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        choose_event(tmp_path, pile_up=1)


def test_direct_calls_are_timed_from_several_threads() -> None:
    chain = Chain.load(zoo_path("event-pixel"), threads=1)
    rows = np.zeros((3, 6), dtype=np.float32)
    payload = Payload(model="embedding", items=3, inputs={"features": rows}, batched=True)
    client = DirectClient(chain)
    found = time_direct(client, payload, concurrency=2, seconds=0.0, requests=5)
    assert found["requests"] == 6  # three of each thread
    assert client.counts.read()["requests"] == 7
    assert 0 < found["p50_ms"] <= found["p90_ms"] <= found["p99_ms"]


def test_processor_time_of_children_counts() -> None:
    burn = "import time, sys\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\nsys.stdin.read()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    with subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert processor_seconds(process.pid) >= 0.3
        process.communicate(b"")


def test_missing_tools_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ToolError, match="not installed"):
        serving_tools.find_perf_analyzer(install=False)
    monkeypatch.setenv(serving_tools.VARIABLE, str(tmp_path))
    with pytest.raises(ToolError, match="holds no"):
        serving_tools.find_perf_analyzer()
    assert serving.main(["--pile-up", "1"]) == 1
    assert "HITFABRIC_PERF_ANALYZER" in capsys.readouterr().err
    server = tmp_path / "triton" / "pytriton" / "tritonserver" / "bin" / "tritonserver"
    server.parent.mkdir(parents=True)
    server.touch()
    monkeypatch.setenv("HITFABRIC_TRITON", str(tmp_path / "triton"))
    with pytest.raises(ToolError, match="no Python backend"):
        serving_tools.find_python_backend()


def test_without_apt_nothing_is_left_half_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(serving_tools.sys, "executable", "/bin/true")  # pip finds nothing, apt-get is not there
    with pytest.raises(ToolError, match=r"apt-get"):
        serving_tools.find_perf_analyzer()
    assert not (tmp_path / "cache" / "hitfabric" / serving_tools.ENTRY).exists()


@pytest.mark.slow
def test_whole_benchmark_against_the_real_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        serving_tools.find_perf_analyzer()
        serving_tools.find_python_backend()
    except ToolError as error:
        pytest.skip(str(error))
    result, figure = tmp_path / "serving.json", tmp_path / "serving.png"
    assert serving.main(["--pile-up", "4", "--json", str(result), "--figure", str(figure)], plan=TINY) == 0, (
        capsys.readouterr().err
    )
    report = Report.model_validate_json(result.read_text(encoding="utf-8"))
    sides = {payload: set(checked) for payload, checked in report.equal.items()}
    tracking = next(payload for payload in sides if payload.startswith("tracking"))
    rows = {"custom", "custom_shared", "python"}
    assert sides == {"embedding, 64 rows": rows, "filter, 64 rows": rows, tracking: {*rows, "ensemble"}}
    assert all("LABELS" in names for names in report.equal[tracking].values())
    assert len(report.rows) == 4 + 4 + 5
    assert sum(each.errors for each in report.rows) == 0
    assert all(each.requests > 0 and each.cpu_ms > 0 for each in report.rows)
    assert [target.payload for target in report.targets] == [tracking]
    assert figure.read_bytes().startswith(b"\x89PNG")
