"""Tables of hardware projects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from .printing import print_table

if TYPE_CHECKING:
    from pathlib import Path

    from ..pipeline.build import BuildResult
    from ..reports.records import Project, ProjectFigure, Projects

SHORT = {
    "synthesised (HLS estimate)": "synth.",
    "simulated (C/RTL cosimulation)": "cosim.",
    "implemented": "impl.",
}
HEADINGS = {
    "synthesised (HLS estimate)": "synthesised (HLS)",
    "simulated (C/RTL cosimulation)": "cosimulated",
}


def print_projects(result: BuildResult, *, folder: Path) -> None:
    """Print one line per project built: of each figure the surest there is, with its kind where it is no estimate."""
    rows = []
    for project in result.described.projects:
        macs = next(name for name in project.figures if name.startswith("MACs"))
        design = project.design or project.io_type
        if project.parallelism not in (None, 1):
            design += f" x{project.parallelism}"
        cells = [_surest(project, name) for name in ("LUT + 55 DSP", "BRAM18", "interval max", "latency max")]
        rows.append((project.network, design, _number(project.figures[macs][0]), *cells))
    columns = ("network", "design", "MACs", "LUT+55DSP", "BRAM18", "interval", "latency")
    print_table("hls4ml projects", columns, rows)
    typer.echo("estimates unless marked; interval and latency in cycles; - is not known without the vendor's tool")
    typer.echo(f"projects in {folder}; hitfabric resources shows all figures")


def print_resources(found: Projects) -> None:
    """Print a table per project: quantities down, how they are known across."""
    from ..reports.projects import figure_kinds, project_tables

    kinds = figure_kinds(found)
    for project, figures in project_tables(found):
        rows = [(quantity, *(_cell(figure) for figure in row)) for quantity, row in figures]
        title = f"{project.network}: {project.design}, {project.backend}, {project.part}, {project.clock_period:g} ns"
        print_table(title, ("", *(HEADINGS.get(kind, kind) for kind in kinds)), rows)


def _surest(project: Project, quantity: str) -> str:
    from ..reports.projects import surest_figure

    figure = surest_figure(project, quantity)
    return "-" if figure is None else f"{_number(figure)} {SHORT.get(figure.kind, '')}".strip()


def _cell(figure: ProjectFigure | None) -> str:
    if figure is None:
        return ""
    if figure.value is None:
        return figure.kind
    return f"{_number(figure)} {figure.unit}".strip()


def _number(figure: ProjectFigure) -> str:
    return f"{figure.value:,.10g}"
