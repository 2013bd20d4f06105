"""`hitfabric evaluate`: physics performance of a chain on events with truth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ..core import RunDirectory, atomic_file, progress
from ..core.spread import in_order
from ..core.spreading import SpreadConfig, open_spread
from ..fpga_backend import Chain
from ..models.metrics import Binning, Fiducial, TrackMatching
from ..models.training_config import DataConfig
from ..reports.evaluation_record import Evaluation
from .evaluate_event import EvaluateEvent, EvaluationSettings, Evaluator, EventTotals
from .layout import SECTOR_NETWORK, Device, find_model
from .samples import ChainEvent, choose_events
from .sector import sector_figures

EVENTS_PER_PROCESS = 4  # a process takes as long to start as some events
Factor = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class EvaluateConfig(SpreadConfig):
    """Configuration of `hitfabric evaluate`.

    Attributes:
        events: Folder of events in TrackML CSV layout, with truth and particles.
        graphs: Folder of graphs of the sector workload, for a model with a sector network.
        graph_limit: At most this many graphs, from the last of the folder on.
        out: Run directory to write.
        model: Run directory of `train`, or a chain directory; None takes the shipped weights.
        labels: Folder of label files of `hitfabric track`; None finds the tracks itself.
        device: Executor that computes the scores.
        limit: At most this many events.
        event_names: Only these events.
        fiducial: Which particles should be found, and what counts as found.
        signal_min_pt: True edges of particles above this transverse momentum (GeV) are the edges to be found.
        ignored_min_pt: Edges of particles between this and `signal_min_pt` are left out of scores and ROC curves.
        binning: Bins of what is shown against pT, eta, phi, z0, production radius and pile-up.
        radius_factors: Radii, as shares of the chain's own, at which graph construction is measured besides.
        radius_events: On how many events that is done.
    """

    events: Path
    graphs: Path | None = None
    graph_limit: int = Field(default=10, ge=1)
    out: Path = Path("runs/evaluate")
    model: Path | None = None
    labels: Path | None = None
    device: Device = "native"
    limit: int | None = Field(default=None, ge=1)
    event_names: tuple[str, ...] | None = None
    fiducial: Fiducial = Fiducial()
    signal_min_pt: float = Field(default=1.0, gt=0)
    ignored_min_pt: float = Field(default=0.5, gt=0)
    binning: Binning = Binning()
    radius_factors: tuple[Factor, ...] = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    radius_events: int = Field(default=1, ge=0)


@dataclass(frozen=True, kw_only=True)
class EvaluateResult:
    """Outcome: the record written, and the matching it was made from."""

    evaluation: Evaluation
    matching: TrackMatching

    def summary(self) -> dict[str, float | int]:
        """Track figures, with the bounds of the fake rate where truth is partial, and the TrackML score elsewhere."""
        found, tracks = self.matching.summary(), self.evaluation.tracks
        if tracks is not None and tracks.fake_rate_low is not None:
            low, high = self.matching.fake_rate_bounds
            found |= {"fake_rate_low": low, "fake_rate_high": high}
        if tracks is not None and tracks.trackml is not None:
            found["trackml_score"] = tracks.trackml.score
        return found


def evaluate(config: EvaluateConfig) -> EvaluateResult:
    """Measure edge and track performance, and write `evaluation.json` and `event_display.npz`.

    Args:
        config: Events, model, cuts.

    Returns:
        The outcome.

    Raises:
        DataError: No model or events, malformed files, or events without truth.
        ToolError: The compiler is missing.
    """
    model = find_model(config.model)
    chain = Chain.load(model.chain, config.device)
    prefixes = choose_events(config.events, limit=config.limit, names=config.event_names)
    settings = EvaluationSettings(
        chain=model.chain.absolute(),
        device=config.device,
        labels=None if config.labels is None else config.labels.absolute(),
        fiducial=config.fiducial,
        truth=DataConfig(volumes=None, signal_min_pt=config.signal_min_pt, ignored_min_pt=config.ignored_min_pt),
        radius_factors=config.radius_factors,
    )
    tasks = [
        EvaluateEvent(prefix=prefix.absolute(), scan=number < config.radius_events, shown=number == 0)
        for number, prefix in enumerate(prefixes)
    ]
    totals = EventTotals.nothing(chain, settings)
    with (
        open_spread(config.where) as spread,
        spread.workers(Evaluator, settings, at_most=math.ceil(len(tasks) / EVENTS_PER_PROCESS)) as workers,
    ):
        found = in_order(tasks, workers)
        for _, part in progress(found, description="evaluate", total=len(tasks)):
            if part.shown is not None:
                write_event_display(config.out / "event_display.npz", *part.shown)
            totals.merge(part)
    edges, tracks = totals.edges, totals.tracks
    networks = edges.networks(chain)
    sample = f"{len(prefixes)} event{'s' * (len(prefixes) != 1)} in {config.events.name}"
    sizes = totals.sizes.record(chain, sample=sample)
    if config.graphs is not None and model.sector is not None:
        figures = sector_figures(model.sector, config.graphs, limit=config.graph_limit, device=config.device)
        networks[SECTOR_NETWORK] = figures.scores
        sizes += (figures.sizes,)
    matching = tracks.matching()
    evaluation = Evaluation(
        sample=sample,
        events=len(prefixes),
        hits=edges.hits,
        networks=networks,
        stages=edges.performance(config.binning),
        tracks=tracks.performance(matching, config.binning),
        graphs=sizes,
    )
    run = RunDirectory(path=config.out)
    run.write_json("evaluation.json", evaluation.model_dump(mode="json"))
    run.record(command="evaluate", config=config, inputs=[model.chain])
    return EvaluateResult(evaluation=evaluation, matching=matching)


def write_event_display(path: Path, event: ChainEvent, labels: NDArray[np.int64]) -> None:
    """Write the hits of one event with truth and found labels, as `docs/reports.md` describes."""
    selected = event.selected
    assert selected.particle_id is not None
    with atomic_file(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(
            stream,
            x=selected.x,
            y=selected.y,
            z=selected.z,
            r=selected.r,
            labels=labels,
            particle_id=selected.particle_id,
            pt=selected.pt,
            event=np.array(event.whole.name),
        )
