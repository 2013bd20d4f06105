"""Every command where something is in its way: it finishes, or says in one line what to do, and leaves nothing half."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hitfabric.detector.graph_sample import UNFINISHED
from hitfabric.reports.reading import read_record
from hitfabric.reports.records import RunRecord
from support import hindrances
from support.command_table import CALLS, Call, Inputs, commands_of_the_program
from support.forked import Ended, run_forked

STRANGE = os.fsdecode(b"n\xff\xfe name")
REMEDIES = {
    "home_is_a_file": "XDG_CACHE_HOME",
    "no_home": "XDG_CACHE_HOME",
    "no_tools": "apt-get install",
}


SLOWEST = {"search", "demo", "evaluate-all"}
"""They take a minute or so: swept where they end soon; their own tests run them whole."""


def parametrised(calls: tuple[Call, ...]) -> Callable[[Any], Any]:
    return pytest.mark.parametrize(
        "call", [pytest.param(call, id=call.name, marks=[pytest.mark.slow] if call.long else []) for call in calls]
    )


def hidden(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if path.name not in (".gitignore", UNFINISHED)]


def check(ended: Ended, folder: Path) -> None:
    assert "Traceback" not in ended.err, ended.err
    assert ended.code in (0, 1, 2, 141), ended
    errors = [line for line in ended.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == (ended.code == 2), ended.err
    assert all("; " in line and len(line) < 400 for line in errors), "an error names a remedy, shortly"
    assert hidden(folder) == []


def of(call: Call, inputs: Inputs, folder: Path) -> tuple[list[str], Path]:
    """The call on inputs of its own where it writes into them, and all that it may write to."""
    if call.in_place:
        shutil.copytree(inputs.folder, folder / "inputs")
        inputs = replace(inputs, folder=folder / "inputs")
    return call.words(inputs, folder / "out"), folder


def test_every_command_is_in_the_table() -> None:
    assert {call.command for call in CALLS} == commands_of_the_program()


@parametrised(tuple(call for call in CALLS if call.name not in SLOWEST | {"explore"}))
def test_names_that_are_not_utf8_and_json(call: Call, inputs: Inputs, tmp_path: Path) -> None:
    folder = tmp_path / STRANGE
    strange = replace(inputs, folder=shutil.copytree(inputs.folder, folder))
    ended = run_forked([*call.words(strange, folder / "out"), "--json"], condition=hindrances.nothing, timeout=300)
    check(ended, folder)
    assert ended.code == call.code, ended.err
    if ended.code != 2:
        json.loads(ended.out)
    if (folder / "out" / "run.json").is_file():
        config = json.loads((folder / "out" / "run.json").read_bytes())["config"]
        assert Path(config.get("out", folder / "out")) == folder / "out"
        record = read_record(RunRecord, folder / "out" / "run.json")
        assert record is not None and record.command == call.command


@parametrised(tuple(call for call in CALLS if call.name not in SLOWEST))
def test_one_core_no_network_and_a_terminal_of_ascii(call: Call, inputs: Inputs, tmp_path: Path) -> None:
    words, folder = of(call, inputs, tmp_path)
    ended = run_forked(words, condition=hindrances.small_machine, timeout=300)
    check(ended, folder)
    assert ended.code == call.code, ended.err


@parametrised(CALLS)
def test_full_disk(call: Call, inputs: Inputs, tmp_path: Path) -> None:
    words, folder = of(call, inputs, tmp_path)
    ended = run_forked(words, condition=hindrances.full_disk, timeout=300)
    check(ended, folder)
    assert ended.code == (2 if call.writes else call.code), ended
    if call.writes:
        assert "make room" in ended.err


@pytest.mark.parametrize("name", ["home_is_a_file", "no_home", "no_tools"])
@parametrised(tuple(call for call in CALLS if not call.long))
def test_a_machine_that_lacks_something(call: Call, name: str, inputs: Inputs, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    nowhere.touch()
    condition = hindrances.no_home if name == "no_home" else partial(getattr(hindrances, name), nowhere)
    words, folder = of(call, inputs, tmp_path)
    ended = run_forked(words, condition=condition, timeout=300)
    check(ended, folder)
    if call.code == 0 and ended.code == 2:
        assert REMEDIES[name] in ended.err
    assert len(ended.err.splitlines()) < 20, "no long tale of a package about its folder"


@parametrised(tuple(call for call in CALLS if not call.writes and call.code == 0))
def test_a_reader_that_has_gone(call: Call, inputs: Inputs, tmp_path: Path) -> None:
    ended = run_forked(call.words(inputs, tmp_path / "out"), condition=hindrances.no_reader)
    check(ended, tmp_path)
    assert (ended.code, ended.err) == (141, "")
