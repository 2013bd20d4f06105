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

from hitfabric.hls_projects.extension import KERNELS

NODES, EDGES, FEATURES = 5, 11, 3  # edges: not a multiple of the banks
HEADERS = Path(__file__).parent / "kernel_bench.cpp"
Integers = NDArray[np.int64]
Kernel = Callable[[str, Integers, Integers, tuple[int, int]], Integers]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    hls4ml = pytest.importorskip("hls4ml")
    headers = Path(hls4ml.__file__).parent / "templates" / "vivado"
    library = tmp_path_factory.mktemp("kernels") / "bench.so"
    includes = [f"-I{KERNELS}", f"-I{headers / 'ap_types'}", f"-I{headers / 'nnet_utils'}"]
    # -std=c++11: what the vendor's flow compiles with. Warnings are errors in our own header only.
    command = ["g++", "-O1", "-std=c++11", "-w", "-fPIC", "-shared", *includes, str(HEADERS), "-o", str(library)]
    subprocess.run(command, check=True)
    loaded = ctypes.CDLL(str(library))

    def call(name: str, features: Integers, index: Integers, shape: tuple[int, int]) -> Integers:
        result = np.full(shape, -(2**40), dtype=np.int64)
        arrays = [np.ascontiguousarray(array, dtype=np.int64) for array in (features, index)]
        getattr(loaded, name)(*(ctypes.c_void_p(array.ctypes.data) for array in (*arrays, result)))
        return result

    return call


def integers(rows: int, columns: int, low: int, high: int) -> st.SearchStrategy[Integers]:
    row = st.lists(st.integers(low, high), min_size=columns, max_size=columns)
    return st.lists(row, min_size=rows, max_size=rows).map(lambda values: np.array(values, dtype=np.int64))


# 5 to 7 are padding; a small range makes consecutive edges name the same node, the hazard of the scatter.
indices = st.one_of(integers(EDGES, 2, 0, 7), integers(EDGES, 2, 0, 1), integers(EDGES, 2, 4, 5))


@pytest.mark.parametrize("io_type", ["stream", "parallel"])
@given(nodes=integers(NODES, FEATURES, -128, 127), index=indices)
@settings(max_examples=60, deadline=None)
def test_gather(kernel: Kernel, io_type: str, nodes: Integers, index: Integers) -> None:
    padded = np.vstack([nodes, np.zeros((8 - NODES, FEATURES), dtype=np.int64)])
    found = kernel(f"gather_{io_type}", nodes, index, (EDGES, 2 * FEATURES))
    assert np.array_equal(found, np.hstack([padded[index[:, 0]], padded[index[:, 1]]]))


@pytest.mark.parametrize("io_type", ["stream", "parallel"])
@pytest.mark.parametrize("column", [0, 1])
@pytest.mark.parametrize("mode", ["sum", "max"])
@given(edges=integers(EDGES, FEATURES, -128, 127), index=indices)
@settings(max_examples=40, deadline=None)
def test_aggregate(kernel: Kernel, io_type: str, column: int, mode: str, edges: Integers, index: Integers) -> None:
    expected = np.zeros((8, FEATURES), dtype=np.int64)
    (np.add if mode == "sum" else np.maximum).at(expected, index[:, column], edges)
    found = kernel(f"{mode}{column}_{io_type}", edges, index, (NODES, FEATURES))
    assert np.array_equal(found, expected[:NODES])


@pytest.mark.parametrize("io_type", ["stream", "parallel"])
@given(edges=integers(EDGES, FEATURES, -128, 127))
@settings(max_examples=40, deadline=None)
def test_requantize_rounds_half_to_even_and_saturates(kernel: Kernel, io_type: str, edges: Integers) -> None:
    found = kernel(f"requantize_{io_type}", edges, np.zeros((EDGES, 2)), (EDGES, FEATURES))
    assert np.array_equal(found, np.clip(np.rint(edges / 4), -15, 15))


def test_kernels_hold_nothing_that_synthesis_refuses() -> None:
    text = (KERNELS / "nnet_edge.h").read_text()
    code = "\n".join(line.split("//")[0] for line in text.splitlines())
    for refused in ("new ", "malloc", "std::", "while", "static bool", "dependence", "DEPENDENCE"):
        assert refused not in code
    pipelines = [line for line in text.splitlines() if "PIPELINE" in line]
    assert len(pipelines) >= 9
    assert all("II =" in line for line in pipelines)
