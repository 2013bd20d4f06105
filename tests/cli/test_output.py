"""How much is printed, where it goes, and what happens where it cannot go."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from hitfabric.cli.app import app
from hitfabric.core import Verbosity, progress, speaking, verbosity

PROGRAM = [sys.executable, "-c", "from hitfabric.cli import main; main()"]
EVENTS = ("--events", "2", "--pile-up", "1", "--generator", "helix", "--workers", "1")


def program(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [*PROGRAM, *map(str, arguments)]
    settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "check": False, "timeout": 120}
    return subprocess.run(command, **{**settings, **options})  # type: ignore[call-overload]


@pytest.mark.parametrize("option", ["--quiet", "-q"])
@pytest.mark.parametrize("first", [True, False])
def test_quiet_prints_nothing(run, tmp_path: Path, option: str, first: bool) -> None:  # noqa: ANN001 - fixture
    call = ("simulate", *EVENTS, "--out", tmp_path / "events")
    done = run(option, *call) if first else run(*call, option)
    assert (done.code, done.out, done.err) == (0, "", "")
    assert len(list((tmp_path / "events").glob("*-hits.csv*"))) == 2


def test_quiet_prints_the_json_asked_for_the_help_and_errors(run) -> None:  # noqa: ANN001
    asked = run("--quiet", "describe", "sector-in-8", "--json")
    assert "sector-in-8" in json.loads(asked.out)
    assert "NETWORK" in run("--quiet", "describe", "--help").out
    assert "nowhere" in run("--quiet", "report", "nowhere").error
    assert verbosity() is Verbosity.NORMAL, "an end leaves nothing behind"


def test_verbose_says_more_than_usual(run, tmp_path: Path) -> None:  # noqa: ANN001
    usual = run("simulate", *EVENTS, "--out", tmp_path / "a").err.splitlines()
    verbose = run("simulate", *EVENTS, "--out", tmp_path / "b", "--verbose").err.splitlines()
    assert len(verbose) > len(usual)
    assert verbose[-1].startswith("exit code 0 after ")
    assert not any("exit code" in line for line in usual)


def test_quiet_and_verbose_contradict(run) -> None:  # noqa: ANN001
    assert "--quiet and --verbose" in run("-q", "describe", "sector-in-8", "-v").error


def test_a_double_dash_ends_the_options_of_the_program(run) -> None:  # noqa: ANN001
    assert "--quiet" in run("report", "--", "--quiet").error


@pytest.mark.parametrize(
    ("level", "lines"),
    [(Verbosity.QUIET, 0), (Verbosity.NORMAL, 1), (Verbosity.VERBOSE, 4)],
)
def test_progress_in_a_log(capsys: pytest.CaptureFixture[str], level: Verbosity, lines: int) -> None:
    with speaking(level):
        assert list(progress(range(3), description="work")) == [0, 1, 2]
    shown = capsys.readouterr().err
    assert shown.count("\n") == lines
    assert "\r" not in shown and "\x1b" not in shown


@pytest.mark.parametrize("extra", [(), ("--json",), ("--help",)])
def test_a_reader_that_has_gone(extra: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = program("describe", "sector-in-8", *extra, stdout=writer)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("extra", [(), ("--json",)])
def test_standard_output_on_a_full_disk(extra: tuple[str, ...]) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = program("describe", "sector-in-8", *extra, stdout=full)
    assert done.returncode == 2
    assert done.stderr == "error: No space left on device; make room, or give another path\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
def test_a_signal_leaves_whole_events_and_nothing_else(tmp_path: Path, number: int, code: int) -> None:
    out = tmp_path / "events"
    command = [*PROGRAM, "simulate", "--events", "5000", "--out", str(out), *EVENTS[2:]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not list(tmp_path.rglob("*-hits.csv*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.rglob("*") if path.name.startswith(".")] == []


def test_every_command_can_print_json() -> None:
    commands = getattr(typer.main.get_command(app), "commands", {})
    assert len(commands) > 20
    options = {name: {each for item in command.params for each in item.opts} for name, command in commands.items()}
    assert [name for name, known in options.items() if "--json" not in known] == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    names = completed(shell, "hitfabric ev")
    assert "evaluate" in names
    assert "--events" in completed(shell, "hitfabric evaluate --ev")


def test_the_script_of_the_shell_that_calls() -> None:
    words = " ".join(shlex.quote(word) for word in [*PROGRAM, "--show-completion"])
    script = subprocess.run(
        ["bash", "-c", f"{words}; exit $?"], capture_output=True, text=True, timeout=120, check=False
    )
    assert script.returncode == 0, script.stderr
    assert "complete -o" in script.stdout
    assert "hitfabric" in script.stdout


def completed(shell: str, line: str) -> str:
    words = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" ")), "_TYPER_COMPLETE_ARGS": line}
    environment = {**os.environ, **words, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    return program(env={**environment, "_HITFABRIC_COMPLETE": f"complete_{shell}"}).stdout


def test_an_error_without_a_home_is_still_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from hitfabric.cli import errors
    from hitfabric.core import ConfigError

    def homeless() -> Path:
        raise ConfigError("there is no home", remedy="set HOME")

    monkeypatch.setattr(errors, "cache_directory", homeless)

    def refuse() -> int:
        raise PermissionError(13, "Permission denied", "/somewhere/file")

    assert errors.run_guarded(refuse, debug=False) == errors.USER_ERROR
