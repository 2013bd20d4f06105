"""The page: sections in order, drawn from what a run directory holds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..core import atomic_file
from .canvas import printable
from .comparison import compare_runs
from .content import RunContent, read_run
from .cycles_sections import cycles_rows, draw_cycles
from .figures_event import draw_event, select_tracks
from .figures_physics import draw_construction, draw_edge_stages, draw_roc, draw_scores
from .figures_run import constant_metrics, draw_latency, draw_seconds, draw_training
from .figures_tracks import OF_PARTICLES, OF_VERTICES, draw_tracks
from .headlines import headlines, milliseconds
from .ladder import count_faults, disagreements, fault_table, ladder_table
from .physics_tables import MINUS, network_rows, stage_rows, symbols, track_rows
from .projects import figure_kinds, project_tables
from .records import Latency, Projects
from .rtl_sections import design_columns, design_gaps, design_rows, draw_designs
from .size_record import GRAPHS_FILE
from .size_sections import draw_sizes, size_rows, sizes_of
from .statistics import percentile_ms

PAGE_NAME = "report.html"
COMPARISON_NAME = "comparison.html"
PERCENTILES = (50, 95, 99)
SIZES_FILES = f"evaluation.json, ladder.json or {GRAPHS_FILE}"


@dataclass(frozen=True, kw_only=True)
class Section:
    """One section: `file` is what it is drawn from, `made_by` what writes it, `present` whether it is there."""

    key: str
    title: str
    file: str
    made_by: str
    present: bool


def write_report(run_directory: Path) -> Path:
    """Write `report.html`, one self-contained page, into a run directory.

    Args:
        run_directory: Folder with any of the files of `docs/reports.md`.

    Returns:
        Path of the page. The page opens from disk, needs no network, and is written whole or not at all.

    Raises:
        DataError: No such directory, no file of a run in it, or a malformed file (file and key named).
    """
    page = render_page(read_run(run_directory), name=run_directory.resolve().name)
    target = run_directory / PAGE_NAME
    with atomic_file(target) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return target


def write_comparison(first: Path, second: Path) -> Path:
    """Write `comparison.html` of two runs into the directory of the second.

    Args:
        first: Run directory.
        second: Run directory.

    Returns:
        Path of the page, self-contained as that of a run.

    Raises:
        DataError: As `write_report`, or the runs have no kind of result in common.
    """
    groups = compare_runs(read_run(first), read_run(second))
    names = [path.resolve().name for path in (first, second)]
    if names[0] == names[1]:
        names = [str(path) for path in (first, second)]
    folder = Path(__file__).parent
    style = (folder / "style.css").read_text(encoding="utf-8")
    template = _environment(folder).get_template("comparison.html.jinja")
    page = template.render(first=names[0], second=names[1], style=style, groups=groups)
    target = second / COMPARISON_NAME
    with atomic_file(target) as temporary:
        temporary.write_text(printable(page), encoding="utf-8")
    return target


def _environment(folder: Path) -> Environment:
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render_page(content: RunContent, *, name: str) -> str:
    """Render the page of a run called `name` as well-formed (XML-parsable) HTML."""
    folder = Path(__file__).parent
    environment = _environment(folder)
    environment.filters["milliseconds"] = milliseconds
    environment.filters["symbols"] = symbols
    environment.filters["number"] = lambda count: f"{count:,}".replace("-", MINUS)
    page = environment.get_template("page.html.jinja").render(
        name=name,
        # Our own file, not a run's: safe to put in unescaped.
        style=(folder / "style.css").read_text(encoding="utf-8"),
        script=(folder / "zoom.js").read_text(encoding="utf-8"),
        content=content,
        sections=_sections(content),
        headlines=headlines(content),
        **_figures(content),
        **_tables(content),
    )
    return printable(page)


def _sections(content: RunContent) -> dict[str, Section]:
    evaluation = content.evaluation
    edges = bool(evaluation and (evaluation.stages or evaluation.networks))
    seconds = bool(content.summary and content.summary.seconds)
    rows = (
        ("event", "Event display", "event_display.npz", "hitfabric evaluate", content.event is not None),
        ("tracks", "Tracks", "evaluation.json", "hitfabric evaluate", bool(evaluation and evaluation.tracks)),
        ("edges", "Edges", "evaluation.json", "hitfabric evaluate", edges),
        ("sizes", "Graph sizes", SIZES_FILES, "hitfabric evaluate, validate or graphs", bool(sizes_of(content))),
        ("training", "Training", "training/<network>.csv", "hitfabric train", bool(content.training)),
        ("ladder", "Bit-accuracy ladder", "ladder.json", "hitfabric validate", content.ladder is not None),
        ("cycles", "Clock cycles", "cycles.json", "hitfabric validate --executors golden,rtl", bool(content.cycles)),
        ("rtl", "RTL engines", "rtl.json", "hitfabric build --rtl", content.rtl is not None),
        ("exploration", "RTL designs explored", "explore.json", "hitfabric explore", content.exploration is not None),
        ("projects", "Hardware projects", "projects.json", "hitfabric build", content.projects is not None),
        ("latency", "Serving latency", "latency.json", "hitfabric track or demo", content.latency is not None),
        ("seconds", "Time per stage", "summary.json", "hitfabric demo", seconds),
        ("provenance", "Provenance", "run.json", "every command", content.run is not None),
    )
    return {
        key: Section(key=key, title=title, file=file, made_by=made_by, present=present)
        for key, title, file, made_by, present in rows
    }


def _figures(content: RunContent) -> dict[str, Any]:
    evaluation, summary = content.evaluation, content.summary
    tracks = evaluation.tracks if evaluation else None
    displayed = select_tracks(content.event) if content.event else None
    cycles = content.cycles.root if content.cycles else ()
    return {
        "displayed": displayed,
        "event_figure": draw_event(content.event, displayed) if content.event and displayed else None,
        "tracks_figure": draw_tracks(tracks, OF_PARTICLES, name="tracks") if tracks else None,
        "vertices_figure": draw_tracks(tracks, OF_VERTICES, name="vertices") if tracks else None,
        "stages_figure": draw_edge_stages(evaluation.stages) if evaluation and evaluation.stages else None,
        "construction_figure": draw_construction(evaluation.stages) if evaluation else None,
        "roc_figure": draw_roc(evaluation.networks) if evaluation else None,
        "scores_figure": draw_scores(evaluation.networks) if evaluation else None,
        "sizes_figure": draw_sizes(sizes_of(content)),
        "cycles_figures": [(item, draw_cycles(item, name=f"cycles{place}")) for place, item in enumerate(cycles)],
        "training_figures": [
            (curves, draw_training(curves, name=f"training{place}"), constant_metrics(curves))
            for place, curves in enumerate(content.training)
        ],
        "latency_figure": draw_latency(content.latency.series) if content.latency and content.latency.series else None,
        "seconds_figure": draw_seconds(summary.seconds) if summary and summary.seconds else None,
    }


def _tables(content: RunContent) -> dict[str, Any]:
    ladder, summary = content.ladder, content.summary
    evaluation = content.evaluation
    return {
        "track_rows": track_rows(evaluation.tracks) if evaluation and evaluation.tracks else [],
        "stage_rows": stage_rows(evaluation.stages) if evaluation else [],
        "network_rows": network_rows(evaluation.networks) if evaluation else [],
        "size_rows": size_rows(sizes_of(content)),
        "cycles_rows": cycles_rows(content.cycles.root) if content.cycles else [],
        "ladder": ladder_table(ladder) if ladder else None,
        "faults": count_faults(content.mutations) if content.mutations else None,
        "fault_table": fault_table(content.mutations) if content.mutations else ([], []),
        "disagreements": disagreements(ladder, summary) if ladder and summary else [],
        "latency_rows": _latency_rows(content.latency) if content.latency else [],
        "percentiles": PERCENTILES,
        "figure_kinds": figure_kinds(content.projects) if content.projects else [],
        "project_tables": project_tables(content.projects) if content.projects else [],
        **_rtl(content),
        "config": json.dumps(content.run.config, indent=2, ensure_ascii=False) if content.run else "",
    }


def _rtl(content: RunContent) -> dict[str, Any]:
    engines = content.rtl.root if content.rtl else ()
    projects = Projects(projects=tuple(engine.project for engine in engines))
    return {
        "engine_kinds": figure_kinds(projects),
        "engine_tables": list(zip(engines, (rows for _, rows in project_tables(projects)), strict=True)),
        "design_columns": design_columns(content.exploration) if content.exploration else [],
        "design_gaps": design_gaps(content.exploration) if content.exploration else [],
        "design_rows": design_rows(content.exploration) if content.exploration else [],
        "designs_figure": draw_designs(content.exploration) if content.exploration else None,
    }


def _latency_rows(latency: Latency) -> list[tuple[str, str, int, list[float | None]]]:
    return [
        (
            item.model,
            item.engine,
            len(item.samples_ms),
            [percentile_ms(item.samples_ms, percent) for percent in PERCENTILES],
        )
        for item in latency.series
    ]
