"""Random events for property tests: every value that the columns can hold, with and without truth."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
from hypothesis import strategies as st

from hitfabric.detector import UNLABELLED, Detector, Event, Particles
from hitfabric.detector.event import HIT_COLUMNS, PARTICLE_COLUMNS

INT32, INT64 = (st.integers(np.iinfo(kind).min, np.iinfo(kind).max) for kind in (np.int32, np.int64))
FLOAT32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


@st.composite
def events(draw: st.DrawFn, *, name: str = "event000000001", truth: bool | None = None) -> Event:
    """An event of a few hits; truth may be whole, partial or absent."""
    columns, count = _columns(draw, HIT_COLUMNS, "hit_id", 1)
    has_truth = draw(st.booleans()) if truth is None else truth
    labels = st.sampled_from([UNLABELLED, 0, 1, 2]) | INT64
    particle_id = np.array(draw(st.lists(labels, min_size=count, max_size=count)), dtype=np.int64)
    particles = Particles(**_columns(draw, PARTICLE_COLUMNS, "particle_id", 0)[0]) if has_truth else None
    pile_up = draw(st.integers(0, 2**31 - 1)) if has_truth else None
    return Event(
        name=name, particle_id=particle_id if has_truth else None, particles=particles, pile_up=pile_up, **columns
    )


def _columns(draw: st.DrawFn, kinds, unique: str, fewest: int):  # noqa: ANN001, ANN202
    ids = draw(st.lists(INT64, min_size=fewest, max_size=6, unique=True))
    columns = {}
    for column, dtype in kinds.items():
        values = FLOAT32 if np.dtype(dtype).kind == "f" else INT32
        drawn = ids if column == unique else draw(st.lists(values, min_size=len(ids), max_size=len(ids)))
        columns[column] = np.array(drawn, dtype=dtype)
    return columns, len(ids)


def assert_equal_events(left: Event, right: Event) -> None:
    """Equal in every bit and type, whatever is None included."""
    _assert_equal(left, right)


def _assert_equal(left: object, right: object) -> None:
    assert type(left) is type(right)
    for item in fields(left):  # pyright: ignore[reportArgumentType]
        one, two = getattr(left, item.name), getattr(right, item.name)
        if isinstance(one, np.ndarray):
            assert isinstance(two, np.ndarray) and one.dtype == two.dtype, item.name
            np.testing.assert_array_equal(one, two, err_msg=item.name)
        elif isinstance(one, Particles | Detector):
            _assert_equal(one, two)
        else:
            assert one == two, item.name
