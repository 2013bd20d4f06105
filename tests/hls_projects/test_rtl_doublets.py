"""The doublet builder: its integer arithmetic against the detector's float64 cuts, its RTL against the integers."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from hitfabric.core import ConfigError, GraphError
from hitfabric.detector import DoubletCuts, geometric_doublets, phi_sectors, read_graph
from hitfabric.detector.event import Event
from hitfabric.detector.features import edge_features
from hitfabric.hls_projects.rtl_doublets import (
    BAD_HIT,
    BAD_LENGTH,
    GRID,
    TOO_MANY_EDGES,
    TOO_MANY_NODES,
    DoubletPair,
    DoubletsConfig,
    doublets_config,
    integer_doublets,
    integer_eta,
    number_layers,
)
from hitfabric.hls_projects.rtl_doublets_simulation import BuiltGraph, DoubletsSimulation
from hitfabric.hls_projects.rtl_doublets_verilog import SOURCES, TOP, write_doublets

Integers = NDArray[np.int64]

BLOCK = {"radius": 1172, "half_length": 8044}
SMALL = DoubletsConfig(
    pairs=(
        DoubletPair(inner=0, outer=1),
        DoubletPair(inner=1, outer=2),
        DoubletPair(inner=0, outer=3, **BLOCK),
        DoubletPair(inner=3, outer=2),
    ),
    z0=3000,
    max_nodes=32,
    max_edges=64,
    lanes=4,
    fifo_bits=3,
)
WIDE = SMALL.model_copy(update={"max_nodes": 64, "max_edges": 128, "sender_rows": 4})
CUTS = DoubletCuts()
PIXEL = doublets_config(CUTS.layer_pairs, phi_slope_max=CUTS.phi_slope_max, z0_max=CUTS.z0_max)

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")


def random_hits(rng: np.random.Generator, config: DoubletsConfig) -> Integers:
    """Hits on four layers, close in phi (perhaps where the turn begins anew) or not, now and then out of range."""
    count = int(rng.integers(0, config.max_nodes + 1))
    layer = rng.integers(0, 4, count)
    r = 500 + 600 * layer + rng.integers(-600, 600, count)
    r[layer == 3] = rng.integers(400, 3000, (layer == 3).sum())
    z = np.where(layer == 3, 9800, rng.integers(-9000, 9000, count)) + rng.integers(-100, 100, count)
    width = int(rng.choice([60, 400, GRID]))
    phi = int(rng.choice([0, 16_300, -30_000])) + rng.integers(-width, width, count)
    hits = np.column_stack([r, np.clip(phi, -2 * GRID, 2 * GRID - 1), z, layer])
    if count and rng.random() < 0.2:
        hits[rng.integers(count)] = rng.choice(
            [[-1, 0, 0, 1], [1 << 13, 0, 0, 1], [500, 0, -(1 << 15), 0], [500, 0, 0, 255], [0, 0, 0, 0]]
        )
    return hits[np.argsort(hits[:, 3], kind="stable")] if rng.random() < 0.5 else hits


@dataclass(frozen=True, kw_only=True)
class Built:
    config: DoubletsConfig
    sources: tuple[Path, ...]

    def model(self, *, seed: int = 0) -> DoubletsSimulation:
        return DoubletsSimulation(self.config, sources=self.sources, seed=seed)


@pytest.fixture(scope="module", params=[SMALL, WIDE], ids=["two rows", "four rows"])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    config: DoubletsConfig = request.param
    return Built(config=config, sources=write_doublets(config, tmp_path_factory.mktemp("tables")))


def differences(graphs: list[Integers], found: list[BuiltGraph], config: DoubletsConfig) -> int:
    """Graphs of which an edge, a feature, a flag or the tag is not that of the reference."""
    wrong = 0
    for tag, (hits, result) in enumerate(zip(graphs, found, strict=True)):
        expected, got = integer_doublets(hits, config), result.doublets
        same = np.array_equal(expected.edge_index, got.edge_index) and np.array_equal(expected.features, got.features)
        wrong += not (same and expected.flags == got.flags and result.tag == tag)
    return wrong


def one_sender_lane() -> Integers:
    """As many edges as `WIDE` takes, all of the first lane: the senders of its four rows meet all receivers."""
    rows = np.tile([[500, 0, 0, 0], [500, 9000, 0, 3], [500, 9000, 0, 3], [500, 9000, 0, 3]], (4, 1))
    return np.vstack([rows, np.tile([[1100, 0, 0, 1]], (32, 1))])


def graph_hits(nodes: NDArray[np.float32]) -> tuple[Integers, Event]:
    """Hits of a published graph on the module's grid, and as an event; their layers follow from their positions."""
    r, phi, z = nodes.astype(np.float64).T * [[1000.0], [np.pi], [1000.0]]
    barrel = np.abs(z) < 500
    ring = 1 + np.abs(r[:, None] - [32, 72, 116, 172]).argmin(axis=1)
    disc = np.abs(np.abs(z)[:, None] - [600, 700, 820, 960, 1100, 1300, 1500]).argmin(axis=1)
    volume = np.where(barrel, 8, np.where(z < 0, 7, 9)).astype(np.int32)
    layer = np.where(barrel, 2 * ring, np.where(z < 0, 14 - 2 * disc, 2 + 2 * disc)).astype(np.int32)
    numbers = number_layers(CUTS.layer_pairs)
    names = [numbers[int(v), int(n)] for v, n in zip(volume, layer, strict=True)]
    position = {"x": r * np.cos(phi), "y": r * np.sin(phi), "z": z}
    event = Event(
        name="sector",
        hit_id=np.arange(len(r)),
        volume_id=volume,
        layer_id=layer,
        module_id=np.zeros(len(r), np.int32),
        **{key: values.astype(np.float32) for key, values in position.items()},
    )
    grid = np.floor(nodes.astype(np.float64) * GRID).astype(np.int64)
    return np.column_stack([grid, np.array(names, dtype=np.int64)]), event


