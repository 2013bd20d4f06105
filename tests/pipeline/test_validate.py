"""`validate` on small networks: any executors, any number of processes, whatever is killed, whatever is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hitfabric.core import ConfigError, DataError, GraphError, ToolError
from hitfabric.emulation import plan_mutations
from hitfabric.emulation.golden import GoldenExecutor
from hitfabric.pipeline import bench
from hitfabric.pipeline.networks import Network
from hitfabric.pipeline.run_key import run_key
from hitfabric.pipeline.validate import ValidateConfig, divergences, validate
from hitfabric.pipeline.verdict import summary
from hitfabric.quantization import Dense, FixedPoint, GraphBuilder, TypedGraph
from support.hand_graph import hand_graph
from support.lively import lively_network
from support.processes import alive, eventually

PROGRAM = [sys.executable, "-c", "from hitfabric.cli import main; main()"]
MANY = 600


@pytest.fixture(scope="module")
def lively(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Typed graph directory of an interaction network."""
    folder = tmp_path_factory.mktemp("networks") / "lively"
    lively_network(0)[0].save(folder)
    return folder


def settings(network: Path, out: Path, **values: Any) -> ValidateConfig:
    return ValidateConfig(
        **{"networks": (str(network),), "executors": ("golden", "native"), "out": out, "jobs": 1, **values}
    )


def counts(out: Path) -> dict[str, Any]:
    """Everything that a run counted, without its times."""
    ladder = json.loads((out / "ladder.json").read_text())
    mutations = out / "mutations.json"
    return {**ladder, "seconds": None, "mutations": json.loads(mutations.read_text()) if mutations.exists() else None}


def test_any_number_of_processes_gives_the_same(lively: Path, tmp_path: Path) -> None:
    for jobs in (1, 3):
        out = tmp_path / str(jobs)
        result = validate(settings(lively, out, jobs=jobs, mutate=True, mutate_executors=("golden",), random_batches=5))
        assert result.passed
        assert result.tried >= 28
    assert counts(tmp_path / "1") == counts(tmp_path / "3")
    assert {path.name for path in (tmp_path / "3").iterdir()} == {
        "ladder.json",
        "mutations.json",
        "validation.json",
        "junit.xml",
        "report.html",
        "run.json",
    }


@pytest.mark.parametrize("other", ["native", "numpy"])
def test_the_summary_counts_what_the_files_hold(lively: Path, tmp_path: Path, other: str) -> None:
    result = validate(settings(lively, tmp_path, executors=("golden", other), mutate=True))
    found = summary(result)
    assert found["mismatches"] == {"lively": {other: 0}}
    rows = counts(tmp_path)["rows"]
    assert found["outputs_compared"] == sum(row["compared"] for row in rows) > 0
    faults = json.loads((tmp_path / "mutations.json").read_text())["lively"]
    assert (found["mutations"]["tried"], found["mutations"]["caught"]) == (len(faults), len(faults))
    by_executor = found["mutations"]["by_network"]["lively"]
    assert by_executor["golden"]["tried"] > by_executor[other]["tried"] >= 8
    assert found["mutations"]["share"] == 1.0
    assert set(found["coverage"]["lively"]) >= {"nodes", "message_quant", "score"}
    assert json.loads(json.dumps(found)) == json.loads((tmp_path / "validation.json").read_text())
    again = validate(settings(lively, tmp_path))
    assert not (tmp_path / "mutations.json").exists()  # faults of an earlier run are not of this one
    assert summary(again)["mutations"]["tried"] == 0


@pytest.mark.parametrize("reference", ["golden", "native"])
def test_a_difference_is_named_whatever_the_reference(
    lively: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str
) -> None:
    make = bench.make_executor

    def wrong(name: str, graph: TypedGraph, **options: object) -> object:
        if name == "native":
            node = graph["message"]
            assert isinstance(node, Dense)
            weight = node.weight.copy()
            weight[0, 0] += 1 if weight[0, 0] < 0 else -1
            graph = graph.with_dense("message", weight=weight)
        return make(name, graph, **options)

    monkeypatch.setattr(bench, "make_executor", wrong)
    other = {"golden": "native", "native": "golden"}[reference]
    result = validate(settings(lively, tmp_path, executors=(reference, other)))
    assert not result.passed
    (line,) = divergences(result)
    assert line.startswith(f"lively: {other} first differs at node message_quant, batch ")
    assert summary(result)["mismatches"]["lively"][other] > 0


