"""Geometric doublets against brute force, and against the published graphs."""

from __future__ import annotations

import itertools
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.spatial import KDTree

from hitfabric.core import ConfigError, DataError, GraphError, load_config
from hitfabric.detector import (
    NOISE,
    UNLABELLED,
    DoubletCuts,
    Event,
    LayerPair,
    Particles,
    doublets,
    geometric_doublets,
    geometric_graph,
    read_event,
    read_graph,
    selected_hits,
)
from hitfabric.detector.doublets import Cylinder
from hitfabric.detector.simulation_helix import simulate_helix_event

LAYERS = ((8, 2), (8, 4), (9, 2))
PAIRS = (
    LayerPair(inner=(8, 2), outer=(8, 4)),
    LayerPair(inner=(8, 4), outer=(9, 2)),
    LayerPair(inner=(8, 2), outer=(9, 2), blocked_by=Cylinder(radius=72.0, half_length=300.0)),
)


def random_event(seed: int, hits: int) -> Event:
    """Hits on three layers and outside of them, some at the same place, some of no known particle."""
    rng = np.random.default_rng(seed)
    names = np.array([*LAYERS, (8, 6)], dtype=np.int32)[rng.integers(0, 4, hits)]
    r = np.where(names[:, 1] == 2, 32, 72) + rng.integers(-1, 2, hits) + np.where(names[:, 0] == 9, 60, 0)
    # Multiples of 1/16 turn: hits at +-pi and pairs half a turn apart are common.
    phi = rng.integers(-8, 9, hits) * (np.pi / 8) + rng.choice([0.0, 0.01, -0.01], hits)
    z = np.where(names[:, 0] == 9, 600, rng.integers(-40, 41, hits) * 12)
    return Event(
        name=f"event{seed}",
        hit_id=np.arange(hits),
        x=(r * np.cos(phi)).astype(np.float32),
        y=(r * np.sin(phi)).astype(np.float32),
        z=z.astype(np.float32),
        volume_id=names[:, 0],
        layer_id=names[:, 1],
        module_id=np.zeros(hits, np.int32),
        particle_id=rng.integers(0, 5, hits),
        particles=particle_table([1, 2, 3, 4], [0.5, 1.0, 2.0, 3.0]),
    )


def particle_table(ids: list[int], pts: list[float]) -> Particles:
    zero = np.zeros(len(ids), np.float32)
    count = zero.astype(np.int32)
    names = ("vx", "vy", "vz", "py", "pz")
    columns = dict.fromkeys(names, zero)
    return Particles(particle_id=np.array(ids), px=np.array(pts, np.float32), q=count, nhits=count, **columns)


def brute_force(event: Event, cuts: DoubletCuts) -> list[list[int]]:
    r, phi, z = event.features().astype(float).T
    found = []
    layers = list(zip(event.volume_id.tolist(), event.layer_id.tolist(), strict=True))
    for i, j in itertools.permutations(range(len(event)), 2):
        for pair in cuts.layer_pairs:
            dr, dz = r[j] - r[i], z[j] - z[i]
            if (layers[i], layers[j]) != (pair.inner, pair.outer) or dr == 0:
                continue
            dphi = abs(phi[j] - phi[i])
            slope = min(dphi, abs(2 * np.pi - dphi)) / abs(dr)
            crossing = z[i] + (pair.blocked_by.radius - r[i]) * dz / dr if pair.blocked_by else np.inf
            blocked = pair.blocked_by is not None and abs(crossing) < pair.blocked_by.half_length
            if slope < cuts.phi_slope_max and abs(z[i] - r[i] * dz / dr) < cuts.z0_max and not blocked:
                found.append([i, j])
    return sorted(found)


cuts_of_pairs = st.builds(
    lambda slope, z0: DoubletCuts(layer_pairs=PAIRS, phi_slope_max=slope, z0_max=z0),
    # None of these is a slope or an intercept that the grid can give exactly: both sides round differently.
    st.sampled_from([3.1e-4, 0.0123, 0.0456, 1.07]),
    st.sampled_from([33.3, 211.1, 15_000.7]),
)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**6), hits=st.integers(0, 60), cuts=cuts_of_pairs, block=st.sampled_from([1, 7, 4_000_000])
)
def test_doublets_by_brute_force(seed: int, hits: int, cuts: DoubletCuts, block: int) -> None:
    event = random_event(seed, hits)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doublets, "BLOCK", block)
        edges = geometric_doublets(event, cuts)
    assert edges.dtype == np.int64 and edges.shape[1] == 2
    assert edges.tolist() == brute_force(event, cuts)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), hits=st.integers(0, 60), cuts=cuts_of_pairs)
