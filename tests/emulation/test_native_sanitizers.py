"""Native code of random networks under the sanitizers of the compiler: equal to golden, and nothing is reported."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import strategies as st

from hitfabric.emulation import extreme_vectors, make_executor
from hitfabric.emulation.native_build import ENTRY, KERNELS, native_library
from hitfabric.emulation.native_plan import plan
from hitfabric.emulation.native_source import operations_of
from hitfabric.quantization import TypedGraph
from support.drawn import drawn
from support.native_driver import CaseResult, call_native
from support.native_networks import activation, messages, perceptron_of, requantized, unlike_grids
from support.random_graphs import Vectors, graph_networks, random_inputs, row_networks

MEMORY = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
THREADS = ("-fsanitize=thread",)
FAULTY = Path(__file__).parent / "cpp" / "faulty_network.cpp"
EMULATED_TILES = "-DHITFABRIC_EMULATED_TILES"
"""So that AMX code runs on every processor; its matrices reach furthest beyond their tiles."""

LESS_OPTIMIZED = "-O1"
"""With sanitizers it compiles in a third of the time of -O2, and leaves them more of what is undefined to see."""

ROWS = (0, 1, 2, 15, 63, 64, 65, 3000)
GRAPHS = ((0, 0), (1, 0), (1, 1), (2, 63), (64, 64), (65, 65), (500, 3000))
MANY_THREADS = 8
MANY_ROWS, MANY_NODES, MANY_EDGES = 900_000, 60_000, 400_000
"""Enough that several threads compute; the library takes fewer where starting them costs more than it saves."""


@cache
def missing_runtime(flags: tuple[str, ...]) -> str | None:
    """Why programs with these sanitizers cannot be run here, or None."""
    with TemporaryDirectory() as folder:
        source, program = Path(folder) / "empty.cpp", Path(folder) / "empty"
        source.write_text("int main() { return 0; }\n")
        command = ["g++", *flags, str(source), "-o", str(program)]
        for step in (command, [str(program)]):
            try:
                done = subprocess.run(step, capture_output=True, text=True, timeout=60, check=False)
            except FileNotFoundError:
                return "no g++"
            if done.returncode != 0:
                return (done.stderr.strip().splitlines() or [f"{step[0]} failed"])[-1]
    return None


def assert_clean(
    graph: TypedGraph, cases: list[Vectors], folder: Path, *, flags: tuple[str, ...], threads: int, callers: int = 3
) -> None:
    """Run the cases by every instruction set the processor has, and compare every integer and every output."""
    needs(flags)
    library = native_library(plan(graph), extra_flags=[*flags, LESS_OPTIMIZED, EMULATED_TILES])
    results = call_native(library, graph, cases, folder, flags=flags, threads=threads, callers=callers)
    assert len(results) >= 2 * len(cases)  # one of them is plain C++
    assert_equal(graph, cases, results)


def needs(flags: tuple[str, ...]) -> None:
    """Skip the test where there is no runtime of these sanitizers."""
    reason = missing_runtime(flags)
    if reason is not None:
        pytest.skip(f"{' '.join(flags)}: {reason}")


def assert_equal(graph: TypedGraph, cases: list[Vectors], results: list[CaseResult]) -> None:
    """Every result is golden's."""
    golden = make_executor("golden", graph)
    expected = [(golden.run(case), golden.run_integers(case)) for case in cases]
    for result in results:
        outputs, integers = expected[result.number]
        assert (result.status, result.outputs.keys(), result.taps.keys()) == (0, outputs.keys(), integers.keys())
        for found, right in ((result.outputs, outputs), (result.taps, integers)):
            wrong = {name: int(np.count_nonzero(found[name] != right[name])) for name in right}
            assert not any(wrong.values()), (result.instructions, result.number, wrong)


def small_cases(graph: TypedGraph, *, seed: int) -> list[Vectors]:
    """Sizes around the ends of blocks, and the extremes of every format."""
    sizes = [{"N": n, "E": e} for n, e in GRAPHS] if graph.is_graph_network else [{"R": rows} for rows in ROWS]
    cases = [random_inputs(graph, seed=seed, sizes=size) for size in sizes]
    return [*cases, *extreme_vectors(graph, seed=seed, random_rows=70)]


def networks(*, bits: int) -> st.SearchStrategy[TypedGraph]:
    """Networks of either kind."""
    return st.one_of(row_networks(bits=bits), graph_networks(bits=bits))


HAND_MADE: dict[str, Callable[[], TypedGraph]] = {
    "matrices": lambda: perceptron_of([activation(8, 3, signed=False)] * 3, [70, 40, 24, 3], seed=1),
    "sparse": lambda: perceptron_of([activation(8, 3)] * 3, [40, 30, 20, 5], seed=2, zeros=0.8),
    "digits": lambda: perceptron_of([activation(8, 3), activation(14, 4)], [9, 7, 3], seed=3, weight_bits=16),
    "long": lambda: perceptron_of([activation(24, 4), activation(30, 5)], [6, 5, 3], seed=4, weight_bits=18),
    "wide": lambda: requantized(activation(62, 10), [activation(62, 12), activation(40, 2, rounding="RND_CONV")]),
    "unlike": lambda: unlike_grids(seed=5, rounding="RND_CONV"),
    "sums": lambda: messages(activation(20, 6), activation(26, 22)),
    "largest": lambda: messages(activation(12, 6), activation(10, 5), mode="max", column=0),
}


