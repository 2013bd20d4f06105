"""How the native executor is called from Python: arrays of any layout, threads, no copies, problems in the data."""

from __future__ import annotations

import gc
import pickle
import tracemalloc
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hitfabric.core import DataError, GraphError, ToolError
from hitfabric.emulation import make_executor
from hitfabric.emulation.native import NativeExecutor
from hitfabric.quantization import TypedGraph
from support.drawn import drawn
from support.native_networks import activation, messages, perceptron_of
from support.random_graphs import graph_networks, random_inputs

Layout = Callable[[NDArray[Any]], NDArray[Any]]


@cache
def rows_network() -> TypedGraph:
    return perceptron_of([activation(8, 3)] * 3, [6, 16, 16, 2], seed=1)


@cache
def graph_network() -> TypedGraph:
    return drawn(graph_networks(modes=("sum",)), seed=21)


@cache
def native(graph: TypedGraph, threads: int = 2) -> NativeExecutor:
    return NativeExecutor(graph, threads=threads)


def assert_same(found: dict[str, NDArray[Any]], expected: dict[str, NDArray[Any]]) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert np.array_equal(found[name], array), name


def strided(array: NDArray[Any]) -> NDArray[Any]:
    return np.repeat(array, 3, axis=0)[1::3]


def columns(array: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([array, array], axis=1)[:, : array.shape[1]]


def backwards(array: NDArray[Any]) -> NDArray[Any]:
    return array[::-1].copy()[::-1]


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def from_bytes(array: NDArray[Any]) -> NDArray[Any]:
    """Of another owner, which allows no writing, at an odd address, where no float may be."""
    data = b"?" + array.tobytes()
    return np.frombuffer(data, array.dtype, array.size, 1).reshape(array.shape)


def pickled(array: NDArray[Any]) -> NDArray[Any]:
    """With a dtype object of its own, as arrays of another process have."""
    return pickle.loads(pickle.dumps(array))


def with_metadata(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(np.dtype(array.dtype.str, metadata={"unit": "mm"}))  # type: ignore[call-overload] - not in the stubs


LAYOUTS: list[Layout] = [
    np.asfortranarray, strided, columns, backwards, read_only, from_bytes, pickled, with_metadata, np.ma.asarray
]  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
@pytest.mark.parametrize("graph", [rows_network, graph_network], ids=["rows", "graph"])
def test_arrays_of_any_layout(graph: Callable[[], TypedGraph], layout: Layout) -> None:
    inputs = random_inputs(graph(), seed=1, sizes={"R": 130, "N": 70, "E": 200})
    before = {name: array.copy() for name, array in inputs.items()}
    laid: dict[str, NDArray[Any]] = {name: layout(array) for name, array in inputs.items()}
    assert_same(native(graph()).run(laid), make_executor("golden", graph()).run(inputs))
    assert_same(native(graph()).run_integers(laid), make_executor("golden", graph()).run_integers(inputs))
    for name, array in laid.items():
        assert np.array_equal(array, before[name]), "an input was written to"


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32, np.uint32, np.uint64, np.longlong, ">i8", ">u4"])
def test_indices_of_any_integer(kind: Any) -> None:
    inputs = random_inputs(graph_network(), seed=1, sizes={"N": 70, "E": 200})
    expected = make_executor("golden", graph_network()).run(inputs)
    assert_same(native(graph_network()).run({**inputs, "edge_index": inputs["edge_index"].astype(kind)}), expected)


@pytest.mark.parametrize("kind", [np.int64, np.uint64, np.int32])
def test_the_largest_index_is_padding(kind: type[np.integer[Any]]) -> None:
    inputs = random_inputs(graph_network(), seed=1, sizes={"N": 70, "E": 200})
    padded, largest = inputs["edge_index"].astype(kind), inputs["edge_index"].copy()
    padded[::3] = np.iinfo(kind).max
    largest[::3] = 70
    expected = make_executor("golden", graph_network()).run({**inputs, "edge_index": largest})
    assert_same(native(graph_network()).run({**inputs, "edge_index": padded}), expected)


@pytest.mark.parametrize("graph", [rows_network, graph_network], ids=["rows", "graph"])
def test_contiguous_arrays_are_not_copied(graph: Callable[[], TypedGraph]) -> None:
    executor = native(graph())
    inputs = random_inputs(graph(), seed=1, sizes={"R": 200_000, "N": 50_000, "E": 200_000})
    outputs = sum(array.nbytes for array in executor.run(inputs).values())

    def peak(given: Mapping[str, NDArray[Any]]) -> int:
        gc.collect()
        tracemalloc.start()
        executor.run(given)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    allowed = outputs + 20_000
    assert peak(inputs) < allowed
    assert peak({name: read_only(array) for name, array in inputs.items()}) < allowed
    copied = {
        name: np.asfortranarray(array) if array.shape[1] > 1 else strided(array) for name, array in inputs.items()
    }
    assert peak(copied) > outputs + sum(array.nbytes for array in inputs.values()) * 9 // 10, "the measure sees copies"


