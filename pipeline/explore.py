"""`hitfabric explore`: bits, width, lanes and register spacing against LUT, latency, throughput and AUC."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from ..core import GraphError, RunDirectory, ToolError, atomic_file, progress
from ..core.spread import in_order
from ..core.spreading import open_spread
from ..emulation.golden import GoldenExecutor
from ..emulation.rtl import RtlExecutor
from ..hls_projects.report_figure import ESTIMATED, SIMULATED_RTL, ReportFigure
from ..hls_projects.rtl_estimates import estimate_rtl
from ..hls_projects.rtl_project import RtlProject, cached_rtl_project
from ..quantization import TypedGraph
from ..reports.figures_explore import ExplorePoint, draw_exploration
from ..reports.records import ProjectFigure
from .build_rtl import by_name
from .explore_config import Design, DesignPoint, ExploreConfig, designs, pareto_points
from .explore_networks import explored_networks, network_auc, workload
from .extras import require_extra
from .vectors import Arrays

POINTS = "points"
RESULT = "explore.json"
FIGURE = "explore.png"
KEPT = ("LUT", "LUT in pairs", "LUT as memory", "FF", "CARRY4", "BRAM18", "URAM", "DSP", "logic levels", "frequency")
UNMEASURED = "not measured"


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """What was found.

    Attributes:
        points: Every design, in the order of the sweep.
        front: Those that no other beats.
        figure: Path of the figure.
    """

    points: tuple[DesignPoint, ...]
    front: tuple[DesignPoint, ...]
    figure: Path


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What is measured, as it travels to a worker.

    Attributes:
        networks: Folder of each network, by name.
        aucs: AUC of each, by name; None without labelled graphs.
        batches: Graphs that go through the RTL.
        config: The exploration.
    """

    networks: Mapping[str, Path]
    aucs: Mapping[str, float | None]
    batches: Sequence[Arrays]
    config: ExploreConfig


class Explorer:
    """Measures designs; each network is loaded once in a process."""

    def __init__(self, measured: Measured) -> None:
        self._measured = measured
        self._loaded: dict[str, _Network] = {}

    def point(self, design: Design) -> DesignPoint:
        """The figures of a design."""
        measured, name = self._measured, design.network
        if name not in self._loaded:
            self._loaded[name] = _load(measured, name)
        return _point(design, self._loaded[name], measured.batches, measured.config)


@dataclass(frozen=True, kw_only=True)
class MeasureDesign:
    """A design as work for a worker."""

    design: Design

    @property
    def label(self) -> str:
        """What it is."""
        return self.design.name

    def run(self, explorer: Explorer) -> DesignPoint:
        """Its figures."""
        return explorer.point(self.design)


@dataclass(frozen=True, kw_only=True)
class _Network:
    """A network of the sweep: its graph, its AUC, and the outputs that its designs must give."""

    graph: TypedGraph
    auc: float | None
    expected: Sequence[Mapping[str, bytes]]


def explore(config: ExploreConfig) -> Exploration:
    """Measure every design of a sweep: cycles in simulation, cells by Yosys, AUC of the network.

    Each finished design is kept in `points/`, and is not measured again by an exploration that goes on in the same
    folder; a design of which a tool failed or took too long is.

    Args:
        config: Networks, designs, data.

    Returns:
        The designs and their Pareto front; also written as `explore.json` and `explore.png`.

    Raises:
        ConfigError: A network or a combination of settings is none.
        DataError: There are too few graphs.
        GraphError: The engine cannot hold a network.
        ToolError: The extra `rtl` is not installed.
        MissingToolError: Verilator, or Yosys where cells are counted, is missing.
    """
    require_extra("rtl")
    networks = explored_networks(config)
    found = designs(config, list(networks))
    measured = Measured(
        networks={name: path.absolute() for name, path in networks.items()},
        aucs={name: network_auc(path, config) for name, path in networks.items()},
        batches=workload(config),
        config=config.model_copy(update={"out": config.out.absolute()}),
    )
    tasks = [MeasureDesign(design=design) for design in found]
    with open_spread(config.where) as spread, spread.workers(Explorer, measured, at_most=len(tasks)) as workers:
        done = progress(in_order(tasks, workers), description="RTL designs", total=len(tasks))
        points = [point for _, point in done]
    front = pareto_points(points)
    run = RunDirectory(path=config.out)
    run.write_json(
        RESULT,
        {
            "points": [point.model_dump(mode="json") for point in points],
            "front": [points.index(item) for item in front],
        },
    )
    draw_exploration([_drawn(point, front) for point in points], config.out / FIGURE, clock_ns=config.rtl.clock_ns)
    inputs = [path for path in (config.graphs, *networks.values()) if path is not None]
    run.record(command="explore", config=config, inputs=inputs, seed=config.seed)
    return Exploration(points=tuple(points), front=tuple(front), figure=config.out / FIGURE)


