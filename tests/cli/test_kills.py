"""Commands that are killed half-way: nothing half is there, and the same command again ends as if nothing had been."""

from __future__ import annotations

import re
import shutil
import signal
from functools import partial
from pathlib import Path

import pytest

from hitfabric.detector.graph_sample import UNFINISHED
from support import hindrances
from support.command_table import CALLS, Call, Inputs
from support.forked import run_forked

CALL = {call.name: call for call in CALLS}
OF_THE_CLOCK = re.compile(
    r"(.*/)?run\.json|graphs\.json|latency\.json"
    r"|junit\.xml|ladder\.json|report\.html|validation\.json"
    r"|checkpoints/.*\.(state|csv)|training/.*\.csv"
)
"""Files that also say how long something took, and are not compared."""
QUICK = ("simulate", "convert", "convert-trackml", "graphs", "repository", "track", "compile", "import")
LONG = ("build", "evaluate", "train-sector", "validate", "build-rtl", "explore")
FEW = {"convert": (1, 2), "track": (1, 2), "compile": (1, 2), "import": (1,)}
"""Moments of commands that rename less often."""
MOMENTS = [
    *((name, number) for name in QUICK for number in FEW.get(name, (1, 2, 5))),
    *((name, 2) for name in LONG),
    ("train", 7),
]


def contents(out: Path) -> dict[str, bytes]:
    files = {str(path.relative_to(out)): path for path in sorted(out.rglob("*")) if path.is_file()}
    return {name: b"" if OF_THE_CLOCK.fullmatch(name) else path.read_bytes() for name, path in files.items()}


def undisturbed(call: Call, inputs: Inputs, out: Path) -> dict[str, bytes]:
    ended = run_forked(call.words(inputs, out), condition=hindrances.nothing)
    assert ended.code == 0, ended.err
    found = contents(out)
    assert found
    shutil.rmtree(out)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("name", "number"), MOMENTS)
def test_the_same_command_again_ends_as_if_nothing_had_been(
    name: str, number: int, inputs: Inputs, tmp_path: Path
) -> None:
    call, out = CALL[name], tmp_path / "out"
    expected = undisturbed(call, inputs, out)
    killed = run_forked(call.words(inputs, out), condition=partial(hindrances.killed_at_rename, number, signal.SIGKILL))
    assert killed.code == -signal.SIGKILL, killed
    again = run_forked(call.words(inputs, out), condition=hindrances.nothing)
    assert again.code == 0, again.err
    found = contents(out)
    assert sorted(found) == sorted(expected)
    assert [key for key in expected if found[key] != expected[key]] == []
    assert [path.name for path in tmp_path.iterdir()] == ["out"], "what the killed one left is gone"


@pytest.mark.slow
@pytest.mark.parametrize("name", [*QUICK, *LONG, "train"])
def test_an_interrupt_leaves_nothing_half(name: str, inputs: Inputs, tmp_path: Path) -> None:
    condition = partial(hindrances.killed_at_rename, 1, signal.SIGINT)
    ended = run_forked(CALL[name].words(inputs, tmp_path / "out"), condition=condition)
    assert (ended.code, "Traceback" in ended.err) == (130, False), ended.err
    assert ended.err.splitlines()[-1] == "interrupted"
    assert {path.name for path in tmp_path.rglob(".*") if path.is_file()} <= {UNFINISHED}
