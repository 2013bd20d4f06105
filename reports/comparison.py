"""Two runs side by side: what each measured, and what was different about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..core import DataError
from .content import RunContent
from .counts import Ratio
from .cycles_sections import cycles_rows
from .ladder import Cell, ladder_table
from .physics_tables import DASH, MINUS, percent, track_ratios
from .projects import surest_figure
from .records import Project
from .size_sections import sizes_of
from .statistics import percentile_ms

State = Literal["", "equal", "different", "none"]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One quantity of two runs.

    Attributes:
        label: Its name.
        first: Its value in the first run, a dash where it was not measured.
        second: Its value in the second.
        note: What to make of it.
        states: Of both values, where that is a yes or a no: `equal` only where something was compared.
    """

    label: str
    first: str
    second: str
    note: str = ""
    states: tuple[State, State] = ("", "")


@dataclass(frozen=True, kw_only=True)
class Group:
    """Quantities of one kind; `aside` are those that only one run can have."""

    title: str
    pairs: tuple[Pair, ...] = ()
    aside: tuple[Pair, ...] = ()


def compare_runs(first: RunContent, second: RunContent) -> list[Group]:
    """Every quantity that at least one of two runs has; groups without any are left out.

    Raises:
        DataError: The runs have no file of one kind in common.
    """
    common = [name for name, value in vars(first).items() if value and getattr(second, name) and name != "run"]
    if not common:
        raise DataError("the two runs have no kind of result in common", remedy="give two runs of one command")
    groups = (
        ("Bit accuracy, differing integers", _accuracy(first, second)),
        ("Tracks", _tracks(first, second)),
        ("Edges after each stage", _stages(first, second)),
        ("Networks, area under the ROC curve", _networks(first, second)),
        ("Graphs beyond the largest that is taken", _sizes(first, second)),
        ("Clock cycles of the RTL, simulated", _cycles(first, second)),
        ("Latency of single requests, ms", _latencies(first, second)),
        ("Hardware", _hardware(first, second)),
        ("Time per stage, s", _seconds(first, second)),
    )
    found = [Group(title=title, pairs=tuple(pairs)) for title, pairs in groups]
    found.append(_provenance(first, second))
    return [group for group in found if group.pairs or group.aside]


def _accuracy(first: RunContent, second: RunContent) -> Iterator[Pair]:
    cells = [_compared(content) for content in (first, second)]
    for key in dict.fromkeys([*cells[0], *cells[1]]):
        one, other = (found.get(key) for found in cells)
        yield Pair(label=key, first=_counted(one), second=_counted(other), states=(_state(one), _state(other)))


def _compared(content: RunContent) -> dict[str, Cell]:
    table = ladder_table(content.ladder) if content.ladder else None
    return {
        f"{network.network}, {executor}": total
        for network in (table.networks if table else ())
        for executor, total in zip(table.executors if table else (), network.totals, strict=True)
        if total is not None
    }


def _counted(cell: Cell | None) -> str:
    if cell is None:
        return DASH
    return f"{cell.mismatches:,} of {cell.compared:,}" if cell.compared else "not compared"


def _state(cell: Cell | None) -> State:
    return "none" if cell is None or cell.state == "not compared" else cell.state


def _tracks(first: RunContent, second: RunContent) -> Iterator[Pair]:
    ratios = [
        {label: ratio for label, ratio, _ in track_ratios(content.evaluation.tracks)}
        if content.evaluation and content.evaluation.tracks
        else {}
        for content in (first, second)
    ]
    yield from _shares(*ratios)


def _stages(first: RunContent, second: RunContent) -> Iterator[Pair]:
    found: list[dict[str, Ratio]] = []
    for content in (first, second):
        shares: dict[str, Ratio] = {}
        for stage in content.evaluation.stages if content.evaluation else ():
            shares[f"{stage.name}, efficiency"] = Ratio(passed=stage.kept, total=stage.target)
            shares[f"{stage.name}, purity"] = Ratio(passed=stage.kept, total=stage.edges - stage.unknown)
        found.append(shares)
    yield from _shares(*found)


def _shares(first: Mapping[str, Ratio], second: Mapping[str, Ratio]) -> Iterator[Pair]:
    for label in dict.fromkeys([*first, *second]):
        one, other = first.get(label), second.get(label)
        yield Pair(
            label=label,
            first=DASH if one is None else percent(one),
            second=DASH if other is None else percent(other),
            note="" if one is None or other is None else _apart(one, other),
        )


def _apart(first: Ratio, second: Ratio) -> str:
    if first.value is None or second.value is None or None in (first.low, first.high, second.low, second.high):
        return ""
    assert first.low is not None and first.high is not None and second.low is not None and second.high is not None
    change = f"{100 * (second.value - first.value):+.2f} points".replace("-", MINUS)
    apart = first.high < second.low or second.high < first.low
    return f"{change}; {'the intervals do not overlap' if apart else 'within the intervals'}"