def test_the_order_of_hits_does_not_matter(seed: int, hits: int, cuts: DoubletCuts) -> None:
    event = random_event(seed, hits)
    order = np.random.default_rng(seed).permutation(hits)
    shuffled = geometric_doublets(event.take(order), cuts)
    assert sorted(order[shuffled].tolist()) == geometric_doublets(event, cuts).tolist()


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    hits=st.integers(0, 30),
    min_pt=st.sampled_from([None, 0.0, 1.0]),
    single=st.booleans(),
)
def test_selection_and_labels_by_brute_force(seed: int, hits: int, min_pt: float | None, single: bool) -> None:
    event = random_event(seed, hits)
    cuts = DoubletCuts(layer_pairs=PAIRS, phi_slope_max=1.0, min_pt=min_pt, one_hit_per_layer=single)
    assert event.particle_id is not None
    layers = [(int(v), int(m)) for v, m in zip(event.volume_id, event.layer_id, strict=True)]
    rows = [row for row in range(hits) if layers[row] in LAYERS]
    if min_pt is not None:
        rows = [row for row in rows if event.particle_id[row] != NOISE and event.pt[row] > min_pt]
    if single:
        best: dict[object, int] = {}
        for row in rows:
            owner = int(event.particle_id[row]) or f"noise {row}"
            key = (owner, layers[row])
            best[key] = min(best.get(key, row), row, key=lambda hit: (event.r[hit], hit))
        rows = sorted(best.values())
    assert selected_hits(event, cuts).tolist() == rows

    graph = geometric_graph(event, cuts)
    np.testing.assert_array_equal(graph.particle_id, event.particle_id[rows])
    assert graph.edge_index.tolist() == brute_force(event.take(np.array(rows, dtype=np.int64)), cuts)
    place = np.stack([event.x, event.y, event.z], axis=1).astype(float)[rows]
    for receiver in range(len(rows)):
        mine = np.flatnonzero(graph.edge_index[:, 1] == receiver)
        same = [edge for edge in mine if graph.particle_id[graph.edge_index[edge, 0]] == graph.particle_id[receiver]]
        same = [edge for edge in same if graph.particle_id[receiver] != NOISE]
        assert graph.labels[mine].sum() == bool(same)
        steps = np.square(place[graph.edge_index[mine, 0]] - place[receiver]).sum(axis=1)
        for edge in mine[graph.labels[mine]]:
            assert steps[mine == edge] == min(steps[np.isin(mine, same)])


def test_a_straight_track_is_a_chain() -> None:
    event = simulate_helix_event("e", rng=np.random.default_rng(5), pile_up=5)
    graph = geometric_graph(event, DoubletCuts(min_pt=1.0))
    assert graph.labels.sum() > 50
    sender, receiver = graph.edge_index[graph.labels].T
    # No hit of a particle has two true neighbours on the same side.
    assert len(set(sender)) == len(set(receiver)) == graph.labels.sum()
    assert (graph.particle_id[sender] == graph.particle_id[receiver]).all()
    rows = selected_hits(event, DoubletCuts(min_pt=1.0))
    np.testing.assert_allclose(graph.nodes[:, 0] * 1000, event.r[rows], rtol=1e-6)


def without(event: Event, **changes: object) -> Event:
    return replace(event, **changes)


def test_events_that_cannot_be_labelled_are_refused() -> None:
    event = random_event(1, 40)
    loose = DoubletCuts(layer_pairs=PAIRS, min_pt=None, one_hit_per_layer=False)
    blind = without(event, particle_id=None, particles=None)
    with pytest.raises(DataError, match="event event1 has no truth"):
        geometric_graph(blind, loose)
    with pytest.raises(DataError, match="no truth to cut on pT"):
        selected_hits(blind, DoubletCuts())
    with pytest.raises(DataError, match="has no truth"):
        selected_hits(blind, loose.model_copy(update={"one_hit_per_layer": True}))
    np.testing.assert_array_equal(geometric_doublets(blind, loose), geometric_doublets(event, loose))
    partial = without(event, particle_id=np.full(40, UNLABELLED))
    with pytest.raises(DataError, match=r"event event1: \d+ of \d+ hits have no label"):
        geometric_graph(partial, loose)
    assert len(geometric_graph(partial, DoubletCuts(layer_pairs=PAIRS)).nodes) == 0


def test_broken_and_oversized_events_are_refused() -> None:
    event = random_event(2, 60)
    cuts = DoubletCuts(layer_pairs=PAIRS, phi_slope_max=1.0)
    broken = without(event, x=np.where(np.arange(60) == 7, np.nan, event.x).astype(np.float32))
    with pytest.raises(DataError, match="event event2: the position of hit 7 is not finite"):
        geometric_doublets(broken, cuts)
    edges = len(geometric_doublets(event, cuts))
    assert edges > 10
    assert len(geometric_doublets(event, cuts.model_copy(update={"max_edges": edges}))) == edges
    with pytest.raises(GraphError, match=f"more than {edges - 1} doublets"):
        geometric_doublets(event, cuts.model_copy(update={"max_edges": edges - 1}))


