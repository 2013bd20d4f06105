"""The HLS kernels by themselves: compiled into a test bench with hls4ml's ap_types, against NumPy."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hitfabric.hls_projects.extension import AMD_HEADERS, KERNELS

NODES, EDGES, FEATURES = 5, 11, 3  # edges: not a multiple of the phases, neither of any lanes but 1
VARIANTS = ["parallel", "1", "3", "8"]  # io_parallel, or io_stream with so many lanes
WEIGHTS, BIASES = np.array([[1, -2], [3, 4], [-5, 6]]), np.array([7, -8])
BENCH = Path(__file__).parent / "kernel_bench.cpp"
WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-unknown-pragmas",  # HLS
    "-Wno-unused-label",  # name the loops in the vendor's reports
    *("-Wno-uninitialized", "-Wno-maybe-uninitialized"),  # ap_private's constructor reads itself, inlined into ours
]
Integers = NDArray[np.int64]
Kernel = Callable[[str, Integers, Integers, tuple[int, int]], Integers]


def compile_bench(standard: str, *options: str) -> None:
    hls4ml = pytest.importorskip("hls4ml")
    headers = Path(hls4ml.__file__).parent / "templates" / "vivado"
    includes = [f"-I{KERNELS}", "-isystem", str(headers / "ap_types"), "-isystem", str(headers / "nnet_utils")]
    subprocess.run(["g++", f"-std={standard}", *WARNINGS, *includes, str(BENCH), *options], check=True)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    library = tmp_path_factory.mktemp("kernels") / "bench.so"
    compile_bench("c++11", "-O1", "-fPIC", "-shared", "-o", str(library))  # what the vendor's flow compiles with
    loaded = ctypes.CDLL(str(library))

    def call(name: str, features: Integers, second: Integers, shape: tuple[int, int]) -> Integers:
        graphs = len(features)
        result = np.full((graphs, *shape), -(2**40), dtype=np.int64)
        arrays = [np.ascontiguousarray(array, dtype=np.int64) for array in (features, second)]
        getattr(loaded, name)(*(ctypes.c_void_p(array.ctypes.data) for array in (*arrays, result)), graphs)
        return result

    return call


def test_bench_is_cpp17_too() -> None:
    compile_bench("c++17", "-fsyntax-only")  # the standard of the C simulation


def integers(rows: int, columns: int, low: int, high: int) -> st.SearchStrategy[Integers]:
    row = st.lists(st.integers(low, high), min_size=columns, max_size=columns)
    return st.lists(row, min_size=rows, max_size=rows).map(lambda values: np.array(values, dtype=np.int64))


def fixed(pattern: Callable[[int], int]) -> Integers:
    return np.array([[pattern(e), pattern(e + 1)] for e in range(EDGES)])


# What the scatter's read-modify-write has to survive; an index of 5 to 7 is padding.
HAZARDS = {
    "one node": fixed(lambda _: 2),
    "two nodes in turn": fixed(lambda e: e % 2),
    "a node again after each distance": fixed(lambda e: 0 if e in (0, 1, 3, 6, 10) else 1 + e % 4),
    "sorted": fixed(lambda e: e * NODES // (EDGES + 1)),
    "all padding": fixed(lambda _: 7),
    "padding in turn": fixed(lambda e: 4 if e % 2 else 5),
}
INDICES = st.one_of(integers(EDGES, 2, 0, 7), integers(EDGES, 2, 0, 1), st.sampled_from(list(HAZARDS.values())))
# One to four graphs, one after the other: nothing of one may reach the next.
GRAPHS = st.integers(1, 4)


def several(draw: st.DrawFn, one: st.SearchStrategy[Integers], graphs: int) -> Integers:
    return np.stack([draw(one) for _ in range(graphs)])


@st.composite
def gather_inputs(draw: st.DrawFn) -> tuple[Integers, Integers]:
    graphs = draw(GRAPHS)
    return several(draw, integers(NODES, FEATURES, -128, 127), graphs), several(draw, INDICES, graphs)


@st.composite
def aggregate_inputs(draw: st.DrawFn) -> tuple[Integers, Integers]:
    graphs = draw(GRAPHS)
    return several(draw, integers(EDGES, FEATURES, -128, 127), graphs), several(draw, INDICES, graphs)


def expected_sums(edges: Integers, index: Integers, *, column: int, mode: str) -> Integers:
    result = np.zeros((len(edges), 8, FEATURES), dtype=np.int64)
    for total, values, ends in zip(result, edges, index, strict=True):
        (np.add if mode == "sum" else np.maximum).at(total, ends[:, column], values)
    return result[:, :NODES]


@pytest.mark.parametrize("variant", VARIANTS)
@given(inputs=gather_inputs())
@settings(max_examples=40)
def test_gather(kernel: Kernel, variant: str, inputs: tuple[Integers, Integers]) -> None:
    nodes, index = inputs
    found = kernel(f"gather_{variant}", nodes, index, (EDGES, 2 * FEATURES))
    for graph, ends, result in zip(nodes, index, found, strict=True):
        padded = np.vstack([graph, np.zeros((8 - NODES, FEATURES), dtype=np.int64)])
        assert np.array_equal(result, np.hstack([padded[ends[:, 0]], padded[ends[:, 1]]]))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("column", [0, 1])
@pytest.mark.parametrize("mode", ["sum", "max"])
@given(inputs=aggregate_inputs())
@settings(max_examples=30)
def test_aggregate(kernel: Kernel, variant: str, column: int, mode: str, inputs: tuple[Integers, Integers]) -> None:
    found = kernel(f"{mode}{column}_{variant}", *inputs, (NODES, FEATURES))
    assert np.array_equal(found, expected_sums(*inputs, column=column, mode=mode))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("value", [-128, -1, 127])
@pytest.mark.parametrize("hazard", HAZARDS)
def test_every_hazard_with_the_extremes_of_the_format(kernel: Kernel, variant: str, value: int, hazard: str) -> None:
    edges = np.full((3, EDGES, FEATURES), value)
    index = np.stack([HAZARDS[hazard], HAZARDS["one node"], HAZARDS[hazard]])
    for mode in ("sum", "max"):
        found = kernel(f"{mode}1_{variant}", edges, index, (NODES, FEATURES))
        assert np.array_equal(found, expected_sums(edges, index, column=1, mode=mode))


@pytest.mark.parametrize("variant", VARIANTS)
@given(inputs=aggregate_inputs())
@settings(max_examples=30)
def test_layers_of_rows(kernel: Kernel, variant: str, inputs: tuple[Integers, Integers]) -> None:
    edges, _ = inputs
    rounded = kernel(f"requantize_{variant}", edges, edges, (EDGES, FEATURES))  # half to even, symmetric saturation
    assert np.array_equal(rounded, np.clip(np.rint(edges / 4), -15, 15) * 4)
    joined = kernel(f"concatenate_{variant}", edges, edges[:, ::-1], (EDGES, 2 * FEATURES))
    assert np.array_equal(joined, np.concatenate([edges, edges[:, ::-1]], axis=-1))
    mapped = kernel(f"dense_{variant}", edges, edges, (EDGES, 2))
    assert np.array_equal(mapped, edges @ WEIGHTS + BIASES)


@pytest.mark.parametrize("header", AMD_HEADERS, ids=lambda path: path.name)
def test_kernels_hold_nothing_that_synthesis_refuses(header: Path) -> None:
    text = header.read_text()
    lines = [line.split("//")[0] for line in text.splitlines()]
    code = "\n".join(lines).replace("#define EDGE_MEMORY static", "")  # in simulation only
    # Dynamic memory, the library, loops without a bound, state between calls, and promises about dependences.
    for refused in ("new ", "delete", "malloc", "std::", "while", "goto", "virtual", "dependence", "DEPENDENCE"):
        assert refused not in code
    state = code.replace("static const unsigned", "").replace("static const bool", "")
    assert "static" not in state
    # Streams are read and written, nothing else: their fill level means nothing in hardware.
    for method in (".empty(", ".full(", ".size(", "_nb("):
        assert method not in code
    for loop in (line for line in code.splitlines() if "for (" in line):  # static bounds: constants alone
        bound = loop.split(";")[1].split("<")[1].strip()
        assert bound.startswith(("CONFIG_T::", "edge_sizes<CONFIG_T>", "edge_sizes", "edge_phases", "banks")), loop
    pipelines = [line for line in text.splitlines() if "HLS PIPELINE" in line]
    assert len(pipelines) >= 5
    assert all("II =" in line for line in pipelines)


def test_every_loop_states_what_becomes_of_it() -> None:
    for header in AMD_HEADERS:
        lines = header.read_text().splitlines()
        for number, line in enumerate(lines):
            if line.lstrip().startswith("for ("):
                following = " ".join(lines[number + 1 : number + 3])
                # The rows of a dense layer are a pipeline, or a plain loop around the Resource kernel's own.
                assert "HLS UNROLL" in following or "HLS PIPELINE" in following or "n_row" in line, line
