"""Sectors with margins: every edge has one owner or is counted, before and after graph construction."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hitfabric.core import ConfigError, DataError, load_config
from hitfabric.detector import (
    NO_SECTOR,
    DoubletCuts,
    GraphSample,
    SectorGrid,
    border_loss,
    core_sectors,
    cut_graph,
    edge_features,
    edge_owners,
    geometric_doublets,
    geometric_graph,
    node_features,
    radius_graph,
    read_event,
    sector_rows,
    split_event,
    truth_edges,
)
from hitfabric.detector.simulation_helix import simulate_helix_event

grids = st.builds(
    lambda phi, eta, phi_overlap, eta_overlap: SectorGrid(
        phi=phi, eta=eta, eta_max=3.0, phi_overlap=phi_overlap, eta_overlap=eta_overlap
    ),
    st.integers(1, 12),
    st.integers(1, 5),
    st.sampled_from([0.0, 0.01, 0.3, 2.0]),
    st.sampled_from([0.0, 0.1, 1.5]),
)


def random_hits(seed: int, count: int) -> np.ndarray:
    """Features of hits, many of them exactly on borders."""
    rng = np.random.default_rng(seed)
    phi = rng.choice([rng.uniform(-np.pi, np.pi), *(np.linspace(-np.pi, np.pi, 13))], count)
    return np.stack([rng.uniform(30, 170, count), phi, rng.uniform(-1500, 1500, count)], axis=1).astype(np.float32)


def random_edges(seed: int, hits: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, max(hits, 1), (count if hits else 0, 2))


def brute_force_sees(hit: np.ndarray, sector: int, grid: SectorGrid) -> bool:
    """Distance to a sector's borders, in exact terms of the definition."""
    r, phi, z = hit.astype(float)
    eta = np.arcsinh(z / r)
    low = -np.pi + 2 * np.pi * (sector % grid.phi) / grid.phi
    high = low + 2 * np.pi / grid.phi
    turns = [phi + turn * 2 * np.pi for turn in (-1, 0, 1)]
    in_phi = any(low - grid.phi_overlap <= value <= high + grid.phi_overlap for value in turns)
    row = sector // grid.phi
    bottom, top = (-grid.eta_max + 2 * grid.eta_max * (row + step) / grid.eta for step in (0, 1))
    above = row == 0 or eta >= bottom - grid.eta_overlap
    below = row == grid.eta - 1 or eta <= top + grid.eta_overlap
    return bool(in_phi and above and below)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(0, 25), grid=grids)
# A margin that ends where the open sector begins does not reach into what lies beyond.
@example(seed=0, count=1, grid=SectorGrid(phi=1, eta=4, eta_max=3.0, eta_overlap=1.5))
def test_who_sees_which_hit(seed: int, count: int, grid: SectorGrid) -> None:
    rng = np.random.default_rng(seed)
    hits = random_hits(seed, count)
    hits[:, 1] = rng.uniform(-3.1, 3.1, count)  # off the borders, where rounding decides
    core = core_sectors(hits, grid)
    rows = sector_rows(hits, grid)
    assert len(rows) == grid.sectors
    for sector, mine in enumerate(rows):
        assert mine.tolist() == [hit for hit in range(count) if brute_force_sees(hits[hit], sector, grid)]
    assert all(hit in rows[core[hit]] for hit in range(count))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(0, 25), edges=st.integers(0, 40), grid=grids)
def test_every_edge_has_one_owner_or_is_counted(seed: int, count: int, edges: int, grid: SectorGrid) -> None:
    hits, edge_index = random_hits(seed, count), random_edges(seed, count, edges)
    sample = GraphSample(
        name="g",
        nodes=node_features(hits),
        edges=edge_features(hits, edge_index),
        edge_index=edge_index,
        labels=np.random.default_rng(seed).uniform(size=len(edge_index)) < 0.4,
        particle_id=np.arange(count),
    )
    result = cut_graph(sample, grid)
    owned = np.concatenate([part.edge_rows[part.owned] for part in result.parts])
    assert len(set(owned.tolist())) == len(owned) == len(edge_index) - result.lost_edges
    lost = np.setdiff1d(np.arange(len(edge_index)), owned)
    assert sample.labels[lost].sum() == result.lost_true_edges
    for part in result.parts:
        np.testing.assert_array_equal(part.sample.nodes, sample.nodes[part.node_rows])
        np.testing.assert_array_equal(part.node_rows[part.sample.edge_index], sample.edge_index[part.edge_rows])
        # All edges between hits that a sector sees are there, so that messages reach what it owns.
        inside = np.isin(edge_index, part.node_rows).all(axis=1)
        np.testing.assert_array_equal(part.edge_rows, np.flatnonzero(inside))
    # A lost edge joins two sectors neither of which sees the whole of it.
    features = sample.nodes.astype(float) * [1000, np.pi, 1000]
    core, rows = core_sectors(features, grid), sector_rows(features, grid)
    for sender, receiver in edge_index[lost].tolist():
        assert core[sender] != core[receiver]
        assert receiver not in rows[core[sender]] and sender not in rows[core[receiver]]


