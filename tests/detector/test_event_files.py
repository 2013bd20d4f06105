"""Reading and writing events: round trips, and every way in which a file can be wrong."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitfabric.core import DataError
from hitfabric.detector import (
    PIXEL_VOLUMES,
    UNLABELLED,
    Event,
    list_events,
    read_event,
    read_events,
    write_event,
)
from hitfabric.detector.event_files import HIT_COLUMNS, PARTICLE_COLUMNS
from hitfabric.detector.simulation_helix import simulate_helix_event
from support.damage import replacing

HITS = """hit_id,x,y,z,volume_id,layer_id,module_id
1,30.5,-1.25,4,8,2,1
2,71,2,-9.5,8,4,1
3,115,3,12,8,6,7
"""
TRUTH = "hit_id,particle_id\n1,42\n3,0\n2,42\n"
PARTICLES = "particle_id,vx,vy,vz,px,py,pz,q,nhits\n42,0,0,1,3,4,1,-1,2\n"


@pytest.fixture
def event() -> Event:
    return simulate_helix_event("event000000007", rng=np.random.default_rng(5), pile_up=3)


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    prefix = tmp_path / "event000000001"
    for kind, text in (("hits", HITS), ("truth", TRUTH), ("particles", PARTICLES)):
        prefix.with_name(f"{prefix.name}-{kind}.csv").write_text(text)
    return prefix


def edit(prefix: Path, kind: str, change: Callable[[str], str]) -> None:
    path = prefix.with_name(f"{prefix.name}-{kind}.csv")
    path.write_text(change(path.read_text()))


def assert_equal_events(left: Event, right: Event) -> None:
    for name in HIT_COLUMNS:
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
        assert getattr(left, name).dtype == getattr(right, name).dtype
    assert left.particle_id is not None and right.particle_id is not None
    np.testing.assert_array_equal(left.particle_id, right.particle_id)
    for name in PARTICLE_COLUMNS:
        np.testing.assert_array_equal(getattr(left.particles, name), getattr(right.particles, name))


def test_round_trip_keeps_every_bit(event: Event, tmp_path: Path) -> None:
    assert_equal_events(event, read_event(write_event(event, tmp_path / "events"), require_truth=True))


def test_the_number_of_collisions_is_kept(event: Event, tmp_path: Path) -> None:
    assert event.pile_up is not None and event.pile_up > 1
    prefix = write_event(event, tmp_path)
    assert read_event(prefix).pile_up == event.pile_up
    assert event.select(volumes=PIXEL_VOLUMES).pile_up == event.pile_up
    path = prefix.with_name(f"{event.name}-collisions.csv.gz")
    path.write_bytes(gzip.compress(b"primary_vertices\n3\n4\n"))
    with pytest.raises(DataError, match=r"-collisions\.csv\.gz holds \[3, 4\]"):
        read_event(prefix)
    path.unlink()
    assert read_event(prefix).pile_up is None


def test_partial_truth_round_trip(event: Event, tmp_path: Path) -> None:
    assert event.particle_id is not None
    partial = event.particle_id.copy()
    partial[::3] = UNLABELLED
    prefix = write_event(replace(event, particle_id=partial), tmp_path)
    assert prefix.with_name(f"{event.name}-truthlabels.csv.gz").exists()
    np.testing.assert_array_equal(read_event(prefix).particle_id, partial)


def test_plain_files_and_derived_quantities(prefix: Path) -> None:
    event = read_event(prefix, require_truth=True)
    assert event.name == "event000000001"
    np.testing.assert_array_equal(event.particle_id, [42, 42, 0])
    np.testing.assert_array_equal(event.pt, np.array([5, 5, np.nan], np.float32))
    assert event.features().dtype == np.float32
    np.testing.assert_allclose(event.features()[0], [np.hypot(30.5, -1.25), np.arctan2(-1.25, 30.5), 4], rtol=1e-6)
    assert len(event.select(volumes=PIXEL_VOLUMES)) == 3 and len(event.select(volumes=[13])) == 0


def test_no_truth_is_fine_unless_required(prefix: Path) -> None:
    prefix.with_name(f"{prefix.name}-truth.csv").unlink()
    assert read_event(prefix).particle_id is None
    with pytest.raises(DataError, match=r"event000000001-truth\.csv does not exist"):
        read_event(prefix, require_truth=True)


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("hits", replacing("-1.25", "abc"), r"-hits\.csv, line 2, column y: 'abc' is not a number"),
        ("hits", replacing("-9.5", "nan"), r"line 3, column z: 'nan' is not finite"),
        ("hits", replacing("115", "-inf"), r"line 4, column x: '-inf' is not finite"),
        ("hits", replacing("115", "1e300"), r"line 4, column x: '1e300' is not finite"),
        ("hits", replacing("115", ""), r"line 4, column x: '' is not a number"),
        ("hits", replacing("\n2,71", "\n\n\n2,oops"), r"line 5, column x: 'oops' is not a number"),
        ("hits", replacing("2,71", "1.5,71"), r"line 3, column hit_id: '1\.5' is not an integer"),
        ("hits", replacing("8,4,1", "8,4,3000000000"), r"line 3, column module_id: '3000000000' is outside the range"),
        ("hits", replacing("3,115", "1,115"), r"line 4, column hit_id: 1 occurs twice"),
        ("hits", replacing("z,volume_id", "volume_id"), r"line 1: column z is missing"),
        ("hits", replacing("hit_id,x", "x,x"), r"line 1: column hit_id is missing"),
        ("hits", replacing(",8,6,7", ",8,6"), r"line 4: 6 fields, expected 7"),
        ("hits", replacing(",8,6,7", ",8,6,7,9"), r"line 4: 8 fields, expected 7"),
        ("hits", lambda text: text.splitlines()[0] + "\n", r"-hits\.csv holds no hits"),
        ("hits", lambda _: "", r"-hits\.csv is empty"),
        ("truth", replacing("3,0", "9,0"), r"-truth\.csv, line 3, column hit_id: hit 9 is not in"),
        ("truth", replacing("\n3,0", ""), r"-truth\.csv: no line for hit 3"),
        ("truth", replacing("3,0", "1,0"), r"-truth\.csv, line 3, column hit_id: 1 occurs twice"),
        ("particles", replacing("3,4,1", "3,,1"), r"-particles\.csv, line 2, column py: '' is not a number"),
    ],
)
def test_wrong_files_are_named_with_line_and_column(
    prefix: Path, kind: str, change: Callable[[str], str], message: str
) -> None:
    edit(prefix, kind, change)
    with pytest.raises(DataError, match=message) as caught:
        read_event(prefix, require_truth=True)
    assert "\n" not in str(caught.value)


def test_missing_directory_and_missing_events(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a directory"):
        list_events(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no events"):
        list(read_events(tmp_path))
    with pytest.raises(DataError, match=r"event1-hits\.csv does not exist"):
        read_event(tmp_path / "event1")


def test_choice_of_events(prefix: Path) -> None:
    for number in (2, 3):
        for kind in ("hits", "truth", "particles"):
            shutil.copy(f"{prefix}-{kind}.csv", prefix.with_name(f"event00000000{number}-{kind}.csv"))
    directory = prefix.parent
    assert [event.name[-1] for event in read_events(directory)] == ["1", "2", "3"]
    assert [event.name[-1] for event in read_events(directory, limit=2)] == ["1", "2"]
    assert [event.name[-1] for event in read_events(directory, names=["event000000003"])] == ["3"]
    with pytest.raises(DataError, match="has no event event9"):
        list(read_events(directory, names=["event9"]))


def test_truncated_gzip(event: Event, tmp_path: Path) -> None:
    prefix = write_event(event, tmp_path)
    path = prefix.with_name(f"{event.name}-hits.csv.gz")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"-hits\.csv\.gz"):
        read_event(prefix)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), compressed=st.booleans())
def test_corrupted_bytes_never_end_in_another_error(data: st.DataObject, compressed: bool, tmp_path: Path) -> None:
    kind, text = data.draw(st.sampled_from([("hits", HITS), ("truth", TRUTH), ("particles", PARTICLES)]))
    files = {"hits": HITS, "truth": TRUTH, "particles": PARTICLES}
    content = bytearray(gzip.compress(text.encode(), mtime=0) if compressed else text.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        if data.draw(st.booleans()):
            content[place] = data.draw(st.sampled_from(b',\n\r"0.-eE\x00\xffn') | st.integers(0, 255))
        else:
            del content[place : place + data.draw(st.integers(1, 5))]
        if not content:
            break
    prefix = tmp_path / "event000000001"
    for other, whole in files.items():
        for suffix in (".csv", ".csv.gz"):
            prefix.with_name(f"{prefix.name}-{other}{suffix}").unlink(missing_ok=True)
        prefix.with_name(f"{prefix.name}-{other}.csv").write_text(whole)
    prefix.with_name(f"{prefix.name}-{kind}.csv").unlink()
    prefix.with_name(f"{prefix.name}-{kind}.csv{'.gz' if compressed else ''}").write_bytes(bytes(content))
    try:
        event = read_event(prefix, require_truth=True)
    except DataError as error:
        assert prefix.name in str(error) and "\n" not in str(error)
    else:
        assert len(event) >= 1 and all(np.isfinite(event.features()).ravel())


def test_real_events(shared_data: Path) -> None:
    full = next(read_events(shared_data / "acts_ttbar_pu200", limit=1, require_truth=True))
    assert len(full) > 100_000 and full.particles is not None
    assert not (full.particle_id == UNLABELLED).any()
    assert 0 < len(full.select(volumes=PIXEL_VOLUMES)) < len(full)
    partial = next(read_events(shared_data / "trackml", limit=1, require_truth=True))
    labelled = partial.particle_id != UNLABELLED
    assert 0.05 < labelled.mean() < 0.3
    assert np.isfinite(partial.pt[labelled & (partial.particle_id != 0)]).mean() > 0.9
