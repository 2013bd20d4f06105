"""Worker processes and finished parts: nothing lost, nothing twice, whatever dies."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import pytest

from hitfabric.core import DataError, GraphError, ToolError
from hitfabric.pipeline.parts import Parts
from hitfabric.pipeline.workers import Workers
from support.tasks import Failing, Killed, Square, make_offset


@pytest.mark.parametrize("jobs", [1, 3])
def test_every_task_is_computed_once(tmp_path: Path, jobs: int, capfd: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log"
    with Workers(make_offset, 7, jobs=jobs) as workers:
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

    with Workers(make_offset, 0, jobs=2) as workers:
        for finished, _ in enumerate(workers.run(endless()), start=1):
            assert len(taken) - finished <= 2
            if finished == 30:
                break
    assert multiprocessing.active_children() == []


def test_a_worker_that_is_killed_is_replaced_and_its_task_run_again(tmp_path: Path) -> None:
    tasks = [*(Square(value=n) for n in range(6)), Killed(marker=tmp_path / "a"), Killed(marker=tmp_path / "b")]
    with Workers(make_offset, 0, jobs=2) as workers:
        results = [result for _, result in workers.run([*tasks, Square(value=9)])]
    assert sorted(results, key=str) == sorted([0, 1, 4, 9, 16, 25, 81, "survived", "survived"], key=str)


def test_a_task_that_kills_every_worker_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(ToolError, match=r"died twice \(SIGKILL\) at a greedy task.*fewer --jobs"),
        Workers(make_offset, 0, jobs=2) as workers,
    ):
        list(workers.run([Killed(marker=tmp_path / "a", always=True)]))
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_keeps_its_class(jobs: int) -> None:
    with pytest.raises(GraphError, match="the graph is wrong; correct it"), Workers(make_offset, 0, jobs=jobs) as pool:
        list(pool.run([Failing()]))


def test_an_error_that_cannot_travel_is_told_by_its_text() -> None:
    with pytest.raises(RuntimeError, match="odd 1 and 2"), Workers(make_offset, 0, jobs=2) as workers:
        list(workers.run([Failing(odd=True)]))


def interrupted(run: Path, *, key: str = "key", items: int = 3) -> Path:
    """Parts that an exception left behind; returns their file."""
    with pytest.raises(KeyboardInterrupt), Parts(run, key=key, resume=True) as parts:
        (parts.scratch / "half").mkdir()
        for number in range(items):
            parts.add(f"item{number}", {"count": number})
        raise KeyboardInterrupt
    return run / "parts" / f"{key}.jsonl"


def test_finished_items_are_found_again_and_gone_after_success(tmp_path: Path) -> None:
    interrupted(tmp_path)
    with Parts(tmp_path, key="other", resume=True) as parts:
        assert parts.found == {}
    assert not (tmp_path / "parts").exists()
    interrupted(tmp_path)
    with Parts(tmp_path, key="key", resume=True) as parts:
        assert parts.found == {f"item{number}": {"count": number} for number in range(3)}
        assert list(parts.scratch.iterdir()) == []
    assert not (tmp_path / "parts").exists()


@pytest.mark.parametrize("torn", ['{"item": "item3", "cou', '{"item": "item3"}', "[1]\n", "\x00\x00", '{"count": 1}\n'])
def test_a_torn_line_is_cut_off(tmp_path: Path, torn: str) -> None:
    path = interrupted(tmp_path)
    with path.open("a") as stream:
        stream.write(torn)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), Parts(tmp_path, key="key", resume=True) as parts:
            assert set(parts.found) - {"item9"} == {"item0", "item1", "item2"}
            parts.add("item9", {"count": 9})
            raise KeyboardInterrupt
    with Parts(tmp_path, key="key", resume=True) as parts:
        assert parts.found["item9"] == {"count": 9}


def test_starting_anew_forgets(tmp_path: Path) -> None:
    interrupted(tmp_path)
    with Parts(tmp_path, key="key", resume=False) as parts:
        assert parts.found == {}


def test_nothing_finished_leaves_nothing(tmp_path: Path) -> None:
    interrupted(tmp_path, items=0)
    assert list(tmp_path.iterdir()) == []


def test_a_run_with_other_settings_that_fails_at_once_takes_nothing_away(tmp_path: Path) -> None:
    interrupted(tmp_path)
    interrupted(tmp_path, key="mistyped", items=0)
    with Parts(tmp_path, key="key", resume=True) as parts:
        assert set(parts.found) == {"item0", "item1", "item2"}


def test_two_runs_into_one_directory_are_refused(tmp_path: Path) -> None:
    with Parts(tmp_path, key="key", resume=True), pytest.raises(DataError, match="another process is validating into"):
        Parts(tmp_path, key="key", resume=True)
