"""Figures that lay contenders over one another: quantized, float twin, ceiling, track finder; as files for pages."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray
from PIL import Image

from ..core import atomic_file
from ..models.metrics import EfficiencyBin
from .canvas import colour, figure, power_of_ten

STYLES = {
    "quantized": ("blue", "o"),
    "float": ("orange", "s"),
    "ceiling": ("green", "^"),
    "ckf": ("purple", "D"),
}
NAMES = {"quantized": "quantized", "float": "float twin", "ceiling": "float ceiling", "ckf": "ACTS seeding + CKF"}
WIDE_RANGE = 20.0
DPI, COLOURS = 100, 48
PRECISE, LEAST_TOP = 0.1, 0.1
ENLARGED, ENLARGED_FROM = 0.8, 1e-3
HALF_WIDTH = 0.3
"""Points of different contenders are spread over this share of a bin to either side of its centre."""

Bins = Sequence[EfficiencyBin]


@dataclass(frozen=True, kw_only=True)
class TrackPanel:
    """Efficiency and fake rate against one variable.

    Attributes:
        label: Name of the variable, with its unit.
        efficiency: Bins by contender.
        fakes: Bins by contender.
    """

    label: str
    efficiency: Mapping[str, Bins]
    fakes: Mapping[str, Bins]


@dataclass(frozen=True, kw_only=True, eq=False)
class RocPanel:
    """ROC curves of one network.

    Attributes:
        title: Name of the network.
        curves: False and true positive rate, area, by contender.
    """

    title: str
    curves: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64], float]]


@dataclass(frozen=True, kw_only=True, eq=False)
class CurvePanel:
    """Efficiency of radius graphs against edges per hit.

    Attributes:
        title: Name of the chain.
        curves: Edges per hit and efficiency of growing radii, by contender.
        points: Edges per hit and efficiency at the chain's own radius, by contender.
        budget: Edges per hit of the target.
        least: Efficiency of the target.
    """

    title: str
    curves: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
    points: Mapping[str, tuple[float, float]]
    budget: float
    least: float


def draw_track_comparison(panels: Sequence[TrackPanel], path: Path) -> None:
    """Track efficiency (top) and fake rate (bottom), one column per variable; written as PNG."""
    with figure(3.1 * len(panels), 4.6) as drawn:
        axes = drawn.subplots(2, len(panels), squeeze=False, sharex="col", sharey="row", height_ratios=(1.4, 1.0))
        for column, panel in enumerate(panels):
            _draw_bins(axes[0, column], panel.efficiency)
            _draw_bins(axes[1, column], panel.fakes)
            axes[1, column].set_xlabel(panel.label)
        axes[0, 0].set(ylabel="track efficiency", ylim=(0, 1.05))
        axes[1, 0].set_ylabel("fake rate")
        axes[1, 0].set_ylim(0, _top(panels))
        axes[0, 0].legend(loc="lower left")
        save_png(drawn, path)


def draw_roc_comparison(panels: Sequence[RocPanel], path: Path) -> None:
    """ROC curves, one panel per network; written as PNG."""
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    with figure(3.6 * columns, 3.1 * rows) as drawn:
        axes = drawn.subplots(rows, columns, squeeze=False).ravel()
        for axis, panel in zip(axes, panels, strict=False):
            for name, (false_rate, true_rate, area) in panel.curves.items():
                shade, style = STYLES[name][0], "--" if name == "float" else "-"
                axis.plot(
                    np.where(false_rate > 0, false_rate, np.nan),
                    true_rate,
                    style,
                    color=colour(shade),
                    label=f"{NAMES[name]}, AUC {area:.4f}",
                )
            axis.set_xscale("log")
            axis.set_xlim(right=1.0)
            axis.xaxis.set_major_formatter(power_of_ten)
            axis.set(xlabel="false positive rate", ylabel="edge efficiency", title=panel.title)
            axis.set_ylim(_bottom(panel), 1.0 + 0.03 * (1.0 - _bottom(panel)))
            axis.legend(loc="lower right")
        for axis in axes[len(panels) :]:
            axis.set_axis_off()
        save_png(drawn, path)


def draw_radius_curves(panels: Sequence[CurvePanel], path: Path) -> None:
    """Efficiency of true edges against edges per hit of the radius graph, one panel per chain; written as PNG."""
    with figure(4.6 * len(panels), 3.3) as drawn:
        axes = drawn.subplots(1, len(panels), squeeze=False)[0]
        for axis, panel in zip(axes, panels, strict=True):
            for name, (density, efficiency) in panel.curves.items():
                axis.plot(density, efficiency, "-", color=colour(STYLES[name][0]), label=NAMES[name])
            for name, (density, efficiency) in panel.points.items():
                axis.plot(density, efficiency, STYLES[name][1], ms=6, color=colour(STYLES[name][0]))
            axis.axvline(panel.budget, color=colour("muted"), lw=0.9, ls=(0, (4, 3)))
            axis.axhline(panel.least, color=colour("muted"), lw=0.9, ls=(0, (4, 3)), label="target")
            axis.set(xlabel="edges per hit", ylabel="efficiency of true edges", title=panel.title)
            axis.set_xlim(left=0)
            axis.set_ylim(top=1.0)
            axis.legend(loc="lower right")
        save_png(drawn, path)


def save_png(drawn: Figure, path: Path) -> None:
    """Write a figure on white as a small PNG; as SVG, points and errors of many bins would be large."""
    FigureCanvasAgg(drawn)
    stream = io.BytesIO()
    drawn.savefig(stream, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
    picture = (
        Image.open(stream).convert("RGB").quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    )
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        picture.save(file, format="png", optimize=True)


def _bottom(panel: RocPanel) -> float:
    """Lower end of the axis of efficiencies: curves that hardly leave 1 are drawn larger."""
    seen = [true_rate[false_rate >= ENLARGED_FROM] for false_rate, true_rate, _ in panel.curves.values()]
    return ENLARGED if min((item.min() for item in seen if len(item)), default=0.0) > ENLARGED else 0.0


def _top(panels: Sequence[TrackPanel]) -> float:
    """Upper end of the axis of fake rates: above every point that is known to some precision."""
    bins = [item for panel in panels for found in panel.fakes.values() for item in found if item.total]
    known = [item.efficiency for item in bins if item.interval[1] - item.interval[0] < PRECISE]
    return min(1.0, max(1.5 * max(known, default=0.0), LEAST_TOP))


def _draw_bins(axis: Axes, series: Mapping[str, Bins]) -> None:
    logarithmic = False
    for place, (name, bins) in enumerate(series.items()):
        known = [item for item in bins if item.total]
        if not known:
            continue
        low, high = np.array([item.low for item in known]), np.array([item.high for item in known])
        logarithmic |= bool(bins[0].low > 0 and bins[-1].high / bins[0].low >= WIDE_RANGE)
        shift = HALF_WIDTH * (2 * (place + 0.5) / max(len(series), 1) - 1)
        share = (1 + shift) / 2
        centre = low ** (1 - share) * high**share if logarithmic else low + share * (high - low)
        value = np.array([item.efficiency for item in known])
        ends = np.array([item.interval for item in known])
        axis.errorbar(
            centre,
            value,
            yerr=np.vstack((value - ends[:, 0], ends[:, 1] - value)),
            fmt=STYLES[name][1],
            ms=3,
            elinewidth=0.9,
            color=colour(STYLES[name][0]),
            label=NAMES[name],
        )
    if logarithmic:
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.xaxis.set_minor_formatter(NullFormatter())