def _networks(first: RunContent, second: RunContent) -> Iterator[Pair]:
    areas = [
        {name: item.roc.auc for name, item in content.evaluation.networks.items() if item.roc and item.roc.auc}
        if content.evaluation
        else {}
        for content in (first, second)
    ]
    yield from _numbers(*areas, digits=".5f")


def _sizes(first: RunContent, second: RunContent) -> Iterator[Pair]:
    found = [
        {
            sizes.kind: Ratio(passed=sizes.over[0], total=sizes.graphs)
            for sizes in sizes_of(content)
            if sizes.limit is not None
        }
        for content in (first, second)
    ]
    yield from _shares(*found)


def _cycles(first: RunContent, second: RunContent) -> Iterator[Pair]:
    found: list[dict[str, float]] = []
    for content in (first, second):
        rows = cycles_rows(content.cycles.root) if content.cycles else []
        found.append(
            {
                f"{row.network}, {row.quantity}, {name}": value
                for row in rows
                for name, value in zip(("p50", "p95"), row.values, strict=False)
            }
        )
    yield from _numbers(*found, digits=",.0f", relative=True)


def _latencies(first: RunContent, second: RunContent) -> Iterator[Pair]:
    found: list[dict[str, float]] = []
    for content in (first, second):
        values: dict[str, float] = {}
        for item in content.latency.series if content.latency else ():
            for percent_of in (50, 95):
                value = percentile_ms(item.samples_ms, percent_of)
                if value is not None:
                    values[f"{item.model}, {item.engine}, p{percent_of}"] = value
        found.append(values)
    yield from _numbers(*found, digits=".3g", relative=True)


def _hardware(first: RunContent, second: RunContent) -> Iterator[Pair]:
    found = [_surest(content) for content in (first, second)]
    for label in dict.fromkeys([*found[0], *found[1]]):
        one, other = found[0].get(label, DASH), found[1].get(label, DASH)
        yield Pair(label=label, first=one, second=other, note="the same" if one == other else "")


def _surest(content: RunContent) -> dict[str, str]:
    projects: list[Project] = list(content.projects.projects) if content.projects else []
    projects += [engine.project for engine in content.rtl.root] if content.rtl else []
    found: dict[str, str] = {}
    for project in projects:
        for quantity in project.figures:
            item = surest_figure(project, quantity)
            if item is not None and item.value is not None:
                label = f"{project.network}{', RTL' if project.design == 'RTL' else ''}: {quantity}"
                found[label] = f"{item.value:,.12g} {item.unit} ({item.kind})".replace("  ", " ")
    return found


def _seconds(first: RunContent, second: RunContent) -> Iterator[Pair]:
    values = [dict(content.summary.seconds) if content.summary else {} for content in (first, second)]
    yield from _numbers(*values, digits=".3g", relative=True)


def _numbers(
    first: Mapping[str, float], second: Mapping[str, float], *, digits: str, relative: bool = False
) -> Iterator[Pair]:
    for label in dict.fromkeys([*first, *second]):
        one, other = first.get(label), second.get(label)
        note = ""
        if one is not None and other is not None:
            note = f"{100 * (other / one - 1):+.1f} %" if relative and one else f"{other - one:+{digits}}"
        shown = _number(one, digits), _number(other, digits)
        yield Pair(label=label, first=shown[0], second=shown[1], note=note.replace("-", MINUS))


def _provenance(first: RunContent, second: RunContent) -> Group:
    flat = [_flattened(content) for content in (first, second)]
    differing, aside = [], []
    for label in dict.fromkeys([*flat[0], *flat[1]]):
        one, other = flat[0].get(label), flat[1].get(label)
        if one != other:
            alone = one is None or other is None
            (aside if alone else differing).append(Pair(label=label, first=one or DASH, second=other or DASH))
    return Group(title="What was different about the runs", pairs=tuple(differing), aside=tuple(aside))


def _flattened(content: RunContent) -> dict[str, str]:
    if content.run is None:
        return {}
    run = content.run
    found = {"command": run.command, "time": run.time, "commit": run.commit or DASH, "seed": str(run.seed)}
    found |= {f"version of {name}": version for name, version in run.versions.items()}
    found |= {f"machine, {name}": value for name, value in run.machine.items()}
    found |= {f"input {path}": digest for path, digest in run.inputs.items()}
    return found | {f"setting {key}": value for key, value in _leaves(run.config, "")}


def _leaves(value: Any, name: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{name}.{key}" if name else str(key))
    else:
        yield name, str(value)


def _number(value: float | None, digits: str) -> str:
    return DASH if value is None else f"{value:{digits}}"
