"""`hitfabric resources`: what each project costs, estimates next to whatever the vendors' reports say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ..core import ConfigError, RunDirectory
from ..hls_projects import HlsProject
from ..hls_projects.estimates import DSP_WEIGHT, estimate
from ..hls_projects.manifest import MANIFEST
from ..hls_projects.report_figure import ReportFigure
from ..hls_projects.synthesis_reports import project_reports
from ..reports.records import Project, ProjectFigure, Projects
from .layout import PROJECTS

PROJECTS_FILE = "projects.json"
NEEDS_TOOLS = ("latency max", "interval max", "clock period", "LUT", "DSP")
UNMEASURED = ProjectFigure(value=None, kind="not measured")


def resources(paths: Sequence[Path]) -> Projects:
    """Join the estimates of projects with the reports found in them.

    Args:
        paths: Projects, or `--out` folders of `hitfabric build`; such a folder's `projects.json`, which the HTML report
            reads, is brought up to date.

    Returns:
        The projects, in the order given.

    Raises:
        ConfigError: A path is neither.
        GraphError: A project is damaged.
        ToolError: A report is truncated or malformed, or says that cosimulation failed.
    """
    found: list[Project] = []
    for path in paths:
        projects = Projects(projects=tuple(describe_project(item.name, HlsProject.load(item)) for item in _find(path)))
        if not (path / MANIFEST).is_file():
            RunDirectory(path=path).write_json(PROJECTS_FILE, projects.model_dump(mode="json"))
        found += projects.projects
    return Projects(projects=tuple(found))


def describe_project(name: str, project: HlsProject) -> Project:
    """Everything known of one project, under the name of its network.

    Raises:
        GraphError: Its sources are not what hitfabric writes.
        ToolError: As `resources` does.
    """
    reported = project_reports(project)
    figures: dict[str, list[ProjectFigure]] = {}
    for item in (*estimate(project), *reported, *_combined(reported)):
        figure = ProjectFigure(value=item.value, kind=item.kind, unit=item.unit, source=item.source)
        figures.setdefault(item.name, []).append(figure)
    for quantity in NEEDS_TOOLS:
        figures.setdefault(quantity, [UNMEASURED])
    config = project.config
    return Project(
        network=name,
        io_type=config.io_type or "",
        reuse_factor=config.reuse_factor,
        backend=config.backend,
        design=config.design,
        parallelism=config.parallelism,
        part=config.part,
        clock_period=config.clock_period,
        figures={quantity: tuple(items) for quantity, items in figures.items()},
    )


def _combined(reported: Iterable[ReportFigure]) -> list[ReportFigure]:
    """What our estimate of the logic is to be compared with, from each report that has both parts."""
    by_kind: dict[str, dict[str, ReportFigure]] = {}
    for item in reported:
        by_kind.setdefault(item.kind, {})[item.name] = item
    return [
        ReportFigure(
            name=f"LUT + {DSP_WEIGHT} DSP",
            value=items["LUT"].value + DSP_WEIGHT * items["DSP"].value,
            kind=items["LUT"].kind,
            source=items["LUT"].source,
        )
        for items in by_kind.values()
        if {"LUT", "DSP"} <= items.keys()
    ]


def _find(path: Path) -> list[Path]:
    if (path / MANIFEST).is_file():
        return [path]
    built = sorted(item.parent for item in (path / PROJECTS).glob(f"*/{MANIFEST}"))
    if not built:
        raise ConfigError(f"{path} holds no project", remedy="give a project, or the --out folder of hitfabric build")
    return built
