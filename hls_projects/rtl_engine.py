"""The RTL engine of a network: passes with their cores, memories between them, and the top module that joins them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

from ..core import GraphError, atomic_directory
from ..quantization import TypedGraph
from .manifest import GRAPH_FOLDER
from .rtl_config import RtlConfig
from .rtl_cores import write_core
from .rtl_engine_layout import Layout, Stage, plan_layout
from .rtl_engine_top import top_text
from .rtl_fields import Core, Field
from .rtl_passes import NAMES, Domain, Pass, handed_on, split_passes
from .rtl_project import ENGINE_TOP, ROOM, RtlPass, RtlProject, RtlStream, write_rtl_manifest

STATIC = ROOM / "rtl"
SOURCES = "rtl"


def write_engine(graph: TypedGraph, directory: Path, *, config: RtlConfig) -> RtlProject:
    """Write the engine of a network, whole or not at all.

    Args:
        graph: The network.
        directory: Folder to write, absolute; an existing one is replaced.
        config: Sizes, lanes, memories.

    Returns:
        The project.

    Raises:
        GraphError: The engine cannot hold the network.
        ToolError: da4ml is not installed.
    """
    sized = config.sized(graph)
    passes = split_passes(sized)
    layout = plan_layout(sized, passes, config)
    with atomic_directory(directory) as temporary:
        sources = temporary / SOURCES
        sources.mkdir()
        stages = tuple(layout.stage(work, _core(layout, work, sources)) for work in passes)
        streams = tuple(_streams(layout))
        (sources / f"{ENGINE_TOP}.v").write_text(top_text(layout, stages, streams), encoding="ascii")
        for path in sorted(STATIC.glob("hitfabric_*.v")):
            shutil.copyfile(path, sources / path.name)
        sized.save(temporary / GRAPH_FOLDER)
        project = RtlProject(
            directory=temporary,
            top=ENGINE_TOP,
            graph=sized,
            sources=tuple(sorted(sources.glob("*.v"))),
            streams=streams,
            config=config,
            passes=tuple(_built(layout, stage) for stage in stages),
            cores=tuple(stage.core for stage in stages if stage.core is not None),
            edge_order=_edge_order(layout),
        )
        write_rtl_manifest(project)
    return RtlProject.load(directory)


def _core(layout: Layout, work: Pass, directory: Path) -> Core | None:
    """The core of a pass; None where it computes nothing."""
    made = set(work.core)
    outputs = [name for name in handed_on(layout.graph, work) if name in made]
    if not outputs:
        return None
    used = {source for name in work.core for source in layout.graph[name].inputs}
    arriving = [*work.loads, *work.gathers, *work.aggregates]
    return write_core(
        layout.graph,
        name=f"core_{work.name}",
        nodes=work.core,
        inputs=[name for name in arriving if name in used],
        outputs=outputs,
        directory=directory,
        config=layout.config,
        ranges={
            name: (accumulator.low, accumulator.high)
            for name, accumulator in layout.accumulators.items()
            if name in work.aggregates and name in used
        },
    )


def _streams(layout: Layout) -> list[RtlStream]:
    graph, passes = layout.graph, layout.passes
    found = []
    for work in passes:
        if work.enters:
            names = list(work.loads)
            if work.domain == "E":
                names = [node.name for node in graph.inputs if node.tensor.is_index] + names
            if names:
                found.append(_stream(layout, "s_axis", work, names))
    found += [_stream(layout, "m_axis", work, work.outputs) for work in passes if work.outputs]
    return found


def _stream(layout: Layout, prefix: str, work: Pass, names: list[str] | tuple[str, ...]) -> RtlStream:
    return RtlStream.of(
        f"{prefix}_{NAMES[work.domain]}",
        direction="in" if prefix == "s_axis" else "out",
        domain=work.domain,
        lanes=layout.lanes(work),
        fields=tuple(Field.of(layout.graph, name) for name in names),
    )


def _built(layout: Layout, stage: Stage) -> RtlPass:
    domain: Domain = stage.work.domain
    buffers = max((link.buffers for link in layout.out_of(stage.work)), default=1)
    latency = stage.written + stage.extra
    return RtlPass(name=stage.name, domain=domain, lanes=stage.lanes, latency=latency, buffers=buffers)


def _edge_order(layout: Layout) -> Literal[0, 1] | None:
    """Column by which edges must ascend.

    Raises:
        GraphError: The network sums at both ends of its edges, which no one order serves.
    """
    if layout.config.scatter == "banked" or not layout.accumulators:
        return None
    columns = {accumulator.column for accumulator in layout.accumulators.values()}
    if len(columns) > 1:
        raise GraphError(
            f"network {layout.graph.name} sums at both ends of its edges, which cannot be in the order of both",
            remedy="use scatter: banked",
        )
    return 1 if columns.pop() else 0
