"""`hitfabric graphs`: events to graphs that training reads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hitfabric.detector import DoubletCuts, geometric_graph, read_event, read_graph, read_graphs, write_event
from hitfabric.detector.simulation_helix import simulate_helix_event


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three events with truth."""
    folder = tmp_path_factory.mktemp("events")
    for number in range(3):
        rng = np.random.default_rng(number)
        write_event(simulate_helix_event(f"event{number:09d}", rng=rng, pile_up=8), folder)
    return folder


def test_graphs_of_events(run, events: Path, tmp_path: Path) -> None:  # noqa: ANN001
    outcome = run("graphs", "--events", events, "--out", tmp_path, "--min-pt", 0.9, "--json")
    assert outcome.code == 0, outcome.err
    figures = json.loads(outcome.out)
    graphs = list(read_graphs(tmp_path))
    assert [graph.name for graph in graphs] == ["event000000000", "event000000001", "event000000002"]
    assert figures["events"] == figures["files"] == 3
    assert figures["edges"] == sum(len(graph.edges) for graph in graphs)
    (sizes,) = json.loads((tmp_path / "graph_sizes.json").read_text())
    assert sizes["sizes"] == sorted([len(graph.nodes), len(graph.edges), 1] for graph in graphs)
    assert run("report", tmp_path).code == 0
    assert '<section id="sizes">' in (tmp_path / "report.html").read_text()
    assert figures["true_edges"] == sum(graph.labels.sum() for graph in graphs) > 100
    assert figures["efficiency"] > 0.9
    made = geometric_graph(read_event(events / "event000000001"), DoubletCuts(min_pt=0.9))
    np.testing.assert_array_equal(graphs[1].edge_index, made.edge_index)
    np.testing.assert_array_equal(graphs[1].labels, made.labels)
    assert json.loads((tmp_path / "run.json").read_text())["config"]["cuts"]["min_pt"] == 0.9
    assert {**json.loads((tmp_path / "graphs.json").read_text()), "folder": str(tmp_path)} == figures


def test_sectors_share_out_every_edge(run, events: Path, tmp_path: Path) -> None:  # noqa: ANN001
    common = ("graphs", "--events", events, "--min-pt", 0.5, "--json", "--limit", 2)
    whole = json.loads(run(*common, "--out", tmp_path / "whole").out)
    for overlap in (0.0, 0.05):
        out = tmp_path / f"cut{overlap}"
        call = ("--sectors", 8, "--overlap", overlap, "--set", "sectors.eta=2", "--out", out)
        figures = json.loads(run(*common, *call).out)
        owned = labels = 0
        for path in out.glob("event*_s0*.npz"):
            mine = np.load(path)["owned"].astype(bool)
            owned += mine.sum()
            labels += read_graph(path).labels[mine].sum()
        assert owned + figures["lost_edges"] == whole["edges"] == figures["edges"]
        assert labels + figures["lost_true_edges"] == whole["true_edges"]
        assert figures["files"] + figures["empty_sectors"] == 2 * 16
        assert figures["files"] == len(list(out.glob("*.npz")))
        (sizes,) = json.loads((out / "graph_sizes.json").read_text())
        assert sum(count for *_, count in sizes["sizes"]) == figures["files"]


def test_learned_graphs_take_the_shipped_embedding(run, events: Path, tmp_path: Path) -> None:  # noqa: ANN001
    call = ("graphs", "--kind", "learned", "--events", events, "--limit", 1, "--set", "device=golden", "--json")
    outcome = run(*call, "--out", tmp_path)
    assert outcome.code == 0, outcome.err
    (graph,) = read_graphs(tmp_path)
    figures = json.loads(outcome.out)
    assert len(graph.nodes) == figures["nodes"] == len(read_event(events / "event000000000"))
    assert 0 < figures["found"] == graph.labels.sum() <= figures["truth"]


def test_settings_come_from_a_file(run, events: Path, tmp_path: Path) -> None:  # noqa: ANN001
    file = tmp_path / "graphs.yaml"
    file.write_text("cuts:\n  min_pt: null\n  z0_max: 200\n  layer_pairs: [{inner: [8, 2], outer: [8, 4]}]\n")
    out = tmp_path / "out"
    assert run("graphs", "--config", file, "--events", events, "--out", out, "--limit", 1).code == 0
    (graph,) = read_graphs(out)
    event = read_event(events / "event000000000")
    assert len(graph.nodes) == np.isin(event.layer_id[event.volume_id == 8], (2, 4)).sum()
    file.write_text("cuts: {pt: 2}\n")
    assert "cuts.pt" in run("graphs", "--config", file, "--events", events, "--out", out).error


def test_a_second_run_replaces_the_first_and_nothing_else(run, events: Path, tmp_path: Path) -> None:  # noqa: ANN001
    out = tmp_path / "out"
    assert run("graphs", "--events", events, "--out", out).code == 0
    assert run("graphs", "--events", events, "--out", out, "--limit", 1).code == 0
    assert [path.name for path in out.glob("*.npz")] == ["event000000000.npz"]
    (out / "graphs.json").unlink()
    assert "graphs of another origin" in run("graphs", "--events", events, "--out", out).error
    assert (out / "event000000000.npz").is_file()


def test_wrong_input(run, events: Path, tmp_path: Path) -> None:  # noqa: ANN001
    assert "--events is missing" in run("graphs").error
    assert "no events" in run("graphs", "--events", tmp_path).error
    assert "sectors.phi" in run("graphs", "--events", events, "--set", "sectors.phi=0", "--out", tmp_path).error
    assert "max_edges" in run("graphs", "--events", events, "--set", "cuts.max_edges=1", "--out", tmp_path / "o").error
    for path in events.glob("event000000000-hits*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert "truth" in run("graphs", "--events", tmp_path, "--out", tmp_path / "out").error


@pytest.mark.slow
def test_training_takes_the_graphs(run, events: Path, tmp_path: Path) -> None:  # noqa: ANN001
    graphs = tmp_path / "graphs"
    assert run("graphs", "--events", events, "--out", graphs, "--min-pt", 0.9).code == 0
    network = "sector.interaction_network"
    quick = {
        "sector.training_graphs": 2,
        "sector.validation_graphs": 1,
        f"{network}.schedule.float_epochs": 1,
        f"{network}.schedule.quantized_epochs": 1,
        f"{network}.schedule.steps": 4,
    }
    settings = [word for key, value in quick.items() for word in ("--set", f"{key}={value}")]
    outcome = run("train", "--graphs", graphs, "--out", tmp_path / "train", *settings, "--json")
    assert outcome.code == 0, outcome.err
    assert 0 <= json.loads(outcome.out)["sector_auc"] <= 1
