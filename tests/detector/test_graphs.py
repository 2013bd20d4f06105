"""Radius graphs, truth, labels and track building against brute force."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hitfabric.core import DataError, GraphError
from hitfabric.detector import (
    Event,
    Particles,
    connected_components,
    inside_out,
    label_edges,
    radius_graph,
    truth_edges,
)
from hitfabric.detector.simulation_helix import simulate_helix_event

# Points on a grid of 1/8: distances are exact, so that ties and points exactly on the radius are common.
grid_points = st.tuples(st.integers(0, 40), st.integers(1, 3)).flatmap(
    lambda shape: hnp.arrays(np.float32, shape, elements=st.integers(-16, 16).map(lambda value: value / 8))
)


def brute_force(points: np.ndarray, radius: float, neighbours: int | None) -> set[tuple[int, int]]:
    squared = ((points[:, None].astype(float) - points[None].astype(float)) ** 2).sum(-1)
    chosen = set()
    for i in range(len(points)):
        near = sorted((squared[i, j], j) for j in range(len(points)) if j != i and squared[i, j] <= radius**2)
        chosen |= {(min(i, j), max(i, j)) for _, j in near[:neighbours]}
    return chosen


@settings(max_examples=150, deadline=None)
@given(
    points=grid_points, radius=st.integers(1, 16).map(lambda value: value / 8), neighbours=st.none() | st.integers(1, 4)
)
def test_radius_graph_is_exact(points: np.ndarray, radius: float, neighbours: int | None) -> None:
    edges = radius_graph(points, radius, neighbours)
    assert edges.dtype == np.int64 and edges.shape[1] == 2
    assert {tuple(edge) for edge in edges.tolist()} == brute_force(points, radius, neighbours)
    assert edges.tolist() == sorted(edges.tolist()) and len(edges) == len(np.unique(edges, axis=0))


@given(points=grid_points, seed=st.integers(0, 100))
def test_edges_lead_outwards(points: np.ndarray, seed: int) -> None:
    features = np.random.default_rng(seed).integers(0, 3, (len(points), 3)).astype(np.float32)
    edges = radius_graph(points, 1.0, features=features)
    distance = features[:, 0] ** 2 + features[:, 2] ** 2
    for sender, receiver in edges:
        assert (distance[sender], sender) < (distance[receiver], receiver)
    assert edges.tolist() == sorted(edges.tolist())
    assert len(edges) == len(radius_graph(points, 1.0))


@settings(max_examples=50, deadline=None)
@given(points=grid_points, seed=st.integers(0, 100), neighbours=st.none() | st.integers(1, 4))
def test_the_order_of_hits_does_not_matter(points: np.ndarray, seed: int, neighbours: int | None) -> None:
    rng = np.random.default_rng(seed)
    # Different distances: with equal ones a limit of neighbours goes by index, which does depend on the order.
    points = (points + rng.uniform(0, 0.01, points.shape)).astype(np.float32)
    features = rng.normal(size=(len(points), 3)).astype(np.float32)
    order = rng.permutation(len(points))
    edges = radius_graph(points, 1.0, neighbours, features)
    shuffled = radius_graph(points[order], 1.0, neighbours, features[order])
    assert sorted(order[shuffled].tolist()) == edges.tolist()


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_inside_out_by_brute_force(data: st.DataObject) -> None:
    pairs = data.draw(hnp.arrays(np.int64, (data.draw(st.integers(0, 20)), 2), elements=st.integers(0, 9)))
    features = data.draw(hnp.arrays(np.float32, (10, 3), elements=st.integers(-2, 2)))
    key = [(r * r + z * z, hit) for hit, (r, _, z) in enumerate(features.tolist())]
    wanted = {(min(pair, key=key.__getitem__), max(pair, key=key.__getitem__)) for pair in pairs.tolist()}
    assert inside_out(pairs, features).tolist() == [list(pair) for pair in sorted(wanted)]
    by_index = {(min(pair), max(pair)) for pair in pairs.tolist()}
    assert inside_out(pairs).tolist() == [list(pair) for pair in sorted(by_index)]


def test_pairs_of_hits_that_do_not_exist_are_refused() -> None:
    features = np.zeros((3, 3), np.float32)
    with pytest.raises(GraphError, match="pairs name hits 1 to 3, there are 3"):
        inside_out(np.array([[1, 3]]), features)
    for given_features in (None, features):
        with pytest.raises(GraphError, match="pairs name hits -1 to 2"):
            inside_out(np.array([[2, -1]]), given_features)


def test_too_many_pairs_are_refused_before_they_are_made() -> None:
    same = np.zeros((30_000, 8), np.float32)
    with pytest.raises(GraphError, match=r"about 449985000 edges, the maximum is 1000000"):
        radius_graph(same, 0.1, max_edges=1_000_000)
    with pytest.raises(GraphError, match=r"has 4950 edges, the maximum is 4949"):
        radius_graph(same[:100], 0.1, max_edges=4949)
    assert len(radius_graph(same[:100], 0.1, max_edges=4950)) == 4950


@pytest.mark.parametrize("wrong", [np.full((3, 2), np.nan, np.float32), np.zeros(4, np.float32)])
def test_a_broken_embedding_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(DataError, match="embedding"):
        radius_graph(wrong, 1.0)


def union_find(edges: np.ndarray, hits: int, minimum: int) -> list[int]:
    parent = list(range(hits))

    def root(node: int) -> int:
        while parent[node] != node:
            node = parent[node]
        return node

    for i, j in edges.tolist():
        parent[root(i)] = root(j)
    roots = [root(node) for node in range(hits)]
    numbers: dict[int, int] = {}
    return [numbers.setdefault(group, len(numbers)) if roots.count(group) >= minimum else -1 for group in roots]


@settings(max_examples=200, deadline=None)
@given(data=st.data(), hits=st.integers(0, 25), minimum=st.integers(1, 4))
def test_components_by_union_find(data: st.DataObject, hits: int, minimum: int) -> None:
    count = data.draw(st.integers(0, 20)) if hits else 0
    edges = data.draw(hnp.arrays(np.int64, (count, 2), elements=st.integers(0, max(hits - 1, 0))))
    keep = data.draw(hnp.arrays(np.bool_, count))
    labels = connected_components(edges, keep, hits, minimum)
    assert labels.dtype == np.int64
    assert labels.tolist() == union_find(edges[keep], hits, minimum)


def test_components_refuse_wrong_input() -> None:
    edges = np.array([[0, 1], [1, 5]])
    with pytest.raises(GraphError, match=r"span 0 to 5, the graph has 3 nodes"):
        connected_components(edges, None, 3)
    with pytest.raises(GraphError, match="keep is float32"):
        connected_components(edges, np.zeros(2, np.float32), 6)  # pyright: ignore[reportArgumentType]


def straight_event(radii: list[float], layers: list[int], *, pt: float = 1.0) -> Event:
    """One particle along x from the vertex (1, 0, 0)."""
    count = len(radii)
    zero = np.zeros(count, np.float32)
    one = np.ones(1, np.float32)
    return Event(
        name="e",
        hit_id=np.arange(count),
        x=np.array(radii, np.float32),
        y=zero,
        z=zero,
        volume_id=np.full(count, 8, np.int32),
        layer_id=np.array(layers, np.int32),
        module_id=np.ones(count, np.int32),
        particle_id=np.full(count, 42),
        particles=Particles(
            particle_id=np.array([42]), vx=one, vy=one * 0, vz=one * 0, px=one * pt, py=one * 0, pz=one * 0,
            q=np.ones(1, np.int32), nhits=np.full(1, count, np.int32),
        ),
    )  # fmt: skip


def test_truth_edges_join_consecutive_layers() -> None:
    event = straight_event([116, 32, 72, 72.5], [6, 2, 4, 4])
    assert truth_edges(event).tolist() == [[1, 2], [3, 0]]
    assert truth_edges(event, 1.5).tolist() == [] and truth_edges(event, min_hits=5).tolist() == []


def test_truth_edges_of_simulated_events_are_directed_like_the_graph() -> None:
    event = simulate_helix_event("e", rng=np.random.default_rng(3), pile_up=2)
    truth = truth_edges(event, 0.3)
    assert event.particle_id is not None and len(truth) > 20
    distance = event.r.astype(float) ** 2 + event.z.astype(float) ** 2
    assert (distance[truth[:, 0]] <= distance[truth[:, 1]]).all()
    assert (event.particle_id[truth[:, 0]] == event.particle_id[truth[:, 1]]).all()
    # One particle of n hits on n layers gives n - 1 edges.
    for particle in np.unique(event.particle_id[truth])[:50]:
        mine = np.flatnonzero(event.particle_id == particle)
        assert (event.particle_id[truth[:, 0]] == particle).sum() == len(mine) - 1
    labels = connected_components(truth, None, len(event))
    for first, second in pairwise(np.flatnonzero(labels == 0)):
        assert event.particle_id[first] == event.particle_id[second]


def test_truth_edges_need_truth() -> None:
    event = straight_event([32, 72], [2, 4])
    with pytest.raises(DataError, match="event e has no truth"):
        truth_edges(Event(**{**vars_of(event), "particle_id": None}))


def vars_of(event: Event) -> dict:
    return {name: getattr(event, name) for name in event.__dataclass_fields__}


@given(data=st.data())
def test_label_edges_by_brute_force(data: st.DataObject) -> None:
    index = st.integers(0, 9)
    edges, truth = (
        data.draw(st.integers(0, 15).flatmap(lambda count: hnp.arrays(np.int64, (count, 2), elements=index)))
        for _ in range(2)
    )
    wanted = {frozenset(pair) for pair in truth.tolist()}
    assert label_edges(edges, truth).tolist() == [frozenset(pair) in wanted for pair in edges.tolist()]