def test_real_sectors_differ_only_where_a_cut_is_within_rounding(shared_data: Path) -> None:
    edges = differ = 0
    for path in sorted((shared_data / "trackml_graphs" / "plus_2GeV").glob("*.npz"))[:10]:
        for part in phi_sectors(read_graph(path), 8).parts:
            hits, event = graph_hits(part.sample.nodes)
            found = integer_doublets(hits, PIXEL)
            if found.flags:
                assert found.flags in (TOO_MANY_NODES, TOO_MANY_EDGES)
                continue
            exact = geometric_doublets(event, CUTS)
            ours = {(int(i), int(j)) for i, j in found.edge_index}
            theirs = {(int(i), int(j)) for i, j in exact}
            edges += len(theirs)
            differ += len(ours ^ theirs)
            features = edge_features(event.features(), found.edge_index).astype(np.float64)
            error = np.abs(found.features - np.floor(features * 4096))
            assert error[:, :3].max(initial=0) <= 2
            assert error[:, 3].max(initial=0) <= 100  # of 4096: eta is a step of a table
            for i, j in ours ^ theirs:
                assert margin(event, i, j) < 0.1
    assert edges > 10_000
    assert differ < 0.003 * edges


def margin(event: Event, i: int, j: int) -> float:
    """How far a pair is from the nearest of its cuts, as a part of it."""
    numbers = number_layers(CUTS.layer_pairs)
    layers = [(int(event.volume_id[k]), int(event.layer_id[k])) for k in (i, j)]
    assert all(layer in numbers for layer in layers)
    pair = next(p for p in CUTS.layer_pairs if [p.inner, p.outer] == layers)
    r, phi, z = event.features().astype(np.float64).T
    dr, dz, step = r[j] - r[i], z[j] - z[i], abs(r[j] - r[i])
    dphi = abs((phi[j] - phi[i] + np.pi) % (2 * np.pi) - np.pi)
    if step < 5:  # mm: a step of the grid is more than a per cent of dr
        return 0.0
    ratios = [dphi / (CUTS.phi_slope_max * step), abs(z[i] * dr - r[i] * dz) / (CUTS.z0_max * step)]
    if pair.blocked_by is not None:
        at = abs(z[i] * dr + (pair.blocked_by.radius - r[i]) * dz)
        ratios.append(at / (pair.blocked_by.half_length * step))
    return min(abs(ratio - 1) for ratio in ratios)


def test_eta_is_close_everywhere() -> None:
    r, z = (part.ravel() for part in np.meshgrid(np.arange(300, 8192, 37), np.arange(-32_767, 32_768, 113)))
    inside = np.abs(z) < 60 * r  # the table ends at |eta| = 4.85
    error = integer_eta(r, z) / 4096 - np.arcsinh(z / r)
    assert np.abs(error[inside]).max() < 0.015


def test_hits_that_fit_no_field_are_refused() -> None:
    for wrong in ([[0, 0, 0]], [[1 << 15, 0, 0, 0]], [[0, 0, 0, 256]], [[0, 0, 0, -1]]):
        with pytest.raises(GraphError):
            integer_doublets(np.array(wrong), SMALL)


@pytest.mark.parametrize(
    "wrong",
    [{"lanes": 3}, {"max_nodes": 100}, {"lanes": 16, "max_nodes": 32}, {"lanes": 8, "sender_rows": 4}, {"slope": 0}],
)
def test_configuration_refuses(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        DoubletsConfig.model_validate({**SMALL.model_dump(), **wrong})
    twice = {**SMALL.model_dump(), "pairs": [{"inner": 0, "outer": 1}] * 2}
    with pytest.raises(ValidationError, match="two layers twice"):
        DoubletsConfig.model_validate(twice)


def test_cuts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError):
        doublets_config(CUTS.layer_pairs, phi_slope_max=1.0, z0_max=100.0)


