"""Help, version, and errors of usage."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hitfabric.core import DataError

COMMANDS = (
    "simulate",
    "graphs",
    "convert",
    "train",
    "build",
    "explore",
    "resources",
    "validate",
    "repository",
    "serve",
    "capacity",
    "track",
    "evaluate",
    "report",
    "demo",
    "lint",
    "describe",
    "export",
    "import",
    "compile",
    "search",
    "doctor",
)
OPTIONS = {
    "simulate": ("--process", "--pile-up", "--pt-min", "--eta-max", "--detector", "--seed", "--workers", "--generator"),
    "convert": ("--events", "--to", "--limit", "--out", "--json"),
    "graphs": ("--events", "--out", "--kind", "--min-pt", "--sectors", "--overlap", "--limit", "--config", "--json"),
    "train": ("--events", "--graphs", "--out", "--seed", "--config", "--set"),
    "explore": ("--bits", "--width", "--lanes", "--json", "--out"),
    "build": ("NETWORK", "--model", "--backend", "--design", "--parallelism", "--events", "--overwrite", "--config"),
    "resources": ("PROJECT", "--json"),
    "validate": ("--model", "--events", "--graphs", "--projects", "--executors", "--jobs", "--mutate", "--json"),
    "repository": ("--repository", "--model", "--name", "--version", "--device", "--setting", "--max-queue-size"),
    "serve": (
        "--model",
        "--repository",
        "--device",
        "--instances",
        "--grpc-port",
        "--free-ports",
        "--tls-certificate",
        "--admin-token-file",
        "--restarts",
    ),
    "capacity": (
        "--events-per-second-per-server",
        "--measure",
        "--chain",
        "--region-fraction",
        "--utilisation",
        "--json",
    ),
    "track": ("--events", "--engine", "--url", "--client", "--model", "--limit", "--out"),
    "evaluate": ("--events", "--model", "--labels", "--limit", "--json"),
    "report": ("RUN",),
    "lint": ("MODEL", "--json"),
    "demo": ("--events", "--graphs", "--quick", "--out", "--config"),
    "describe": ("NETWORK", "--svg", "--nodes", "--edges", "--rows", "--json"),
    "export": ("NETWORK", "--qonnx", "--rows", "--json"),
    "import": ("FILE", "--out", "--name", "--json"),
    "compile": ("NETWORK", "--out", "--instructions", "--json"),
    "search": ("--graphs", "--recipe", "--out", "--json"),
    "doctor": ("PURPOSE", "--json"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_every_option(run, command: str) -> None:  # noqa: ANN001 - fixture
    outcome = run(command, "--help")
    assert outcome.code == 0
    for option in OPTIONS[command]:
        assert option in outcome.out
    assert len(outcome.out.split()) > 40, "help says what the command does"


def test_help_lists_every_command(run) -> None:  # noqa: ANN001
    outcome = run("--help")
    assert outcome.code == 0
    assert all(command in outcome.out for command in COMMANDS)


def test_no_command_gives_help(run) -> None:  # noqa: ANN001
    outcome = run()
    assert outcome.code == 2
    assert "Usage" in outcome.out


def test_version(run) -> None:  # noqa: ANN001
    outcome = run("--version")
    assert (outcome.code, outcome.out) == (0, "hitfabric 0.1.0\n")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("nonsense",), "nonsense"),
        (("track", "--bogus"), "--bogus"),
        (("simulate", "--events", "many"), "--events"),
        (("report",), "RUN"),
        (("track", "--events", ".", "--limit", "0"), "--limit"),
    ],
)
def test_wrong_usage_is_one_line(run, arguments: tuple[str, ...], named: str) -> None:  # noqa: ANN001
    assert named in run(*arguments).error


@pytest.mark.parametrize("arguments", [("--debug", "report", "nowhere"), ("report", "nowhere", "--debug")])
def test_debug_shows_the_traceback(run, arguments: tuple[str, ...]) -> None:  # noqa: ANN001
    with pytest.raises(DataError, match="no run directory"):
        run(*arguments)


BLOCKED = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "brevitas", "hls4ml", "tritonclient", "chromo", "acts", "scipy"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
from hitfabric.cli import main
sys.argv = ["hitfabric", *sys.argv[1:]]
main()
"""


@pytest.mark.parametrize("command", ["train", "serve"])
def test_help_works_without_extras(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, command, "--help"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "--out" in done.stdout
