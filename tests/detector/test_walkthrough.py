"""The walkthrough: equality with an enumeration of all paths, cases with a known answer, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hitfabric.core import GraphError
from hitfabric.detector import WalkthroughSettings, connected_components, walk_tracks
from hitfabric.detector.walkthrough import numpy_walk
from tests.support.slow_walk import slow_walk

OPEN = WalkthroughSettings(component_threshold=0, walk_min=0, walk_add=0)


@st.composite
def scored_graphs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    """Small random directed acyclic graphs; few distinct logits, so that ties are common; some edges twice."""
    hits = draw(st.integers(1, 9))
    pairs = [(i, j) for i in range(hits) for j in range(i + 1, hits)]
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=14)) if pairs else []
    logits = draw(st.lists(st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0]), min_size=len(chosen), max_size=len(chosen)))
    # Inner to outer is an order of the hits, not of their indices.
    names = np.array(draw(st.permutations(range(hits))), dtype=np.int64)
    return names[np.array(chosen, dtype=np.int64).reshape(-1, 2)], np.array(logits, dtype=np.float32), hits


@st.composite
def thresholds(draw: st.DrawFn) -> WalkthroughSettings:
    """Settings in every order of the three thresholds that is allowed."""
    low, high = sorted(draw(st.tuples(st.sampled_from([-2.0, -1.0, 0.0]), st.sampled_from([-1.0, 0.0, 0.5, 2.0]))))
    return WalkthroughSettings(
        component_threshold=draw(st.sampled_from([-2.0, -1.0, 0.0])),
        walk_min=low,
        walk_add=high,
        minimum_hits=draw(st.integers(2, 4)),
        absorb=draw(st.booleans()),
    )


@settings(max_examples=400, deadline=None)
@given(scored_graphs(), thresholds())
def test_equals_the_enumeration_of_all_paths(
    graph: tuple[np.ndarray, np.ndarray, int], cuts: WalkthroughSettings
) -> None:
    edge_index, logits, hits = graph
    labels = walk_tracks(edge_index, logits, hits, settings=cuts)
    assert labels.dtype == np.int64
    wanted = slow_walk(edge_index, logits, hits, cuts)
    assert labels.tolist() == numpy_walk(edge_index, logits, hits, cuts).tolist() == wanted


@pytest.mark.parametrize("seed", range(8))
def test_equals_the_enumeration_on_denser_graphs(seed: int) -> None:
    generator = np.random.default_rng(seed)
    for _ in range(60):
        hits = int(generator.integers(6, 13))
        pairs = np.sort(generator.integers(0, hits, size=(24, 2)), axis=1)
        edge_index = generator.permutation(hits)[pairs[pairs[:, 0] < pairs[:, 1]]].astype(np.int64)
        logits = generator.choice([-1.0, 0.0, 0.5], len(edge_index)).astype(np.float32)
        cuts = WalkthroughSettings(
            component_threshold=-1,
            walk_min=float(generator.choice([-1, 0])),
            walk_add=float(generator.choice([0, 0.5])),
            minimum_hits=int(generator.integers(2, 5)),
            absorb=bool(generator.integers(2)),
        )
        labels = walk_tracks(edge_index, logits, hits, settings=cuts)
        wanted = slow_walk(edge_index, logits, hits, cuts)
        assert labels.tolist() == numpy_walk(edge_index, logits, hits, cuts).tolist() == wanted


@settings(max_examples=100, deadline=None)
@given(scored_graphs(), thresholds(), st.randoms(use_true_random=False))
def test_the_order_of_the_edges_does_not_matter(
    graph: tuple[np.ndarray, np.ndarray, int], cuts: WalkthroughSettings, random: object
) -> None:
    edge_index, logits, hits = graph
    order = np.arange(len(logits))
    random.shuffle(order)  # pyright: ignore[reportAttributeAccessIssue]
    labels = walk_tracks(edge_index, logits, hits, settings=cuts)
    assert np.array_equal(labels, walk_tracks(edge_index[order], logits[order], hits, settings=cuts))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6))
def test_the_numbering_of_the_hits_does_not_matter_without_ties(seed: int) -> None:
    generator = np.random.default_rng(seed)
    hits = 40
    edge_index = np.sort(generator.choice(hits, size=(80, 2)), axis=1).astype(np.int64)
    edge_index = np.unique(edge_index[edge_index[:, 0] < edge_index[:, 1]], axis=0)
    logits = generator.normal(size=len(edge_index)) * 4
    names = generator.permutation(hits)
    cuts = WalkthroughSettings(absorb=False)
    labels = walk_tracks(edge_index, logits, hits, settings=cuts)
    renamed = walk_tracks(names[edge_index], logits, hits, settings=cuts)[names]
    together = labels[:, None] == labels[None]
    assert np.array_equal(together, renamed[:, None] == renamed[None])
    assert np.array_equal(labels < 0, renamed < 0)


@settings(max_examples=100, deadline=None)
@given(scored_graphs(), thresholds())
def test_labels_are_numbered_by_lowest_hit_and_stay_within_components(
    graph: tuple[np.ndarray, np.ndarray, int], cuts: WalkthroughSettings
) -> None:
    edge_index, logits, hits = graph
    labels = walk_tracks(edge_index, logits, hits, settings=cuts)
    component = connected_components(edge_index, logits >= cuts.component_threshold, hits, 1)
    seen = [int(np.flatnonzero(labels == track)[0]) for track in range(labels.max() + 1)]
    assert seen == sorted(seen)
    for track in range(labels.max() + 1):
        assert np.count_nonzero(labels == track) >= cuts.minimum_hits
        assert len(np.unique(component[labels == track])) == 1


def _labels(edges: list[tuple[int, int]], hits: int, cuts: WalkthroughSettings = OPEN, logits: object = None) -> list:
    scores = np.ones(len(edges), np.float32) if logits is None else np.array(logits, np.float32)
    return walk_tracks(np.array(edges, dtype=np.int64).reshape(-1, 2), scores, hits, settings=cuts).tolist()


def test_two_tracks_joined_by_one_wrong_edge_are_told_apart() -> None:
    edges = [(0, 1), (1, 2), (2, 3), (4, 5), (5, 6), (6, 7), (1, 6)]
    assert _labels(edges, 8, logits=[3, 3, 3, 3, 3, 3, 1]) == [0, 0, 0, 0, 1, 1, 1, 1]


def test_the_second_hit_of_a_layer_is_absorbed() -> None:
    edges = [(0, 1), (0, 2), (1, 3), (2, 3), (3, 4)]
    assert _labels(edges, 5) == [0, 0, 0, 0, 0]
    assert _labels(edges, 5, OPEN.model_copy(update={"absorb": False})) == [0, 0, -1, 0, 0]


def test_a_second_path_through_overlapping_layers_is_no_track_of_its_own() -> None:
    edges = [(0, 1), (1, 6)]
    edges += [(a, b) for first, second in (((0,), (1, 2)), ((1, 2), (3, 4)), ((3, 4), (5, 7)), ((5, 7), (6,)))
              for a in first for b in second]  # fmt: skip
    assert _labels(edges, 8) == [0] * 8
    assert sorted(set(_labels(edges, 8, OPEN.model_copy(update={"absorb": False})))) == [0, 1]


def test_four_hits_on_two_layers_are_a_track() -> None:
    assert _labels([(0, 2), (0, 3), (1, 2), (1, 3)], 4) == [0, 0, 0, 0]


def test_weak_edges_are_followed_in_simple_paths_only() -> None:
    cuts = WalkthroughSettings(component_threshold=-4, walk_min=0, walk_add=1)
    assert _labels([(0, 1), (1, 2)], 3, cuts, [-3, -3]) == [0, 0, 0]
    assert _labels([(0, 1), (1, 2), (1, 3)], 4, cuts, [-3, -3, -3]) == [-1, -1, -1, -1]


@pytest.mark.parametrize("hits", [0, 1, 5])
def test_no_edges_give_no_tracks(hits: int) -> None:
    assert _labels([], hits) == [-1] * hits


def test_a_single_edge() -> None:
    assert _labels([(0, 1)], 2) == [-1, -1]
    assert _labels([(1, 0)], 3, OPEN.model_copy(update={"minimum_hits": 2})) == [0, 0, -1]


@pytest.mark.parametrize(
    "cycle",
    [[(0, 1), (1, 2), (2, 0)], [(0, 1), (1, 0)], [(0, 1), (1, 2), (2, 3), (3, 1)], [(2, 2)], [(0, 1), (1, 2), (1, 1)]],
)
def test_a_cycle_is_refused(cycle: list[tuple[int, int]]) -> None:
    with pytest.raises(GraphError, match=r"cycle of edges; direct the edges"):
        _labels(cycle, 5)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_logit_that_is_not_finite_is_named(value: float) -> None:
    with pytest.raises(GraphError, match="logit of edge 1 is"):
        _labels([(0, 1), (1, 2)], 3, OPEN, [1, value])


@pytest.mark.parametrize("edges", [[(0, 3)], [(-1, 1)]])
def test_edges_out_of_the_event_are_refused(edges: list[tuple[int, int]]) -> None:
    with pytest.raises(GraphError, match="the event has 3 hits"):
        _labels(edges, 3)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(GraphError, match="one logit per edge"):
        _labels([(0, 1), (1, 2)], 3, OPEN, [1])
    with pytest.raises(GraphError, match="edge_index has shape"):
        walk_tracks(np.zeros((2, 3), np.int64), np.zeros(2, np.float32), 3)


def test_thresholds_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"walk_add -1\.0 is below walk_min 0\.0"):
        WalkthroughSettings(walk_min=0, walk_add=-1)
