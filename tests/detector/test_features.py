"""Features: definitions, finiteness, invariance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hitfabric.detector import (
    edge_features,
    embedding_features,
    node_features,
    pair_features,
    read_graphs,
    truth_edges,
)
from hitfabric.detector.features import PAIR_FEATURES
from hitfabric.detector.geometry import pseudorapidity, wrap_angle
from hitfabric.detector.simulation_helix import simulate_helix_event

finite = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(max_examples=200, deadline=None)
@given(hits=hnp.arrays(np.float32, st.tuples(st.integers(2, 6), st.just(3)), elements=finite))
def test_finite_for_every_finite_input(hits: np.ndarray) -> None:
    edges = np.array([[i, j] for i in range(len(hits)) for j in range(len(hits))])
    for result, columns in (
        (node_features(hits), 3),
        (embedding_features(hits), 6),
        (pair_features(hits, edges), 12),
    ):
        assert result.dtype == np.float32 and result.shape[1] == columns
        assert np.isfinite(result).all()
    assert np.abs(pair_features(hits, edges)).max() <= 4


@given(hits=hnp.arrays(np.float32, (5, 3), elements=st.floats(-1e6, 1e6, width=32)))
def test_edge_features_are_finite_and_antisymmetric(hits: np.ndarray) -> None:
    edges = np.array([[0, 1], [2, 3], [4, 4]])
    forward, backward = edge_features(hits, edges), edge_features(hits, edges[:, ::-1])
    assert np.isfinite(forward).all()
    np.testing.assert_array_equal(forward[:, [0, 2]], -backward[:, [0, 2]])
    np.testing.assert_array_equal(forward[2, [0, 1, 2, 3]], 0)


def test_no_pairs_give_no_rows() -> None:
    hits, none = np.ones((4, 3), np.float32), np.zeros((0, 2), np.int64)
    assert pair_features(hits, none).shape == (0, 12) and edge_features(hits, none).shape == (0, 4)
    assert embedding_features(hits[:0]).shape == (0, 6) and node_features(hits[:0]).shape == (0, 3)


def test_pair_features_by_hand() -> None:
    hits = np.array([[50, 3.13, 100], [75, -3.13, 140]], np.float32)
    row = dict(zip(PAIR_FEATURES, pair_features(hits, np.array([[0, 1]]))[0], strict=True))
    dphi = 2 * np.pi - 6.26
    assert row["r_i"] == np.float32(-0.5) and row["dr"] == 1 and row["z_j"] == np.float32(0.28)
    np.testing.assert_allclose(row["dphi"], dphi / 0.02, rtol=1e-4)
    np.testing.assert_allclose(row["phi_slope"], dphi / 25 / 3e-4, rtol=1e-4)
    np.testing.assert_allclose(row["z0"], (100 - 50 * 40 / 25) / 10, rtol=1e-5)
    np.testing.assert_allclose(row["eta_i"], np.arcsinh(2) / 1.5, rtol=1e-6)


def test_true_pairs_fill_the_range() -> None:
    event = simulate_helix_event("e", rng=np.random.default_rng(1), pile_up=40)
    pairs = pair_features(event.features(), truth_edges(event, 0.5))
    assert len(pairs) > 1000
    assert (np.abs(pairs) < 4).all(axis=1).mean() > 0.95
    spread = pairs.std(axis=0)
    assert spread.min() > 0.15 and spread.max() < 3


@pytest.mark.parametrize("angle", [0.0, 1.0, -3.1, np.pi])
@pytest.mark.parametrize("turns", [-3, 0, 1])
def test_wrap_angle(angle: float, turns: int) -> None:
    wrapped = wrap_angle(angle + turns * 2 * np.pi)
    assert abs(wrapped) <= np.pi
    assert np.exp(1j * wrapped) == pytest.approx(np.exp(1j * angle), abs=1e-12)


def test_pseudorapidity_is_that_of_the_polar_angle() -> None:
    theta = np.linspace(0.01, np.pi - 0.01, 1001)
    np.testing.assert_allclose(
        pseudorapidity(np.sin(theta), np.cos(theta)), -np.log(np.tan(theta / 2)), rtol=1e-9, atol=1e-9
    )


def test_edge_features_are_those_of_the_published_graphs(shared_data: Path) -> None:
    for graph in read_graphs(shared_data / "trackml_graphs" / "plus_2GeV", limit=5):
        features = (graph.nodes.astype(np.float64) * [1000, np.pi, 1000]).astype(np.float32)
        # Their edge_attr was computed in float32 from coordinates before rounding: equal to float32 resolution.
        np.testing.assert_allclose(edge_features(features, graph.edge_index), graph.edges, rtol=0, atol=1e-5)
        np.testing.assert_allclose(
            edge_features(features, graph.edge_index)[:, :3], graph.edges[:, :3], rtol=0, atol=2.5e-7
        )
        np.testing.assert_allclose(node_features(features), graph.nodes, rtol=2e-7)
