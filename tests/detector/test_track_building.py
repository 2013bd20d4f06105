"""Both track builders behind one function, on scores of known quality."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hitfabric.core import GraphError
from hitfabric.detector import (
    TrackBuilderConfig,
    WalkthroughSettings,
    build_tracks,
    connected_components,
    inside_out,
    truth_edges,
    walk_tracks,
)
from hitfabric.detector.simulation_helix import simulate_helix_event
from hitfabric.models.metrics import match_tracks

COMPONENTS = TrackBuilderConfig(kind="connected_components", threshold=0.5)
WALK = TrackBuilderConfig(kind="walkthrough", threshold=-1.0, walk_min=0.0, walk_add=1.0)


def _graph(seed: int, hits: int = 60) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    pairs = np.sort(generator.integers(0, hits, size=(2 * hits, 2)), axis=1)
    edge_index = pairs[pairs[:, 0] < pairs[:, 1]]
    return edge_index, generator.normal(0, 2, len(edge_index)).astype(np.float32)


@given(st.integers(0, 1000))
def test_the_kind_says_who_builds(seed: int) -> None:
    edge_index, logits = _graph(seed)
    assert np.array_equal(
        build_tracks(edge_index, logits, 60, COMPONENTS), connected_components(edge_index, logits >= 0.5, 60, 3)
    )
    settings = WalkthroughSettings(component_threshold=-1, walk_min=0, walk_add=1)
    assert np.array_equal(
        build_tracks(edge_index, logits, 60, WALK), walk_tracks(edge_index, logits, 60, settings=settings)
    )


def test_wrong_edges_between_particles_cost_the_walkthrough_less() -> None:
    event = simulate_helix_event("event000000001", rng=np.random.default_rng(5), pile_up=5)
    generator = np.random.default_rng(0)
    true = truth_edges(event)
    wrong = inside_out(generator.integers(0, len(event), size=(len(true) // 10, 2)), event.features())
    wrong = wrong[(event.particle_row[wrong[:, 0]] != event.particle_row[wrong[:, 1]])]
    edge_index = np.concatenate([true, wrong])
    logits = np.concatenate([np.full(len(true), 3.0), np.full(len(wrong), 0.5)]).astype(np.float32)
    perfect = build_tracks(true, logits[: len(true)], len(event), WALK)
    walked = build_tracks(edge_index, logits, len(event), WALK)
    joined = build_tracks(edge_index, logits, len(event), COMPONENTS)
    assert match_tracks(event, perfect).efficiency == 1
    assert match_tracks(event, walked).efficiency > 0.95 > 0.8 > match_tracks(event, joined).efficiency


@pytest.mark.parametrize("kind", ["connected_components", "walkthrough"])
def test_logits_that_are_not_finite_are_refused(kind: str) -> None:
    edge_index, logits = _graph(0)
    logits[3] = np.nan
    with pytest.raises(GraphError, match="check the network"):
        build_tracks(edge_index, logits, 60, TrackBuilderConfig.model_validate({"kind": kind}))


@pytest.mark.parametrize("kind", ["connected_components", "walkthrough"])
def test_an_empty_event(kind: str) -> None:
    settings = TrackBuilderConfig.model_validate({"kind": kind})
    labels = build_tracks(np.zeros((0, 2), np.int64), np.zeros(0, np.float32), 0, settings)
    assert labels.dtype == np.int64
    assert labels.shape == (0,)


def test_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValidationError, match="is below walk_min"):
        TrackBuilderConfig(kind="walkthrough", walk_min=1, walk_add=0)
    with pytest.raises(ValidationError, match="two hits or more"):
        TrackBuilderConfig(kind="walkthrough", minimum_hits=1)
    with pytest.raises(ValidationError, match="walk_mim"):
        TrackBuilderConfig.model_validate({"walk_mim": 1})
    assert TrackBuilderConfig(kind="connected_components", walk_min=1, walk_add=0, minimum_hits=1).minimum_hits == 1
