"""The three paths of the README, typed as they stand there."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def commands(role: str) -> list[str]:
    """The lines of the block below a role, those that go on joined."""
    found = re.search(rf"^\*\*{re.escape(role)}\*\*[^*]*?\n\n((?: {{4}}[^\n]*\n)+)", README, flags=re.MULTILINE)
    assert found is not None, role
    return [line.strip() for line in found[1].replace("\\\n", " ").splitlines()]


def type_in(line: str, folder: Path) -> str:
    command = ["bash", "-euo", "pipefail", "-c", line]
    done = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@contextmanager
def other_terminal(line: str, folder: Path) -> Iterator[None]:
    """A server in a terminal of its own, from when it says that it serves until Ctrl-C."""
    command = ["bash", "-c", f"exec {line}"]
    with subprocess.Popen(command, cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            assert server.stdout.readline().startswith("serving ")
            yield
        finally:
            server.send_signal(signal.SIGINT)
        assert server.wait() == 130


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    return tmp_path


@pytest.mark.slow
def test_who_trains(clone: Path) -> None:
    for line in commands("You train."):
        type_in(line, clone)
    assert (clone / "runs" / "figures" / "report.html").is_file()


@pytest.mark.slow
def test_who_synthesises(clone: Path) -> None:
    lines = commands("You synthesise.")
    printed = {line: " ".join(type_in(line, clone).split()) for line in lines}
    for line, text in printed.items():
        said = re.search(r"# (.*)", line)
        for figure in re.findall(r"\d[\d,]*(?= LUT| cycles)|(?<=every )\d+", said[1] if said else ""):
            assert re.search(rf"(?<![\d,]){figure}(?![\d,])", text), f"{line}\n{text}"
    assert sum("LUT" in line or "cycles" in line for line in lines) == 2


@pytest.mark.slow
def test_who_serves(clone: Path) -> None:
    repository, serve, *others = commands("You serve.")
    type_in(repository, clone)
    with other_terminal(serve, clone):
        printed = [type_in(line, clone) for line in others]
    assert "200 OK" in printed[-2]
    assert "hitfabric_device_seconds_total" in printed[-1]
