"""Compiled track building: the labels and errors of NumPy, on graphs of any kind, and nothing sanitizers find."""

from __future__ import annotations

import ctypes
import subprocess
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hitfabric.core import GraphError, MissingToolError
from hitfabric.detector import (
    TrackBuilderConfig,
    WalkthroughSettings,
    build_tracks,
    compiled_tracks,
    connected_components,
    walk_tracks,
)
from hitfabric.detector import compiled as compiled_module
from hitfabric.detector.compiled import SOURCES, check_status, compiled_stages
from hitfabric.detector.track_builder import scipy_components
from hitfabric.detector.walkthrough import numpy_walk
from tests.support.scored_graphs import LOGITS, Graph, acyclic, falling_chains, ladder, star

CUTS = [-2.0, -1.0, 0.0, 0.1, 0.1 + 1e-9, 0.5, 2.0]
FLOATS = st.sampled_from([np.float16, np.float32, np.float64])


@pytest.fixture(scope="module", autouse=True)
def _compiler() -> None:
    assert compiled_stages() is not None, "these tests need a compiler"


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def fails() -> Path:
        raise MissingToolError("no g++", remedy="install it")

    monkeypatch.setattr(compiled_module, "compile_stages", fails)
    compiled_stages.cache_clear()
    yield
    compiled_stages.cache_clear()


def outcome(build: Callable[[], np.ndarray]) -> object:
    """Labels with their type, or the message of the error."""
    try:
        labels = build()
    except GraphError as error:
        return str(error)
    return labels.dtype, labels.tolist()


def by_numpy(graph: Graph, cuts: WalkthroughSettings) -> object:
    return outcome(lambda: numpy_walk(*graph, cuts))


def by_kernel(graph: Graph, cuts: WalkthroughSettings) -> object:
    return outcome(lambda: walk_tracks(*graph, settings=cuts))


@st.composite
def thresholds(draw: st.DrawFn) -> WalkthroughSettings:
    low, high = sorted((draw(st.sampled_from(CUTS)), draw(st.sampled_from(CUTS))))
    return WalkthroughSettings(
        component_threshold=draw(st.sampled_from(CUTS)),
        walk_min=low,
        walk_add=high,
        minimum_hits=draw(st.integers(2, 5)),
        absorb=draw(st.booleans()),
    )


@st.composite
def any_graphs(draw: st.DrawFn) -> Graph:
    """Edges between any two hits: repeated, to themselves, in cycles; hits without edges."""
    hits = draw(st.integers(1, 12))
    ends = st.integers(0, hits - 1)
    pairs = draw(st.lists(st.tuples(ends, ends), max_size=20))
    logits = draw(st.lists(st.sampled_from(LOGITS), min_size=len(pairs), max_size=len(pairs)))
    return np.array(pairs, dtype=np.int64).reshape(-1, 2), np.array(logits, dtype=draw(FLOATS)), hits


@settings(max_examples=400, deadline=None)
@given(any_graphs(), thresholds())
def test_any_edges_give_the_labels_or_the_error_of_numpy(graph: Graph, cuts: WalkthroughSettings) -> None:
    assert by_kernel(graph, cuts) == by_numpy(graph, cuts)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    hits=st.integers(2, 150),
    density=st.floats(0.3, 4),
    reach=st.sampled_from([0.02, 0.1, 0.5]),
    ties=st.booleans(),
    kind=FLOATS,
    cuts=thresholds(),
)
def test_acyclic_graphs_give_the_labels_of_numpy(
    seed: int, hits: int, density: float, reach: float, ties: bool, kind: type, cuts: WalkthroughSettings
) -> None:
    graph = acyclic(seed, hits, int(density * hits), reach, ties, kind)
    wanted = by_numpy(graph, cuts)
    assert isinstance(wanted, tuple), "the graph has no cycle"
    assert by_kernel(graph, cuts) == wanted


@settings(max_examples=300, deadline=None)
@given(any_graphs(), st.integers(1, 4), st.sampled_from(CUTS), st.booleans())
def test_components_are_those_of_scipy(graph: Graph, minimum_hits: int, threshold: float, every: bool) -> None:
    edge_index, logits, hits = graph
    keep = None if every else logits >= threshold
    wanted = outcome(lambda: scipy_components(edge_index, keep, hits, minimum_hits))
    assert outcome(lambda: connected_components(edge_index, keep, hits, minimum_hits)) == wanted
    if not every:
        config = TrackBuilderConfig(threshold=threshold, minimum_hits=minimum_hits)
        assert outcome(lambda: build_tracks(edge_index, logits, hits, config)) == wanted


