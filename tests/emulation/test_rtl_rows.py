"""The rtl executor around a small engine written by hand: rows in, rows out, and what it refuses to believe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hitfabric.core import ConfigError, DataError, GraphError
from hitfabric.emulation import compare_executors, extreme_vectors, make_executor
from hitfabric.emulation import rtl as rtl_module
from hitfabric.emulation.rtl import RtlExecutor
from hitfabric.emulation.rtl_beats import header_beats
from hitfabric.hls_projects.rtl_simulation_streams import Beats
from hitfabric.quantization import TypedGraph
from support.row_engine import row_engine, row_network


@pytest.fixture(scope="module")
def graph() -> TypedGraph:
    return row_network()


@pytest.fixture(scope="module")
def executor(graph: TypedGraph, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtlExecutor]:
    project = row_engine(tmp_path_factory.mktemp("engine"), graph)
    made = make_executor("rtl", graph, project=project, stalls=0.3, seed=4)
    assert isinstance(made, RtlExecutor)
    yield made
    made.close()


def test_extremes_equal_golden(graph: TypedGraph, executor: RtlExecutor) -> None:
    ladder = compare_executors(make_executor("golden", graph), [executor], extreme_vectors(graph))
    assert ladder.first_divergence is None
    assert [(rung.executor, rung.node) for rung in ladder.rungs] == [("rtl", "sum")]
    assert ladder.compared > 1000


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 4096, 4097, 9000])
def test_any_number_of_rows(graph: TypedGraph, executor: RtlExecutor, rows: int) -> None:
    inputs = {"byte": np.random.default_rng(rows).integers(0, 128, (rows, 1)).astype(np.float32)}
    assert np.array_equal(executor.run(inputs)["sum"], make_executor("golden", graph).run(inputs)["sum"])


def test_many_calls_in_one_run_keep_their_order(graph: TypedGraph, executor: RtlExecutor) -> None:
    generator = np.random.default_rng(0)
    batches = [{"byte": generator.integers(0, 128, (k % 9, 1)).astype(np.float32)} for k in range(60)]
    golden = make_executor("golden", graph)
    for inputs, outputs in zip(batches, executor.run_many(batches), strict=True):
        assert np.array_equal(outputs["sum"], golden.run_integers(inputs)["sum"])


def test_cycles_are_counted_without_stalls(executor: RtlExecutor) -> None:
    """A pass takes a header, then a beat a cycle; the last beat comes a cycle later, and the status after it."""
    batches = [{"byte": np.zeros((rows, 1), dtype=np.float32)} for rows in (8, 20, 8, 8)]
    figures = executor.measure_cycles(batches)
    assert (figures.graphs, figures.latency_p50, figures.latency_p95, figures.latency_max) == (4, 7, 13, 13)
    assert (figures.interval_p50, figures.interval_p95) == (7, 13)
    assert executor.stalls == 0.3
    with pytest.raises(GraphError, match="1 graphs have no interval between them"):
        executor.measure_cycles(batches[:1])


def test_inner_nodes_cannot_be_seen(executor: RtlExecutor) -> None:
    batch = {"byte": np.zeros((3, 1), dtype=np.float32)}
    with pytest.raises(
        ConfigError, match=r"nodes \['rounded'\] of bytes are not seen from outside by the executor rtl"
    ):
        executor.run_integers(batch, ["rounded"])
    assert list(executor.run_integers(batch, ["sum"])) == ["sum"]


def test_malformed_inputs(executor: RtlExecutor) -> None:
    with pytest.raises(DataError, match="input byte has dtype float64"):
        executor.run({"byte": np.zeros((3, 1))})
    with pytest.raises(GraphError, match="70000 are more than a header counts; give fewer than 65536"):
        executor.stream_graphs([{"byte": np.zeros((70_000, 1), dtype=np.float32)}])


def test_a_project_of_another_network(graph: TypedGraph, executor: RtlExecutor) -> None:
    other = graph.with_dense("more", bias=np.array([0]))
    with pytest.raises(GraphError, match="was built from another version of bytes; write the project again"):
        RtlExecutor(other, project=executor.project)


@pytest.mark.parametrize(
    ("defect", "named"),
    [(10, r"m_axis_rows has tlast 0 in beat 1 of graph 0"), (11, r"status 0 of the engine carries the tag 4294967295")],
)
def test_what_the_engine_says_is_checked(
    executor: RtlExecutor, monkeypatch: pytest.MonkeyPatch, defect: int, named: str
) -> None:
    def broken(sizes: list[object]) -> Beats:
        made = header_beats(sizes)  # type: ignore[arg-type]
        data = made.data.copy()
        data.view("<u2")[:, 1] = defect
        return replace(made, data=data)

    monkeypatch.setattr(rtl_module, "header_beats", broken)
    with pytest.raises(GraphError, match=named):
        executor.run_many([{"byte": np.zeros((3, 1), dtype=np.float32)}])


@pytest.mark.slow
def test_a_waveform_on_request(graph: TypedGraph, executor: RtlExecutor, tmp_path: Path) -> None:
    wave = tmp_path / "wave.vcd"
    traced = RtlExecutor(graph, project=executor.project, trace=wave)
    traced.run({"byte": np.zeros((30, 1), dtype=np.float32)})
    traced.close()
    assert "m_axis_rows_tdata" in wave.read_text()
