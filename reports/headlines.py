"""The figures at the top of the page, each with its unit and number of entries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from .content import RunContent
from .counts import Ratio
from .cycles_record import Cycles
from .cycles_sections import cycles_rows
from .evaluation_record import Evaluation
from .physics_tables import DASH, percent, track_ratios
from .records import Ladder, Latency, Summary, TrackingSummary
from .statistics import percentile_ms


@dataclass(frozen=True, kw_only=True)
class Headline:
    """One figure: `value` with `unit`, below it `detail`; `state` colours it."""

    label: str
    value: str
    unit: str = ""
    detail: str = ""
    state: Literal["", "equal", "different", "absent"] = ""


def headlines(content: RunContent) -> list[Headline]:
    """The headline figures that the run has; what was not run is named in the list of sections."""
    summary, evaluation, ladder = content.summary, content.evaluation, content.ladder
    found = (
        _bit_accuracy(summary, ladder),
        *_tracking(summary, evaluation),
        *_cycles(content.cycles),
        _serving(summary, content.latency),
        _time(summary),
    )
    return [item for item in found if item is not None]


def milliseconds(value: float) -> str:
    """Three digits of a latency, trailing zeros kept: `0.412`, `4.12`, `41.2`, `412`."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:,.{digits}f}"


def _bit_accuracy(summary: Summary | None, ladder: Ladder | None) -> Headline | None:
    label = "differing integers"
    if ladder is not None:
        compared = sum(row.compared for row in ladder.rows)
        mismatches = sum(row.mismatches for row in ladder.rows)
        executors = ", ".join(dict.fromkeys(row.executor for row in ladder.rows))
        detail = f"of {compared:,} compared; {executors} against {ladder.reference}"
    elif summary is not None and summary.outputs_compared:
        compared = summary.outputs_compared
        mismatches = sum(sum(executors.values()) for executors in summary.mismatches.values())
        detail = f"of {compared:,} compared"
    else:
        return None
    if compared == 0:
        return Headline(label=label, value="nothing compared", state="absent")
    return Headline(label=label, value=f"{mismatches:,}", detail=detail, state="different" if mismatches else "equal")


def _tracking(summary: Summary | None, evaluation: Evaluation | None) -> list[Headline]:
    labels = {"efficiency": "track efficiency", "fake_rate": "fake rate", "duplicate_rate": "duplicate rate"}
    tracks = evaluation.tracks if evaluation is not None else None
    if tracks is not None:
        return [_ratio(label, ratio, noun) for label, ratio, noun in track_ratios(tracks)]
    if summary is not None and summary.tracking is not None:
        return [
            _from_summary(label, getattr(summary.tracking, name), summary.tracking) for name, label in labels.items()
        ]
    return []


def _ratio(label: str, ratio: Ratio, noun: str) -> Headline:
    shown = percent(ratio)
    if shown == DASH:
        return Headline(label=label, value=shown, detail=f"no {noun}")
    value, interval = shown.removesuffix(" %").split(" ", 1)
    detail = f"{interval[1:-1]}; {ratio.passed:,} of {ratio.total:,} {noun}"
    return Headline(label=label, value=value, unit="%", detail=detail)


def _from_summary(label: str, value: float | None, tracking: TrackingSummary) -> Headline:
    detail = f"{tracking.events:,} events, {tracking.hits:,} hits"
    if value is None:
        return Headline(label=label, value=DASH, detail=detail)
    return Headline(label=label, value=f"{100 * value:.1f}", unit="%", detail=detail)


def _cycles(cycles: Cycles | None) -> Iterator[Headline]:
    for item in cycles.root if cycles else ():
        rows = {row.quantity: row.values for row in cycles_rows([item])}
        interval = rows["interval"][1]
        detail = f"{item.network}, 95th percentile of {len(item.sizes):,} graphs; interval {interval:,}"
        if item.mismatches:
            detail += f"; {item.mismatches:,} integers DIFFER from golden"
        yield Headline(
            label="latency of the RTL, simulated",
            value=f"{rows['latency'][1]:,}",
            unit="cycles",
            detail=detail,
            state="different" if item.mismatches else "",
        )


def _serving(summary: Summary | None, latency: Latency | None) -> Headline | None:
    label = "serving latency, median"
    if summary is not None and summary.serving is not None:
        serving = summary.serving
        equal = "labels equal to direct" if serving.labels_equal else "labels DIFFER from direct"
        value = DASH if serving.p50_ms is None else milliseconds(serving.p50_ms)
        return Headline(
            label=label,
            value=value,
            unit="" if serving.p50_ms is None else "ms",
            detail=f"{serving.requests:,} requests to {serving.server}; {equal}",
            state="" if serving.labels_equal else "different",
        )
    served = [item for item in latency.series if item.engine == "triton"] if latency is not None else []
    tracking = next((item for item in served if item.model == "tracking"), None)
    if tracking is None or (median := percentile_ms(tracking.samples_ms, 50)) is None:
        return None
    detail = f"{len(tracking.samples_ms):,} requests to model tracking"
    return Headline(label=label, value=milliseconds(median), unit="ms", detail=detail)


def _time(summary: Summary | None) -> Headline | None:
    label = "time of all stages"
    if summary is None or not summary.seconds:
        return None
    total = sum(summary.seconds.values())
    value, unit = (f"{total / 60:.1f}", "min") if total >= 120 else (f"{total:.1f}", "s")
    return Headline(label=label, value=value, unit=unit, detail=f"{len(summary.seconds)} stages, wall clock")
