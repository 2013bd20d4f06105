"""No accumulator of the scatter is accessed again before its last access had time to finish, and the check can fail."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hitfabric.hls_projects.extension import KERNELS

BENCH = Path(__file__).parent / "hazard_bench.cpp"
NODES, EDGES = 5, 40
BANK = "phase * CONFIG_T::n_lane + lane"
Integers = NDArray[np.int64]


class Scatter:
    """The bench compiled with a kernel header."""

    def __init__(self, header: str, directory: Path, *, lanes: int) -> None:
        hls4ml = pytest.importorskip("hls4ml")
        types = Path(hls4ml.__file__).parent / "templates" / "vivado"
        (directory / "nnet_edge.h").write_text(header)
        library = directory / "hazards.so"
        includes = [f"-I{directory}", "-isystem", str(types / "ap_types"), "-isystem", str(types / "nnet_utils")]
        options = ["-O1", "-std=c++11", "-w", f"-DHAZARD_LANES={lanes}", "-fPIC", "-shared"]
        subprocess.run(["g++", *options, *includes, str(BENCH), "-o", str(library)], check=True)
        self._function = ctypes.CDLL(str(library)).hazard_violations
        self._function.restype = ctypes.c_long

    def violations(self, index: Integers) -> int:
        """Accesses that came too early; the sums are checked besides."""
        index, totals = np.ascontiguousarray(index, dtype=np.int64), np.zeros(NODES, dtype=np.int64)
        found = self._function(ctypes.c_void_p(index.ctypes.data), ctypes.c_void_p(totals.ctypes.data))
        assert np.array_equal(totals, np.bincount(index[:, 1], minlength=8)[:NODES])
        return int(found)


@pytest.fixture(scope="module", params=[1, 4])
def scatter(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Scatter:
    header = (KERNELS / "nnet_edge.h").read_text()
    return Scatter(header, tmp_path_factory.mktemp("hazards"), lanes=request.param)


@given(receivers=st.lists(st.integers(0, 7), min_size=EDGES, max_size=EDGES))
@settings(max_examples=100)
def test_any_edges(scatter: Scatter, receivers: list[int]) -> None:
    assert scatter.violations(np.array([[0, n] for n in receivers])) == 0


@pytest.mark.parametrize("distance", range(1, 9))
def test_the_same_node_again_after_each_distance(scatter: Scatter, distance: int) -> None:
    assert scatter.violations(np.array([[0, 2 if e % distance == 0 else 7] for e in range(EDGES)])) == 0


@pytest.mark.parametrize(
    "fault", ["lane", "phase / 2 * CONFIG_T::n_lane + lane", "phase * CONFIG_T::n_lane"], ids=["one", "half", "lanes"]
)
def test_fewer_banks_are_found_out(fault: str, tmp_path: Path) -> None:
    header = (KERNELS / "nnet_edge.h").read_text()
    assert header.count(BANK) == 1
    scatter = Scatter(header.replace(BANK, fault), tmp_path, lanes=4)
    assert scatter.violations(np.full((EDGES, 2), 2)) > 0