def test_wide_margins_lose_nothing() -> None:
    hits = random_hits(1, 200)
    edges = random_edges(2, 200, 1000)
    all_of_it = SectorGrid(phi=7, eta=3, phi_overlap=np.pi, eta_overlap=8.0)
    assert (edge_owners(hits, edges, all_of_it) == core_sectors(hits, all_of_it)[edges[:, 0]]).all()
    loss = border_loss(hits, edges, all_of_it)
    assert (loss.lost, loss.copies, loss.largest) == (0, 21.0, 200)
    strict = border_loss(hits, edges, SectorGrid(phi=7, eta=3))
    assert strict.copies == 1.0 and strict.lost > 0
    both = loss + strict
    assert (both.true_edges, both.lost, both.hits, both.largest) == (2000, strict.lost, 400, 200)
    assert np.isnan(border_loss(hits[:0], edges[:0], all_of_it).fraction)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 100), grid=grids)
def test_sectors_before_graphs_equal_sectors_after(seed: int, grid: SectorGrid) -> None:
    event = simulate_helix_event("e", rng=np.random.default_rng(seed), pile_up=1)
    features = event.features()
    points = node_features(features)

    def doublets_of(rows: np.ndarray) -> np.ndarray:
        return geometric_doublets(event.take(rows), DoubletCuts())

    def near_pairs(rows: np.ndarray) -> np.ndarray:
        return radius_graph(points[rows], 0.02, features=features[rows])

    for construct in (doublets_of, near_pairs):
        whole = construct(np.arange(len(event)))
        kept = whole[edge_owners(features, whole, grid) != NO_SECTOR]
        found = []
        for number, sector in enumerate(split_event(event, grid)):
            np.testing.assert_array_equal(sector.event.hit_id, event.hit_id[sector.rows])
            edges = sector.rows[construct(sector.rows)]
            found.append(edges[edge_owners(features, edges, grid) == number])
        joined = np.concatenate(found)
        assert sorted(joined.tolist()) == kept.tolist()


def test_wrong_grids_and_positions_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "grid.yaml"
    file.write_text("phi: 8\neta: 2\nphi_overlap: 0.1\n")
    assert load_config(SectorGrid, file).sectors == 16
    for wrong in ({"phi": 0}, {"eta_overlap": -1}, {"phi_overlap": float("inf")}, {"overlap": 1}):
        with pytest.raises(ConfigError):
            load_config(SectorGrid, None, wrong)
    hits = random_hits(3, 5)
    hits[2, 2] = np.nan
    for call in (core_sectors, sector_rows):
        with pytest.raises(DataError, match="position of hit 2 is not finite"):
            call(hits, SectorGrid())
    event = simulate_helix_event("e", rng=np.random.default_rng(1), pile_up=0)
    with pytest.raises(DataError, match="not finite"):
        split_event(replace(event, z=np.full(len(event), np.inf, np.float32)), SectorGrid())


def test_a_margin_as_wide_as_the_longest_step_loses_nothing_on_real_events(shared_data: Path) -> None:
    event = read_event(shared_data / "acts_ttbar_pu200" / "event000009030")
    graph = geometric_graph(event, DoubletCuts())
    true = int(graph.labels.sum())
    strict = cut_graph(graph, SectorGrid(phi=16))
    assert 0 < strict.lost_true_edges < 0.05 * true
    # A pair of the pixel detector is at most 144 mm apart in r: 0.0006 rad/mm allow 0.087 rad.
    assert cut_graph(graph, SectorGrid(phi=16, phi_overlap=0.1)).lost_edges == 0
    truth = truth_edges(event, 1.0)
    losses = [border_loss(event.features(), truth, SectorGrid(phi=8, phi_overlap=x)).lost for x in (0, 0.01, 0.05)]
    assert losses == sorted(losses, reverse=True) and losses[0] > losses[-1]
