"""Sweeps of RTL designs: the front, what is kept and what is measured again, networks that there are not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitfabric.core import ConfigError, GraphError, MissingToolError, ToolError
from hitfabric.emulation.rtl import RtlExecutor
from hitfabric.hls_projects.report_figure import SIMULATED_RTL, SYNTHESISED_YOSYS, ReportFigure
from hitfabric.pipeline import explore as module
from hitfabric.pipeline.explore import explore
from hitfabric.pipeline.explore_config import (
    SMALLER_IS_BETTER,
    Design,
    DesignPoint,
    ExploreConfig,
    designs,
    pareto_points,
)
from hitfabric.pipeline.explore_networks import explored_networks, with_size, workload
from hitfabric.pipeline.train import SectorTraining
from hitfabric.reports.records import ProjectFigure
from support.dask_cluster import dask_cluster

FIGURES = st.tuples(*[st.integers(0, 4)] * 3, st.one_of(st.none(), st.integers(0, 4)))


def point(values: Sequence[float | None], auc: float | None = None) -> DesignPoint:
    figures = {
        name: ProjectFigure(value=value, kind="not measured" if value is None else "simulated")
        for name, value in zip(SMALLER_IS_BETTER, values, strict=True)
    }
    design = Design(network="some", lanes=1, spacing=1.0, scatter="banked")
    return DesignPoint(design=design, made_from="", auc=auc, figures=figures)


def dominates(one: DesignPoint, other: DesignPoint) -> bool:
    pairs = [(one.figures[name].value, other.figures[name].value) for name in SMALLER_IS_BETTER]
    pairs.append((-(one.auc or 0.0), -(other.auc or 0.0)))
    return all(a <= b for a, b in pairs if a is not None and b is not None) and any(
        a < b for a, b in pairs if a is not None and b is not None
    )


@given(st.lists(FIGURES.map(lambda drawn: point(drawn[:3], drawn[3])), max_size=12))
def test_the_front_is_what_nothing_beats(points: list[DesignPoint]) -> None:
    front = pareto_points(points)
    with_auc = any(item.auc is not None for item in points)
    judged = [item for item in points if item.auc is not None or not with_auc]
    assert front == [item for item in judged if not any(dominates(other, item) for other in judged)]
    assert bool(front) == bool(judged)


def test_a_design_without_a_figure_is_on_no_front() -> None:
    unknown = point((None, 1, 1))
    assert pareto_points([unknown, point((5, 5, 5))]) == [point((5, 5, 5))]
    assert pareto_points([unknown]) == [unknown], "nothing has LUTs: the rest decides"
    assert not unknown.complete
    assert pareto_points([point((None, None, None))]) == []


def test_a_sweep_is_every_combination() -> None:
    config = ExploreConfig(lanes=(1, 2), spacing=(2.0, 3.0), scatter=("banked", "ordered"))
    found = designs(config, ["a", "b"])
    assert len({design.name for design in found}) == len(found) == 16
    engine = found[0].engine(config)
    assert (engine.edge_lanes, engine.node_lanes, engine.register_spacing, engine.scatter) == (1, 1, 2.0, "banked")
    assert engine.maxima is not None
    assert engine.maxima.nodes == 256


def test_lanes_that_the_engine_has_not() -> None:
    design = Design(network="some", lanes=3, spacing=1.0, scatter="banked")
    with pytest.raises(ValueError, match="power of two"):
        design.engine(ExploreConfig())


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Instead of the tools: LUTs and cycles that follow from the lanes, and a note of what was asked for."""
    asked: list[str] = []
    failed: list[int] = []

    def simulated(project: Any, *_: object) -> list[ReportFigure]:
        lanes = project.edge_lanes
        asked.append(f"simulate {lanes}")
        values = {"latency p95": 100 + 400 // lanes, "interval p95": 400 // lanes}
        return [
            ReportFigure(name=name, value=value, kind=SIMULATED_RTL, source="drawn") for name, value in values.items()
        ]

    def synthesised(project: Any, *_: object) -> list[ReportFigure]:
        asked.append(f"synthesise {project.edge_lanes}")
        if project.edge_lanes == 4 and not failed:
            failed.append(4)
            raise ToolError("yosys took more than 1 s", remedy="wait")
        return [ReportFigure(name="LUT", value=1000 * project.edge_lanes, kind=SYNTHESISED_YOSYS, source="drawn")]

    monkeypatch.setattr(module, "cached_rtl_project", lambda _, config: config)
    monkeypatch.setattr(module, "_simulated", simulated)
    monkeypatch.setattr(module, "_synthesised", synthesised)
    return asked


def test_finished_designs_are_kept_and_failed_ones_measured_again(tmp_path: Path, measured: list[str]) -> None:
    config = ExploreConfig(jobs=1, networks=("sector-in-8",), out=tmp_path, lanes=(2, 4), simulated=2)
    first = explore(config)
    assert measured == ["simulate 2", "synthesise 2", "simulate 4", "synthesise 4"]
    assert first.points[1].figures["LUT"].source == "yosys took more than 1 s"
    assert list(first.front) == [first.points[0]]
    measured.clear()
    second = explore(config)
    assert measured == ["simulate 4", "synthesise 4"], "the design that was finished is not measured again"
    assert second.front == second.points
    stored = json.loads((tmp_path / "explore.json").read_text(encoding="utf-8"))
    assert [DesignPoint.model_validate(item) for item in stored["points"]] == list(second.points)
    assert stored["front"] == [0, 1]
    assert second.figure.stat().st_size > 1000
    measured.clear()
    explore(config.model_copy(update={"drawn_edges": 10}))
    assert len(measured) == 4, "other graphs are another measurement"


def test_a_damaged_point_is_measured_again(tmp_path: Path, measured: list[str]) -> None:
    config = ExploreConfig(jobs=1, networks=("sector-in-8",), out=tmp_path, lanes=(2,), simulated=2)
    explore(config)
    (kept,) = (tmp_path / "points").iterdir()
    kept.write_text("{", encoding="utf-8")
    measured.clear()
    explore(config)
    assert measured == ["simulate 2", "synthesise 2"]


def test_a_missing_tool_ends_the_sweep(tmp_path: Path, measured: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> list[ReportFigure]:
        raise MissingToolError("yosys was not found", remedy="install it")

    monkeypatch.setattr(module, "_synthesised", missing)
    with pytest.raises(MissingToolError):
        explore(ExploreConfig(jobs=1, networks=("sector-in-8",), out=tmp_path, lanes=(2,), simulated=2))
    assert measured == ["simulate 2"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"networks": ("nothing",)}, "nothing is no network"),
        ({"networks": ("sector-in-8", "sector-in-8")}, "two networks are called sector-in-8"),
        ({"bits": (4,)}, "one without the other"),
        ({"bits": (4,), "widths": (8,)}, "give --graphs"),
    ],
)
def test_networks_that_there_are_not(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        explored_networks(ExploreConfig(**changes))


def test_a_recipe_in_another_size() -> None:
    network = with_size(SectorTraining(), width=4, bits=6).interaction_network.network
    assert (network.width, network.weight_bits, network.activation_bits) == (4, 6, 6)
    with pytest.raises(ConfigError, match="0 wide"):
        with_size(SectorTraining(), width=0, bits=6)


def test_drawn_graphs_follow_the_seed() -> None:
    config = ExploreConfig(simulated=3, drawn_nodes=5, drawn_edges=7)
    first, again = workload(config), workload(config)
    assert [item["edge_index"].shape for item in first] == [(7, 2)] * 3
    assert all(np.array_equal(a[name], b[name]) for a, b in zip(first, again, strict=True) for name in a)
    other = workload(config.model_copy(update={"seed": 1}))
    assert not np.array_equal(first[0]["nodes"], other[0]["nodes"])
    assert all(len(item["edges"]) == 0 for item in workload(config.model_copy(update={"drawn_nodes": 0})))


@pytest.mark.slow
def test_an_engine_is_compared_with_golden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And measured alike on a Dask worker."""
    pytest.importorskip("distributed")
    small = {"lanes": (1,), "simulated": 2, "drawn_nodes": 20, "drawn_edges": 30, "synthesise": False}
    maxima = {"nodes": 32, "edges": 64}
    config = ExploreConfig.model_validate(
        {"jobs": 1, "networks": ("sector-in-4bit",), "maxima": maxima, "out": tmp_path / "run", **small}
    )
    (found,) = explore(config).points
    assert found.figures["graphs equal to golden"].value == 2
    with dask_cluster(tmp_path / "cluster", workers=1) as cluster:
        elsewhere = {"jobs": None, "dask": cluster.address, "out": tmp_path / "dask"}
        explore(config.model_copy(update=elsewhere))
    for name in ("explore.json", f"points/{found.design.name}.json"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "dask" / name).read_bytes()
    run_many = RtlExecutor.run_many

    def wrong(self: RtlExecutor, batches: Sequence[dict[str, Any]], **options: int) -> list[dict[str, Any]]:
        results = run_many(self, batches, **options)
        results[1]["logits"][3] += 1
        return results

    monkeypatch.setattr(RtlExecutor, "run_many", wrong)
    with pytest.raises(GraphError, match="differs from golden in 1 of 2 graphs"):
        explore(config.model_copy(update={"out": tmp_path / "again"}))