def test_an_empty_event_gives_an_empty_graph() -> None:
    graph = geometric_graph(random_event(3, 0), DoubletCuts())
    assert graph.nodes.shape == (0, 3) and graph.edges.shape == (0, 4) and graph.edge_index.shape == (0, 2)


def test_cuts_are_configuration(tmp_path: Path) -> None:
    file = tmp_path / "cuts.yaml"
    file.write_text("z0_max: 150\nmin_pt: null\nlayer_pairs:\n  - {inner: [8, 2], outer: [8, 4]}\n")
    cuts = load_config(DoubletCuts, file)
    assert cuts.layer_pairs == (LayerPair(inner=(8, 2), outer=(8, 4)),) and cuts.min_pt is None
    for wrong in ({"phi_slope_max": 0}, {"z0_max": float("nan")}, {"layer_pairs": []}, {"pt": 1}):
        with pytest.raises(ConfigError):
            load_config(DoubletCuts, None, wrong)
    for pairs in ([PAIRS[0], PAIRS[0]], [LayerPair(inner=(8, 2), outer=(8, 2))]):
        with pytest.raises(ValidationError, match="joins a layer with itself"):
            DoubletCuts(layer_pairs=tuple(pairs))


def test_published_pairs_of_layers() -> None:
    pairs = DoubletCuts().layer_pairs
    assert len(pairs) == 3 + 6 + 6 + 8
    assert {pair.outer for pair in pairs if pair.inner[0] != pair.outer[0]} == {(7, 14), (9, 2)}
    assert [pair.inner for pair in pairs if pair.blocked_by] == [(8, 2), (8, 4)] * 2


def hits_of(name: str, features: np.ndarray) -> Event:
    """Event of the nodes of a published graph; layers follow from positions."""
    r, phi, z = features.astype(np.float64).T * [[1000.0], [np.pi], [1000.0]]
    barrel = np.abs(z) < 500
    ring = 1 + np.abs(r[:, None] - [32, 72, 116, 172]).argmin(axis=1)
    disc = np.abs(np.abs(z)[:, None] - [600, 700, 820, 960, 1100, 1300, 1500]).argmin(axis=1)
    layer = np.where(barrel, 2 * ring, np.where(z < 0, 14 - 2 * disc, 2 + 2 * disc))
    arrays = {"x": r * np.cos(phi), "y": r * np.sin(phi), "z": z}
    return Event(
        name=name,
        hit_id=np.arange(len(r)),
        volume_id=np.where(barrel, 8, np.where(z < 0, 7, 9)).astype(np.int32),
        layer_id=layer.astype(np.int32),
        module_id=np.zeros(len(r), np.int32),
        **{key: values.astype(np.float32) for key, values in arrays.items()},
    )


def test_the_published_graphs_are_reproduced_edge_by_edge(shared_data: Path) -> None:
    for path in sorted((shared_data / "trackml_graphs" / "plus_2GeV").glob("*.npz"))[:10]:
        published = read_graph(path)
        event = hits_of(path.stem, published.nodes)
        order = np.lexsort(published.edge_index.T[::-1])
        np.testing.assert_array_equal(geometric_doublets(event, DoubletCuts()), published.edge_index[order])
        # One particle per id from 0 on, and pT was cut before: every node is kept, every label found again.
        numbers = published.particle_id + 1
        table = particle_table(np.unique(numbers).tolist(), [5.0] * len(np.unique(numbers)))
        graph = geometric_graph(replace(event, particle_id=numbers, particles=table), DoubletCuts())
        np.testing.assert_array_equal(graph.labels, published.labels[order])
        np.testing.assert_allclose(graph.edges, published.edges[order], atol=1e-5)  # published in float32


def test_published_graphs_follow_from_the_challenge_events(shared_data: Path) -> None:
    event = read_event(shared_data / "trackml" / "event000001001")
    published = read_graph(shared_data / "trackml_graphs" / "plus_2GeV" / "event000001001_g000.npz")
    graph = geometric_graph(event, DoubletCuts())
    assert len(graph.nodes) == len(published.nodes)
    distance, to_published = KDTree(published.nodes).query(graph.nodes)
    assert distance.max() < 1e-6 and len(set(to_published)) == len(graph.nodes)
    sent = to_published[graph.edge_index].tolist()
    mine = {(i, j, bool(label)) for (i, j), label in zip(sent, graph.labels, strict=True)}
    wanted = {
        (i, j, bool(label)) for (i, j), label in zip(published.edge_index.tolist(), published.labels, strict=True)
    }
    assert mine == wanted


def test_every_field_of_the_graph_has_its_type() -> None:
    graph = geometric_graph(random_event(4, 50), DoubletCuts(layer_pairs=PAIRS, min_pt=None, phi_slope_max=1.0))
    kinds = {item.name: getattr(graph, item.name).dtype for item in fields(graph) if item.name != "name"}
    assert kinds == {
        "nodes": np.float32,
        "edges": np.float32,
        "edge_index": np.int64,
        "labels": np.bool_,
        "particle_id": np.int64,
    }
