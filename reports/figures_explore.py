"""Figure of an exploration of RTL designs: LUT against latency, throughput and accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullFormatter

from ..core import atomic_file
from .canvas import SERIES, colour, figure

Quantity = Literal["latency", "interval", "rate", "auc"]


@dataclass(frozen=True, kw_only=True)
class ExplorePoint:
    """One design.

    Attributes:
        network: Network it computes.
        lut: LUTs by Yosys, None where they were not counted.
        latency: Cycles of a graph alone, simulated.
        interval: Cycles between graphs, simulated.
        auc: AUC of the network, None where there are no labels.
        on_front: No other design beats it.
    """

    network: str
    lut: float | None
    latency: float | None
    interval: float | None
    auc: float | None
    on_front: bool


def draw_exploration(points: Sequence[ExplorePoint], path: Path, *, clock_ns: float) -> None:
    """Draw the designs and their front; written as PNG.

    Args:
        points: At least one.
        path: File to write.
        clock_ns: Clock period that the throughput assumes, ns.
    """
    with figure(10.5, 3.6) as drawn:
        left, middle, right = drawn.subplots(1, 3)
        plot_designs(left, points, "latency", label="latency p95, cycles (simulated)")
        plot_designs(
            middle, points, "rate", label=f"graphs per µs at {clock_ns:g} ns (simulated cycles)", clock=clock_ns
        )
        plot_designs(right, points, "auc", label="AUC")
        left.legend(loc="best")
        FigureCanvasAgg(drawn)
        with atomic_file(path) as temporary:
            drawn.savefig(temporary, format="png", dpi=150, facecolor="white", metadata={"Software": None})


def plot_designs(
    axes: Axes, points: Sequence[ExplorePoint], quantity: Quantity, *, label: str, clock: float = 1.0
) -> None:
    """Draw one quantity of the designs over their LUTs; designs of the front are filled.

    Args:
        axes: Where to draw.
        points: The designs; those without LUTs or without the quantity are left out.
        quantity: `latency`, `interval`, `rate` or `auc`.
        label: Name of the quantity.
        clock: Clock period of the rate, ns.
    """
    networks = list(dict.fromkeys(point.network for point in points))
    for number, network in enumerate(networks):
        shade = colour(SERIES[number % len(SERIES)])
        for filled in (False, True):
            chosen = [point for point in points if point.network == network and point.on_front == filled]
            places = [(point.lut, _value(point, quantity, clock)) for point in chosen]
            known = [(x, y) for x, y in places if x is not None and y is not None]
            if known:
                face = shade if filled else "none"
                axes.plot(*zip(*known, strict=True), "o", ms=5, color=shade, markerfacecolor=face)
        axes.plot([], [], "o", ms=5, color=shade, label=network)
    axes.set(xlabel="LUT (synthesised, Yosys)", ylabel=label, xscale="log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))  # a sweep may lie within one decade
    axes.xaxis.set_major_formatter(EngFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    if quantity == "auc":
        shown = [point.auc for point in points if point.auc is not None]
        low, high = min(shown, default=0.0), max(shown, default=1.0)
        room = max(0.15 * (high - low), 1e-4)  # networks of one AUC must not be drawn on an axis beyond 1
        axes.set_ylim(low - room, min(high + room, 1.0) if high < 1.0 else 1.0 + room)
        axes.ticklabel_format(axis="y", useOffset=False)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))


def _value(point: ExplorePoint, quantity: Quantity, clock: float) -> float | None:
    if quantity == "rate":
        return None if not point.interval else 1000 / (point.interval * clock)
    return {"auc": point.auc, "latency": point.latency, "interval": point.interval}[quantity]
