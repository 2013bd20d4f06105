"""Worker processes: nothing lost, nothing twice, whatever dies."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import pytest

from hitfabric.core import GraphError, ToolError
from hitfabric.core.workers import LocalWorkers
from support.tasks import Failing, Killed, Late, Square, make_late, make_offset


@pytest.mark.parametrize("jobs", [1, 3])
def test_every_task_is_computed_once(tmp_path: Path, jobs: int, capfd: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log"
    with LocalWorkers(make_offset, 7, jobs=jobs) as workers:
        for _ in range(2):  # the workers and their contexts serve several rounds
            found = {task.value: result for task, result in workers.run(Square(value=n, log=log) for n in range(20))}
            assert found == {n: n**2 + 7 for n in range(20)}
    lines = [line.split() for line in log.read_text().splitlines()]
    assert sorted(int(value) for value, _ in lines) == sorted([*range(20), *range(20)])
    assert len({process for _, process in lines}) <= jobs
    if jobs > 1:
        assert capfd.readouterr().out == ""  # what a worker prints is not in the way of the caller's output


def test_tasks_are_taken_only_as_workers_are_free() -> None:
    taken = []

    def endless() -> Iterator[Square]:
        while True:
            taken.append(len(taken))
            yield Square(value=len(taken))

    with LocalWorkers(make_offset, 0, jobs=2) as workers:
        for finished, _ in enumerate(workers.run(endless()), start=1):
            assert len(taken) - finished <= 2
            if finished == 30:
                break
    assert multiprocessing.active_children() == []


def test_a_worker_that_is_killed_is_replaced_and_its_task_run_again(tmp_path: Path) -> None:
    tasks = [*(Square(value=n) for n in range(6)), Killed(marker=tmp_path / "a"), Killed(marker=tmp_path / "b")]
    with LocalWorkers(make_offset, 0, jobs=2) as workers:
        results = [result for _, result in workers.run([*tasks, Square(value=9)])]
    assert sorted(results, key=str) == sorted([0, 1, 4, 9, 16, 25, 81, "survived", "survived"], key=str)


def test_a_task_that_kills_every_worker_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(ToolError, match=r"died twice \(SIGKILL\) at a greedy task.*fewer --jobs"),
        LocalWorkers(make_offset, 0, jobs=2) as workers,
    ):
        list(workers.run([Killed(marker=tmp_path / "a", always=True)]))
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_keeps_its_class(jobs: int) -> None:
    wanted = pytest.raises(GraphError, match="the graph is wrong; correct it")
    with wanted, LocalWorkers(make_offset, 0, jobs=jobs) as workers:
        list(workers.run([Failing()]))


def test_an_error_that_cannot_travel_is_told_by_its_text() -> None:
    with pytest.raises(RuntimeError, match="odd 1 and 2"), LocalWorkers(make_offset, 0, jobs=2) as workers:
        list(workers.run([Failing(odd=True)]))


def test_a_signal_that_comes_as_a_worker_ends_is_not_heard(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    marker = tmp_path / "ended"
    with LocalWorkers(make_late, marker, jobs=1, apart=True) as workers:
        assert [result for _, result in workers.run([Late()])] == [marker]
    assert marker.exists()
    assert capfd.readouterr().err == ""
