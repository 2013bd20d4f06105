"""Events in the CSV layouts of the ACTS examples: measurements, spacepoints, simulated hits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitfabric.core import DataError
from hitfabric.detector import NOISE, list_events, read_event
from hitfabric.detector.acts_csv import BARCODE, BARCODE_BITS, decode_geometry_id, particle_ids
from hitfabric.detector.csv_table import Table
from support.damage import replacing

NAME = "event000000004"


def geometry_id(volume: int, layer: int, module: int) -> int:
    return (volume << 56) | (layer << 36) | (module << 8)


def barcode(vertex: int, particle: int) -> int:
    """The 64-bit id that we make of (vertex, 0, particle, 0, 0)."""
    return (vertex << 44) | (particle << 20)


PLACES = [geometry_id(8, 2, 5), geometry_id(8, 4, 6), geometry_id(250, 6, 70000)]
SIMHITS = (
    "particle_id_pv,particle_id_sv,particle_id_part,particle_id_gen,particle_id_subpart,geometry_id,tx,ty,tz\n"
    + (f"1,0,1,0,0,{PLACES[0]},30,1,5\n1,0,1,0,0,{PLACES[1]},70,2,9\n2,0,3,0,0,{PLACES[2]},120,3,-4\n")
)
PARTICLES = ",".join((*BARCODE, "vx", "vy", "vz", "px", "py", "pz", "q")) + (
    "\n1,0,1,0,0,0,0,1,3,4,1,-1\n2,0,3,0,0,0,0,2,1,0,0,1\n2,0,9,0,0,0,0,2,1,0,0,0\n"
)
MEASUREMENTS = "measurement_id,geometry_id,global_x,global_y,global_z\n" + (
    f"0,{PLACES[0]},30.1,1,5\n1,{PLACES[1]},70.1,2,9\n2,{PLACES[2]},120.1,3,-4\n5,{PLACES[2]},121,3,-4\n"
)
LINKS = "measurement_id,hit_id\n0,0\n1,1\n1,2\n2,2\n"
SPACEPOINTS = "measurement_id_1,measurement_id_2,geometry_id_1,geometry_id_2,x,y,z\n" + (
    f"0,18446744073709551615,{PLACES[0]},0,30.2,1,5\n0,1,{PLACES[0]},0,50,1,5\n1,2,{PLACES[1]},0,90,1,5\n"
)
FILES = {
    "simhits": SIMHITS,
    "particles_simulated": PARTICLES,
    "measurements": MEASUREMENTS,
    "measurement-simhit-map": LINKS,
    "spacepoint": SPACEPOINTS,
}


def write(folder: Path, *kinds: str, **changed: str) -> Path:
    for kind in kinds:
        (folder / f"{NAME}-{kind}.csv").write_text(changed.get(kind.replace("-", "_"), FILES[kind]))
    return folder / NAME


def test_simulated_hits(tmp_path: Path) -> None:
    prefix = write(tmp_path, "simhits", "particles_simulated")
    assert list_events(tmp_path) == [prefix]
    event = read_event(prefix, require_truth=True)
    assert event.particle_id is not None and event.particles is not None
    one, three = barcode(1, 1), barcode(2, 3)
    np.testing.assert_array_equal(event.particle_id, [one, one, three])
    np.testing.assert_array_equal(event.x, np.array([30, 70, 120], np.float32))
    places = zip(event.volume_id.tolist(), event.layer_id.tolist(), event.module_id.tolist(), strict=True)
    assert list(places) == [(8, 2, 5), (8, 4, 6), (250, 6, 70000)]
    assert event.hit_id.tolist() == [1, 2, 3]
    assert event.particles.nhits.tolist() == [2, 1, 0], "counted, as the files do not say"
    assert event.particles.q.tolist() == [-1, 1, 0] and event.particles.pt[0] == 5


def test_simulated_hits_named_like_those_of_trackml(tmp_path: Path) -> None:
    expected = read_event(write(tmp_path, "simhits"))
    (tmp_path / f"{NAME}-simhits.csv").rename(tmp_path / f"{NAME}-hits.csv")
    np.testing.assert_array_equal(read_event(tmp_path / NAME).particle_id, expected.particle_id)


def test_measurements_have_the_truth_of_their_first_simulated_hit(tmp_path: Path) -> None:
    event = read_event(write(tmp_path, "measurements", "measurement-simhit-map", "simhits", "particles_simulated"))
    np.testing.assert_array_equal(event.x, np.array([30.1, 70.1, 120.1, 121], np.float32))
    assert event.particle_id is not None
    assert event.particle_id.tolist() == [barcode(1, 1), barcode(1, 1), barcode(2, 3), NOISE]


def test_spacepoints_of_two_particles_are_noise(tmp_path: Path) -> None:
    event = read_event(write(tmp_path, "spacepoint", "measurement-simhit-map", "simhits"))
    assert event.particle_id is not None
    assert event.particle_id.tolist() == [barcode(1, 1), barcode(1, 1), NOISE]


@pytest.mark.parametrize("kind", ["measurements", "spacepoint"])
def test_without_truth(kind: str, tmp_path: Path) -> None:
    prefix = write(tmp_path, kind)
    event = read_event(prefix)
    assert event.particle_id is None and event.particles is None
    with pytest.raises(DataError, match=r"has no simulated hits \(-hits\.csv, and -measurement-simhit-map\.csv\)"):
        read_event(prefix, require_truth=True)
    write(tmp_path, "measurement-simhit-map", "simhits")
    with pytest.raises(DataError, match="has no particles"):
        read_event(prefix, require_truth=True)


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("simhits", replacing("geometry_id", "surface"), r"has no event|column geometry_id is missing"),
        (
            "simhits",
            replacing("1,0,1,0,0", "1,0,1,300,0"),
            r"line 2, column particle_id_gen: 300 is not in 0 \.\.\. 255",
        ),
        ("simhits", replacing("1,0,1,0,0", "-1,0,1,0,0"), r"line 2, column particle_id_pv: -1 is not in"),
        ("simhits", replacing("30,1,5", "30,nan,5"), r"line 2, column ty: 'nan' is not finite"),
        ("simhits", lambda text: text.splitlines()[0] + "\n", "holds no hits"),
        ("particles_simulated", replacing("2,0,9", "2,0,3"), "column particle_id: .* occurs twice"),
        ("particles_simulated", replacing(",px,", ",p,"), "column px is missing"),
    ],
)
def test_wrong_files_are_named(kind: str, change: Callable[[str], str], message: str, tmp_path: Path) -> None:
    prefix = write(tmp_path, "simhits", "particles_simulated", **{kind: change(FILES[kind])})
    with pytest.raises(DataError, match=message):
        read_event(prefix, require_truth=True)


@pytest.mark.parametrize("hit", [-1, 3])
def test_truth_of_a_hit_that_is_not_there(hit: int, tmp_path: Path) -> None:
    links = LINKS.replace("2,2\n", f"2,{hit}\n")
    prefix = write(tmp_path, "measurements", "measurement-simhit-map", "simhits", measurement_simhit_map=links)
    with pytest.raises(DataError, match=rf"column hit_id: hit {hit} is not in {NAME}-simhits\.csv"):
        read_event(prefix)


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 4095), st.integers(0, 2**20 - 1)), min_size=1))
def test_geometry_identifiers_come_apart(places: list[tuple[int, int, int]]) -> None:
    decoded = decode_geometry_id(np.array([geometry_id(*place) for place in places], dtype=np.uint64))
    np.testing.assert_array_equal(np.stack(decoded, axis=1), places)


@given(st.lists(st.tuples(*(st.integers(0, (1 << bits - (bits == 20)) - 1) for bits in BARCODE_BITS)), min_size=1))
def test_barcodes_are_told_apart(barcodes: list[tuple[int, ...]]) -> None:
    columns = dict(zip(BARCODE, np.array(barcodes, dtype=np.int64).T, strict=True))
    ids = particle_ids(Table(path=Path("e.csv"), columns=columns))
    assert (ids >= 0).all()
    assert len(set(ids.tolist())) == len(set(barcodes))
