"""Hits to labels in one RTL design: label by label what integer doublets, the golden network and components give."""

from __future__ import annotations

import shutil
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hitfabric.core import GraphError
from hitfabric.emulation.golden import GoldenExecutor
from hitfabric.hls_projects.rtl_components import label_components
from hitfabric.hls_projects.rtl_config import RtlConfig
from hitfabric.hls_projects.rtl_doublets import (
    BAD_HIT,
    GRID,
    TOO_MANY_EDGES,
    TOO_MANY_NODES,
    DoubletPair,
    Doublets,
    DoubletsConfig,
    integer_doublets,
)
from hitfabric.hls_projects.rtl_project import RtlProject, write_rtl_project
from hitfabric.hls_projects.rtl_tracking import TrackedHits, TrackingProject, TrackingSimulation, write_tracking
from hitfabric.quantization import FixedPoint, GraphBuilder, Maxima, TypedGraph

Integers = NDArray[np.int64]

DOUBLETS = DoubletsConfig(
    pairs=tuple(DoubletPair(inner=layer, outer=layer + 1) for layer in range(3)),
    max_nodes=32,
    max_edges=64,
    lanes=4,
    sender_rows=4,
    fifo_bits=3,
)

needs_tools = pytest.mark.skipif(
    shutil.which("g++") is None or find_spec("da4ml") is None, reason="needs g++ and da4ml"
)


def classifier(maxima: Maxima) -> TypedGraph:
    """One linear map of both hits and the edge, with the inputs of the shipped sector networks."""
    builder = GraphBuilder(maxima=maxima)
    nodes = builder.input("nodes", shape=("N", 3), format=FixedPoint(signed=True, width=16, integer=2, overflow="SAT"))
    edges = builder.input("edges", shape=("E", 4), format=FixedPoint(signed=True, width=16, integer=4, overflow="SAT"))
    index = builder.edge_index("edge_index")
    both = builder.concat("both", [builder.edge_gather("ends", nodes, index), edges])
    weight = np.array([[1, 0, -3, 2, 1, 3, -2, 5, 1, -1]])
    builder.dense("score", both, weight=weight, weight_format=FixedPoint(signed=True, width=4, integer=4))
    builder.output("logits", "score")
    return TypedGraph.from_builder(builder, name="classifier")


@cache
def golden() -> GoldenExecutor:
    return GoldenExecutor(classifier(Maxima(nodes=DOUBLETS.max_nodes, edges=DOUBLETS.max_edges)))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> RtlProject:
    config = RtlConfig(edge_lanes=DOUBLETS.lanes, node_lanes=DOUBLETS.lanes)
    return write_rtl_project(golden().graph, tmp_path_factory.mktemp("engine"), config=config)


@pytest.fixture(scope="module")
def project(engine: RtlProject, tmp_path_factory: pytest.TempPathFactory) -> TrackingProject:
    return write_tracking(engine, DOUBLETS, tmp_path_factory.mktemp("tables"), merges=2)


@pytest.fixture(scope="module")
def model(project: TrackingProject) -> TrackingSimulation:
    return TrackingSimulation(project)


def random_hits(rng: np.random.Generator) -> Integers:
    """Hits on four barrel layers, at times so many or so close that there are too many edges."""
    count = int(rng.integers(0, DOUBLETS.max_nodes + 3))
    layer = np.sort(rng.integers(0, 4, count))
    r = 500 + 600 * layer + rng.integers(-60, 60, count)
    phi = rng.integers(-300, 300, count) if rng.random() < 0.8 else rng.integers(-10, 10, count)
    hits = np.column_stack([r, phi, rng.integers(-5000, 5000, count), layer])
    if count and rng.random() < 0.1:
        hits[rng.integers(count), 3] = 200
    return hits


def expected(hits: Integers, project: TrackingProject) -> tuple[Doublets, Integers | None]:
    """Doublets and labels of one graph; no labels where it is too large."""
    doublets = integer_doublets(hits, DOUBLETS)
    if doublets.flags & (TOO_MANY_NODES | TOO_MANY_EDGES):
        return doublets, None
    inputs = {
        "nodes": (hits[:, :3] / GRID).astype(np.float32),
        "edges": (doublets.features / 4096).astype(np.float32),
        "edge_index": doublets.edge_index,
    }
    logits = golden().run_integers(inputs)["logits"][:, 0]
    return doublets, label_components(doublets.edge_index, logits, len(hits), project.components).labels


def run(
    model: TrackingSimulation, project: TrackingProject, graphs: list[Integers], *, stalls: float, seed: int
) -> tuple[list[TrackedHits], int]:
    """Results, and how many graphs have another label, flag or tag than expected."""
    known = [expected(hits, project) for hits in graphs]
    found = model.run(graphs, [labels is not None for _, labels in known], stalls=stalls, seed=seed)
    wrong = 0
    for tag, ((doublets, labels), result) in enumerate(zip(known, found, strict=True)):
        none = np.zeros(0, dtype=np.int64)
        same = np.array_equal(result.labels, none if labels is None else labels)
        wrong += not (same and result.flags == doublets.flags and result.tag == tag)
    return found, wrong


@needs_tools
@pytest.mark.slow
def test_labels_are_those_of_the_parts(model: TrackingSimulation, project: TrackingProject) -> None:
    rng = np.random.default_rng(4)
    graphs = [random_hits(rng) for _ in range(300)]
    labels = [found for _, found in (expected(hits, project) for hits in graphs) if found is not None]
    tracks = [np.mean(found != project.components.no_track) for found in labels if len(found) > 8]
    assert 0.05 < np.mean(tracks) < 0.95  # neither all hits on tracks nor none
    for stalls, seed in ((0.0, 1), (0.2, 2), (0.7, 3)):
        assert run(model, project, graphs, stalls=stalls, seed=seed)[1] == 0


@needs_tools
@pytest.mark.slow
def test_graphs_that_are_refused_keep_their_place(model: TrackingSimulation, project: TrackingProject) -> None:
    line = np.array([[500 + 600 * layer, 0, 50 * layer, layer] for layer in range(4)])
    dense = np.tile(line, (8, 1))
    bad = np.vstack([line, [[500, 0, 0, 77]]])
    nothing = np.zeros((0, 4), dtype=np.int64)
    graphs = [line, np.tile(line, (9, 1)), dense, dense, line, nothing, bad, np.tile(line, (50, 1)), line]
    flags = [0, TOO_MANY_NODES, TOO_MANY_EDGES, TOO_MANY_EDGES, 0, 0, BAD_HIT, TOO_MANY_NODES, 0]
    for stalls in (0.0, 0.4):
        found, wrong = run(model, project, graphs, stalls=stalls, seed=7)
        assert [result.flags for result in found] == flags
        assert wrong == 0


@pytest.mark.slow
@needs_tools
def test_engines_of_other_sizes_are_refused(engine: RtlProject, tmp_path: Path) -> None:
    for change in ({"max_edges": 128}, {"max_nodes": 64}, {"lanes": 2}):
        with pytest.raises(GraphError, match="does not take the edges"):
            write_tracking(engine, DOUBLETS.model_copy(update=change), tmp_path)
