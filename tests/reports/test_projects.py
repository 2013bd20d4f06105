"""Tables of hardware projects."""

from __future__ import annotations

from pathlib import Path

from hitfabric.reports import write_report
from hitfabric.reports.projects import figure_kinds, project_rows, project_tables, surest_figure
from hitfabric.reports.records import Project, ProjectFigure, Projects

COUNTED = ProjectFigure(value=1440, kind="counted")
ESTIMATED = ProjectFigure(value=2000, kind="estimated")
IMPLEMENTED = ProjectFigure(value=1544, kind="implemented", source="export_impl.xml")
UNMEASURED = ProjectFigure(value=None, kind="not measured")
PROJECT = Project(
    network="filter",
    io_type="io_parallel",
    design="throughput",
    clock_period=5.0,
    figures={"weights": (COUNTED,), "LUT": (ESTIMATED, IMPLEMENTED), "latency max": (UNMEASURED,)},
)


def test_quantities_down_and_kinds_across() -> None:
    kinds = figure_kinds(Projects(projects=(PROJECT,)))
    assert kinds == ["counted", "estimated", "implemented"]
    assert project_rows(PROJECT, kinds) == [
        ("weights", [COUNTED, None, None]),
        ("LUT", [None, ESTIMATED, IMPLEMENTED]),
        ("latency max", [None, None, UNMEASURED]),
    ]


def test_columns_are_those_of_all_projects() -> None:
    other = Project(network="embedding", io_type="io_parallel", figures={"weights": (COUNTED,)})
    tables = project_tables(Projects(projects=(other, PROJECT)))
    assert [len(row) for _, rows in tables for _, row in rows] == [3] * 4
    assert figure_kinds(Projects(projects=())) == ["counted"]


def test_the_surest_figure() -> None:
    assert surest_figure(PROJECT, "LUT") == IMPLEMENTED
    assert surest_figure(PROJECT, "weights") == COUNTED
    assert surest_figure(PROJECT, "latency max") is None
    assert surest_figure(PROJECT, "FF") is None


def test_the_page_shows_every_figure_with_its_kind(sample_run: Path) -> None:
    projects = Projects(projects=(PROJECT,)).model_dump_json()
    (sample_run / "projects.json").write_text(projects, encoding="utf-8")
    page = write_report(sample_run).read_text(encoding="utf-8")
    section = page[page.index('<section id="projects">') :].split("</section>")[0]
    for shown in (
        "<th>estimated</th><th>implemented</th>",
        "2,000",
        "1,544",
        "not measured",
        "throughput design",
        "5 ns",
    ):
        assert shown in section