@pytest.mark.parametrize("weights", ["equal", "random"])
@pytest.mark.parametrize(
    "edges",
    [
        np.stack([np.arange(2000), np.arange(1, 2001)], axis=1),
        np.stack([np.arange(1, 2001), np.arange(2000)], axis=1),
        star(300, 1),
        star(50, 7),
        star(40, 3)[:, ::-1],
        ladder(300, 2),
        ladder(60, 4),
        falling_chains(25),
    ],
    ids=["chain", "chain inwards", "star", "long star", "star inwards", "ladder", "wide ladder", "falling chains"],
)
def test_regular_graphs_in_any_naming(edges: np.ndarray, weights: str) -> None:
    hits = int(edges.max()) + 3
    generator = np.random.default_rng(3)
    logits = (np.ones(len(edges)) if weights == "equal" else generator.normal(2, 1, len(edges))).astype(np.float32)
    for names in (np.arange(hits), np.arange(hits)[::-1], generator.permutation(hits)):
        for absorb in (True, False):
            cuts = WalkthroughSettings(walk_add=0.0, absorb=absorb)
            graph = names[edges].astype(np.int64), logits, hits
            assert by_kernel(graph, cuts) == by_numpy(graph, cuts)


@pytest.mark.parametrize(("reach", "density"), [(0.0002, 1.1), (0.0002, 3.0), (0.3, 0.8), (0.3, 1.5)])
def test_large_graphs(reach: float, density: float) -> None:
    hits = 20_000
    graph = acyclic(11, hits, int(density * hits), reach, ties=False)
    for cuts in (WalkthroughSettings(), WalkthroughSettings(minimum_hits=4, absorb=False)):
        assert by_kernel(graph, cuts) == by_numpy(graph, cuts)
    keep = graph[1] >= 0
    assert np.array_equal(connected_components(graph[0], keep, hits), scipy_components(graph[0], keep, hits, 3))


def test_a_threshold_is_compared_in_the_type_of_the_logits() -> None:
    edges = np.array([[0, 1], [1, 2], [1, 3]])
    logits = np.array([0.1, 0.1, -1.0], dtype=np.float32)  # above 0.1 as a float64, equal as a float32
    for shift in (-1e-12, 0.0, 1e-12, 1e-8):
        for cut in (0.1 + shift, float(np.float32(0.1)) + shift):
            cuts = WalkthroughSettings(component_threshold=-1, walk_min=cut, walk_add=cut)
            for kind in (np.float32, np.float64):
                graph = edges, logits.astype(kind), 4
                assert by_kernel(graph, cuts) == by_numpy(graph, cuts)
    cuts = WalkthroughSettings(component_threshold=-1, walk_min=0.1, walk_add=0.1)
    assert walk_tracks(edges, logits, 4, settings=cuts).tolist() == [0, 0, 0, -1]
    # A nanounit more is no other float32, but another float64.
    cuts = WalkthroughSettings(component_threshold=-1, walk_min=0.1 + 2e-9, walk_add=0.1 + 2e-9)
    assert walk_tracks(edges, logits, 4, settings=cuts).tolist() == [0, 0, 0, -1]
    assert walk_tracks(edges, logits.astype(np.float64), 4, settings=cuts).tolist() == [-1, -1, -1, -1]


@pytest.mark.parametrize("wrong", [[0, 4], [-1, 2], [2**40, 0], [0, -(2**40)]])
def test_edges_out_of_the_event_are_refused_as_by_numpy(wrong: list[int]) -> None:
    edges, logits = np.array([[0, 1], [1, 2], wrong]), np.ones(3, np.float32)
    cuts = WalkthroughSettings()
    assert by_kernel((edges, logits, 4), cuts) == by_numpy((edges, logits, 4), cuts)
    with pytest.raises(GraphError, match="the event has 4 hits"):
        walk_tracks(edges, logits, 4)
    with pytest.raises(GraphError, match="the graph has 4 nodes"):
        connected_components(edges, None, 4)
    below = np.array([True, True, False])
    assert connected_components(edges, below, 4).tolist() == [0, 0, 0, -1]  # an edge not followed may lead anywhere


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", ["walkthrough", "connected_components"])
def test_logits_that_are_not_finite_are_refused_as_by_numpy(kind: str, value: float) -> None:
    graph = np.array([[0, 1], [1, 2]]), np.array([1, value], np.float32), 3
    with pytest.raises(GraphError, match=r"not finite|logit of edge 1 is"):
        build_tracks(*graph, TrackBuilderConfig.model_validate({"kind": kind}))
    assert by_kernel(graph, WalkthroughSettings()) == by_numpy(graph, WalkthroughSettings())


