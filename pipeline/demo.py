"""`hitfabric demo`: the whole road, from events to a report."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field

from ..core import DataError, RunDirectory, StrictModel
from ..detector import list_events
from ..detector.simulation import SimulationConfig
from ..models.training_config import (
    CandidateTraining,
    ChainTraining,
    DataConfig,
    EmbeddingTraining,
    FilterTraining,
    ScheduleConfig,
)
from ..reports.records import ServingSummary, Summary, TrackingSummary
from .build import BuildConfig, build
from .compare_engines import EngineComparison, compare_engines
from .evaluate import EvaluateConfig, EvaluateResult, evaluate
from .extras import require_extra
from .layout import EVENTS, LABELS, PROJECTS, Device
from .mutate import Mutant
from .report import ReportConfig, report
from .simulate import SimulateConfig, simulate
from .train import SectorTraining, TrainConfig, train
from .validate import ValidateConfig, ValidateResult, validate


class DemoConfig(StrictModel):
    """Configuration of `hitfabric demo`.

    Attributes:
        out: Run directory to write.
        events: Folder of events in TrackML CSV layout, with truth and particles; None simulates.
        graphs: Folder of graphs of the sector workload; None leaves that workload out.
        simulation: What to simulate where no events are given.
        chain: Training; its events are the first of the folder.
        sector: Training on `graphs`.
        test_events: Events tracked, evaluated and served: the last of the folder.
        requests: Requests to each engine, over the test events in turn.
        hits: Hits to compare bit for bit.
        edges: Edges to compare.
        graph_count: Graphs to compare.
        device: Executor that tracks and serves.
        mutate_executors: Executors in which faults are planted, each to be caught; none plants no faults.
    """

    out: Path = Path("runs/demo")
    events: Path | None = None
    graphs: Path | None = None
    simulation: SimulationConfig = SimulationConfig(events=11)
    chain: ChainTraining = ChainTraining()
    sector: SectorTraining = SectorTraining()
    test_events: int = Field(default=4, ge=1)
    requests: int = Field(default=12, ge=1)
    hits: int = Field(default=20_000, ge=1)
    edges: int = Field(default=20_000, ge=1)
    graph_count: int = Field(default=200, ge=1)
    device: Device = "native"
    mutate_executors: tuple[Mutant, ...] = ("golden", "native")


def quick_config() -> dict[str, object]:
    """Overrides of `hitfabric demo --quick`: small events and short training; minutes become one, physics suffers."""
    short = ScheduleConfig(float_epochs=1, quantized_epochs=1, steps=20)
    chain = ChainTraining(
        data=DataConfig(events=2, validation_events=1),
        embedding=EmbeddingTraining(schedule=short),
        filter=FilterTraining(schedule=short),
        interaction_network=CandidateTraining(schedule=short),
    )
    return {
        "simulation": SimulationConfig(events=5, pile_up=10.0, generator="helix").model_dump(),
        "chain": chain.model_dump(),
        "sector": {"training_graphs": 4, "validation_graphs": 2},
        "test_events": 2,
        "requests": 4,
        "hits": 2_000,
        "edges": 2_000,
        "graph_count": 20,
    }


@dataclass(frozen=True, kw_only=True)
class DemoResult:
    """Outcome of the demo.

    Attributes:
        summary: Figures of record.
        validation: The bit-accuracy ladder.
        page: Path of the report.
    """

    summary: Summary
    validation: ValidateResult
    page: Path


@dataclass(kw_only=True)
class _Clock:
    """Wall time by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - start, 2)


def demo(config: DemoConfig) -> DemoResult:
    """Run every stage into one run directory.

    Args:
        config: What to run; the defaults take minutes on two cores.

    Returns:
        The figures, the ladder, and the report.

    Raises:
        HitfabricError: As each stage does. A mismatch is no exception: see `DemoResult.validation`.
    """
    for extra in ("train", "build", "serve"):
        require_extra(extra)
    clock, out = _Clock(), config.out
    events = config.events
    if events is None:
        events = out / EVENTS
        with clock.stage("simulate"):
            simulate(SimulateConfig(**config.simulation.model_dump(), out=events))
    tests = _test_events(config, events)
    with clock.stage("train"):
        train(TrainConfig(events=events, graphs=config.graphs, out=out, chain=config.chain, sector=config.sector))
    with clock.stage("build"):
        build(BuildConfig(model=out, out=out))
    with clock.stage("validate"):
        validation = validate(
            ValidateConfig(
                model=out,
                events=events,
                graphs=config.graphs,
                projects=out / PROJECTS,
                out=out,
                event_names=tests,
                hits=config.hits,
                edges=config.edges,
                graph_count=config.graph_count,
                mutate=bool(config.mutate_executors),
                mutate_executors=config.mutate_executors,
                seed=config.chain.seed,
            )
        )
    with clock.stage("serve and track"):
        comparison = compare_engines(out, events=events, names=tests, device=config.device, requests=config.requests)
    with clock.stage("evaluate"):
        evaluation = evaluate(
            EvaluateConfig(
                events=events,
                graphs=config.graphs,
                out=out,
                model=out,
                labels=out / LABELS / "triton",
                device=config.device,
                event_names=tests,
            )
        )
    run = RunDirectory(path=out)
    summary = _summary(validation, comparison, evaluation, clock.seconds)
    run.write_json("summary.json", summary.model_dump(mode="json"))
    inputs = [item for item in (config.events, config.graphs) if item]
    run.record(command="demo", config=config, inputs=inputs, seed=config.chain.seed)
    with clock.stage("report"):
        page = report(ReportConfig(run=out))
    summary = summary.model_copy(update={"seconds": clock.seconds})
    run.write_json("summary.json", summary.model_dump(mode="json"))
    return DemoResult(summary=summary, validation=validation, page=page)


def _test_events(config: DemoConfig, events: Path) -> tuple[str, ...]:
    """Names of the last events of the folder, none of which training sees.

    Raises:
        DataError: The folder has too few events.
    """
    names = [prefix.name for prefix in list_events(events)]
    data = config.chain.data
    training = data.validation_events + (data.events or 1)
    if len(names) < training + config.test_events:
        raise DataError(
            f"{events} holds {len(names)} events, {training} for training and {config.test_events} others are needed",
            remedy="give more events, or lower chain.data.events or test_events",
        )
    if data.events is None:
        raise DataError("chain.data.events is not set, so training would see the test events", remedy="set a number")
    return tuple(names[-config.test_events :])


def _summary(
    validation: ValidateResult, comparison: EngineComparison, evaluation: EvaluateResult, seconds: dict[str, float]
) -> Summary:
    matching, record = evaluation.matching, evaluation.evaluation
    rates: Sequence[float | None] = [
        None if math.isnan(rate) else rate
        for rate in (matching.efficiency, matching.fake_rate, matching.duplicate_rate)
    ]
    return Summary(
        mismatches=validation.ladder.mismatches,
        outputs_compared=validation.ladder.compared,
        tracking=TrackingSummary(
            efficiency=rates[0], fake_rate=rates[1], duplicate_rate=rates[2], events=record.events, hits=record.hits
        ),
        serving=ServingSummary(
            requests=comparison.requests,
            labels_equal=comparison.labels_equal,
            p50_ms=comparison.p50_ms,
            server=comparison.server,
        ),
        seconds=seconds,
    )
