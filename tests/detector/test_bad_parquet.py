"""Every way in which a Parquet file of events can be wrong, named with its row and column."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from hitfabric.core import DataError
from hitfabric.detector import UNLABELLED, list_events, read_event, read_events

HITS: dict[str, Any] = {
    "hit_id": [1, 2, 3],
    "x": [30.5, 71.0, 115.0],
    "y": [-1.25, 2.0, 3.0],
    "z": [4.0, -9.5, 12.0],
    "volume_id": [8, 8, 8],
    "layer_id": [2, 4, 6],
    "module_id": [1, 1, 7],
    "particle_id": [42, None, 0],
    "primary_vertices": [2, 2, 2],
}
PARTICLES: dict[str, Any] = {
    "particle_id": [42],
    **{name: [0.0] for name in ("vx", "vy", "vz")},
    "px": [3.0],
    "py": [4.0],
    "pz": [1.0],
    "q": [-1],
    "nhits": [2],
}


def write(folder: Path, kind: str, columns: dict[str, Any]) -> Path:
    path = folder / f"e-{kind}.parquet"
    parquet.write_table(pyarrow.table(columns), path)
    return path


def test_null_is_unlabelled(tmp_path: Path) -> None:
    write(tmp_path, "particles", PARTICLES)
    event = read_event(write(tmp_path, "hits", HITS) / "e", require_truth=True)
    assert event.particle_id is not None
    assert event.particle_id.tolist() == [42, UNLABELLED, 0]
    np.testing.assert_array_equal(event.pt, np.array([5, np.nan, np.nan], np.float32))
    assert event.pile_up == 2


def setting(name: str, values: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda columns: columns | {name: values}


def without(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda columns: {key: values for key, values in columns.items() if key != name}


def emptied(columns: dict[str, Any]) -> dict[str, Any]:
    table = pyarrow.table(columns).slice(0, 0)
    return {name: table.column(name) for name in table.column_names}


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("hits", without("layer_id"), r"column layer_id is missing \(found: hit_id, x"),
        ("hits", setting("hit_id", [1, 2, 1]), "row 2, column hit_id: 1 occurs twice"),
        ("hits", setting("hit_id", [1.0, 2.0, 3.0]), "column hit_id is double, expected int64"),
        ("hits", setting("x", ["30.5", "71", "115"]), "column x is string, expected float32"),
        ("hits", setting("x", [30.5, np.nan, 115]), "row 1, column x: nan is not finite"),
        ("hits", setting("z", [4.0, -9.5, -np.inf]), "row 2, column z: -inf is not finite"),
        ("hits", setting("y", [1e300, 2.0, 3.0]), r"row 0, column y: 1e\+300 is not finite"),
        ("hits", setting("y", [None, 2.0, 3.0]), "row 0, column y: null"),
        ("hits", setting("volume_id", [8, 2**40, 8]), "row 1, column volume_id: 1099511627776 is outside the range"),
        ("hits", setting("particle_id", ["a", "b", "c"]), "column particle_id is string"),
        ("hits", setting("primary_vertices", [2, 3, 2]), r"primary_vertices is \[2, 3\] in one event"),
        ("hits", setting("primary_vertices", [-1, -1, -1]), r"primary_vertices is \[-1\]"),
        ("hits", setting("event", [0.5, 0.5, 0.5]), "no events|column event is double"),
        ("hits", emptied, "holds no hits"),
        ("hits", without("particle_id"), "has no column particle_id"),
        ("particles", without("q"), "e-particles.parquet: column q is missing"),
        ("particles", setting("px", [np.inf]), "e-particles.parquet, row 0, column px: inf is not finite"),
    ],
)
def test_wrong_columns_are_named(
    kind: str, change: Callable[[dict[str, Any]], dict[str, Any]], message: str, tmp_path: Path
) -> None:
    tables = {"hits": HITS, "particles": PARTICLES}
    for name, columns in tables.items():
        write(tmp_path, name, change(columns) if name == kind else columns)
    with pytest.raises(DataError, match=message) as caught:
        list(read_events(tmp_path, require_truth=True))
    assert "\n" not in str(caught.value)


def test_no_particles_beside_the_hits(tmp_path: Path) -> None:
    path = write(tmp_path, "hits", HITS)
    assert read_event(path / "e").particles is None
    with pytest.raises(DataError, match=r"has no e-particles\.parquet beside it"):
        read_event(path / "e", require_truth=True)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"hit_id,x\n1,2\n"])
def test_not_parquet(content: bytes, tmp_path: Path) -> None:
    path = write(tmp_path, "hits", HITS)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"cannot read .*e-hits\.parquet"):
        list_events(path)