@pytest.mark.parametrize(
    ("fault", "flags", "named"),
    [
        (0, MEMORY, None),
        (0, THREADS, None),
        (1, THREADS, "data race"),
        (2, MEMORY, "heap-buffer-overflow"),
        (3, MEMORY, "signed integer overflow"),
        (4, (), "result0"),
    ],
)
def test_a_fault_is_found(fault: int, flags: tuple[str, ...], named: str | None, tmp_path: Path) -> None:
    needs(flags)
    graph = requantized(activation(24, 24), [activation(24, 24)], features=1)
    library = tmp_path / "faulty.so"
    command = ["g++", "-shared", "-fPIC", *flags, f"-DFAULT={fault}", f"-I{KERNELS}", str(FAULTY), "-o", str(library)]
    subprocess.run(command, check=True, timeout=120)
    cases: list[Vectors] = [{"features": np.arange(1, 6, dtype=np.float32)[:, None]}]

    def check() -> None:
        assert_equal(graph, cases, call_native(library, graph, cases, tmp_path, flags=flags))

    if named is None:
        check()
    else:
        with pytest.raises(AssertionError, match=named):
            check()


@pytest.mark.parametrize("kind", [row_networks, graph_networks])
def test_memory_and_arithmetic_of_one_network(
    kind: Callable[..., st.SearchStrategy[TypedGraph]], tmp_path: Path
) -> None:
    graph = drawn(kind(bits=18), seed=1)
    assert_clean(graph, small_cases(graph, seed=1), tmp_path, flags=MEMORY, threads=4)


@pytest.mark.slow
@pytest.mark.parametrize("name", HAND_MADE)
def test_memory_and_arithmetic_of_rare_paths(name: str, tmp_path: Path) -> None:
    graph = HAND_MADE[name]()
    assert_clean(graph, small_cases(graph, seed=2), tmp_path, flags=MEMORY, threads=4)


@pytest.mark.slow
@pytest.mark.parametrize("bits", [8, 16, 24])
@pytest.mark.parametrize("seed", range(4))
def test_memory_and_arithmetic_of_random_networks(bits: int, seed: int, tmp_path: Path) -> None:
    graph = drawn(networks(bits=bits), seed=1000 * bits + seed)
    assert_clean(graph, small_cases(graph, seed=seed), tmp_path, flags=MEMORY, threads=4)


def large_cases(graph: TypedGraph, *, seed: int) -> Iterator[Vectors]:
    """A call that many threads share, and one that none do."""
    for part in (1, 1000):
        sizes = {"R": MANY_ROWS // part, "N": MANY_NODES // part, "E": MANY_EDGES // part}
        yield random_inputs(graph, seed=seed, sizes=sizes)


def assert_threads(graph: TypedGraph, folder: Path, *, seed: int, callers: int) -> None:
    """As `assert_clean`, of calls that several threads share."""
    cases = list(large_cases(graph, seed=seed))
    sizes = {str(node.tensor.shape[0]): len(cases[0][node.name]) for node in graph.inputs}
    operations = sum(operations_of(segment) * sizes[segment.dimension] for segment in plan(graph).segments)
    (of_thread,) = re.findall(r"kOperationsOfThread = ([\d']+);", ENTRY.read_text())
    assert operations >= 2 * int(of_thread.replace("'", "")), "one thread would compute all"
    assert_clean(graph, cases, folder, flags=THREADS, threads=MANY_THREADS, callers=callers)


def test_threads_of_one_network(tmp_path: Path) -> None:
    graph = drawn(graph_networks(modes=("sum",)), seed=2)
    assert_threads(graph, tmp_path, seed=1, callers=2)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_threads_of_random_networks(seed: int, tmp_path: Path) -> None:
    graph = drawn(networks(bits=16), seed=100 + seed)
    assert_threads(graph, tmp_path, seed=seed, callers=3)


@pytest.mark.parametrize("flags", [(), pytest.param(THREADS, marks=pytest.mark.slow)])
def test_a_bad_value_ends_every_thread(flags: tuple[str, ...], tmp_path: Path) -> None:
    """Threads that find problems in different passes must not wait for each other for ever."""
    graph = drawn(graph_networks(), seed=3)
    needs(flags)
    cases = [random_inputs(graph, seed=seed, sizes={"N": 20_000, "E": 100_000}) for seed in range(20)]
    for case in cases:
        for name in ("nodes", "edges"):
            case[name][:] = np.nan
    library = native_library(plan(graph), extra_flags=flags)
    results = call_native(library, graph, cases, tmp_path, flags=flags, threads=16, callers=2)
    assert {result.status for result in results} == {3}
