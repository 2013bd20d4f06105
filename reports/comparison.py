"""Two runs side by side: what each measured, and what was different about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..core import DataError
from .content import RunContent
from .counts import Ratio
from .physics_tables import DASH, percent, track_ratios
from .projects import surest_figure
from .records import Project
from .statistics import percentile_ms

State = Literal["", "equal", "different"]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One quantity of two runs.

    Attributes:
        label: Its name.
        first: Its value in the first run, a dash where it was not measured.
        second: Its value in the second.
        note: What to make of it.
        state: Whether they agree, where that is a yes or a no.
    """

    label: str
    first: str
    second: str
    note: str = ""
    state: State = ""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Quantities of one kind."""

    title: str
    pairs: tuple[Pair, ...]


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
        ("Latency of single requests, ms", _latencies(first, second)),
        ("Hardware", _hardware(first, second)),
        ("Time per stage, s", _seconds(first, second)),
        ("What was different about the runs", _provenance(first, second)),
    )
    found = [Group(title=title, pairs=tuple(pairs)) for title, pairs in groups]
    return [group for group in found if group.pairs]


def _accuracy(first: RunContent, second: RunContent) -> Iterator[Pair]:
    sums = [_mismatches(content) for content in (first, second)]
    for key in dict.fromkeys([*sums[0], *sums[1]]):
        values = [found.get(key) for found in sums]
        state: State = "equal" if all(not value for value in values) else "different"
        yield Pair(label=key, first=_whole(values[0]), second=_whole(values[1]), state=state)


def _mismatches(content: RunContent) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in content.ladder.rows if content.ladder else ():
        key = f"{row.network}, {row.executor}"
        found[key] = found.get(key, 0) + row.mismatches
    return found


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
    change = f"{100 * (second.value - first.value):+.2f} points"
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
                found[label] = f"{item.value:,.6g} {item.unit} ({item.kind})".replace("  ", " ")
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
        yield Pair(label=label, first=_number(one, digits), second=_number(other, digits), note=note)


def _provenance(first: RunContent, second: RunContent) -> Iterator[Pair]:
    flat = [_flattened(content) for content in (first, second)]
    for label in dict.fromkeys([*flat[0], *flat[1]]):
        one, other = flat[0].get(label, DASH), flat[1].get(label, DASH)
        if one != other:
            yield Pair(label=label, first=one, second=other)


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


def _whole(value: int | None) -> str:
    return DASH if value is None else f"{value:,}"


def _number(value: float | None, digits: str) -> str:
    return DASH if value is None else f"{value:{digits}}"
