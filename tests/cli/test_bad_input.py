"""What a user can get wrong: one line, a remedy, exit code 2, nothing half-written."""

from __future__ import annotations

import gzip
import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor, nn

from support.tiny import TRAINING, Tiny

EVENT_COMMANDS = ("train", "validate", "track", "evaluate", "demo")
MODEL_COMMANDS = ("build", "validate", "serve", "track", "evaluate")


def arguments(command: str, tiny: Tiny, out: Path) -> list[object]:
    """A call that works, without --events."""
    if command in ("train", "demo"):
        return [command, "--out", out]
    return [command, "--model", tiny.run, "--out", out]


def left_behind(folder: Path) -> list[str]:
    """Every file below a folder, temporary ones too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def broken(tiny: Tiny, tmp_path: Path) -> Callable[[Callable[[list[str]], list[str]]], Path]:
    """Copies the events with the lines of every hit file changed; returns the folder."""

    def make(change: Callable[[list[str]], list[str]]) -> Path:
        folder = tmp_path / "broken"
        shutil.copytree(tiny.events, folder)
        for path in folder.glob("*-hits.csv*"):
            plain = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
            path.unlink()
            name = path.name.removesuffix(".gz")
            (folder / name).write_text("\n".join(change(plain.splitlines())) + "\n")
        return folder

    return make


@pytest.mark.parametrize("command", EVENT_COMMANDS)
def test_missing_folder_of_events(run, tiny: Tiny, tmp_path: Path, command: str) -> None:  # noqa: ANN001
    out = tmp_path / "out"
    error = run(*arguments(command, tiny, out), "--events", tmp_path / "nowhere").error
    assert "nowhere is not a directory" in error
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("command", EVENT_COMMANDS)
def test_folder_without_events(run, tiny: Tiny, tmp_path: Path, command: str) -> None:  # noqa: ANN001
    (tmp_path / "empty").mkdir()
    error = run(*arguments(command, tiny, tmp_path / "out"), "--events", tmp_path / "empty").error
    assert "holds no events" in error
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("command", ["train", "validate", "track", "evaluate"])
def test_malformed_hits_name_file_line_and_column(run, tiny: Tiny, tmp_path: Path, broken, command: str) -> None:  # noqa: ANN001
    def spoil(lines: list[str]) -> list[str]:
        cells = lines[3].split(",")
        return [*lines[:3], ",".join([cells[0], "three", *cells[2:]]), *lines[4:]]

    fewer = ["--set", "chain.data.events=2"] if command == "train" else []
    error = run(*arguments(command, tiny, tmp_path / "out"), "--events", broken(spoil), *fewer).error
    assert "-hits.csv" in error
    assert "line 4" in error
    assert "column x" in error
    assert not (tmp_path / "out").exists() or left_behind(tmp_path / "out") == []


@pytest.mark.parametrize("command", ["track", "evaluate"])
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_hits_that_are_not_finite(run, tiny: Tiny, tmp_path: Path, broken, command: str, value: str) -> None:  # noqa: ANN001
    def spoil(lines: list[str]) -> list[str]:
        cells = lines[1].split(",")
        return [lines[0], ",".join([*cells[:2], value, *cells[3:]]), *lines[2:]]

    error = run(*arguments(command, tiny, tmp_path / "out"), "--events", broken(spoil)).error
    assert "line 2" in error
    assert "column y" in error


@pytest.mark.parametrize("command", ["track", "evaluate"])
def test_event_without_hits(run, tiny: Tiny, tmp_path: Path, broken, command: str) -> None:  # noqa: ANN001
    error = run(*arguments(command, tiny, tmp_path / "out"), "--events", broken(lambda lines: lines[:1])).error
    assert "holds no hits" in error


def test_missing_column(run, tiny: Tiny, tmp_path: Path, broken) -> None:  # noqa: ANN001
    folder = broken(lambda lines: [line.rpartition(",")[0] for line in lines])
    error = run("track", "--model", tiny.run, "--events", folder, "--out", tmp_path / "out").error
    assert "module_id" in error


def test_event_outside_the_chains_volumes(run, tiny: Tiny, tmp_path: Path, broken) -> None:  # noqa: ANN001
    def move(lines: list[str]) -> list[str]:
        rows = [line.split(",") for line in lines]
        place = rows[0].index("volume_id")
        return [lines[0], *(",".join([*row[:place], "99", *row[place + 1 :]]) for row in rows[1:])]

    error = run("track", "--model", tiny.run, "--events", broken(move), "--out", tmp_path / "out").error
    assert "no hit in the chain's volumes" in error


def test_graph_over_the_maxima(run, tiny: Tiny, tmp_path: Path) -> None:  # noqa: ANN001
    # All edges pass, so that an event becomes one connected piece, which the C simulation's static sizes cannot take.
    chain = tmp_path / "chain"
    shutil.copytree(tiny.run / "chain", chain)
    settings = json.loads((chain / "chain.json").read_text())
    everything = {"radius": 1e3, "window": None, "filter_threshold": -1e9}
    (chain / "chain.json").write_text(json.dumps({**settings, **everything}))
    call = ("track", "--model", chain, "--events", tiny.events, "--out", tmp_path / "out", "--limit", 1)
    error = run(*call, "--device", "csim", "--set", "event_names=[event000000000]").error
    assert "maxima" in error
    assert not (tmp_path / "out" / "labels").exists()


def test_radius_graph_over_its_limit(run, tiny: Tiny, tmp_path: Path) -> None:  # noqa: ANN001
    chain = tmp_path / "chain"
    shutil.copytree(tiny.run / "chain", chain)
    settings = json.loads((chain / "chain.json").read_text())
    (chain / "chain.json").write_text(json.dumps({**settings, "radius": 1e3, "max_edges": 10}))
    error = run("track", "--model", chain, "--events", tiny.events, "--out", tmp_path / "out").error
    assert "edges" in error
    assert not (tmp_path / "out" / "labels").exists()


def test_evaluation_needs_truth(run, tiny: Tiny, tmp_path: Path) -> None:  # noqa: ANN001
    folder = tmp_path / "events"
    shutil.copytree(tiny.events, folder)
    for path in folder.glob("*-truth*"):
        path.unlink()
    error = run("evaluate", "--model", tiny.run, "--events", folder, "--out", tmp_path / "out").error
    assert "truth" in error


@pytest.mark.parametrize("command", MODEL_COMMANDS)
def test_missing_model(run, tiny: Tiny, tmp_path: Path, command: str) -> None:  # noqa: ANN001
    call = [command, "--model", tmp_path / "no_model", "--out", tmp_path / "out"]
    if command in EVENT_COMMANDS:
        call += ["--events", tiny.events]
    if command == "serve":
        call += ["--grpc-port", 0, "--http-port", 0, "--metrics-port", 0]
    assert "holds no trained chain" in run(*call).error
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("command", ["build", "validate"])
def test_damaged_model(run, tiny: Tiny, tmp_path: Path, command: str) -> None:  # noqa: ANN001
    chain = tmp_path / "chain"
    shutil.copytree(tiny.run / "chain", chain)
    (chain / "filter" / "graph.json").write_text("{")
    assert "filter" in run(command, "--model", chain, "--out", tmp_path / "out").error


@pytest.mark.parametrize("command", ["simulate", "train", "build", "validate", "serve", "track", "evaluate", "demo"])
def test_unknown_setting(run, tmp_path: Path, command: str) -> None:  # noqa: ANN001
    file = tmp_path / "settings.yaml"
    file.write_text("evnets: 3\nevents: 3\n" if command == "simulate" else "evnets: 3\nevents: here\n")
    error = run(command, "--config", file).error
    assert "evnets" in error
    assert "settings.yaml" in error


@pytest.mark.parametrize("text", ["[1, 2", "- 1\n- 2\n", "\x00"])
def test_config_that_is_no_mapping(run, tmp_path: Path, text: str) -> None:  # noqa: ANN001
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    assert "settings.yaml" in run("simulate", "--config", file).error


@pytest.mark.parametrize("assignment", ["seed", "=3", "seed=[", "seed=-1", "nothing.here=1", "seed.deeper=1"])
def test_assignment_that_is_wrong(run, tmp_path: Path, assignment: str) -> None:  # noqa: ANN001
    error = run("simulate", "--generator", "helix", "--out", tmp_path / "out", "--set", assignment).error
    assert assignment.partition("=")[0].partition(".")[0] in error


def test_simulation_into_a_folder_with_other_things(run, tmp_path: Path) -> None:  # noqa: ANN001
    (tmp_path / "thesis.tex").write_text("years of work")
    error = run("simulate", "--generator", "helix", "--events", 1, "--out", tmp_path).error
    assert "holds other things" in error
    assert left_behind(tmp_path) == ["thesis.tex"]


def test_too_few_events_to_train(run, tiny: Tiny, tmp_path: Path) -> None:  # noqa: ANN001
    error = run("train", "--events", tiny.events, "--out", tmp_path / "out", "--set", "chain.data.events=50").error
    assert "holds 5 events" in error
    assert left_behind(tmp_path) == []


def test_too_few_events_for_the_demo(run, tiny: Tiny, tmp_path: Path) -> None:  # noqa: ANN001
    error = run("demo", "--events", tiny.events, "--out", tmp_path / "out").error
    assert "holds 5 events" in error


def test_too_few_vectors_to_validate(run, tiny: Tiny, tmp_path: Path) -> None:  # noqa: ANN001
    call = ("validate", "--model", tiny.run, "--events", tiny.events, "--out", tmp_path / "out")
    error = run(*call, "--set", "executors=[native]", "--set", "hits=10000000").error
    assert "10000000 are wanted" in error
    assert not (tmp_path / "out" / "ladder.json").exists()


@pytest.mark.parametrize("command", ["build", "validate"])
def test_missing_compiler(run, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:  # noqa: ANN001
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    error = run(*arguments(command, tiny, tmp_path / "out")).error
    assert "g++" in error
    assert "apt-get install g++" in error
    assert not (tmp_path / "out" / "labels").exists()


def test_busy_port(run, tiny: Tiny, tmp_path: Path) -> None:  # noqa: ANN001
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        call = ("serve", "--model", tiny.run, "--out", tmp_path / "out", "--http-port", 0, "--metrics-port", 0)
        error = run(*call, "--grpc-port", port).error
    assert f"port {port} is in use" in error
    assert left_behind(tmp_path) == []


def test_server_that_is_not_there(run, tiny: Tiny, tmp_path: Path) -> None:  # noqa: ANN001
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    call = ("track", "--model", tiny.run, "--events", tiny.events, "--out", tmp_path / "out", "--engine", "triton")
    error = run(*call, "--url", f"127.0.0.1:{port}").error
    assert "no server answers" in error
    assert "hitfabric serve" in error
    assert left_behind(tmp_path) == []


def test_address_without_port(run, tiny: Tiny, tmp_path: Path) -> None:  # noqa: ANN001
    call = ("track", "--model", tiny.run, "--events", tiny.events, "--out", tmp_path, "--engine", "triton")
    assert "has no port" in run(*call, "--url", "localhost").error


def test_network_that_breaks_the_contract(  # noqa: ANN201
    run,  # noqa: ANN001
    tiny: Tiny,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    from hitfabric.models import training_filter
    from hitfabric.models.networks import FilterNetwork

    class WithSigmoid(FilterNetwork):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.squashed = nn.Sigmoid()

        def forward(self, pairs: Tensor) -> Tensor:
            return self.squashed(super().forward(pairs))

    monkeypatch.setattr(training_filter, "FilterNetwork", WithSigmoid)
    settings = tmp_path / "settings.yaml"
    settings.write_text(json.dumps({"chain": TRAINING}))
    error = run("train", "--events", tiny.events, "--config", settings, "--out", tmp_path / "out").error
    assert "squashed" in error
    assert "Sigmoid" in error
    assert not (tmp_path / "out" / "chain").exists()


def test_report_of_nothing(run, tmp_path: Path) -> None:  # noqa: ANN001
    assert "no run directory" in run("report", tmp_path / "nowhere").error
    assert "holds no file of a run" in run("report", tmp_path).error
    assert left_behind(tmp_path) == []


def test_report_of_a_malformed_file(run, tmp_path: Path) -> None:  # noqa: ANN001
    (tmp_path / "summary.json").write_text(json.dumps({"mismatches": 3}))
    error = run("report", tmp_path).error
    assert "summary.json" in error
    assert "mismatches" in error
    assert left_behind(tmp_path) == ["summary.json"]


def test_out_that_is_a_file(run, tiny: Tiny, tmp_path: Path) -> None:  # noqa: ANN001
    (tmp_path / "out").write_text("")
    call = ("track", "--model", tiny.run, "--events", tiny.events, "--out", tmp_path / "out", "--limit", 1)
    assert "out" in run(*call).error
