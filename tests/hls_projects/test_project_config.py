"""What a project's configuration takes, refuses and decides."""

from __future__ import annotations

from typing import Any

import pytest

from hitfabric.core import ConfigError, load_config
from hitfabric.hls_projects import ProjectConfig
from hitfabric.quantization import GraphBuilder, TypedGraph
from support.hand_graph import A8, hand_graph


def rows() -> TypedGraph:
    builder = GraphBuilder()
    builder.output("result", builder.input("features", shape=("R", 2), format=A8))
    return TypedGraph.from_builder(builder, name="rows")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"design": "throughput", "io_type": "io_stream"}, "design throughput is io_parallel, not io_stream"),
        ({"design": "dataflow", "io_type": "io_parallel"}, "design dataflow is io_stream, not io_parallel"),
        ({"design": "throughput", "parallelism": 2}, "parallelism 2 is of the dataflow design"),
        ({"io_type": "io_parallel", "parallelism": 2}, "parallelism 2 is of the dataflow design"),
        ({"io_type": "io_parallel", "stream_depths": {"edge": 4}}, "stream_depths are of the dataflow design"),
        ({"backend": "Quartus", "parallelism": 4}, "the Quartus kernels have one lane"),
        ({"parallelism": 0}, "parallelism"),
        ({"stream_depths": {"edge": 0}}, "stream_depths.edge"),
        ({"backend": "Catapult"}, "backend"),
        ({"lanes": 2}, "lanes"),
    ],
)
def test_refused(given: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        load_config(ProjectConfig, overrides=given)


@pytest.mark.parametrize(
    ("given", "network", "design", "io_type"),
    [
        ({}, "graph", "dataflow", "io_stream"),
        ({}, "rows", "throughput", "io_parallel"),
        ({"io_type": "io_parallel"}, "graph", "throughput", "io_parallel"),
        ({"design": "throughput"}, "graph", "throughput", "io_parallel"),
        ({"design": "dataflow"}, "rows", "dataflow", "io_stream"),
        ({"stream_depths": {"edge": 4}}, "rows", "dataflow", "io_stream"),
        ({"parallelism": 3}, "graph", "dataflow", "io_stream"),
    ],
)
def test_decided(given: dict[str, Any], network: str, design: str, io_type: str) -> None:
    graph = rows() if network == "rows" else hand_graph()
    resolved = ProjectConfig(**given).resolved(graph)
    assert (resolved.design, resolved.io_type) == (design, io_type)
    assert resolved.resolved(graph) == resolved


@pytest.mark.parametrize(("backend", "part"), [("Vitis", "xcvu13p-flga2577-2-e"), ("Quartus", "Arria10")])
def test_the_part_follows_the_backend(backend: str, part: str) -> None:
    config = load_config(ProjectConfig, overrides={"backend": backend})
    assert config.resolved(hand_graph()).part == part
    assert config.model_copy(update={"part": "mine"}).resolved(hand_graph()).part == "mine"


def test_rows_have_no_lanes() -> None:
    with pytest.raises(ConfigError, match="parallelism 2: rows takes independent rows"):
        ProjectConfig(parallelism=2).resolved(rows())
