"""The compiled search and SciPy's give identical edges; both agree with brute force in float64."""

from __future__ import annotations

import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hitfabric.core import DataError, GraphError, MissingToolError, ToolError
from hitfabric.detector import PairWindow, inside_out, radius_graph
from hitfabric.detector import compiled as compiled_module
from hitfabric.detector.compiled import SOURCES, compiled_stages
from hitfabric.detector.radius_search import CompiledSearch, ScipySearch

MANY = 10**9


def on_grid(step: float, largest: int) -> st.SearchStrategy[float]:
    return st.integers(-largest, largest).map(lambda value: value * step)


# Few values make equal points and distances of exactly the radius; any float32 makes rounding matter.
ELEMENTS = st.sampled_from(
    [on_grid(0.25, 2), on_grid(2.0**-12, 4096), st.floats(-4, 4, width=32), st.floats(-(2.0**100), 2.0**100, width=32)]
)
RADII = st.one_of(
    st.just(0.0), on_grid(0.25, 8).map(abs), st.floats(0, 8), st.sampled_from([1e-200, 1e-30, 1e25, 1e60, np.inf])
)


@st.composite
def clouds(draw: st.DrawFn) -> np.ndarray:
    shape = (draw(st.integers(0, 90)), draw(st.integers(1, 16)))
    return draw(
        hnp.arrays(np.float32, shape, elements=draw(ELEMENTS), fill=draw(st.sampled_from([st.nothing(), None])))
    )


@pytest.fixture(scope="module")
def library() -> object:
    found = compiled_stages()
    assert found is not None, "these tests need a compiler"
    return found


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def fails() -> Path:
        raise MissingToolError(
            "g++ is needed to compile the radius graph and was not found", remedy="run: apt-get install g++"
        )

    monkeypatch.setattr(compiled_module, "compile_stages", fails)
    compiled_stages.cache_clear()
    yield
    compiled_stages.cache_clear()


def test_a_compiler_that_fails_is_not_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compiled_module, "FLAGS", ("--no-such-option",))
    compiled_stages.cache_clear()
    with pytest.raises(ToolError, match="could not compile the radius graph"):
        compiled_stages()
    compiled_stages.cache_clear()


def brute_force(points: np.ndarray, radius: float) -> np.ndarray:
    wide = points.astype(np.float64)
    total = np.zeros((len(points), len(points)))
    for column in wide.T:
        total += np.square(column[:, None] - column[None, :])
    return np.stack(np.nonzero(np.triu(total <= radius * radius, k=1)), axis=1)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), points=clouds(), threads=st.integers(1, 3))
def test_both_searches_are_brute_force(library, data: st.DataObject, points: np.ndarray, threads: int) -> None:  # noqa: ANN001
    radius = data.draw(RADII)
    if len(points) > 1 and data.draw(st.booleans()):  # exactly the distance of a pair, as far as float64 tells
        radius = float(np.sqrt(np.square(points[0].astype(np.float64) - points[-1]).sum()))
    features = data.draw(
        st.none() | hnp.arrays(np.float32, (len(points), 3), elements=st.floats(-2000, 2000, width=32))
    )
    window = None if features is None else data.draw(st.none() | st.just(PairWindow(max_phi_slope=0.5, max_z0=800.0)))
    wanted = inside_out(brute_force(points, radius), features)
    if window is not None and features is not None:
        wanted = wanted[window.keeps(features, wanted)]
    search = CompiledSearch(library, points, threads=threads)
    try:
        edges = search.edges(radius, features, window, max_edges=MANY)
        assert search.neighbours(points, radius) == 2 * len(brute_force(points, radius)) + len(points)
    finally:
        search.close()
    assert edges.dtype == np.int64 and np.array_equal(edges, wanted)
    assert np.array_equal(ScipySearch(points).edges(radius, features, window, max_edges=MANY), wanted)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 1000),
    hits=st.integers(500, 4000),
    dimensions=st.integers(1, 16),
    grid=st.sampled_from([2.0**-12, 0.25, None]),
)
def test_both_searches_agree_on_many_points(library, seed: int, hits: int, dimensions: int, grid: float | None) -> None:  # noqa: ANN001
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(40, dimensions))
    points = centres[generator.integers(0, 40, hits)] + 0.3 * generator.normal(size=(hits, dimensions))
    points = (points if grid is None else np.round(points / grid) * grid).astype(np.float32)
    features = generator.normal(size=(hits, 3)).astype(np.float32) * np.array([300, 2, 600], np.float32)
    window = PairWindow(max_phi_slope=0.01, max_z0=500.0)
    radius = 0.2 * float(np.sqrt(dimensions))
    wanted = ScipySearch(points).edges(radius, features, window, max_edges=MANY)
    for threads in (1, 2, 5):
        search = CompiledSearch(library, points, threads=threads)
        assert np.array_equal(search.edges(radius, features, window, max_edges=MANY), wanted)
        search.close()
    assert np.array_equal(radius_graph(points, radius, features=features, window=window, threads=2), wanted)


