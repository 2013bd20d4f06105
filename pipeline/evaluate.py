"""`hitfabric evaluate`: physics performance of a chain on events with truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ..core import RunDirectory, StrictModel, atomic_file, progress
from ..fpga_backend import Chain
from ..models.metrics import EfficiencyBin, Fiducial, TrackMatching, combine, match_tracks
from ..models.training_config import DataConfig
from ..models.training_data import TrainingEvent
from ..reports.records import (
    BinnedRate,
    BinnedRatio,
    BinnedTracks,
    EdgeStage,
    Evaluation,
    Rate,
    Ratio,
    TrackPerformance,
)
from .layout import LABELS, SECTOR_NETWORK, Device, find_model
from .samples import ChainEvent, choose_events, read_chain_events
from .scores import ScoreSample, network_scores
from .sector import sector_scores
from .track import read_labels

Bins = TypeVar("Bins", bound=BinnedRatio)
STAGES = ("radius graph", "filter", "interaction network")


class EvaluateConfig(StrictModel):
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


@dataclass(frozen=True, kw_only=True)
class EvaluateResult:
    """Outcome: the record written, and the matching it was made from."""

    evaluation: Evaluation
    matching: TrackMatching


@dataclass(kw_only=True)
class _Totals:
    """What is summed over events."""

    hits: int = 0
    target: int = 0
    kept: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STAGES, 0))
    edges: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STAGES, 0))
    filter: list[ScoreSample] = field(default_factory=list)
    interaction_network: list[ScoreSample] = field(default_factory=list)

    def add(self, stage: str, labels: NDArray[np.bool_]) -> None:
        self.kept[stage] += int(labels.sum())
        self.edges[stage] += len(labels)


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
    totals, matchings = _Totals(), []
    events = read_chain_events(
        config.events, chain.config, limit=config.limit, names=config.event_names, require_truth=True
    )
    for event in progress(events, description="evaluate", total=len(prefixes)):
        labels = _edge_performance(chain, event, config, totals)
        if config.labels is not None:
            folder = config.labels / LABELS if (config.labels / LABELS).is_dir() else config.labels
            labels = read_labels(folder, event.whole)[event.rows]
        if not matchings:
            write_event_display(config.out / "event_display.npz", event, labels)
        matchings.append(match_tracks(event.selected, labels, fiducial=config.fiducial))
    matching = combine(matchings)
    networks = {
        "filter": network_scores(totals.filter, threshold=chain.config.filter_threshold),
        "interaction_network": network_scores(totals.interaction_network, threshold=chain.config.interaction_threshold),
    }
    if config.graphs is not None and model.sector is not None:
        networks[SECTOR_NETWORK] = sector_scores(
            model.sector, config.graphs, limit=config.graph_limit, device=config.device
        )
    evaluation = Evaluation(
        sample=f"{len(prefixes)} events of {config.events.name}",
        events=len(prefixes),
        hits=totals.hits,
        networks=networks,
        stages=_stages(totals),
        tracks=_tracks(matching, config.fiducial),
    )
    run = RunDirectory(path=config.out)
    run.write_json("evaluation.json", evaluation.model_dump(mode="json"))
    run.record(command="evaluate", config=config, inputs=[model.chain])
    return EvaluateResult(evaluation=evaluation, matching=matching)


def _edge_performance(chain: Chain, event: ChainEvent, config: EvaluateConfig, totals: _Totals) -> NDArray[np.int64]:
    """Add one event's edges to the totals; returns the labels the chain finds, int64 [selected hits]."""
    data = DataConfig(volumes=None, signal_min_pt=config.signal_min_pt, ignored_min_pt=config.ignored_min_pt)
    truth = TrainingEvent.prepare(event.selected, data)
    result = chain.track(event.features, keep_candidates=True)
    candidates, logits = result.candidate_edges, result.candidate_logits
    assert candidates is not None
    assert logits is not None
    candidate_labels, labels = truth.labels(candidates), truth.labels(result.edge_index)
    followed = result.scores >= chain.config.interaction_threshold
    totals.hits += len(event.rows)
    totals.target += len(truth.signal)
    totals.add("radius graph", candidate_labels)
    totals.add("filter", labels)
    totals.add("interaction network", labels[followed])
    used = truth.used(candidates)
    totals.filter.append(ScoreSample(scores=logits[used], labels=candidate_labels[used]))
    used = truth.used(result.edge_index)
    totals.interaction_network.append(ScoreSample(scores=result.scores[used], labels=labels[used]))
    return result.labels


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


def _stages(totals: _Totals) -> tuple[EdgeStage, ...]:
    return tuple(
        EdgeStage(name=name, target=totals.target, kept=totals.kept[name], edges=totals.edges[name], hits=totals.hits)
        for name in STAGES
    )


def _tracks(matching: TrackMatching, cuts: Fiducial) -> TrackPerformance:
    unique, known = int(matching.found.sum()), matching.tracks - matching.tracks_unknown
    definition = (
        f"Particles with pT >= {cuts.pt_min:g} GeV, |eta| <= {cuts.eta_max:g} and {cuts.minimum_hits} hits or more; "
        f"tracks of {cuts.minimum_track_hits} hits or more; a track is matched to the particle that gave at least "
        f"{cuts.matching_fraction:.0%} of its hits (ACORN's definitions)"
    )
    return TrackPerformance(
        definition=definition,
        efficiency=Ratio(passed=unique, total=len(matching.found)),
        fake_rate=Ratio(passed=known - matching.matched, total=known),
        duplicate_rate=Rate(passed=matching.matched_reconstructable - unique, total=unique),
        pt=BinnedTracks(
            efficiency=_binned(matching.efficiency_in_pt(), BinnedRatio),
            fake_rate=_binned(matching.fakes_in_pt(), BinnedRatio),
            duplicate_rate=_binned(matching.duplicates_in_pt(), BinnedRate),
        ),
        eta=BinnedTracks(
            efficiency=_binned(matching.efficiency_in_eta(), BinnedRatio),
            fake_rate=_binned(matching.fakes_in_eta(), BinnedRatio),
            duplicate_rate=_binned(matching.duplicates_in_eta(), BinnedRate),
        ),
    )


def _binned(bins: Sequence[EfficiencyBin], kind: type[Bins]) -> Bins:
    return kind(
        edges=(bins[0].low, *(item.high for item in bins)),
        passed=tuple(item.found for item in bins),
        total=tuple(item.total for item in bins),
    )
