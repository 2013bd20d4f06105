"""The commands in the order of a user's day, on a tiny workload."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hitfabric.quantization import Dense, TypedGraph, rebuild
from support.tiny import Tiny

PROGRAM = [sys.executable, "-c", "from hitfabric.cli import main; main()"]


def read_labels(path: Path) -> dict[int, int]:
    with path.open(newline="") as stream:
        return {int(row["hit_id"]): int(row["track_id"]) for row in csv.DictReader(stream)}


def test_simulate_is_reproducible(run, tmp_path: Path) -> None:  # noqa: ANN001
    made = []
    for name in ("one", "two"):
        call = ("simulate", "--generator", "helix", "--events", 1, "--pile-up", 1, "--seed", 7, "--json")
        outcome = run(*call, "--out", tmp_path / name)
        assert outcome.code == 0
        assert json.loads(outcome.out)["generator"] == "helix"
        made.append({path.name: path.read_bytes() for path in (tmp_path / name).glob("*hits*")})
    assert made[0] == made[1]
    record = json.loads((tmp_path / "one" / "run.json").read_text())
    assert (record["command"], record["seed"], record["config"]["pile_up"]) == ("simulate", 7, 1.0)


def test_options_win_over_the_file(run, tmp_path: Path) -> None:  # noqa: ANN001
    file = tmp_path / "settings.yaml"
    file.write_text("events: 3\npile_up: 2\nseed: 5\ngenerator: helix\n")
    out = tmp_path / "out"
    assert run("simulate", "--config", file, "--events", 1, "--set", "seed=6", "--out", out).code == 0
    config = json.loads((out / "run.json").read_text())["config"]
    assert (config["events"], config["pile_up"], config["seed"]) == (1, 2.0, 6)


def test_training_leaves_a_record(tiny: Tiny) -> None:
    record = json.loads((tiny.run / "run.json").read_text())
    assert record["command"] == "train"
    assert record["versions"]["torch"]
    assert {path.stem for path in (tiny.run / "training").glob("*.csv")} == {
        "embedding",
        "filter",
        "interaction_network",
    }
    assert (tiny.run / "chain" / "chain.json").is_file()


def test_track_labels_every_hit(run, tiny: Tiny, tmp_path: Path) -> None:  # noqa: ANN001
    call = ("track", "--model", tiny.run, "--events", tiny.events, "--limit", 2, "--json", "--out", tmp_path)
    outcome = run(*call)
    assert outcome.code == 0, outcome.err
    rows = json.loads(outcome.out)
    assert len(rows) == 2
    for row in rows:
        labels = read_labels(tmp_path / "labels" / f"{row['event']}-labels.csv")
        assert len(labels) == row["hits"]
        assert len({label for label in labels.values() if label >= 0}) == row["tracks"]
        assert min(labels.values()) >= -1


def test_executors_track_alike(run, tiny: Tiny, tmp_path: Path) -> None:  # noqa: ANN001
    found = {}
    for device in ("native", "golden"):
        call = ("track", "--model", tiny.run, "--events", tiny.events, "--limit", 1, "--out", tmp_path / device)
        assert run(*call, "--device", device).code == 0
        (path,) = (tmp_path / device / "labels").iterdir()
        found[device] = read_labels(path)
    assert found["native"] == found["golden"]


def test_evaluate_and_report(run, tiny: Tiny, tmp_path: Path) -> None:  # noqa: ANN001
    common = ("--model", tiny.run, "--events", tiny.events, "--limit", 2)
    assert run("track", *common, "--out", tmp_path).code == 0
    direct = run("evaluate", *common, "--out", tmp_path, "--json")
    from_labels = run("evaluate", *common, "--out", tmp_path, "--labels", tmp_path, "--json")
    assert direct.code == from_labels.code == 0, direct.err
    record = json.loads(direct.out)
    assert record == json.loads(from_labels.out)
    assert record["events"] == 2
    assert [stage["name"] for stage in record["stages"]] == ["radius graph", "filter", "interaction network"]
    kept = [stage["kept"] for stage in record["stages"]]
    assert kept == sorted(kept, reverse=True)
    outcome = run("report", tmp_path)
    assert outcome.code == 0, outcome.err
    assert Path(outcome.out.replace("\n", "")).read_text().lower().startswith("<!doctype html>")


def test_evaluate_refuses_labels_of_other_events(run, tiny: Tiny, tmp_path: Path) -> None:  # noqa: ANN001
    common = ("--model", tiny.run, "--events", tiny.events, "--limit", 1)
    assert run("track", *common, "--out", tmp_path).code == 0
    (path,) = (tmp_path / "labels").iterdir()
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    assert "has other hits" in run("evaluate", *common, "--labels", tmp_path, "--out", tmp_path / "out").error
    path.unlink()
    assert "hitfabric track" in run("evaluate", *common, "--labels", tmp_path, "--out", tmp_path / "out").error


def test_validate_passes_and_counts(run, tiny: Tiny, tmp_path: Path) -> None:  # noqa: ANN001
    call = ("validate", "--model", tiny.run, "--events", tiny.events, "--out", tmp_path, "--json")
    sizes = (
        "--set",
        "executors=[brevitas,native]",
        "--set",
        "hits=500",
        "--set",
        "edges=500",
        "--set",
        "graph_count=5",
    )
    outcome = run(*call, *sizes)
    assert outcome.code == 0, outcome.err
    result = json.loads(outcome.out)
    assert set(result["mismatches"]) == {"embedding", "filter", "interaction_network"}
    assert all(count == 0 for executors in result["mismatches"].values() for count in executors.values())
    ladder = json.loads((tmp_path / "ladder.json").read_text())
    assert sum(row["compared"] for row in ladder["rows"]) == result["outputs_compared"] > 0


def test_validate_names_the_first_divergence(  # noqa: ANN201
    run,  # noqa: ANN001
    tiny: Tiny,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    from hitfabric.pipeline import bench as module

    make = module.make_executor

    def with_flipped_weight(name: str, graph: TypedGraph, **options: object) -> object:
        if name == "native" and graph.name == "filter":
            node = next(node for node in graph.nodes if isinstance(node, Dense))
            weight = node.weight.copy()
            weight[:, 0] ^= 1
            graph = rebuild(graph, replacements={node.name: Dense(**{**vars(node), "weight": weight})})
        return make(name, graph, **options)

    monkeypatch.setattr(module, "make_executor", with_flipped_weight)
    outcome = run("validate", "--model", tiny.run, "--executors", "golden,native", "--jobs", 1, "--out", tmp_path)
    assert outcome.code == 1
    lines = [line for line in outcome.err.splitlines() if line.startswith("mismatch: ")]
    assert len(lines) == 1
    where = r"mismatch: filter: native first differs at node (\S+), batch \d+, index \[\d+, \d+\]: "
    named = re.fullmatch(where + r"golden -?\d+, native -?\d+", lines[0])
    assert named is not None, lines
    rows = json.loads((tmp_path / "ladder.json").read_text())["rows"]
    first = next(row for row in rows if row["mismatches"])
    assert (first["network"], first["node"]) == ("filter", named[1])
    assert np.ptp([first["first"]["expected"], first["first"]["found"]]) > 0


@pytest.mark.slow
def test_build_validate_and_mutate_with_the_c_simulation(run, tiny: Tiny, tmp_path: Path) -> None:  # noqa: ANN001
    outcome = run("build", "--model", tiny.run, "--out", tmp_path, "--json")
    assert outcome.code == 0, outcome.err
    assert set(json.loads(outcome.out)) == {"embedding", "filter", "interaction_network"}
    project = tmp_path / "projects" / "interaction_network"
    bench = subprocess.run(
        ["make", "-C", str(project), "csim"], capture_output=True, text=True, timeout=300, check=False
    )
    assert bench.returncode == 0, bench.stderr
    assert re.search(r"\b[1-9]\d* rows or graphs, 0 mismatches", bench.stdout)
    call = ("validate", "--model", tiny.run, "--events", tiny.events, "--projects", tmp_path, "--out", tmp_path)
    sizes = ("--set", "hits=500", "--set", "edges=500", "--set", "graph_count=5")
    outcome = run(*call, *sizes, "--mutate", "--set", "mutate_executors=[golden,native]")
    assert outcome.code == 0, outcome.err
    faults = json.loads((tmp_path / "mutations.json").read_text())
    kinds = {item["kind"] for item in faults["interaction_network"]}
    assert {"weight bit", "rounding", "saturation", "accumulator width", "edge ends", "gather ends"} <= kinds
    assert all(item["caught"] for items in faults.values() for item in items)


@pytest.mark.slow
def test_serve_until_interrupted_and_track_through_it(run, tiny: Tiny, tmp_path: Path) -> None:  # noqa: ANN001
    call = ["serve", "--model", str(tiny.run), "--out", str(tmp_path / "serve")]
    ports = ["--grpc-port", "0", "--http-port", "0", "--metrics-port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen([*PROGRAM, *call, *ports], stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stdout is not None
            named = re.search(r"at (\S+) \(gRPC\)", server.stdout.readline())
            assert named is not None
            common = ("track", "--model", tiny.run, "--events", tiny.events)
            outcome = run(*common, "--engine", "triton", "--url", named[1], "--out", tmp_path / "triton")
            assert outcome.code == 0, outcome.err
            server.send_signal(signal.SIGINT)
            assert server.wait(timeout=60) == 130
        finally:
            server.kill()
    assert run(*common, "--out", tmp_path / "direct").code == 0
    for path in sorted((tmp_path / "direct" / "labels").iterdir()):
        assert read_labels(path) == read_labels(tmp_path / "triton" / "labels" / path.name)


def test_termination_leaves_nothing(tmp_path: Path) -> None:
    call = [*PROGRAM, "simulate", "--generator", "helix", "--events", "2000", "--out", str(tmp_path / "out")]
    with subprocess.Popen(call, stderr=subprocess.PIPE, text=True) as simulation:
        while not list(tmp_path.glob(".out.*/*hits*")):
            assert simulation.poll() is None
        simulation.send_signal(signal.SIGTERM)
        assert simulation.wait(timeout=60) == 143
        assert simulation.stderr is not None
        assert "Traceback" not in simulation.stderr.read()
    assert list(tmp_path.iterdir()) == []
