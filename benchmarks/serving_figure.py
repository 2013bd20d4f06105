"""Throughput by the number of requests under way, one panel for each payload."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator
from serving_rows import SIDES, Row

from hitfabric.core import atomic_file

MARKERS = "os^Dv"
LINES = ("-", "--", ":")


def points(rows: Sequence[Row]) -> dict[tuple[str, int], tuple[list[int], list[float]]]:
    """Concurrencies, and median requests per second, of each side and number of instances."""
    found: dict[tuple[str, int], dict[int, list[float]]] = {}
    for row in rows:
        found.setdefault((row.side, row.instances), {}).setdefault(row.concurrency, []).append(row.requests_per_s)
    return {
        key: (sorted(rates), [statistics.median(rates[count]) for count in sorted(rates)])
        for key, rates in found.items()
    }


def draw(rows: Sequence[Row], path: Path, *, title: str) -> None:
    """Write the figure; the least and the most instances are drawn."""
    payloads = list(dict.fromkeys(row.payload for row in rows))
    columns = min(3, max(1, len(payloads)))
    lines = -(-len(payloads) // columns)
    with mpl.rc_context({"font.size": 8}):
        figure = Figure(figsize=(4.6 * columns, 3.8 * lines), layout="constrained")
        axes = figure.subplots(lines, columns, squeeze=False).ravel()
        for axis, payload in zip(axes, payloads, strict=False):
            _panel(axis, [row for row in rows if row.payload == payload], payload)
        for axis in axes[len(payloads) :]:
            axis.set_visible(False)
        entries = {label: line for axis in axes for line, label in zip(*axis.get_legend_handles_labels(), strict=True)}
        figure.legend(list(entries.values()), list(entries), loc="outside lower center", ncols=3)
        figure.suptitle(title)
        with atomic_file(path) as temporary:
            figure.savefig(temporary, dpi=150, format=path.suffix.removeprefix(".") or "png")


def _panel(axis: Axes, rows: Sequence[Row], payload: str) -> None:
    instances = sorted({row.instances for row in rows})
    drawn = [instances[0], instances[-1]] if len(instances) > 1 else instances
    for (side, count), (counts, rates) in points(rows).items():
        if count not in drawn:
            continue
        number = list(SIDES).index(side)
        suffix = "" if side == "direct" or len(drawn) == 1 else f", {count} inst."
        label = f"{SIDES[side]}{suffix}"
        style = LINES[drawn.index(count)]
        axis.plot(counts, rates, label=label, color=f"C{number}", marker=MARKERS[number], ms=4, linestyle=style)
    axis.set(xscale="log", yscale="log", title=payload, xlabel="requests under way", ylabel="requests/s")
    counts = sorted({row.concurrency for row in rows})
    axis.set_xticks(counts, [str(count) for count in counts], minor=False)
    axis.minorticks_off()
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    rates = [row.requests_per_s for row in rows]
    axis.set_ylim(min(rates) / 1.6, max(rates) * 1.6)
    axis.grid(which="major", alpha=0.3)
