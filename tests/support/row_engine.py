"""`row_pass` as the RTL engine of a network that adds one to each byte."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from hitfabric.hls_projects.manifest import GRAPH_FOLDER
from hitfabric.hls_projects.rtl_config import RtlConfig
from hitfabric.hls_projects.rtl_fields import Field
from hitfabric.hls_projects.rtl_project import RtlProject, RtlStream, write_rtl_manifest
from hitfabric.quantization import FixedPoint, GraphBuilder, TypedGraph

from .row_pass import LANES, SOURCE

IN = FixedPoint(signed=False, width=7, integer=7)
OUT = FixedPoint(signed=False, width=8, integer=8)


def row_network() -> TypedGraph:
    """A number of seven bits and one."""
    builder = GraphBuilder()
    source = builder.input("byte", shape=("R", 1), format=IN)
    one = FixedPoint(signed=True, width=2, integer=2)
    dense = {"weight": np.array([[1]]), "weight_format": one, "bias": np.array([1]), "bias_format": one}
    builder.dense("more", source, **dense)
    builder.output("sum", builder.requantize("rounded", "more", format=OUT))
    return TypedGraph.from_builder(builder, name="bytes")


def row_engine(directory: Path, graph: TypedGraph) -> RtlProject:
    """The project of `row_network` in a folder, as if it had been written for it."""
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copy(SOURCE, directory)
    graph.save(directory / GRAPH_FOLDER)
    sides: list[dict[str, Any]] = [
        {"name": "s_axis_rows", "direction": "in", "tensor": "byte"},
        {"name": "m_axis_rows", "direction": "out", "tensor": "sum"},
    ]
    streams = tuple(
        RtlStream.of(
            side["name"],
            direction=side["direction"],
            domain="R",
            lanes=LANES,
            fields=(Field.of(graph, side["tensor"]),),
        )
        for side in sides
    )
    project = RtlProject(
        directory=directory,
        top="row_pass",
        graph=graph,
        sources=(directory / SOURCE.name,),
        streams=streams,
        config=RtlConfig(),
        passes=(),
        cores=(),
    )
    write_rtl_manifest(project)
    return project
