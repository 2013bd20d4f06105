"""Work spread over real Dask workers: the same results as here, whoever dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from hitfabric.core import ConfigError, GraphError, ServiceError, ToolError, dask_clusters, load_config
from hitfabric.core.errors import HitfabricWarning
from hitfabric.core.spread import Spread, in_order
from hitfabric.core.spreading import SpreadConfig, open_spread
from hitfabric.core.workers import LocalSpread
from support.dask_cluster import DaskCluster, dask_cluster
from support.tasks import Failing, Killed, Square, make_logged, make_offset

pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with dask_cluster(tmp_path_factory.mktemp("dask"), workers=2) as found:
        found.wait_for_workers(2)
        yield found


@pytest.fixture
def spread(cluster: DaskCluster) -> Iterator[Spread]:
    with open_spread(SpreadConfig(dask=cluster.address)) as found:
        yield found


def lines(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines()]


def test_every_task_is_computed_once_in_a_context_made_once_per_worker(tmp_path: Path, spread: Spread) -> None:
    log, made = tmp_path / "log", tmp_path / "made"
    with spread.workers(make_logged, (7, made)) as workers:
        for _ in range(2):
            found = {task.value: result for task, result in workers.run(Square(value=n, log=log) for n in range(40))}
            assert found == {n: n**2 + 7 for n in range(40)}
    computed = lines(log)
    assert sorted(int(value) for value, _ in computed) == sorted([*range(40), *range(40)])
    processes = {process for _, process in computed}
    assert len(processes) == 2
    assert str(os.getpid()) not in processes
    assert sorted(process for (process,) in lines(made)) == sorted(processes)


def test_another_context_takes_the_place_of_the_first(spread: Spread) -> None:
    for offset in (1, 2):
        with spread.workers(make_offset, offset) as workers:
            assert [result for _, result in workers.run([Square(value=3)])] == [9 + offset]


def test_tasks_are_taken_only_as_workers_are_free(spread: Spread) -> None:
    taken = []

    def endless() -> Iterator[Square]:
        while True:
            taken.append(len(taken))
            yield Square(value=len(taken))

    with spread.workers(make_offset, 0) as workers:
        for finished, _ in enumerate(workers.run(endless()), start=1):
            assert len(taken) - finished <= 4
            if finished == 30:
                break


def test_an_error_keeps_its_class(spread: Spread) -> None:
    with pytest.raises(GraphError, match="the graph is wrong; correct it"), spread.workers(make_offset, 0) as workers:
        list(workers.run([Failing()]))
    with pytest.raises(RuntimeError, match="odd 1 and 2"), spread.workers(make_offset, 0) as workers:
        list(workers.run([Failing(odd=True)]))


def test_a_package_that_a_worker_lacks_is_named(spread: Spread) -> None:
    told = r"No module named 'absent_package' \(on a Dask worker of .+\); install there what is installed here"
    with pytest.raises(ToolError, match=told), spread.workers(make_offset, 0) as workers:
        list(workers.run([Failing(lacking="absent_package")]))


def test_in_order(spread: Spread) -> None:
    tasks = [Square(value=n) for n in range(20)]
    for place in (spread, LocalSpread(jobs=2)):
        with place.workers(make_offset, 0) as workers:
            assert list(in_order(tasks, workers)) == [(task, task.value**2) for task in tasks]


def test_the_tasks_of_killed_workers_are_run_again_and_counted_once(tmp_path: Path, cluster: DaskCluster) -> None:
    replacement: list[int] = []
    tasks = [*(Square(value=n) for n in range(30)), Killed(marker=tmp_path / "marker"), Square(value=30)]
    with (
        open_spread(SpreadConfig(dask=cluster.address)) as spread,
        spread.workers(make_offset, 0) as workers,
    ):
        results = []
        for number, (_, result) in enumerate(workers.run(tasks)):
            results.append(result)
            if number == 10:  # one from outside, the other by its task
                replacement.append(cluster.start_worker().pid)
                cluster.processes[1].send_signal(signal.SIGKILL)
    assert sorted(results, key=str) == sorted([*(n**2 for n in range(31)), "survived"], key=str)
    assert (tmp_path / "marker").exists()
    cluster.start_worker()


@pytest.mark.slow
def test_a_task_that_kills_worker_after_worker_is_named(tmp_path: Path) -> None:
    with (
        dask_cluster(tmp_path / "dask", workers=5) as cluster,
        open_spread(SpreadConfig(dask=cluster.address)) as spread,
        pytest.raises(ToolError, match="died one after the other at a greedy task"),
        spread.workers(make_offset, 0) as workers,
    ):
        list(workers.run([Killed(marker=tmp_path / "a", always=True)]))


@pytest.mark.slow
def test_a_lost_scheduler_is_an_error(tmp_path: Path) -> None:
    import dask.config

    with (
        dask.config.set({"distributed.comm.timeouts.connect": "2s"}),
        dask_cluster(tmp_path / "dask", workers=1) as cluster,
        open_spread(SpreadConfig(dask=cluster.address)) as spread,
        pytest.raises(ServiceError, match=r"connection to the Dask scheduler is lost"),
        spread.workers(make_offset, 0) as workers,
    ):
        for _ in workers.run(Square(value=n) for n in range(10**6)):
            cluster.processes[0].kill()


@pytest.mark.slow
def test_workers_of_many_threads_are_used_safely_and_said_to_be_wasteful(tmp_path: Path) -> None:
    made = tmp_path / "made"
    with (
        dask_cluster(tmp_path / "dask", workers=1, options=("--nthreads", "4")) as cluster,
        pytest.warns(HitfabricWarning, match="--nthreads 1"),
        open_spread(SpreadConfig(dask=cluster.address)) as spread,
        spread.workers(make_logged, (0, made)) as workers,
    ):
        assert sum(result for _, result in workers.run(Square(value=n) for n in range(20))) == 2470
    assert len(lines(made)) == 1


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://x", "absent.json"])
def test_no_scheduler_is_an_error(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_clusters, "CONNECT_SECONDS", 1)
    with (
        pytest.raises(ServiceError, match=f"no Dask scheduler at {address}"),
        open_spread(SpreadConfig(dask=address)),
    ):
        pass


def test_work_goes_to_one_place() -> None:
    with pytest.raises(ConfigError, match="jobs and dask are given"):
        load_config(SpreadConfig, None, {"jobs": 2, "dask": "tcp://x:1"})
