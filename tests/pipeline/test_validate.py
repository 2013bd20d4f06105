"""`validate` on small networks: any executors, any number of processes, whatever is killed, whatever is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hitfabric.emulation import plan_mutations
from hitfabric.emulation.golden import GoldenExecutor
from hitfabric.pipeline import bench
from hitfabric.pipeline.networks import Network
from hitfabric.pipeline.run_key import run_key
from hitfabric.pipeline.validate import divergences, validate
from hitfabric.pipeline.verdict import summary
from hitfabric.quantization import Dense, FixedPoint, GraphBuilder, TypedGraph
from support.hand_graph import hand_graph
from support.lively import lively_network
from support.validations import counts, settings


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