@pytest.mark.parametrize("kind", ["walkthrough", "connected_components"])
def test_minima_beyond_the_event_leave_no_track(kind: str) -> None:
    edges, logits = np.array([[0, 1], [1, 2], [1, 3]]), np.ones(3, np.float32)
    for minimum in (5, 2**31, 2**64 + 3):
        config = TrackBuilderConfig.model_validate({"kind": kind, "minimum_hits": minimum})
        assert build_tracks(edges, logits, 4, config).tolist() == [-1] * 4


def test_other_types_and_strides_give_the_same_labels() -> None:
    edges, logits, hits = acyclic(4, 80, 160, 0.1, ties=False)
    cuts = WalkthroughSettings()
    wanted = numpy_walk(edges, logits, hits, cuts).tolist()
    assert max(wanted) > 2
    strided = np.repeat(np.repeat(edges, 2, axis=0), 2, axis=1)[::2, ::2]
    for pairs in (edges, strided, np.asfortranarray(edges), edges.astype(np.int32), edges.astype(">i8")):
        for scores in (logits, np.repeat(logits, 3)[::3], logits.astype(">f4"), logits.astype(np.float64)):
            assert walk_tracks(pairs, scores, hits, settings=cuts).tolist() == wanted
    keep = np.repeat(logits >= 0, 2)[::2]
    joined = scipy_components(edges, keep, hits, 3)
    for pairs in (strided, np.asfortranarray(edges), edges.astype(np.int32)):
        assert np.array_equal(connected_components(pairs, keep, hits), joined)


@pytest.mark.parametrize("kind", ["walkthrough", "connected_components"])
def test_without_a_compiler_it_is_said_once_and_the_labels_are_the_same(
    kind: str, request: pytest.FixtureRequest
) -> None:
    graph = acyclic(2, 300, 400, 0.02, ties=True)
    config = TrackBuilderConfig.model_validate({"kind": kind})
    wanted = build_tracks(*graph, config)
    request.getfixturevalue("no_compiler")
    with pytest.warns(UserWarning, match=r"track building run on SciPy and NumPy, slower: no g\+\+"):
        labels = build_tracks(*graph, config)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(labels, build_tracks(*graph, config))
    assert np.array_equal(labels, wanted) and labels.max() > 5


def test_more_hits_than_the_kernels_count_are_refused() -> None:
    with pytest.raises(GraphError, match="out of memory for"):
        status = compiled_stages().hitfabric_connected_components(  # pyright: ignore[reportOptionalMemberAccess]
            None, None, *map(ctypes.c_int64, (0, 2**31 - 1, 3)), None
        )
        check_status(status, sizes=(2**31 - 1,))


def test_a_kernel_that_refuses_what_numpy_takes_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def hitfabric_connected_components(self, *_: object) -> int:
            return 2

    monkeypatch.setattr(compiled_tracks, "compiled_stages", Refusing)
    with pytest.raises(GraphError, match=r"refuses edges that NumPy takes \(status 2\)"):
        connected_components(np.array([[0, 1]]), None, 2)


BENCH = Path(__file__).with_name("tracks_bench.cpp")
STRICT = ("-std=c++17", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Werror")


@pytest.mark.slow
@pytest.mark.parametrize("processor", ["-mtune=generic", "-march=native"])
def test_sanitizers_find_nothing(tmp_path: Path, processor: str) -> None:
    program = tmp_path / "bench"
    flags = [*STRICT, processor, "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{SOURCES}"]
    flags += ["-D_GLIBCXX_ASSERTIONS"]
    subprocess.run(["g++", *flags, str(BENCH), "-o", str(program)], check=True)
    done = subprocess.run([str(program)], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("same tracks in any order of the edges in ")