@pytest.mark.parametrize("graph", [rows_network, graph_network], ids=["rows", "graph"])
def test_any_number_of_threads_gives_the_same(graph: Callable[[], TypedGraph]) -> None:
    inputs = random_inputs(graph(), seed=1, sizes={"R": 100_000, "N": 30_000, "E": 150_000})
    expected = make_executor("golden", graph()).run_integers(inputs)
    for threads in (1, 2, 3, 16, 1000):
        assert_same(native(graph(), threads).run_integers(inputs), expected)


@pytest.mark.parametrize("graph", [rows_network, graph_network], ids=["rows", "graph"])
def test_one_executor_called_by_many_threads(graph: Callable[[], TypedGraph]) -> None:
    """Calls of different sizes at the same time, of values and of integers in turn, some of them refused."""
    executor, golden = native(graph(), 3), make_executor("golden", graph())
    sizes = [{"R": n**4 * 20, "N": n**4 * 3, "E": n**4 * 30} for n in range(8)]  # the last by several threads each
    cases = [random_inputs(graph(), seed=seed, sizes=size) for seed, size in enumerate(sizes)]
    expected = [(golden.run(case), golden.run_integers(case)) for case in cases]
    feature = graph().inputs[0].name
    wrong = {**cases[3], feature: np.full_like(cases[3][feature], np.nan)}

    def call(number: int) -> None:
        for turn in range(12):
            case = (number + turn) % len(cases)
            assert_same(executor.run(cases[case]), expected[case][0])
            assert_same(executor.run_integers(cases[case]), expected[case][1])
            with pytest.raises(DataError, match="NaN"):
                executor.run(wrong)

    with ThreadPoolExecutor(12) as pool:
        for result in [pool.submit(call, number) for number in range(24)]:
            result.result()


def test_results_are_the_caller_s_own() -> None:
    executor = native(rows_network())
    one, two = (random_inputs(rows_network(), seed=seed, sizes={"R": 9}) for seed in (1, 2))
    first = executor.run(one)
    kept = {name: array.copy() for name, array in first.items()}
    executor.run(two)
    assert_same(first, kept)


def test_only_the_nodes_asked_for_are_given() -> None:
    graph = rows_network()
    inputs = random_inputs(graph, seed=1, sizes={"R": 70})
    for node in graph.visible:
        expected = make_executor("golden", graph).run_integers(inputs, [node.name])
        assert_same(native(graph).run_integers(inputs, [node.name]), expected)
    assert native(graph).run_integers(inputs, []) == {}
    assert len(native(graph).run_integers(inputs)) == len(graph.visible)


@pytest.mark.parametrize("row", [0, 63, 64, 129])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_row_of_a_bad_value_is_named(row: int, value: float) -> None:
    inputs = random_inputs(rows_network(), seed=1, sizes={"R": 130})
    expected = make_executor("golden", rows_network()).run(inputs)
    bad = {"features": inputs["features"].copy()}
    bad["features"][row, -1] = value
    for call in (native(rows_network()).run, native(rows_network()).run_integers):
        with pytest.raises(DataError, match=f"features holds NaN or an infinite value in row {row};"):
            call(bad)
    assert_same(native(rows_network()).run(inputs), expected)


@pytest.mark.parametrize(("edge", "column", "value"), [(0, 0, -1), (199, 1, np.iinfo(np.int64).min)])
def test_a_negative_index_is_named(edge: int, column: int, value: int) -> None:
    inputs = random_inputs(graph_network(), seed=1, sizes={"N": 70, "E": 200})
    inputs["edge_index"][edge, column] = value
    with pytest.raises(DataError, match="edge_index holds a negative index"):
        native(graph_network()).run(inputs)


def test_unknown_instructions() -> None:
    with pytest.raises(ToolError, match=r"no sse9 code for this network and processor; use one of .*plain"):
        NativeExecutor(rows_network(), instructions="sse9")


def test_edges_beyond_an_index_are_refused(tmp_path: Path) -> None:
    """Arrays in files that hold nothing stand for ones that few machines have the memory for."""
    graph = messages(activation(8, 4), activation(20, 16), features=1)
    many, inputs = 2**31, {}
    for node in graph.inputs:
        kind = np.dtype(np.int64 if node.tensor.is_index else np.float32)
        shape = (1 if node.name == "nodes" else many, node.tensor.width)
        with (tmp_path / node.name).open("wb") as file:
            try:
                file.truncate(shape[0] * shape[1] * kind.itemsize)
            except OSError as error:
                pytest.skip(f"no file of {many} edges: {error}")
        inputs[node.name] = np.memmap(tmp_path / node.name, kind, mode="r", shape=shape)
    with pytest.raises(GraphError, match=f"graph of {many} edges exceeds the {many - 1}"):
        native(graph).run(inputs)
