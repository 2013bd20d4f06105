"""Pair features: the compiled kernel, NumPy, and the formulas written out give the same bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hitfabric.core import GraphError, MissingToolError
from hitfabric.detector import ALL_LAYERS, PIXEL, PairColumns, PairScales, pair_features, track_features
from hitfabric.detector import compiled as compiled_module
from hitfabric.detector.compiled import compiled_stages
from hitfabric.detector.geometry import pseudorapidity
from hitfabric.detector.pairs import pair_geometry

# Some positions are those of others, so that dr is 0 or below the smallest step; some are far out of any detector.
POSITIONS = st.one_of(
    st.sampled_from([0.0, -0.0, 1e-4, 32.0, 32.0005, -3.1415927, 3.1415927]),
    st.floats(-4000, 4000, width=32),
    st.floats(-(2.0**120), 2.0**120, width=32),
)


def by_formula(features: np.ndarray, edges: np.ndarray, scales: PairScales) -> np.ndarray:
    """The twelve columns for each pair, as `pair_features` describes them."""
    sender, receiver = (features[edges[:, end]].astype(np.float64).T for end in (0, 1))
    eta = [pseudorapidity(hit[0], hit[2]) for hit in (sender, receiver)]
    pair = pair_geometry(features, edges)
    columns = []
    for hit, own in zip((sender, receiver), eta, strict=True):
        columns += [hit[0] / scales.radius_mm - scales.radius_shift, hit[2] / scales.height_mm, own / scales.eta]
    columns += [pair.dphi / scales.dphi_rad, pair.dr / scales.dr_mm, pair.dz / scales.dz_mm]
    columns += [(eta[1] - eta[0]) / scales.deta, pair.phi_slope / scales.phi_slope_per_mm, pair.z0 / scales.z0_mm]
    return np.clip(np.stack(columns, axis=1), -4, 4).astype(np.float32)


@settings(max_examples=300, deadline=None)
@given(
    features=st.integers(1, 30).flatmap(lambda hits: hnp.arrays(np.float32, (hits, 3), elements=POSITIONS)),
    scales=st.sampled_from([PIXEL, ALL_LAYERS]),
    threads=st.integers(1, 3),
    data=st.data(),
)
def test_kernel_numpy_and_formula_give_the_same_bits(
    features: np.ndarray, scales: PairScales, threads: int, data: st.DataObject
) -> None:
    count = data.draw(st.integers(0, 60))
    edges = data.draw(hnp.arrays(np.int64, (count, 2), elements=st.integers(0, len(features) - 1)))
    wanted = by_formula(features, edges, scales)
    columns = PairColumns.of(features, scales, threads=threads)
    assert compiled_stages() is not None
    assert columns.pair_features(edges).tobytes() == wanted.tobytes()
    assert columns.track_features(edges).tobytes() == wanted[:, 6:].tobytes()
    plain = np.full((count, 12), np.nan, dtype=np.float32)
    columns.fill(edges, columns.ends, plain)
    assert plain.tobytes() == wanted.tobytes()


def test_many_pairs_in_any_parts_and_threads() -> None:
    generator = np.random.default_rng(5)
    features = (generator.normal(size=(5000, 3)) * [300, 2, 900]).astype(np.float32)
    edges = generator.integers(0, 5000, (70_001, 2))
    wanted = by_formula(features, edges, ALL_LAYERS)
    assert np.array_equal(pair_features(features, edges, ALL_LAYERS), wanted)
    assert np.array_equal(track_features(features, edges[:, ::-1][:, ::-1], ALL_LAYERS), wanted[:, 6:])
    for threads in (1, 2, 5):
        columns = PairColumns.of(features, ALL_LAYERS, threads=threads)
        parts = [columns.pair_features(edges[start : start + 16_385]) for start in range(0, len(edges), 16_385)]
        assert np.array_equal(np.concatenate(parts), wanted)


@pytest.mark.parametrize("compiler", [True, False])
@pytest.mark.parametrize("wrong", [[0, 4], [-1, 2]])
def test_an_edge_out_of_the_event_is_refused(compiler: bool, wrong: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    columns = PairColumns.of(np.ones((4, 3), np.float32))
    if not compiler:

        def fails() -> Path:
            raise MissingToolError("no g++", remedy="install it")

        monkeypatch.setattr(compiled_module, "compile_stages", fails)
        compiled_stages.cache_clear()
        with pytest.warns(UserWarning, match="no g\\+\\+"):
            assert columns.pair_features(np.array([[0, 3]])).shape == (1, 12)
    with pytest.raises(GraphError, match="not of the 4"):
        columns.pair_features(np.array([[0, 1], wrong]))
    compiled_stages.cache_clear()
