"""Records and their readers: what is consistent round-trips, what is not is refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hitfabric.core import DataError, RunDirectory
from hitfabric.reports.counts import BinnedRatio, Rate, Ratio
from hitfabric.reports.evaluation_record import BinnedTracks, DensityCurve, EdgeStage, Evaluation, TrackPerformance
from hitfabric.reports.event_record import read_event_display
from hitfabric.reports.reading import read_record
from hitfabric.reports.records import (
    Ladder,
    LadderRow,
    Latency,
    Mutations,
    Project,
    ProjectFigure,
    Projects,
    RunRecord,
    Summary,
)
from hitfabric.reports.training_record import read_training

RECORDS = {
    "run.json": RunRecord,
    "summary.json": Summary,
    "evaluation.json": Evaluation,
    "ladder.json": Ladder,
    "latency.json": Latency,
    "mutations.json": Mutations,
    "projects.json": Projects,
}
ROW = {"network": "filter", "node": "logits", "executor": "csim", "low": -8, "high": 7}


@pytest.mark.parametrize(("file", "model"), RECORDS.items())
def test_records_round_trip(sample_run_template: Path, tmp_path: Path, file: str, model: type) -> None:
    record = read_record(model, sample_run_template / file)
    assert record is not None
    written = RunDirectory(path=tmp_path).write_json(file, record.model_dump(mode="json"))
    assert read_record(model, written) == record
    assert read_record(model, tmp_path / "absent.json") is None


@given(st.integers(0, 20), st.integers(0, 20), st.booleans())
def test_ladder_row_is_consistent_or_refused(compared: int, mismatches: int, has_first: bool) -> None:
    first = {"index": [0], "expected": 1, "found": 2} if has_first else None
    values = ROW | {"compared": compared, "mismatches": mismatches, "first": first}
    if mismatches <= compared and has_first == (mismatches > 0):
        assert LadderRow.model_validate(values).mismatches == mismatches
    else:
        with pytest.raises(ValidationError):
            LadderRow.model_validate(values)


@pytest.mark.parametrize(
    ("edges", "passed", "total"),
    [
        ((0.0, 0.0), (1,), (1,)),
        ((1.0, 0.0), (1,), (1,)),
        ((0.0, 1.0), (1, 1), (1, 1)),
        ((0.0, 1.0, 2.0), (1, 1), (1,)),
        ((0.0,), (), ()),
    ],
)
def test_inconsistent_bins_are_refused(edges: tuple, passed: tuple, total: tuple) -> None:
    with pytest.raises(ValidationError):
        BinnedRatio(edges=edges, passed=passed, total=total)


def test_only_a_duplicate_rate_may_exceed_one() -> None:
    good, bad = {"passed": 1, "total": 2}, {"passed": 3, "total": 2}
    names = ("efficiency", "fake_rate", "duplicate_rate")
    for name in names:
        values = {key: bad if key == name else good for key in names}
        binned = {key: {"edges": [0, 1], "passed": [item["passed"]], "total": [2]} for key, item in values.items()}
        if name == "duplicate_rate":
            assert TrackPerformance.model_validate(values | {"definition": "d", "binned": {"pt": binned}}).binned["pt"]
            continue
        with pytest.raises(ValidationError, match=name):
            TrackPerformance.model_validate(values | {"definition": "d"})
        with pytest.raises(ValidationError, match=name):
            BinnedTracks.model_validate(binned)


def test_more_kept_than_there_is_is_refused() -> None:
    for target, edges in ((4, 9), (9, 4)):
        with pytest.raises(ValidationError):
            EdgeStage(name="filter", target=target, kept=5, edges=edges, hits=1)


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))
def test_purity_is_of_edges_between_hits_of_known_origin(kept: int, edges: int, unknown: int) -> None:
    values = {"name": "filter", "target": 20, "kept": kept, "edges": edges, "unknown": unknown, "hits": 1}
    if kept > edges - unknown:
        with pytest.raises(ValidationError):
            EdgeStage.model_validate(values)
        return
    stage = EdgeStage.model_validate(values)
    assert stage.purity == Ratio(passed=kept, total=edges - unknown)
    assert stage.efficiency == Ratio(passed=kept, total=20)


def test_derived_shares_are_derived_again_on_reading() -> None:
    wrong = Ratio.model_validate({"passed": 1, "total": 2, "value": 0.9, "low": 0.0, "high": 1.0})
    assert wrong == Ratio(passed=1, total=2) and wrong.value == 0.5
    assert (Ratio(passed=0, total=0).value, Ratio(passed=0, total=0).low) == (None, None)
    rate = Rate(passed=3, total=2)
    assert rate.value == 1.5 and rate.low is not None and rate.high is not None and rate.low < 1.5 < rate.high
    binned = BinnedRatio(edges=(0.0, 1.0, 2.0), passed=(1, 0), total=(2, 0))
    assert binned.value == (0.5, None)


@pytest.mark.parametrize(
    "change", [{"cut": [], "edges": [], "kept": []}, {"kept": [1]}, {"kept": [1, 9]}, {"edges": [1, 1]}]
)
def test_curves_that_do_not_fit_are_refused(change: dict) -> None:
    values = {"quantity": "logit", "cut": [1.0, 0.0], "edges": [1, 4], "kept": [1, 2], "target": 4, "hits": 2}
    assert DensityCurve.model_validate(values).edges_per_hit == (0.5, 2.0)
    with pytest.raises(ValidationError):
        DensityCurve.model_validate(values | change)


def test_a_value_that_was_not_measured_is_refused() -> None:
    with pytest.raises(ValidationError):
        ProjectFigure(value=3.0, kind="not measured")
    with pytest.raises(ValidationError):
        ProjectFigure(value=None, kind="counted")


def test_two_figures_of_one_kind_are_refused() -> None:
    figure = ProjectFigure(value=3.0, kind="implemented")
    estimate = ProjectFigure(value=2.0, kind="estimated")
    Project(network="filter", io_type="io_stream", figures={"LUT": (estimate, figure)})
    with pytest.raises(ValidationError, match="LUT has two figures of one kind"):
        Project(network="filter", io_type="io_stream", figures={"LUT": (figure, figure)})


def test_node_twice_in_the_ladder_is_refused() -> None:
    row = ROW | {"compared": 1, "mismatches": 0}
    with pytest.raises(ValidationError, match="twice"):
        Ladder.model_validate({"reference": "Brevitas", "sample": "s", "rows": [row, row]})


def test_event_display_reads_what_was_written(sample_run_template: Path) -> None:
    path = sample_run_template / "event_display.npz"
    event, arrays = read_event_display(path), np.load(path)
    assert event is not None
    assert event.event == "event 9030"
    for name in ("x", "y", "z", "r", "labels", "particle_id", "pt"):
        np.testing.assert_array_equal(getattr(event, name), arrays[name])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"labels": None}, "missing labels"),
        ({"extra": np.zeros(2)}, "unknown extra"),
        ({"labels": np.zeros(2)}, "labels has type float64"),
        ({"z": np.zeros(3)}, "z has shape (3,)"),
        ({"z": np.array([0.0, np.nan])}, "z is not finite at hit 1"),
        ({"r": np.array([5.0, 9.0])}, "r is not the distance"),
        ({"x": np.array([object(), object()])}, "not an npz file of plain arrays"),
    ],
)
def test_wrong_event_display_is_named(tmp_path: Path, change: dict, expected: str) -> None:
    ones = np.ones(2, dtype=np.int64)
    arrays = {"x": np.array([3.0, 0.0]), "y": np.array([4.0, 1.0]), "z": np.zeros(2), "r": np.array([5.0, 1.0])}
    arrays |= {"labels": ones, "particle_id": ones, "pt": np.array([1.0, np.nan])}
    path = tmp_path / "event_display.npz"
    np.savez(path, **arrays)
    assert read_event_display(path) is not None
    np.savez(path, **{name: value for name, value in (arrays | change).items() if value is not None})
    with pytest.raises(DataError) as caught:
        read_event_display(path)
    assert expected in caught.value.message
    assert str(path) in caught.value.message


def test_truncated_event_display(sample_run: Path) -> None:
    path = sample_run / "event_display.npz"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match="not an npz file"):
        read_event_display(path)
    np.save(sample_run / "bare.npy", np.zeros(3))
    (sample_run / "bare.npy").rename(path)
    with pytest.raises(DataError, match="not an npz file"):
        read_event_display(path)


def test_training_curves_keep_gaps(tmp_path: Path) -> None:
    (tmp_path / "filter.csv").write_text("epoch,loss,auc\n0,1.5,\n1,1.25,0.5\n", encoding="utf-8")
    (curves,) = read_training(tmp_path)
    assert curves.network == "filter"
    np.testing.assert_array_equal(curves.epochs, [0, 1])
    np.testing.assert_array_equal(curves.columns["loss"], [1.5, 1.25])
    np.testing.assert_array_equal(curves.columns["auc"], [np.nan, 0.5])
    assert read_training(tmp_path / "absent") == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "needs a header"),
        ("epoch,loss\n", "needs a header"),
        ("step,loss\n0,1\n", "needs a header"),
        ("epoch,loss,loss\n0,1,2\n", "distinct"),
        ("epoch,loss\n0,1\n1,low\n", "line 3, column loss: 'low'"),
        ("epoch,loss\n0,1\n1\n", "line 3 has 1 values"),
        ("epoch,loss\n1,1\n1,2\n", "epoch must ascend"),
    ],
)
def test_malformed_training_csv_names_line_and_column(tmp_path: Path, content: str, expected: str) -> None:
    path = tmp_path / "filter.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_training(tmp_path)
    assert str(path) in caught.value.message
    assert expected in caught.value.message
