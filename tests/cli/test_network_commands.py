"""describe, export and import: a network looked at, and carried to a QONNX file and back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from hitfabric.emulation import make_executor
from hitfabric.hls_projects import write_project
from hitfabric.models.zoo import zoo_path
from hitfabric.quantization import Dense, TypedGraph
from hitfabric.quantization.qonnx_export import inexact_in_float32
from support.perceptrons import perceptron
from support.random_graphs import random_inputs

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz: apt-get install graphviz")


def test_describe_prints_every_node_whole(run) -> None:  # noqa: ANN001 - fixture
    graph = TypedGraph.load(zoo_path("sector-in-8"))
    outcome = run("describe", "sector-in-8")
    assert outcome.code == 0
    for node in graph.nodes:
        assert f" {node.name} " in outcome.out
        assert node.tensor.format.ap_type.replace("AP_", "") in outcome.out
    assert "…" not in outcome.out
    assert f"({graph.maxima.nodes} nodes, {graph.maxima.edges} edges)" in outcome.out
    macs = sum(
        n.weight.size * {"N": graph.maxima.nodes, "E": graph.maxima.edges}[str(n.tensor.shape[0])]
        for n in graph.nodes
        if isinstance(n, Dense)
    )
    assert f" {macs:,} " in outcome.out


def test_described_figures_as_json(run) -> None:  # noqa: ANN001
    graph = TypedGraph.load(zoo_path("event-pixel") / "filter")
    outcome = run("describe", "filter", "--rows", 10, "--json")
    described = json.loads(outcome.out)["filter"]
    assert described["digest"] == graph.digest
    assert described["counted_for"] == "10 rows"
    assert described["macs"] == 10 * sum(n.weight.size for n in graph.nodes if isinstance(n, Dense))
    assert described["bops"] == pytest.approx(sum(node["bops"] for node in described["nodes"]))
    assert described["ebops"] == sum(node["ebops"] for node in described["nodes"]) > 0
    for node, entry in zip(graph.nodes, described["nodes"], strict=True):
        assert entry["inputs"] == list(node.inputs)
        assert (entry["low"], entry["high"]) == (node.tensor.low, node.tensor.high)
        assert entry["maximum"] == node.tensor.high * 2.0**-node.tensor.format.fraction


def test_chains_and_projects_are_described(run, tmp_path: Path) -> None:  # noqa: ANN001
    assert list(json.loads(run("describe", "event-pixel", "--json").out)) == [
        "embedding",
        "filter",
        "interaction_network",
    ]
    write_project(perceptron(1, layers=1), tmp_path / "projects" / "one")
    for path in (tmp_path, tmp_path / "projects" / "one"):
        assert list(json.loads(run("describe", path, "--json").out)) == ["perceptron1"]


@needs_dot
def test_drawing_holds_every_node(run, tmp_path: Path) -> None:  # noqa: ANN001
    outcome = run("describe", "event-pixel", "--svg", tmp_path / "chain.svg")
    assert outcome.code == 0
    assert "chain.svg" in outcome.out
    texts = [item.text for item in ElementTree.parse(tmp_path / "chain.svg").iter() if item.tag.endswith("text")]
    for name in ("embedding", "filter", "interaction_network"):
        for node in TypedGraph.load(zoo_path("event-pixel") / name).nodes:
            assert node.name in texts


def test_drawing_without_graphviz(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN001
    monkeypatch.setenv("PATH", str(tmp_path))
    error = run("describe", "filter", "--svg", tmp_path / "filter.svg").error
    assert "dot is needed to draw a graph" in error
    assert "apt-get install graphviz" in error
    assert list(tmp_path.iterdir()) == []


def test_drawing_with_a_graphviz_that_fails(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN001
    (tmp_path / "dot").write_text("#!/bin/sh\necho broken >&2\nexit 3\n")
    (tmp_path / "dot").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert "dot failed: broken" in run("describe", "filter", "--svg", tmp_path / "filter.svg").error
    assert not (tmp_path / "filter.svg").exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("describe", "nothing"), "no network is called 'nothing'"),
        (("describe", "."), "holds no network"),
        (("describe", "sector-in-8", "--edges", 10**6), "cost of 1000000 edges"),
        (("export", "sector-in-8", "--qonnx", "x.onnx"), "has nodes or edges"),
        (("export", "event-pixel", "--qonnx", "x.onnx"), "holds the networks embedding, filter"),
        (("export", "filter", "--qonnx", "x.onnx", "--rows", 0), "--rows"),
        (("export", "filter"), "--qonnx"),
        (("import", "nowhere.onnx", "--out", "out"), "cannot read nowhere.onnx"),
        (("import", "nowhere.onnx"), "--out"),
    ],
)
def test_wrong_calls(run, arguments, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN001
    monkeypatch.chdir(tmp_path)
    assert named in run(*arguments).error
    assert list(tmp_path.iterdir()) == []


def test_a_network_goes_out_and_comes_back(run, tmp_path: Path) -> None:  # noqa: ANN001
    file, out = tmp_path / "filter.onnx", tmp_path / "again"
    exported = json.loads(run("export", "filter", "--qonnx", file, "--rows", 4, "--json").out)
    assert exported == {"network": "filter", "file": str(file), "rows": 4, "inexact_in_float32": []}
    outcome = run("import", file, "--out", out, "--name", "again")
    assert outcome.code == 0
    assert "pairs [R, 12]" in outcome.out
    original, again = TypedGraph.load(zoo_path("event-pixel") / "filter"), TypedGraph.load(out)
    inputs = random_inputs(original, seed=0, sizes={"R": 100})
    (expected,), (found,) = (make_executor("golden", g).run(inputs).values() for g in (original, again))
    assert np.array_equal(expected, found)
    assert list(json.loads(run("describe", out, "--json").out)) == ["again"]
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["provenance"]["imported_from"] == "filter.onnx"
    assert json.loads(run("import", file, "--out", out, "--json").out)["MACs per row"] == 1440


def test_sums_beyond_float32_are_named(run, tmp_path: Path) -> None:  # noqa: ANN001
    wide = next(graph for seed in range(99) if inexact_in_float32(graph := perceptron(seed, bits=16)))
    wide.save(tmp_path / "wide")
    outcome = run("export", tmp_path / "wide", "--qonnx", tmp_path / "wide.onnx")
    assert outcome.code == 0
    assert f"may round the sums of {inexact_in_float32(wide)[0]}" in outcome.err


def test_an_import_keeps_other_things(run, tmp_path: Path) -> None:  # noqa: ANN001
    run("export", "filter", "--qonnx", tmp_path / "filter.onnx")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("years of work")
    for taken in ("thesis", "filter.onnx"):
        error = run("import", tmp_path / "filter.onnx", "--out", tmp_path / taken).error
        assert "holds other things" in error
    assert (tmp_path / "thesis" / "thesis.tex").read_text() == "years of work"
