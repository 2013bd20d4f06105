"""Component labelling in RTL: label by label what SciPy's connected components and the track builder give."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from hitfabric.core import GraphError
from hitfabric.detector import TrackBuilderConfig, build_tracks
from hitfabric.detector.track_builder import number_tracks
from hitfabric.hls_projects.rtl_components import (
    BAD_INDEX,
    BAD_LENGTH,
    SOURCES,
    TOO_MANY_EDGES,
    TOO_MANY_NODES,
    TOP,
    Components,
    ComponentsConfig,
    label_components,
)
from hitfabric.hls_projects.rtl_components_simulation import ComponentsSimulation, LabelledGraph, ScoredEdges

SMALL = ComponentsConfig(
    max_nodes=21, max_edges=60, lanes=4, merges=2, label_lanes=3, logit_bits=9, threshold=-3, fifo_bits=2
)

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")


@cache
def simulation(config: ComponentsConfig = SMALL, sources: tuple[Path, ...] = SOURCES) -> ComponentsSimulation:
    return ComponentsSimulation(config, sources=sources)


def random_graph(rng: np.random.Generator, config: ComponentsConfig, *, tag: int = 0) -> ScoredEdges:
    """Chains, random pairs, loops and repeated edges; every size up to the maxima, an index outside now and then."""
    nodes = int(rng.integers(0, config.max_nodes + 1))
    edges = int(rng.integers(0, config.max_edges + 1)) if nodes else 0
    index = rng.integers(0, max(nodes, 1), (edges, 2))
    if rng.random() < 0.5:  # steps to a neighbour: long components, many merges of the same labels
        index[:, 1] = np.minimum(index[:, 0] + rng.integers(0, 3, edges), max(nodes - 1, 0))
    if edges and rng.random() < 0.2:
        index[rng.integers(edges), rng.integers(2)] = nodes
    lowest = int(rng.choice([-40, -2, 0]))  # all edges are accepted, most, or half of them
    logits = config.threshold + rng.integers(lowest, 40 if lowest == -40 else 2, edges)
    return ScoredEdges(edge_index=index, logits=logits, nodes=nodes, tag=tag)


def reference(graph: ScoredEdges, config: ComponentsConfig) -> Components:
    return label_components(graph.edge_index, graph.logits, graph.nodes, config)


def differences(graphs: list[ScoredEdges], found: list[LabelledGraph], config: ComponentsConfig) -> int:
    """Graphs whose labels, flags or tag are not those of the reference."""
    wrong = 0
    for graph, result in zip(graphs, found, strict=True):
        expected = reference(graph, config)
        same = np.array_equal(result.components.labels, expected.labels) and result.tag == graph.tag
        wrong += not (same and result.components.flags == expected.flags)
    return wrong


def accepted_pairs(nodes: int, pairs: list[tuple[int, int]], config: ComponentsConfig = SMALL) -> ScoredEdges:
    index = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return ScoredEdges(edge_index=index, logits=np.full(len(index), config.threshold), nodes=nodes)


@given(seed=st.integers(0, 2**32 - 1), minimum=st.integers(2, 5))
def test_reference_is_the_track_builder(seed: int, minimum: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, SMALL)
    index: NDArray[np.int64] = np.minimum(graph.edge_index, max(graph.nodes - 1, 0))
    labels = label_components(index, graph.logits, graph.nodes, SMALL).labels
    settings = TrackBuilderConfig(threshold=SMALL.threshold, minimum_hits=minimum)
    tracks = build_tracks(index, graph.logits.astype(np.float64), graph.nodes, settings)
    found = np.where(labels == SMALL.no_track, -1, labels)
    assert np.array_equal(number_tracks(found, minimum), tracks)
    for label in np.unique(found[found >= 0]):  # the label is the smallest index of its component
        assert label == np.flatnonzero(found == label)[0]


def test_reference_of_a_graph_by_hand() -> None:
    graph = accepted_pairs(7, [(6, 4), (1, 4), (2, 2), (3, 5)])
    assert reference(graph, SMALL).labels.tolist() == [31, 1, 31, 3, 1, 3, 1]


def test_reference_refuses() -> None:
    for index, logits, nodes in (([[0, 1]], [], 2), ([[-1, 0]], [0], 2), ([[0, 1]], [0], -1)):
        with pytest.raises(GraphError):
            label_components(np.array(index), np.array(logits, dtype=np.int64), nodes, SMALL)


@pytest.mark.parametrize("wrong", [{"merges": 3}, {"threshold": 1 << 16}, {"max_nodes": 1}, {"fifo_bits": 0}])
def test_configuration_refuses(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        ComponentsConfig.model_validate(wrong)


@needs_compiler
@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), stalls=st.sampled_from([0.0, 0.1, 0.5, 0.9]))
def test_labels_are_the_reference(seed: int, stalls: float) -> None:
    rng = np.random.default_rng(seed)
    graphs = [random_graph(rng, SMALL, tag=int(rng.integers(1 << 32))) for _ in range(20)]
    fresh = ComponentsSimulation(SMALL, seed=seed)  # another state to begin with
    assert differences(graphs, fresh.run(graphs, stalls=stalls, seed=seed), SMALL) == 0


@needs_compiler
def test_graphs_that_are_too_large_or_wrong_leave_the_next_unharmed() -> None:
    good = accepted_pairs(5, [(3, 4), (2, 3), (0, 1)])
    graphs = [
        good,
        accepted_pairs(SMALL.max_nodes + 1, [(0, 1)]),
        good,
        accepted_pairs(3, [(0, 1)] * (SMALL.max_edges + 1)),
        good,
        accepted_pairs((1 << 16) - 1, [(30, 30)] * (SMALL.max_edges + 5)),
        accepted_pairs(4, [(0, 4), (2, 3), (5, 1)]),
        accepted_pairs(0, []),
        accepted_pairs(0, [(0, 0)]),
        accepted_pairs(SMALL.max_nodes, []),
        good,
    ]
    both = TOO_MANY_NODES + TOO_MANY_EDGES
    expected = [0, TOO_MANY_NODES, 0, TOO_MANY_EDGES, 0, both, BAD_INDEX, 0, BAD_INDEX, 0, 0]
    for stalls in (0.0, 0.4):
        found = simulation().run(graphs, stalls=stalls, seed=5)
        assert [result.components.flags for result in found] == expected
        assert differences(graphs, found, SMALL) == 0


@needs_compiler
def test_misplaced_tlast_is_flagged() -> None:
    graphs = [accepted_pairs(9, [(0, k) for k in range(9)])] * 4
    edges = simulation().edge_beats(graphs)
    edges.last[edges.graph == 1] = False
    edges.last[np.flatnonzero(edges.graph == 2)[0]] = True
    found = simulation().run(graphs, edges=edges)
    assert [result.components.flags for result in found] == [0, BAD_LENGTH, BAD_LENGTH, 0]
    assert all(np.array_equal(result.components.labels, np.zeros(9)) for result in found)


@needs_compiler
def test_next_graph_enters_while_labels_leave() -> None:
    graph = accepted_pairs(SMALL.max_nodes, [(k, k + 1) for k in range(8)])
    found = simulation().run([graph] * 3)
    assert found[1].header < found[0].status
    assert found[1].last_edge < found[0].status


MUTATIONS = {
    "read not forwarded": (
        "registers",
        "forwarded(held_a[m*B +: B], merge_valid,",
        "forwarded(held_a[m*B +: B], {MERGES{1'b0}},",
    ),
    "resolve not forwarded": (
        "registers",
        "forwarded(read_b[k*B +: B], merge_valid,",
        "forwarded(read_b[k*B +: B], {MERGES{1'b0}},",
    ),
    "later edge not renamed": ("registers", "j > k && valid[k] && a[j*B", "j > MERGES && valid[k] && a[j*B"),
    "labels kept": (
        "registers",
        "if (clear) begin\n                    label",
        "if (clear && i != 2) begin\n                    label",
    ),
    "fifo overrun": ("labels", "state == TAKE && !(|lane_full)", "state == TAKE"),
    "copy overwritten": ("output", "assign free = !busy || done;", "assign free = 1'b1;"),
}


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("name", MUTATIONS)
def test_mutations_are_caught(name: str, tmp_path: Path) -> None:
    part, before, after = MUTATIONS[name]
    changed = []
    for source in SOURCES:
        text = source.read_text(encoding="utf-8")
        if source.stem == f"component_{part}":
            assert text.count(before) == 1
            text = text.replace(before, after)
        (tmp_path / source.name).write_text(text, encoding="utf-8")
        changed.append(tmp_path / source.name)
    rng = np.random.default_rng(1)
    graphs = [random_graph(rng, SMALL, tag=tag) for tag in range(300)]
    try:
        wrong = sum(
            differences(graphs, simulation(SMALL, tuple(changed)).run(graphs, stalls=stalls, seed=2), SMALL)
            for stalls in (0.0, 0.3)
        )
    except GraphError as error:  # of the streams
        assert TOP in str(error) or "m_axis_" in str(error)
    else:
        assert wrong > 0


@needs_compiler
@pytest.mark.slow
def test_full_size() -> None:
    config = ComponentsConfig()
    rng = np.random.default_rng(1)
    graphs = [random_graph(rng, config, tag=tag) for tag in range(200)]
    for stalls in (0.0, 0.3):
        assert differences(graphs, simulation(config).run(graphs, stalls=stalls, seed=9), config) == 0
