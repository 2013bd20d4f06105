"""Hits on the modules of the Generic detector, and which track a shared hit belongs to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitfabric.core import ConfigError, DataError, load_config
from hitfabric.detector import NO_TRACK, Event
from hitfabric.detector.acts_modules import KEY_BITS, ActsModules
from hitfabric.detector.acts_settings import ActsReconstructionConfig
from hitfabric.detector.simulation_acts import RESOLUTION_MM

PLACES = ((8, 2, 1), (8, 2, 7), (13, 4, 1), (17, 4, 3))


def planes(seed: int) -> ActsModules:
    """Modules with random centres and directions."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(len(PLACES), 3, 3)))[0][:, :2]
    key = [(volume << 2 * KEY_BITS) | (layer << KEY_BITS) | module for volume, layer, module in PLACES]
    return ActsModules(
        key=np.array(key), identifier=list(PLACES), centre=rng.uniform(-300, 300, size=(len(PLACES), 3)), axes=axes
    )


def hits_at(positions: np.ndarray, places: list[tuple[int, int, int]]) -> Event:
    x, y, z = np.asarray(positions, np.float32).reshape(-1, 3).T
    volume, layer, module = np.array(places, np.int32).reshape(-1, 3).T
    number = np.arange(1, len(x) + 1)
    return Event(name="e", hit_id=number, x=x, y=y, z=z, volume_id=volume, layer_id=layer, module_id=module)


@given(
    st.integers(0, 1000),
    st.lists(st.tuples(st.integers(0, len(PLACES) - 1), st.floats(-50, 50), st.floats(-50, 50)), max_size=20),
)
def test_positions_on_modules_come_back(seed: int, hits: list[tuple[int, float, float]]) -> None:
    modules = planes(seed)
    row = np.array([hit[0] for hit in hits], dtype=np.int64)
    local = np.array([hit[1:] for hit in hits], dtype=np.float64).reshape(-1, 2)
    positions = modules.centre[row] + np.einsum("hij,hi->hj", modules.axes[row], local)
    event = hits_at(positions, [PLACES[index] for index in row])
    rows, measured, variance = modules.measurements(event, tolerance=0.01)
    np.testing.assert_array_equal(rows, row)
    np.testing.assert_allclose(measured, local, atol=1e-3)  # float32 positions of some hundred mm
    expected = [RESOLUTION_MM[PLACES[index][0]] for index in row]
    np.testing.assert_allclose(np.sqrt(variance), np.array(expected).reshape(-1, 2))


@pytest.mark.parametrize("place", [(8, 2, 2), (9, 2, 1), (8, -1, 1), (8, 2, 1 << 21), (99, 2, 1)])
def test_unknown_modules_are_named(place: tuple[int, int, int]) -> None:
    modules = planes(0)
    event = hits_at(np.stack([modules.centre[0]] * 2), [PLACES[0], place])
    with pytest.raises(DataError, match=f"no module {place[2]} in layer {place[1]} of volume {place[0]}"):
        modules.measurements(event, tolerance=0.5)


@pytest.mark.parametrize("step", [0.6, -0.6, np.nan, np.inf])
def test_hits_beside_their_module_are_refused(step: float) -> None:
    modules = planes(3)
    normal = np.cross(*modules.axes[1])
    positions = modules.centre[[0, 1]] + np.stack([0 * normal, step * normal])
    with pytest.raises(DataError, match=r"hit 2 is .* beside its module"):
        modules.measurements(hits_at(positions, list(PLACES[:2])), tolerance=0.5)


def test_shared_hits_belong_to_the_better_track() -> None:
    pytest.importorskip("acts")
    from hitfabric.detector.acts_chain import FoundTracks

    # Track 1 is the longest; tracks 0 and 2 are equally long, and 2 fits better.
    found = FoundTracks(hits=[[0, 1, 2], [2, 3, 4, 5], [1, 6, 7]], chi2=[9.0, 20.0, 4.0])
    np.testing.assert_array_equal(found.labels(9), [0, 2, 1, 1, 1, 1, 2, 2, NO_TRACK])
    np.testing.assert_array_equal(FoundTracks().labels(3), [NO_TRACK] * 3)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seeding.pt_min", 0),
        ("seeding.middle_r_max", 10),
        ("seeding.separation_min", 200),
        ("seeding.volumes", []),
        ("finding.minimum_hits", 2),
        ("finding.branches", 0),
        ("finding.chi2_outlier", float("nan")),
        ("finding.colour", 1),
        ("workers", 0),
    ],
)
def test_wrong_settings_are_named(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=key.split(".")[0]):
        load_config(ActsReconstructionConfig, None, {key: value})