class Sound:
    """The sound golden model where a mutant should be; inputs that only the mutant has are ignored."""

    name = "golden"

    def __init__(self, graph: TypedGraph) -> None:
        self.graph = graph

    def run_integers(self, inputs: dict[str, Any], nodes: Any = None) -> dict[str, Any]:
        known = {node.name: inputs[node.name] for node in self.graph.inputs}
        return GoldenExecutor(self.graph).run_integers(known, nodes)


def test_a_fault_that_is_not_caught_fails(lively: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_mutant(self: bench.Bench, *_: object, network: str, directory: Path) -> Sound:
        return Sound(self.graph(network))

    monkeypatch.setattr(bench.Bench, "mutant", no_mutant)
    result = validate(settings(lively, tmp_path, mutate=True, mutate_executors=("golden",)))
    missed = [item for item in result.mutations["lively"] if not item.caught]
    assert missed
    assert {item.kind for item in missed} & {
        "edge ends",
        "edge index",
    } == set()  # their inputs are changed, not the graph
    assert not result.passed
    assert len(list(divergences(result))) == len(missed)


def test_faults_in_a_bounded_simulation_are_bounded(
    lively: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, vectors = lively_network(0)
    fault = next(item for item in plan_mutations(graph, [vectors]).mutations if item.kind == "weight bit")
    made: list[dict[str, object]] = []
    monkeypatch.setattr(bench, "make_executor", lambda name, graph, **options: made.append(options))
    for bounded in (True, False):
        config = bench.BenchConfig(
            networks={"lively": Network(name="lively", graph=lively)},
            executors=("golden", "csim"),
            bounded=bounded,
            threads=1,
            seed=0,
            scratch=tmp_path,
        )
        bench.Bench(config).mutant(fault, "csim", network="lively", directory=tmp_path)
    assert [options["bounded"] for options in made] == [True, False]


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


def test_only_what_changes_the_result_changes_the_key(lively: Path, tmp_path: Path) -> None:
    config, graphs = settings(lively, tmp_path), {"lively": TypedGraph.load(lively)}
    key = run_key(config, graphs, ("golden", "native"))
    same = settings(lively, tmp_path / "elsewhere", jobs=5, resume=False)
    assert run_key(same, graphs, ("golden", "native")) == key
    others = [
        run_key(settings(lively, tmp_path, seed=1), graphs, ("golden", "native")),
        run_key(settings(lively, tmp_path, random_batches=1), graphs, ("golden", "native")),
        run_key(config, graphs, ("native", "golden")),
        run_key(config, {"lively": hand_graph()}, ("golden", "native")),
        run_key(config, graphs, ("golden", "native"), files=[lively / "graph.json"]),
    ]
    assert len({key, *others}) == 6


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"executors": ("rtl", "golden")}, "executor rtl shows the outputs alone, and cannot be the reference"),
        ({"executors": ("golden", "gpu")}, "unknown executor 'gpu'; use some of brevitas, golden, native, numpy, csim"),
        ({"executors": ("golden",)}, "nothing to compare"),
        ({"executors": ("native", "native")}, "nothing to compare"),
        ({"executors": ()}, "nothing to compare"),
        (
            {"networks": ("embeding",)},
            "no network is called 'embeding'; give one of embedding, filter, interaction_net",
        ),
    ],
)
def test_unknown_names(lively: Path, tmp_path: Path, values: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        validate(settings(lively, tmp_path / "out", **values))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"events": Path("/nowhere")}, "no network chosen takes events, so that none of /nowhere would be used"),
        ({"graphs": Path("/nowhere")}, "no network chosen takes sector graphs"),
        ({"networks": ("sector-in-8",), "events": Path("/nowhere")}, "no network chosen takes events"),
        ({"bounded": True}, "bounded needs the executor csim"),
        ({"networks": ("filter",), "bounded": True, "executors": ("golden", "csim")}, "bounded needs a network in the"),
        ({"projects": Path("/nowhere")}, "projects needs the executor csim or rtl"),
        ({"everything": True}, "everything needs events or graphs"),
        ({"event_names": ("event000000001",)}, "event_names needs events"),
        (
            {"mutate_executors": ("golden",)},
            "mutate_executors needs mutate, .*leave mutate_executors out, or add mutate",
        ),
    ],
)
def test_settings_without_effect(lively: Path, tmp_path: Path, values: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        validate(settings(lively, tmp_path / "out", **values))
    assert not (tmp_path / "out").exists()


def test_what_was_not_compared_or_planted_does_not_pass(lively: Path, tmp_path: Path) -> None:
    result = validate(settings(lively, tmp_path, mutate=True, mutate_executors=("golden",)))
    assert result.passed
    bare = replace(result, mutations={**result.mutations, "other": []})
    assert not bare.passed
    assert list(divergences(bare)) == [
        "other: the vectors can show no fault: nothing was planted, so that nothing is proven"
    ]
    result.ladder.rungs[2].compared = 0
    assert not result.passed
    assert list(divergences(result)) == [
        f"lively: nothing was compared with native at node {result.ladder.rungs[2].node}"
    ]


def test_brevitas_needs_checkpoints(lively: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no checkpoints beside it; give the --out folder of hitfabric train"):
        validate(settings(lively, tmp_path, executors=("brevitas", "golden")))


def test_a_folder_without_a_network(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no network"):
        validate(settings(tmp_path, tmp_path / "out"))


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_corrupt_graph(lively: Path, tmp_path: Path, jobs: int) -> None:
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(lively, broken)
    (broken / "weights.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(GraphError, match=r"weights.npz differs from its manifest"):
        validate(settings(broken, tmp_path / "out", jobs=jobs))
    assert not (tmp_path / "out").exists()


def test_two_networks_of_one_name(lively: Path, tmp_path: Path) -> None:
    hand = hand_graph()
    TypedGraph(name="lively", nodes=hand.nodes, maxima=hand.maxima).save(tmp_path / "other")
    with pytest.raises(DataError, match="two networks are called lively"):
        validate(settings(lively, tmp_path / "out", networks=(str(lively), str(tmp_path / "other"))))


@pytest.mark.parametrize("jobs", [1, 2])
def test_missing_compiler(lively: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"apt-get install g\+\+"):
        validate(settings(lively, tmp_path / "out", jobs=jobs))


def test_events_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    config = ValidateConfig(
        networks=("embedding",),
        executors=("golden", "native"),
        events=tmp_path / "empty",
        out=tmp_path / "out",
        jobs=1,
    )
    with pytest.raises(DataError, match="holds no events"):
        validate(config)
    assert not (tmp_path / "out" / "ladder.json").exists()


def test_a_network_whose_vectors_cannot_reach_a_case_is_warned_about(tmp_path: Path) -> None:
    """Sums of two inputs that are always equal in sign never reach the low end of their interval."""
    builder = GraphBuilder()
    form = FixedPoint(signed=True, width=4, integer=4)
    source = builder.input("features", shape=("R", 1), format=form)
    weights = FixedPoint(signed=True, width=2, integer=2)
    left = builder.dense("left", source, weight=np.array([[1]]), weight_format=weights)
    right = builder.dense("right", source, weight=np.array([[-1]]), weight_format=weights)
    total = builder.add("total", left, right)  # 0, though each term may be anything
    builder.output("result", builder.requantize("quant", total, format=form))
    TypedGraph.from_builder(builder, name="cancelling").save(tmp_path / "network")
    golden = {"mutate": True, "mutate_executors": ("golden",)}
    result = validate(settings(tmp_path / "network", tmp_path / "out", **golden))
    expected = "cancelling: node quant: no vector saturates high"
    assert expected in summary(result)["warnings"]
    assert expected in json.loads((tmp_path / "out" / "ladder.json").read_text())["warnings"]
    assert "warning: no vector saturates high" in (tmp_path / "out" / "junit.xml").read_text()
    assert f"Not exercised: {expected}." in (tmp_path / "out" / "report.html").read_text()
    assert "saturation at quant" in summary(result)["mutations"]["not_exercised"]["cancelling"]


@pytest.mark.slow
def test_a_project_is_validated_in_place(tmp_path: Path) -> None:
    from hitfabric.hls_projects import ProjectConfig, project_streams, write_project

    # Depths by stream, as minimal_depths gives them: a fault that adds a node makes other streams.
    streams = project_streams(write_project(hand_graph(), tmp_path / "first"))
    config = ProjectConfig(stream_depths={stream.name: stream.depth for stream in streams})
    write_project(hand_graph(), tmp_path / "project", config=config)
    result = validate(
        settings(tmp_path / "project", tmp_path / "out", executors=("golden", "csim"), mutate=True, jobs=2)
    )
    assert result.passed
    assert {item.executor for item in result.mutations["hand"]} == {"golden", "csim"}
    assert list((tmp_path / "project" / "build").glob("*.so"))
    assert not (tmp_path / "out" / "parts").exists()
