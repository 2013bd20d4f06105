"""Restarts: how many, how soon, and the real server on the ports it had."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hitfabric.core import ServiceError
from hitfabric.fpga_backend import TritonClient, TritonConfig, TritonServer
from hitfabric.fpga_backend.server_process import spawn
from hitfabric.fpga_backend.server_supervisor import Supervision, describe_status, supervise
from support.processes import alive, eventually, workers


class Scripted:
    """A server that ends at once with each status given, and fails some restarts."""

    def __init__(self, statuses: list[int], failures: int = 0) -> None:
        self.statuses = statuses
        self.failures = failures
        self.restarts = 0

    def wait(self) -> int:
        return self.statuses.pop(0)

    def restart(self) -> None:
        self.restarts += 1
        if self.failures:
            self.failures -= 1
            raise ServiceError("model is broken", remedy="mend it")


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waits that were asked for; none is waited."""
    found: list[float] = []
    monkeypatch.setattr(time, "sleep", found.append)
    return found


def test_waits_double_up_to_a_limit_and_then_it_is_given_up(waits: list[float]) -> None:
    server, told = Scripted([-9] * 6), list[str]()
    supervision = Supervision(restarts=5, first_wait_s=1, longest_wait_s=6)
    with pytest.raises(ServiceError, match="after 5 restarts: SIGKILL"):
        supervise(server, supervision, told.append)
    assert waits == [1, 2, 4, 6, 6]
    assert server.restarts == 5
    assert "restart 5 of 5" in told[-2]


def test_a_restart_that_fails_counts(waits: list[float]) -> None:
    with pytest.raises(ServiceError, match="after 2 restarts: model is broken"):
        supervise(Scripted([1], failures=9), Supervision(restarts=2), list[str]().append)
    assert len(waits) == 2


def test_a_calm_server_begins_anew(waits: list[float]) -> None:
    server = Scripted([1, 1, 1])
    with pytest.raises(IndexError):  # the script ends before the restarts do
        supervise(server, Supervision(restarts=1, calm_s=0), list[str]().append)
    assert server.restarts == 3
    assert waits == [0.5] * 3


def test_none_means_none(waits: list[float]) -> None:
    with pytest.raises(ServiceError, match="ended by itself: status 3"):
        supervise(Scripted([3]), Supervision(restarts=0), list[str]().append)
    assert waits == []


def test_statuses_in_words() -> None:
    assert [describe_status(status) for status in (0, 1, -11, -99)] == ["status 0", "status 1", "SIGSEGV", "signal 99"]


class _EndedError(Exception):
    """Ends the supervision of a test."""


def test_a_killed_server_answers_again_on_its_ports(repository: Path, tmp_path: Path) -> None:
    shutil.copytree(repository / "embedding", tmp_path / "models" / "embedding")
    server = TritonServer(repository=tmp_path / "models", log=tmp_path / "log")
    told: list[str] = []
    rows = {"features": np.ones((2, 6), np.float32)}

    def report(text: str) -> None:
        told.append(text)
        if text.endswith("again"):
            raise _EndedError

    with server:
        ports, first = server.ports, server.pid
        ((worker,),) = workers(first).values()
        config = TritonConfig.model_validate({"servers": [server.url], "retry": {"attempts": 60}, "timeout_s": 30})
        client = TritonClient(config=config)
        before = client.infer("embedding", rows)["embedding"]
        threading.Timer(0.2, os.kill, (first, signal.SIGKILL)).start()
        with pytest.raises(_EndedError):
            supervise(server, Supervision(first_wait_s=0.05), report)
        assert server.ports == ports
        assert server.pid != first
        assert not alive(worker)
        assert np.array_equal(client.infer("embedding", rows)["embedding"], before)
        client.close()
    assert "SIGKILL" in told[0]
    assert (tmp_path / "log").read_text().count("--- tritonserver started") == 2
    with server:  # another run: the log of before is kept beside
        pass
    assert (tmp_path / "log").read_text().count("--- tritonserver started") == 1
    assert (tmp_path / "log.1").read_text().count("--- tritonserver started") == 2


def test_a_worker_that_hangs_does_not_hold_up_the_end(repository: Path, tmp_path: Path) -> None:
    shutil.copytree(repository / "embedding", tmp_path / "models" / "embedding")
    with TritonServer(repository=tmp_path / "models", log=tmp_path / "log") as server:
        pid = server.pid
        ((worker,),) = workers(pid).values()
        os.kill(worker, signal.SIGSTOP)
    assert not alive(pid)
    assert eventually(lambda: not alive(worker))


def _in_a_thread(call: Callable[[], None]) -> None:
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()


def test_a_process_outlives_the_thread_that_asked_for_it(tmp_path: Path) -> None:
    found = []
    with (tmp_path / "log").open("wb") as log:
        _in_a_thread(lambda: found.append(spawn(["sleep", "60"], log)))
    (process,) = found
    time.sleep(0.2)
    try:
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    assert eventually(lambda: not alive(process.pid))