@settings(max_examples=60, deadline=None)
@given(points=clouds(), neighbours=st.none() | st.integers(1, 4), radius=on_grid(0.25, 8).map(abs))
def test_the_window_after_the_search_is_the_window_in_it(
    points: np.ndarray, neighbours: int | None, radius: float
) -> None:
    features = np.random.default_rng(len(points)).normal(size=(len(points), 3)).astype(np.float32)
    window = PairWindow(max_phi_slope=2.0, max_z0=1.0)
    edges = radius_graph(points, radius, neighbours, features)
    inside = radius_graph(points, radius, neighbours, features, window=window)
    assert np.array_equal(inside, edges[window.keeps(features, edges)])


def test_positions_that_are_no_numbers_are_directed_as_without_a_compiler(library) -> None:  # noqa: ANN001
    points = np.zeros((4, 2), np.float32)
    features = np.array([[1, 0, 0], [np.nan, 0, 0], [0.5, 0, 0], [1, 0, np.nan]], np.float32)
    search = CompiledSearch(library, points, threads=1)
    edges = search.edges(1.0, features, None, max_edges=MANY)
    search.close()
    assert np.array_equal(edges, inside_out(brute_force(points, 1.0), features))


def test_without_a_compiler_it_is_said_once_and_the_edges_are_the_same(no_compiler: None) -> None:
    points = np.random.default_rng(1).normal(size=(300, 8)).astype(np.float32)
    with pytest.warns(UserWarning, match="run on SciPy and NumPy, slower: g\\+\\+ is needed"):
        edges = radius_graph(points, 1.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = radius_graph(points, 1.5)
    assert len(edges) > 100 and np.array_equal(edges, again)
    assert np.array_equal(edges, brute_force(points, 1.5))


def test_the_limit_holds_without_a_compiler_too(no_compiler: None) -> None:
    same = np.zeros((30_000, 8), np.float32)
    with pytest.warns(UserWarning), pytest.raises(GraphError, match=r"about 449985000 edges, the maximum is 1000000"):
        radius_graph(same, 0.1, max_edges=1_000_000)
    with pytest.raises(GraphError, match=r"has 4950 edges, the maximum is 4949"):
        radius_graph(same[:100], 0.1, max_edges=4949)


def test_the_limit_counts_the_pairs_outside_of_the_window() -> None:
    points, features = np.zeros((600, 3), np.float32), np.ones((600, 3), np.float32)
    window = PairWindow(max_phi_slope=1e-9, max_z0=1e-9)  # hits at one place are never inside
    assert len(radius_graph(points, 0.0, features=features, window=window)) == 0
    # The sample of 512 hits suggests 179,700 pairs, less than twice the limit, so that they are counted one by one.
    with pytest.raises(GraphError, match=r"has 179700 edges, the maximum is 100000"):
        radius_graph(points, 0.0, features=features, window=window, max_edges=100_000)


def test_points_that_need_float64_are_searched_in_float64() -> None:
    points = np.array([[1.0, 0.0], [1.0 + 2.0**-40, 0.0], [1.0, 2.0**-20]])
    edges = radius_graph(points, 2.0**-41)  # pyright: ignore[reportArgumentType]
    assert edges.tolist() == []
    assert radius_graph(points, 2.0**-40).tolist() == [[0, 1]]  # pyright: ignore[reportArgumentType]
    assert radius_graph(points[[0, 2]], 2.0**-20).tolist() == [[0, 1]]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("radius", [-1.0, np.nan])
def test_a_radius_that_is_no_distance_is_refused(radius: float) -> None:
    with pytest.raises(GraphError, match="the radius is"):
        radius_graph(np.zeros((3, 2), np.float32), radius)


def test_features_of_other_hits_are_refused() -> None:
    points = np.zeros((3, 2), np.float32)
    for features in (np.zeros((2, 3), np.float32), np.zeros((3, 2), np.float32), np.zeros((3, 3))):
        with pytest.raises(DataError, match="the embedding has 3 hits"):
            radius_graph(points, 1.0, features=features)
    with pytest.raises(DataError, match="a window cuts on features"):
        radius_graph(points, 1.0, window=PairWindow())
    with pytest.raises(DataError, match="embedding of shape"):
        radius_graph(np.zeros((3, 0), np.float32), 1.0)


BENCH = Path(__file__).with_name("search_bench.cpp")
STRICT = (
    "-std=c++17",
    "-O2",
    "-ffp-contract=off",
    "-pthread",
    "-Wall",
    "-Wextra",
    "-Wshadow",
    "-Wconversion",
    "-Werror",
)


@pytest.mark.slow
@pytest.mark.parametrize("sanitizer", ["address,undefined", "thread"])
@pytest.mark.parametrize("processor", [(), ("-mavx2",), ("-march=native",)])
def test_sanitizers_find_nothing(tmp_path: Path, sanitizer: str, processor: tuple[str, ...]) -> None:
    if "-mavx2" in processor and " avx2 " not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this processor has no AVX2")
    program = tmp_path / "bench"
    flags = [*STRICT, *processor, f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all", f"-I{SOURCES}"]
    subprocess.run(["g++", *flags, str(BENCH), "-o", str(program)], check=True)
    done = subprocess.run([str(program)], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("same edges as all pairs in ")