def _load(measured: Measured, name: str) -> _Network:
    graph = TypedGraph.load(measured.networks[name])
    golden = GoldenExecutor(graph.with_maxima(measured.config.maxima.maxima()))
    outputs = [node.name for node in graph.outputs]
    return _Network(
        graph=graph,
        auc=measured.aucs[name],
        expected=[_bytes(golden.run_integers(item, outputs)) for item in measured.batches],
    )


def _bytes(tensors: Mapping[str, NDArray[np.int64]]) -> dict[str, bytes]:
    return {name: values.tobytes() for name, values in tensors.items()}


def _point(design: Design, network: _Network, batches: Sequence[Arrays], config: ExploreConfig) -> DesignPoint:
    """A design's figures: from disk where all of them are there, else measured now and kept."""
    engine = design.engine(config)
    settings = [config.synthesise, list(config.place_seeds), network.auc, network.graph.digest]
    digest = hashlib.sha256(json.dumps([settings, engine.model_dump(mode="json")]).encode())
    for item in batches:
        for name in sorted(item):
            digest.update(name.encode() + item[name].tobytes())
    record = config.out / POINTS / f"{design.name}.json"
    kept = _read(record)
    if kept is not None and kept.made_from == digest.hexdigest() and kept.complete:
        return kept
    project = cached_rtl_project(network.graph, config=engine)
    figures = _attempt(lambda: _simulated(project, network, batches), ("latency p95", "interval p95"))
    if config.synthesise:
        figures |= _attempt(lambda: _synthesised(project, config), ("LUT",))
    point = DesignPoint(design=design, made_from=digest.hexdigest(), auc=network.auc, figures=figures)
    with atomic_file(record) as temporary:
        temporary.write_text(point.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return point


def _read(path: Path) -> DesignPoint | None:
    try:
        return DesignPoint.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None  # not there, or of another version: it is measured now


def _attempt(measure: Callable[[], Sequence[ReportFigure]], names: Sequence[str]) -> dict[str, ProjectFigure]:
    """Figures by name; where a tool fails, which one design in a sweep may, figures without a value that say why."""
    try:
        return {name: items[-1] for name, items in by_name(measure()).items()}
    except ToolError as error:
        if type(error) is not ToolError:
            raise  # a tool that is missing is missing for all
        return {name: ProjectFigure(value=None, kind=UNMEASURED, source=error.message) for name in names}


def _simulated(project: RtlProject, network: _Network, batches: Sequence[Arrays]) -> list[ReportFigure]:
    """Cycles without stalls, of an engine whose outputs are those of the golden executor."""
    executor = RtlExecutor(network.graph, project=project)
    try:
        results = executor.run_many(batches)
        cycles = executor.measure_cycles(batches)
    finally:
        executor.close()
    wrong = sum(_bytes(result) != expected for result, expected in zip(results, network.expected, strict=True))
    if wrong:
        raise GraphError(
            f"the engine of {project.directory} differs from golden in {wrong} of {len(batches)} graphs",
            remedy="report this network as a defect of hitfabric",
        )
    source = f"Verilator, {cycles.graphs} graphs"
    clock = project.config.clock_ns
    values = {
        "latency p50": cycles.latency_p50,
        "latency p95": cycles.latency_p95,
        "interval p50": cycles.interval_p50,
        "interval p95": cycles.interval_p95,
    }
    found = [
        ReportFigure(name=name, value=value, unit="cycles", kind=SIMULATED_RTL, source=source)
        for name, value in values.items()
    ]
    rate = 1000 / (cycles.interval_mean * clock)
    assumed = f"mean interval of {cycles.interval_mean:.1f} cycles (simulated) at an assumed clock of {clock:g} ns"
    return [
        *found,
        ReportFigure(name="graphs equal to golden", value=len(results), kind=SIMULATED_RTL, source=source),
        ReportFigure(name="graphs per us", value=rate, kind=ESTIMATED, source=assumed),
    ]


def _synthesised(project: RtlProject, config: ExploreConfig) -> list[ReportFigure]:
    found = estimate_rtl(project, seconds=config.tool_seconds, seeds=config.place_seeds)
    return [figure for figure in found.figures if figure.name in KEPT]


def _drawn(point: DesignPoint, front: Sequence[DesignPoint]) -> ExplorePoint:
    return ExplorePoint(
        network=point.design.network,
        lut=point.value("LUT"),
        latency=point.value("latency p95"),
        interval=point.value("interval p95"),
        auc=point.auc,
        on_front=point in front,
    )
