"""The tables of hardware projects: quantities down, how each figure is known across."""

from __future__ import annotations

from typing import get_args

from .records import FigureKind, Project, ProjectFigure, Projects

NOT_MEASURED: FigureKind = "not measured"
KINDS: tuple[FigureKind, ...] = tuple(kind for kind in get_args(FigureKind) if kind != NOT_MEASURED)
"""How a figure can be known, from the cheapest to the surest."""

Rows = list[tuple[str, list[ProjectFigure | None]]]


def figure_kinds(projects: Projects) -> list[FigureKind]:
    """The kinds of figures that some project has: the columns of the tables."""
    present = {item.kind for project in projects.projects for items in project.figures.values() for item in items}
    return [kind for kind in KINDS if kind in present] or [KINDS[0]]


def project_tables(projects: Projects) -> list[tuple[Project, Rows]]:
    """Each project with its rows; a figure that is not measured stands in the last column."""
    kinds = figure_kinds(projects)
    return [(project, project_rows(project, kinds)) for project in projects.projects]


def project_rows(project: Project, kinds: list[FigureKind]) -> Rows:
    """One row per quantity: its figure of each kind, None where there is none."""
    rows: Rows = []
    for quantity, items in project.figures.items():
        by_kind = {item.kind: item for item in items}
        row = [by_kind.get(kind) for kind in kinds]
        if NOT_MEASURED in by_kind:
            row[-1] = by_kind[NOT_MEASURED]
        rows.append((quantity, row))
    return rows


def surest_figure(project: Project, quantity: str) -> ProjectFigure | None:
    """The surest figure there is for a quantity; None where it is not measured or not there."""
    by_kind = {item.kind: item for item in project.figures.get(quantity, ())}
    return next((by_kind[kind] for kind in reversed(KINDS) if kind in by_kind), None)
