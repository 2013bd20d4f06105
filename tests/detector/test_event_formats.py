"""One loader for every format: what is written is read back, from folders, archives and Parquet files."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from hitfabric.core import DataError
from hitfabric.detector import (
    UNLABELLED,
    Detector,
    Event,
    list_events,
    read_event,
    read_events,
    write_detector,
    write_event,
    write_parquet,
)
from hitfabric.detector.simulation_helix import simulate_helix_event
from support.random_events import assert_equal_events, events

NAMES = ("event000000007", "event000000009", "other-run_2")


def pack(folder: Path, archive: Path, inside: str = "train/") -> Path:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("__MACOSX/._event000000001-hits.csv", "junk")
        for path in sorted(folder.iterdir()):
            target.write(path, f"{inside}{path.name}")
    return archive


@pytest.fixture
def event() -> Event:
    return simulate_helix_event("event000000007", rng=np.random.default_rng(5), pile_up=2)


@pytest.fixture
def three() -> list[Event]:
    return [
        simulate_helix_event(name, rng=np.random.default_rng(number), pile_up=2) for number, name in enumerate(NAMES)
    ]


@given(event=events(), archived=st.booleans())
@settings(max_examples=60)
def test_csv_round_trip(event: Event, archived: bool) -> None:
    with TemporaryDirectory() as name:
        write_event(event, Path(name) / "events")
        location = pack(Path(name) / "events", Path(name) / "events.zip") if archived else Path(name) / "events"
        assert list_events(location) == [location / event.name]
        assert_equal_events(read_event(location / event.name), event)


@given(data=st.data(), count=st.integers(1, 3), truth=st.booleans())
@settings(max_examples=60)
def test_parquet_round_trip(data: st.DataObject, count: int, truth: bool) -> None:
    written = [data.draw(events(name=name, truth=truth)) for name in NAMES[:count]]
    with TemporaryDirectory() as name:
        path = write_parquet(iter(written), Path(name))
        for location in (path, path.parent):
            assert [prefix.name for prefix in list_events(location)] == sorted(NAMES[:count])
            for event in written:
                assert_equal_events(read_event(location / event.name), event)


def test_a_parquet_file_of_one_event_needs_no_event_column(event: Event, tmp_path: Path) -> None:
    write_parquet([event], tmp_path / "many")
    for kind in ("hits", "particles"):
        table = parquet.read_table(tmp_path / "many" / f"events-{kind}.parquet").drop_columns(["event"])
        (tmp_path / "one").mkdir(exist_ok=True)
        parquet.write_table(table, tmp_path / "one" / f"{event.name}-{kind}.parquet")
    assert list_events(tmp_path / "one") == [tmp_path / "one" / event.name]
    assert_equal_events(read_event(tmp_path / "one" / event.name, require_truth=True), event)


def test_events_may_be_numbered_in_parquet_and_groups_cut_anywhere(three: list[Event], tmp_path: Path) -> None:
    numbered = [replace(event, name=f"event{number:09d}") for number, event in enumerate(three)]
    write_parquet(numbered, tmp_path)
    for path in tmp_path.glob("*.parquet"):
        table = parquet.read_table(path)
        numbers = [int(name.removeprefix("event")) for name in table.column("event").to_pylist()]
        table = table.set_column(0, "event", [numbers])
        parquet.write_table(table, path, row_group_size=97, write_statistics=path.name.startswith("events-h"))
    assert [prefix.name for prefix in list_events(tmp_path)] == [event.name for event in numbered]
    for event in numbered:
        assert_equal_events(read_event(tmp_path / event.name, require_truth=True), event)
    with pytest.raises(DataError, match="does not exist"):
        read_event(tmp_path / "event1")  # the number, but not the name


def test_one_event_reads_one_row_group(three: list[Event], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_parquet(three, tmp_path)
    read: list[int] = []
    whole = parquet.ParquetFile.read_row_groups

    def spy(self, groups, *arguments, **options):  # noqa: ANN001, ANN002, ANN003, ANN202
        read.extend(groups)
        return whole(self, groups, *arguments, **options)

    monkeypatch.setattr(parquet.ParquetFile, "read_row_groups", spy)
    read_event(path / NAMES[1])
    assert read == [1, 1], "one group of hits, one of particles"


def test_parquet_wants_events_alike(event: Event, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no events to write"):
        write_parquet([], tmp_path)
    with pytest.raises(DataError, match="two events are named event000000007"):
        write_parquet([event, event], tmp_path)
    with pytest.raises(DataError, match="event b has other columns"):
        write_parquet([event, replace(event, name="b", particle_id=None)], tmp_path)
    assert list(tmp_path.iterdir()) == [], "nothing is left of what failed"


def test_detector_comes_with_the_events(three: list[Event], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    detector = Detector(
        volume_id=np.array([7, 8, 8], np.int32),
        layer_id=np.array([2, 2, 4], np.int32),
        module_id=np.array([1, 1, 1], np.int32),
        centre=rng.normal(size=(3, 3)).astype(np.float32),
        rotation=rng.normal(size=(3, 3, 3)).astype(np.float32),
    )
    folder = tmp_path / "csv"
    for event in three:
        write_event(event, folder)
    write_detector(detector, folder)
    write_parquet(three, tmp_path / "parquet")
    write_detector(detector, tmp_path / "parquet")
    for location in (folder, pack(folder, tmp_path / "csv.zip", ""), tmp_path / "parquet"):
        read = list(read_events(location))
        for event, expected in zip(read, three, strict=True):
            assert_equal_events(event, replace(expected, detector=detector))
        assert all(one.detector is two.detector for one, two in pairwise(read)), "it is read once"
    # A file that changes is read again.
    write_detector(replace(detector, module_id=np.array([5, 1, 1], np.int32)), folder)
    again = read_event(folder / NAMES[0]).detector
    assert again is not None and again.module_id.tolist() == [5, 1, 1]


def test_parquet_in_an_archive_of_nested_folders(three: list[Event], tmp_path: Path) -> None:
    write_parquet(three, tmp_path / "events")
    archive = pack(tmp_path / "events", tmp_path / "events.zip", "a/b.c/d/")
    for found, event in zip(read_events(archive, require_truth=True), three, strict=True):
        assert_equal_events(found, event)


@pytest.mark.parametrize(("name", "values"), [("x", np.float64), ("hit_id", np.int32), ("particle_id", np.float32)])
def test_an_event_has_the_types_of_its_columns(name: str, values: type, event: Event) -> None:
    with pytest.raises(DataError, match=f"{name} is .*, expected .*; convert the array"):
        replace(event, **{name: getattr(event, name).astype(values)})
    with pytest.raises(DataError, match=r"has shape \(\d+,\), expected \(\d+,\)"):
        replace(event, **{name: getattr(event, name)[1:]})
    assert event.particles is not None
    with pytest.raises(DataError, match="particles table: px is float64, expected float32"):
        replace(event.particles, px=event.particles.px.astype(np.float64))


def test_csv_comes_before_parquet_and_graphs(event: Event, tmp_path: Path) -> None:
    write_parquet([replace(event, name="p")], tmp_path)
    assert [prefix.name for prefix in list_events(tmp_path)] == ["p"]
    write_event(replace(event, name="c"), tmp_path)
    (tmp_path / "stray.npz").write_bytes(b"")
    assert [prefix.name for prefix in list_events(tmp_path)] == ["c"]


def test_not_a_collection(tmp_path: Path, event: Event) -> None:
    (tmp_path / "notes.txt").write_text("hits")
    for location in (tmp_path / "notes.txt", tmp_path / "nowhere.zip", tmp_path / "nowhere.parquet"):
        with pytest.raises(DataError, match=r"is not a directory, nor a \.zip or \.parquet file"):
            list_events(location)
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    with pytest.raises(DataError, match=r"empty\.zip holds no events"):
        list_events(tmp_path / "empty.zip")
    write_event(event, tmp_path / "events")
    archive = pack(tmp_path / "events", tmp_path / "events.zip")
    with pytest.raises(DataError, match=r"events\.zip/event1-hits\.csv does not exist"):
        read_event(archive / "event1")


def test_one_archive_one_data_set(event: Event, tmp_path: Path) -> None:
    write_event(event, tmp_path / "events")
    archive = pack(tmp_path / "events", tmp_path / "events.zip", "one/")
    with zipfile.ZipFile(archive, "a") as target:
        target.writestr("two/event000000007-hits.csv.gz", b"")
    with pytest.raises(DataError, match=r"holds one/event000000007-hits\.csv\.gz and two/"):
        list_events(archive)


def test_an_error_inside_an_archive_names_the_member(event: Event, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "events.zip", "w") as target:
        target.writestr("a/e-hits.csv", "hit_id,x,y,z,volume_id,layer_id,module_id\n1,2,3,4,8,2,1\n2,2,nan,4,8,2,1\n")
    with pytest.raises(DataError, match=r"events\.zip/a/e-hits\.csv, line 3, column y: 'nan' is not finite"):
        read_event(tmp_path / "events.zip" / "e")


@given(data=st.data())
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("kind", ["zip", "parquet"])
def test_corrupted_bytes_never_end_in_another_error(
    kind: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        event = simulate_helix_event("event000000007", rng=np.random.default_rng(1), pile_up=0)
        event = event.take(np.arange(8))
        if kind == "zip":
            write_event(event, folder / "events")
            path = pack(folder / "events", folder / "events.zip")
        else:
            path = write_parquet([event], folder)
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 3))):
            place = data.draw(st.integers(0, len(content) - 1))
            if data.draw(st.booleans()):
                content[place] = data.draw(st.integers(0, 255))
            else:
                del content[place : place + data.draw(st.integers(1, 50))]
        path.write_bytes(bytes(content))
        try:
            for found in read_events(path, require_truth=True):
                assert np.isfinite(found.features()).all()
        except DataError as error:
            assert str(path.parent) in str(error) and "\n" not in str(error)


def test_truth_that_is_partial_stays_partial(shared_data: Path, tmp_path: Path) -> None:
    """Real events with labels for some hits: the rest is unknown, neither noise nor fake, in every format."""
    event = next(read_events(shared_data / "trackml", limit=1, require_truth=True))
    assert event.particle_id is not None and event.particles is not None
    unlabelled = event.particle_id == UNLABELLED
    assert 0.8 < unlabelled.mean() < 0.95
    assert np.isnan(event.pt[unlabelled]).all() and (event.particle_row[unlabelled] == -1).all()
    labelled = event.particle_id[~unlabelled]
    assert np.isin(labelled[labelled != 0], event.particles.particle_id).all()
    assert event.detector is not None
    rows = event.detector.rows_of(event.volume_id, event.layer_id, event.module_id)
    assert (rows >= 0).all()
    plain = replace(event, detector=None)
    assert_equal_events(read_event(write_event(event, tmp_path)), plain)
    assert_equal_events(read_event(write_parquet([event], tmp_path / "p") / event.name), plain)
