"""The evaluation of a chain: figures that agree with each other, and truth that is partial."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from hitfabric.core import DataError
from hitfabric.detector import UNLABELLED, list_events, read_event, write_event
from hitfabric.models.metrics import Binning, Fiducial
from hitfabric.pipeline.evaluate import EvaluateConfig, EvaluateResult, evaluate
from hitfabric.pipeline.evaluate_edges import threshold_curve
from hitfabric.pipeline.evaluate_tracks import define
from hitfabric.pipeline.scores import ScoreSample
from hitfabric.pipeline.simulate import SimulateConfig, simulate
from hitfabric.reports import write_report
from hitfabric.reports.evaluation_record import Evaluation, TrackPerformance

EVENTS = 2


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """One sample evaluated with the shipped chain.

    Attributes:
        out: Run directory.
        events: Folder of the events.
        result: Outcome.
    """

    out: Path
    events: Path
    result: EvaluateResult

    @property
    def record(self) -> Evaluation:
        return self.result.evaluation

    @property
    def tracks(self) -> TrackPerformance:
        assert self.record.tracks is not None
        return self.record.tracks


def run(folder: Path, events: Path) -> Evaluated:
    result = evaluate(EvaluateConfig(events=events, out=folder, radius_events=EVENTS))
    return Evaluated(out=folder, events=events, result=result)


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    """Events with truth for every hit."""
    folder = tmp_path_factory.mktemp("complete")
    simulate(SimulateConfig(out=folder / "events", events=EVENTS, pile_up=3.0, generator="helix"))
    return run(folder / "out", folder / "events")


@pytest.fixture(scope="module")
def partial(complete: Evaluated, tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    """The same events, the origin of four hits in ten forgotten."""
    folder, random = tmp_path_factory.mktemp("partial"), np.random.default_rng(0)
    for prefix in list_events(complete.events):
        event = read_event(prefix, require_truth=True)
        assert event.particle_id is not None
        forgotten = random.random(len(event)) < 0.4
        write_event(replace(event, particle_id=np.where(forgotten, UNLABELLED, event.particle_id)), folder / "events")
    return run(folder / "out", folder / "events")


def test_the_record_is_the_file_and_the_report_shows_it(complete: Evaluated) -> None:
    assert Evaluation.model_validate_json((complete.out / "evaluation.json").read_text()) == complete.record
    page = write_report(complete.out).read_text()
    for name in ("tracks", "vertices", "construction", "stages", "roc"):
        assert f'id="{name}-' in page
    assert "TrackML score" in page and "cannot be judged" not in page


def test_tracks_are_shown_against_every_variable(complete: Evaluated) -> None:
    tracks, wide = complete.tracks, ("eta", "phi", "pile_up")
    assert set(tracks.binned) == set(Binning.model_fields)
    assert tracks.pile_up_given is True and tracks.tracks_unknown == 0
    for variable in wide:
        binned = tracks.binned[variable]
        assert binned.efficiency and binned.fake_rate and binned.duplicate_rate and binned.purity
        for figures, whole in (
            (binned.efficiency, tracks.efficiency),
            (binned.fake_rate, tracks.fake_rate),
            (binned.duplicate_rate, tracks.duplicate_rate),
        ):
            assert (sum(figures.passed), sum(figures.total)) == (whole.passed, whole.total)
        sums = sum(n * value for n, value in zip(binned.purity.total, binned.purity.value, strict=True) if value)
        assert tracks.purity and tracks.purity.mean == pytest.approx(sums / sum(binned.purity.total))
    assert tracks.binned["vertex_radius"].fake_rate is None and tracks.binned["vertex_radius"].purity is None
    assert tracks.trackml is not None and tracks.trackml.events == EVENTS and 0 < tracks.trackml.score <= 1


def test_edges_are_counted_stage_by_stage(complete: Evaluated) -> None:
    first, second, third = complete.record.stages
    assert first.target == second.target == third.target and first.kept >= second.kept >= third.kept > 0
    for stage in complete.record.stages:
        assert set(stage.binned) == set(Binning.model_fields) and stage.unknown == 0
        assert (sum(stage.binned["phi"].passed), sum(stage.binned["phi"].total)) == (stage.kept, stage.target)
        assert stage.curve is not None and list(stage.curve.edges) == sorted(stage.curve.edges)
    # The chain's own radius is the last of the scan; every edge scored is the last point of a curve of thresholds.
    assert first.curve and (first.curve.edges[-1], first.curve.kept[-1]) == (first.edges, first.kept)
    assert second.curve and (second.curve.edges[-1], second.curve.kept[-1]) == (first.edges, first.kept)
    assert third.curve and (third.curve.edges[-1], third.curve.kept[-1]) == (second.edges, second.kept)
    for network in complete.record.networks.values():
        assert network.roc is not None and network.roc.auc is not None and network.roc.auc_error is not None


def test_sizes_of_graphs_sum_to_the_stages(complete: Evaluated) -> None:
    candidates, filtered, components = complete.record.graphs
    radius_graph, kept, _ = complete.record.stages
    assert (candidates.graphs, candidates.edges, candidates.limit) == (EVENTS, radius_graph.edges, None)
    assert filtered.edges == components.edges == kept.edges > 0
    assert filtered.graphs == EVENTS < components.graphs
    assert sum(nodes * count for nodes, _, count in components.sizes) <= complete.record.hits
    assert components.limit is not None and (components.limit.nodes, components.limit.edges) == (256, 512)
    assert all(nodes >= 2 and edges >= nodes - 1 for nodes, edges, _ in components.sizes)  # connected


def test_unlabelled_hits_are_unknown_and_not_fake(complete: Evaluated, partial: Evaluated) -> None:
    truth, known = complete.tracks, partial.tracks
    assert known.trackml is None and truth.trackml is not None
    assert truth.fake_rate_low is None and truth.fake_rate_high is None
    assert known.fake_rate_low and known.fake_rate_high and known.tracks_unknown > 0
    assert known.fake_rate.total + known.tracks_unknown == known.fake_rate_low.total == truth.fake_rate.total
    # The same tracks: what is fake with every label in sight lies between the bounds.
    assert known.fake_rate_low.passed <= truth.fake_rate.passed <= known.fake_rate_high.passed
    assert truth.fake_rate.value is not None and known.fake_rate.value is not None
    assert abs(known.fake_rate.value - truth.fake_rate.value) < 0.2
    for stage, whole in zip(partial.record.stages, complete.record.stages, strict=True):
        assert (stage.edges, stage.hits) == (whole.edges, whole.hits)
        assert 0 < stage.unknown < stage.edges and stage.purity and stage.purity.total == stage.edges - stage.unknown
    for name, network in partial.record.networks.items():
        whole = complete.record.networks[name]
        assert network.true + network.false < whole.true + whole.false
    assert "tracks that cannot be judged" in write_report(partial.out).read_text()


def test_labels_of_a_perfect_tracker(complete: Evaluated, tmp_path: Path) -> None:
    # Labels as `hitfabric track` writes them, one track per particle.
    (tmp_path / "labels").mkdir()
    for prefix in list_events(complete.events):
        event = read_event(prefix, require_truth=True)
        lines = [f"{hit},{track}" for hit, track in zip(event.hit_id, event.particle_row, strict=True)]
        (tmp_path / "labels" / f"{prefix.name}-labels.csv").write_text("\n".join(["hit_id,track_id", *lines]) + "\n")
    config = EvaluateConfig(events=complete.events, out=tmp_path / "out", labels=tmp_path, radius_events=0)
    record = evaluate(config).evaluation
    tracks = record.tracks
    assert tracks and tracks.purity and tracks.trackml and record.stages[0].curve is None
    assert (tracks.efficiency.value, tracks.fake_rate.value, tracks.duplicate_rate.value) == (1.0, 0.0, 0.0)
    assert tracks.purity.mean == 1.0 and tracks.trackml.score == pytest.approx(1.0)


def test_fiducial_cuts_and_bins_are_configuration(complete: Evaluated, tmp_path: Path) -> None:
    config = EvaluateConfig.model_validate(
        {
            "events": complete.events,
            "out": tmp_path,
            "limit": 1,
            "radius_events": 0,
            "fiducial": {"pt_min": 2.0, "eta_max": 1.0},
            "binning": {"eta": [-1.0, 0.0, 1.0]},
        }
    )
    tracks = evaluate(config).evaluation.tracks
    assert tracks and tracks.binned["eta"].efficiency
    assert tracks.efficiency.total < complete.tracks.efficiency.total
    assert tracks.binned["eta"].efficiency.edges == (-1.0, 0.0, 1.0)
    assert sum(tracks.binned["eta"].efficiency.total) == tracks.efficiency.total
    assert "pT >= 2 GeV, |eta| <= 1 and" in tracks.definition


def test_events_without_truth_are_refused(complete: Evaluated, tmp_path: Path) -> None:
    event = read_event(list_events(complete.events)[0], require_truth=True)
    write_event(replace(event, particle_id=None), tmp_path / "events")
    with pytest.raises(DataError, match="truth"):
        evaluate(EvaluateConfig(events=tmp_path / "events", out=tmp_path / "out"))


def test_definition_in_words() -> None:
    assert "more than 50% of the track's hits (ACORN" in define(Fiducial())
    strict = define(Fiducial(matching="two_way", matching_fraction=0.75, vertex_radius_max=260))
    assert "at least 75% of the track's hits and of the particle's" in strict
    assert "made within 260 mm of the beam line" in strict


def test_curve_of_thresholds_by_hand() -> None:
    scores, labels = np.array([3, 1, 2, 2], dtype=np.float32), np.array([True, False, True, False])
    curve = threshold_curve([ScoreSample(scores=scores, labels=labels)], target=4, hits=2)
    assert curve is not None
    assert (curve.cut, curve.edges, curve.kept) == ((3.0, 2.0, 1.0), (1, 3, 4), (1, 2, 2))
    assert curve.edges_per_hit == (0.5, 1.5, 2.0) and curve.efficiency == (0.25, 0.5, 0.5)
    assert threshold_curve([], target=4, hits=2) is None


@pytest.mark.slow
def test_partial_truth_of_real_events(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "trackml"
    if not folder.is_dir():
        pytest.skip(f"no partly labelled events at {folder}")
    tracks = evaluate(EvaluateConfig(events=folder, event_names=("event000001061",), out=tmp_path)).evaluation.tracks
    assert tracks and tracks.fake_rate_low and tracks.fake_rate_high and tracks.trackml is None
    assert tracks.fake_rate.value is not None and tracks.fake_rate_high.value is not None
    # Unlabelled hits taken for fakes would give the upper bound, which is far off.
    assert tracks.tracks_unknown > 100 and tracks.fake_rate.value < 0.1 < tracks.fake_rate_high.value
    assert tracks.pile_up_given is False
