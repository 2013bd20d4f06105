"""`validate` that is killed, interrupted, or loses a worker: it continues, and counts the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hitfabric.pipeline.validate import validate
from support.processes import alive, eventually
from support.validations import counts, settings

PROGRAM = [sys.executable, "-c", "from hitfabric.cli import main; main()"]
MANY = 600


class Started:
    """`hitfabric validate` in a process of its own."""

    def __init__(self, network: Path, out: Path) -> None:
        self.out = out
        options = ["--executors", "golden,native", "--set", f"random_batches={MANY}", "--jobs", "2", "--out", str(out)]
        self.process = subprocess.Popen(
            [*PROGRAM, "validate", str(network), *options, "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finished_items(self) -> int:
        return sum(path.read_bytes().count(b"\n") for path in (self.out / "parts").glob("*.jsonl"))

    def wait_for_items(self, number: int) -> None:
        assert eventually(lambda: self.finished_items() >= number or self.process.poll() is not None, seconds=120)
        assert self.process.poll() is None, self.process.communicate()

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]

    def result(self) -> dict[str, Any]:
        out, error = self.process.communicate(timeout=300)
        assert self.process.returncode == 0, error
        return json.loads(out)


@pytest.fixture(scope="module")
def uninterrupted(lively: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("uninterrupted")
    validate(settings(lively, out, random_batches=MANY, jobs=2))
    return counts(out)


def test_a_killed_run_continues(lively: Path, tmp_path: Path, uninterrupted: dict[str, Any]) -> None:
    first = Started(lively, tmp_path)
    first.wait_for_items(40)
    workers = first.workers()
    assert len(workers) == 2
    first.process.kill()
    first.process.communicate()
    assert eventually(lambda: not any(alive(worker) for worker in workers))
    kept = first.finished_items()
    result = validate(settings(lively, tmp_path, random_batches=MANY, jobs=2))
    assert kept - 1 <= result.resumed <= kept  # the last line may be torn
    assert counts(tmp_path) == uninterrupted
    assert not (tmp_path / "parts").exists()


def test_a_killed_worker_costs_nothing(lively: Path, tmp_path: Path, uninterrupted: dict[str, Any]) -> None:
    started = Started(lively, tmp_path)
    started.wait_for_items(20)
    os.kill(started.workers()[0], signal.SIGKILL)
    assert started.result()["passed"]
    assert counts(tmp_path) == uninterrupted


def test_ctrl_c_leaves_no_half_files(lively: Path, tmp_path: Path) -> None:
    started = Started(lively, tmp_path)
    started.wait_for_items(5)
    workers = started.workers()
    started.process.send_signal(signal.SIGINT)
    out, error = started.process.communicate(timeout=60)
    assert (started.process.returncode, out) == (130, "")
    assert "Traceback" not in error
    assert eventually(lambda: not any(alive(worker) for worker in workers))
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert [Path(name).parts[0] for name in left] == ["parts", "parts"]  # finished items, and the lock
    with pytest.raises(FileNotFoundError):
        counts(tmp_path)