@needs_compiler
@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), stalls=st.sampled_from([0.0, 0.1, 0.5, 0.9]))
def test_edges_are_the_reference(built: Built, seed: int, stalls: float) -> None:
    rng = np.random.default_rng(seed)
    graphs = [random_hits(rng, built.config) for _ in range(20)]
    fresh = built.model(seed=seed)  # another state to begin with
    assert differences(graphs, fresh.run(graphs, stalls=stalls, seed=seed), built.config) == 0


@needs_compiler
def test_edges_of_one_lane_wait_for_each_other(built: Built) -> None:
    graphs = [one_sender_lane()[: built.config.max_nodes]] * 3
    assert built.config is SMALL or len(integer_doublets(graphs[0], built.config).edge_index) == built.config.max_edges
    assert differences(graphs, built.model().run(graphs), built.config) == 0


@needs_compiler
def test_graphs_that_are_too_large_or_wrong_leave_the_next_unharmed(built: Built) -> None:
    model, copies = built.model(), built.config.max_nodes // 3
    line = np.array([[500 + 600 * layer, 0, 50 * layer, layer] for layer in range(3)])
    dense = np.tile(line, (copies, 1))
    bad = np.vstack([line, [[500, 0, 0, 77], [8192, 0, 0, 1]]])
    nothing = np.zeros((0, 4), dtype=np.int64)
    graphs = [line, np.tile(line, (copies + 1, 1)), line, dense, line, bad, nothing, np.tile(line, (200, 1)), line]
    expected = [0, TOO_MANY_NODES, 0, TOO_MANY_EDGES, 0, BAD_HIT, 0, TOO_MANY_NODES, 0]
    for stalls in (0.0, 0.4):
        found = model.run(graphs, stalls=stalls, seed=3)
        assert [result.doublets.flags for result in found] == expected
        assert differences(graphs, found, built.config) == 0
    assert found[0].doublets.edge_index.tolist() == [[0, 1], [1, 2]]


@needs_compiler
def test_misplaced_tlast_is_flagged(built: Built) -> None:
    model = built.model()
    line = np.array([[500 + 600 * layer, 0, 50 * layer, layer] for layer in (0, 0, 0, 1, 1, 2)])
    hits = model.hit_beats([line] * 4)
    hits.last[hits.graph == 1] = False
    hits.last[np.flatnonzero(hits.graph == 2)[0]] = True
    found = model.run([line] * 4, hits=hits)
    assert [result.doublets.flags for result in found] == [0, BAD_LENGTH, BAD_LENGTH, 0]
    assert all(np.array_equal(r.doublets.edge_index, found[0].doublets.edge_index) for r in found)


MUTATIONS = {
    "stale row of senders": (SMALL, "search", "wire used = used_rows[p];", "wire used = 1'b1;"),
    "fifo overrun": (SMALL, "lane", "fill} >= ROOM", "fill} >= ROOM + 100"),
    "wrong bank of a place": (SMALL, "pack", "count[LANE_BITS-1:0] + here", "here"),
    "output memory written while read": (SMALL, "builder", "&& !claimed[cut_half]", ""),
    "waiting edges overrun": (WIDE, "cuts", "fill} >= ROOM", "fill} >= ROOM + 100"),
    "next graph too early": (WIDE, "cuts", "&& remaining <= 5", ""),
    "stale row of four": (WIDE, "search", "wire used = used_rows[p];", "wire used = 1'b1;"),
}


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("name", MUTATIONS)
def test_mutations_are_caught(name: str, tmp_path: Path) -> None:
    config, part, before, after = MUTATIONS[name]
    changed = []
    for source in write_doublets(config, tmp_path / "tables"):
        text = source.read_text(encoding="utf-8")
        if source in SOURCES and source.stem == f"doublet_{part}":
            assert text.count(before) == 1
            text = text.replace(before, after)
        (tmp_path / source.name).write_text(text, encoding="utf-8")
        changed.append(tmp_path / source.name)
    rng = np.random.default_rng(1)
    graphs = [*(random_hits(rng, config) for _ in range(300)), *[one_sender_lane()[: config.max_nodes]] * 3]
    try:
        wrong = sum(
            differences(graphs, DoubletsSimulation(config, sources=changed).run(graphs, stalls=stalls, seed=2), config)
            for stalls in (0.0, 0.6)
        )
    except GraphError as error:  # of the streams
        assert TOP in str(error) or "m_axis_" in str(error)
    else:
        assert wrong > 0
