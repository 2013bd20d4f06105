"""RTL projects of `hitfabric build --rtl`, and what open tools make of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..core import RunDirectory, StrictModel, progress
from ..hls_projects.report_figure import COUNTED, ReportFigure
from ..hls_projects.rtl_config import RtlConfig
from ..hls_projects.rtl_estimates import estimate_rtl
from ..hls_projects.rtl_project import RtlProject, write_rtl_project
from ..hls_projects.rtl_synthesis import ModuleCells
from ..quantization import TypedGraph
from ..reports.records import ProjectFigure
from .layout import RTL

RTL_FILE = "rtl.json"


class RtlRecord(StrictModel):
    """One network in `rtl.json`.

    Attributes:
        network: Its name.
        directory: Where the project is.
        config: How it was written.
        figures: What is known of it, each with its kind.
        modules: Cells by module where it was synthesised.
    """

    network: str
    directory: str
    config: RtlConfig
    figures: dict[str, tuple[ProjectFigure, ...]]
    modules: tuple[ModuleCells, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RtlBuild:
    """RTL projects written, by network, and what is known of each."""

    projects: Mapping[str, RtlProject] = field(default_factory=dict)
    records: tuple[RtlRecord, ...] = ()


def build_rtl(
    graphs: Mapping[str, TypedGraph],
    out: Path,
    config: RtlConfig,
    *,
    synthesise: bool,
    place_seeds: Sequence[int],
    seconds: float,
) -> RtlBuild:
    """Write one RTL project per network, and `rtl.json` with what is known of each.

    Args:
        graphs: Networks by name.
        out: Run directory; the projects go to `rtl/<network>`.
        config: How to write them.
        synthesise: Count the cells with Yosys.
        place_seeds: Seeds of placements on an ECP5; none places nothing.
        seconds: Longest time one run of a tool may take.

    Returns:
        The projects.

    Raises:
        GraphError: The engine cannot hold a network.
        ToolError: A tool is missing or fails, or takes too long.
    """
    projects: dict[str, RtlProject] = {}
    records = []
    for name, graph in progress(graphs.items(), description="RTL projects", total=len(graphs)):
        project = write_rtl_project(graph, out / RTL / name, config=config)
        projects[name] = project
        figures, modules = list(_counted(project)), ()
        if synthesise:
            found = estimate_rtl(project, seconds=seconds, seeds=place_seeds)
            figures += found.figures
            modules = found.synthesis.modules
        records.append(
            RtlRecord(
                network=name,
                directory=str(project.directory),
                config=config,
                figures=by_name(figures),
                modules=modules,
            )
        )
    RunDirectory(path=out).write_json(RTL_FILE, [record.model_dump(mode="json") for record in records])
    return RtlBuild(projects=projects, records=tuple(records))


def by_name(figures: Sequence[ReportFigure]) -> dict[str, tuple[ProjectFigure, ...]]:
    """Figures by name, as the files of a run directory hold them."""
    found: dict[str, list[ProjectFigure]] = {}
    for item in figures:
        figure = ProjectFigure(value=item.value, kind=item.kind, unit=item.unit, source=item.source)
        found.setdefault(item.name, []).append(figure)
    return {name: tuple(items) for name, items in found.items()}


def _counted(project: RtlProject) -> list[ReportFigure]:
    """What the generator knows of its own design."""
    depth = sum(item.latency for item in project.passes)
    bits = sum(core.register_bits for core in project.cores)
    return [
        ReportFigure(
            name="pipeline depth", value=depth, unit="cycles", kind=COUNTED, source="latencies of the passes, one row"
        ),
        ReportFigure(name="register bits of a core of each kind", value=bits, kind=COUNTED, source="the generator"),
    ]
