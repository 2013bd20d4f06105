"""Graphs for counting cycles: real sectors, or drawn ones of their sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hitfabric.detector.graph_sample import GraphSample, write_graph
from hitfabric.models.zoo import zoo_path
from hitfabric.pipeline import sector_workload as module
from hitfabric.pipeline.sector_workload import draw_sectors, sector_workload
from hitfabric.quantization import TypedGraph


@pytest.fixture(scope="module")
def graph() -> TypedGraph:
    return TypedGraph.load(zoo_path("sector-in-8"))


def test_drawn_sectors_have_the_sizes_of_real_ones(graph: TypedGraph) -> None:
    batches = list(draw_sectors(graph, count=400, seed=1))
    edges = sorted(len(item["edges"]) for item in batches)
    assert abs(edges[379] - 468) < 12 and abs(edges[200] - 230) < 4 and edges[-1] <= 1080
    for item in batches:
        assert item["edge_index"].max() < len(item["nodes"]) and item["nodes"].dtype == np.float32
    again = draw_sectors(graph, count=400, seed=1)
    assert all((one["edges"] == other["edges"]).all() for one, other in zip(batches, again, strict=True))


def test_graphs_are_those_given_or_of_the_data_folder_or_drawn(
    graph: TypedGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "trackml_graphs" / "plus_2GeV"
    folder.mkdir(parents=True)
    nodes = np.array([[0.1, 0.2, 0.1], [0.2, 0.21, 0.2]], np.float32)
    sample = GraphSample(
        name="one",
        nodes=nodes,
        edges=np.ones((1, 4), np.float32),
        edge_index=np.array([[0, 1]]),
        labels=np.array([True]),
        particle_id=np.array([1, 1]),
    )
    write_graph(sample, folder)
    given, batches = sector_workload(graph, folder, drawn=3, seed=0)
    assert given == "phi sectors of pi/4 of plus_2GeV" and [len(item["edges"]) for item in batches] == [1]
    monkeypatch.setattr(module, "find_data", lambda _: tmp_path)
    found, batches = sector_workload(graph, None, drawn=3, seed=0)
    assert found == given and len(list(batches)) == 1
    monkeypatch.setattr(module, "find_data", lambda _: None)
    drawn, batches = sector_workload(graph, None, drawn=3, seed=0)
    assert drawn.startswith("drawn graphs") and len(list(batches)) == 3
