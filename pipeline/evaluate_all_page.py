"""The generated part of `docs/physics.md`: tables and figures of one evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..models.metrics import TrackMatching, Variable, combine, roc_auc, roc_curve
from ..reports.figures_comparison import (
    NAMES,
    CurvePanel,
    RocPanel,
    TrackPanel,
    draw_radius_curves,
    draw_roc_comparison,
    draw_track_comparison,
)
from .evaluate_all import AllResult, Split
from .evaluate_all_events import STAGES, ChainTotals
from .evaluate_all_rows import COLUMNS, DOES_NOT_APPLY, Condition, Row
from .evaluate_all_table import CHAIN_TARGETS, SECTOR_TARGETS, Totals
from .generated_blocks import markdown_table, replace_blocks, write_page
from .scores import ScoreSample

PAGE = "physics.md"
FIGURES = "figures"
BLOCKS = ("samples", "targets", "conditions", "test", "stages", "curve", "roc", "tracks")
VARIABLES: tuple[tuple[Variable, str], ...] = (
    ("pt", "pT (GeV)"),
    ("eta", "η"),
    ("phi", "φ (rad)"),
    ("z0", "z0 (mm)"),
    ("pile_up", "primary vertices"),
)
ROC_POINTS = 120
EMPTY_PAGE = "# Physics\n"


def check_page(docs: Path) -> None:
    """Refuse a page that the results could not be written into, before they are worked for.

    Raises:
        DataError: The page is there and lacks the marks of a block.
    """
    _fill(docs / PAGE, dict.fromkeys(BLOCKS, ""))


def write_physics_page(result: AllResult, docs: Path) -> Path:
    """Write tables and figures into `physics.md` of a folder; the text around the generated blocks stays.

    Args:
        result: The evaluation.
        docs: Folder of the page; figures go to its folder `figures`. A page that is not there is begun.

    Returns:
        The page.

    Raises:
        DataError: The page lacks the marks of a block.
    """
    page, figures = docs / PAGE, docs / FIGURES
    contents = (
        _samples(result),
        _table(result.rows, test=False),
        _conditions(result.rows),
        _table(result.rows, test=True),
        _stages(result.validation),
        _curve(result.validation, figures),
        _roc(result.validation, figures),
        _tracks(result, figures),
    )
    write_page(page, _fill(page, dict(zip(BLOCKS, contents, strict=True))))
    return page


def _fill(page: Path, blocks: Mapping[str, str]) -> str:
    """Text of the page with these blocks."""
    exists = page.is_file()
    text = page.read_text(encoding="utf-8") if exists else EMPTY_PAGE
    return replace_blocks(text, blocks, where=str(page), append=not exists)


def _samples(result: AllResult) -> str:
    rows = []
    for name, split in (("validation", result.validation), ("test", result.test)):
        rows.append((name, split.sample.about_events, split.sample.about_graphs))
    return markdown_table(("sample", "events", "sector graphs"), rows)


def _table(rows: tuple[Row, ...], *, test: bool) -> str:
    lines = []
    for row in rows:
        cells = row.test if test else row.validation
        found = [str(cells[column]) for column in COLUMNS]
        lines.append((row.name, row.measure, *found, *(() if test else (_met(row.target),))))
    columns = ("row", "figure", *(NAMES[column] for column in COLUMNS), *(() if test else ("target met",)))
    return markdown_table(columns, lines) + "\n\n" + _missing(rows, test=test)


def _missing(rows: tuple[Row, ...], *, test: bool) -> str:
    """Why cells are empty."""
    cells = [cell for row in rows for cell in (row.test if test else row.validation).values()]
    reasons = dict.fromkeys(cell.missing for cell in cells if cell.missing not in (None, DOES_NOT_APPLY))
    if not reasons:
        return "Every cell is filled."
    return "Empty cells:\n\n" + "\n".join(f"* {reason}" for reason in reasons)


def _conditions(rows: tuple[Row, ...]) -> str:
    lines = []
    for row in rows:
        for condition in row.conditions:
            lines.append((row.name, condition.requirement, _reached(condition), _met(condition.met)))
    notes = "\n".join(f"* {row.name}: {note}" for row in rows for note in row.notes)
    return markdown_table(("row", "wanted", "reached", "met"), lines) + ("\n\n" + notes if notes else "")


def _reached(condition: Condition) -> str:
    return "not measured" if condition.value is None else f"{condition.value:.4g}"


def _met(met: bool | None) -> str:
    return "no target" if met is None else "yes" if met else "**no**"


def _stages(split: Split) -> str:
    lines = []
    for chain, columns in split.chains.items():
        for column, totals in columns.items():
            if isinstance(totals, str) or not totals.hits:
                continue
            for stage in STAGES:
                counted = totals.stages[stage]
                lines.append(
                    (
                        chain,
                        NAMES[column],
                        stage,
                        _share(counted.kept, totals.true_edges),
                        _share(counted.kept, counted.edges),
                        f"{counted.edges / totals.hits:.3g}",
                    )
                )
    if not lines:
        return "No chain is shipped."
    return markdown_table(("chain", "", "after", "efficiency", "purity", "edges per hit"), lines)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.4f}" if whole else "-"


def _curve(split: Split, figures: Path) -> str:
    panels = []
    for chain, target in CHAIN_TARGETS.items():
        found = {name: item for name, item in _run(split.chains[chain]).items() if item.curve_hits}
        if found:
            panels.append(
                CurvePanel(
                    title=chain,
                    curves={name: item.curve_points() for name, item in found.items()},
                    points={name: _own_point(item) for name, item in found.items()},
                    budget=target.budgets[0],
                    least=target.efficiencies[0],
                )
            )
    if not panels:
        return "No chain is shipped."
    draw_radius_curves(panels, figures / "physics-radius.png")
    return f"![Efficiency of true edges against edges per hit of the radius graph]({FIGURES}/physics-radius.png)"


def _own_point(totals: ChainTotals) -> tuple[float, float]:
    stage = totals.curve[1.0]
    return stage.edges / totals.curve_hits, stage.kept / totals.curve_true


def _roc(split: Split, figures: Path) -> str:
    panels = []
    for name in SECTOR_TARGETS:
        pooled = {column: item for column, item in split.sectors[name].items() if not isinstance(item, str)}
        panels.append(RocPanel(title=name, curves=_curves(pooled)))
    for chain in CHAIN_TARGETS:
        for title, part in (("filter", "filter_scores"), ("interaction network", "scores")):
            pooled = {column: _pool(getattr(item, part)) for column, item in _run(split.chains[chain]).items()}
            panels.append(RocPanel(title=f"{chain}, {title}", curves=_curves(pooled)))
    panels = [panel for panel in panels if panel.curves]
    if not panels:
        return "No network is shipped."
    draw_roc_comparison(panels, figures / "physics-roc.png")
    return f"![ROC curves of every network]({FIGURES}/physics-roc.png)"


def _pool(samples: list[ScoreSample]) -> ScoreSample:
    return ScoreSample(
        scores=np.concatenate([np.zeros(0, np.float32), *(item.scores for item in samples)]),
        labels=np.concatenate([np.zeros(0, bool), *(item.labels for item in samples)]),
    )


def _curves(pooled: Mapping[str, ScoreSample]) -> dict[str, tuple[np.ndarray, np.ndarray, float]]:
    found = {}
    for column, item in pooled.items():
        area = roc_auc(item.scores, item.labels)
        if math.isnan(area):
            continue
        false_rate, true_rate, _ = roc_curve(item.scores, item.labels)
        # Points are even in both rates and, where the curve bends, in the logarithm of the false positive rate.
        place = false_rate + true_rate + np.log10(np.maximum(false_rate, 1e-6)) / 6
        wanted = np.searchsorted(place, np.linspace(place[0], place[-1], ROC_POINTS))
        chosen = np.unique(np.minimum(wanted, len(place) - 1))
        found[column] = (false_rate[chosen], true_rate[chosen], area)
    return found


def _tracks(result: AllResult, figures: Path) -> str:
    lines = []
    for chain in CHAIN_TARGETS:
        contenders = {name: item for name, item in result.validation.chains[chain].items() if not isinstance(item, str)}
        contenders = {name: item for name, item in contenders.items() if item.matchings}
        if not contenders:
            lines.append(f"{chain} is not shipped.")
            continue
        panels = []
        for variable, label in VARIABLES:
            matchings = {name: item.matching for name, item in contenders.items()}
            if variable == "pile_up":
                matchings = {
                    name: combine([*item.matchings, *_elsewhere(result, chain, name)])
                    for name, item in contenders.items()
                }
            panels.append(
                TrackPanel(
                    label=label,
                    efficiency={name: item.efficiency_in(variable) for name, item in matchings.items()},
                    fakes={name: item.fakes_in(variable) for name, item in matchings.items()},
                )
            )
        file = f"physics-tracks-{chain}.png"
        draw_track_comparison(panels, figures / file)
        lines.append(f"![Track efficiency and fake rate of {chain}]({FIGURES}/{file})")
    return "\n\n".join(lines)


def _elsewhere(result: AllResult, chain: str, column: str) -> list[TrackMatching]:
    """Matchings of the test sample and of the events simulated at other pile-ups."""
    samples = [result.test.chains[chain], *(chains[chain] for chains in result.scan.values())]
    found = [totals.get(column, "") for totals in samples]
    return [matching for item in found if not isinstance(item, str) for matching in item.matchings]


def _run(totals: Totals) -> dict[str, ChainTotals]:
    """The contenders that ran through a chain of ours."""
    return {name: item for name, item in totals.items() if not isinstance(item, str) and item.hits}
