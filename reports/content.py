"""Everything one page shows, read from a run directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..core import DataError
from .cycles_record import Cycles
from .evaluation_record import Evaluation
from .event_record import EventDisplay, read_event_display
from .reading import read_record
from .records import Ladder, Latency, Mutations, Projects, RunRecord, Summary
from .rtl_record import Exploration, RtlEngines
from .size_record import GRAPHS_FILE, GraphSizesFile
from .training_record import TrainingCurves, read_training


@dataclass(frozen=True, kw_only=True)
class RunContent:
    """The records of a run; None, or an empty list of curves, where the file is not there."""

    run: RunRecord | None
    summary: Summary | None
    training: list[TrainingCurves]
    evaluation: Evaluation | None
    event: EventDisplay | None
    ladder: Ladder | None
    mutations: Mutations | None
    latency: Latency | None
    projects: Projects | None
    rtl: RtlEngines | None
    exploration: Exploration | None
    cycles: Cycles | None
    graph_sizes: GraphSizesFile | None


def read_run(directory: Path) -> RunContent:
    """Read and validate every file of a run directory.

    Raises:
        DataError: No such directory, no file of a run in it, or a malformed file (file and key named).
    """
    if not directory.is_dir():
        raise DataError(f"no run directory at {directory}", remedy="give the directory that a command wrote with --out")
    content = RunContent(
        run=read_record(RunRecord, directory / "run.json"),
        summary=read_record(Summary, directory / "summary.json"),
        training=read_training(directory / "training"),
        evaluation=read_record(Evaluation, directory / "evaluation.json"),
        event=read_event_display(directory / "event_display.npz"),
        ladder=read_record(Ladder, directory / "ladder.json"),
        mutations=read_record(Mutations, directory / "mutations.json"),
        latency=read_record(Latency, directory / "latency.json"),
        projects=read_record(Projects, directory / "projects.json"),
        rtl=read_record(RtlEngines, directory / "rtl.json"),
        exploration=read_record(Exploration, directory / "explore.json"),
        cycles=read_record(Cycles, directory / "cycles.json"),
        graph_sizes=read_record(GraphSizesFile, directory / GRAPHS_FILE),
    )
    if not any(vars(content).values()):
        raise DataError(f"{directory} holds no file of a run", remedy="run a command with --out first")
    return content
