"""Figures of track performance against what the particles, the tracks and the events are like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator
from numpy.typing import NDArray

from ..models.metrics import Variable
from .canvas import PT, colour, figure, to_svg
from .counts import BinnedMean, BinnedRatio
from .evaluation_record import BinnedTracks, TrackPerformance
from .physics_tables import MINUS

WIDE_RANGE = 20.0
TICK_ROOM = 0.11
"""Least distance of labels, as a share of the axis."""
UNEVEN = 3.0
"""Bins whose widths differ by more than this, in the narrowest, are not drawn on a linear axis."""
LABELS: Mapping[str, str] = {
    "pt": f"{PT} (GeV)",
    "eta": "η",
    "phi": "φ (rad)",
    "z0": "z₀ (mm)",
    "vertex_radius": "production radius (mm)",
    "pile_up": "primary vertices",
}
OF_PARTICLES: tuple[Variable, ...] = ("pt", "eta", "phi")
OF_VERTICES: tuple[Variable, ...] = ("z0", "vertex_radius", "pile_up")


def draw_tracks(tracks: TrackPerformance, variables: Sequence[Variable], *, name: str) -> Markup | None:
    """Track efficiency (top), purity (middle), fake and duplicate rate (bottom) against some variables.

    Args:
        tracks: What was measured.
        variables: One column each; those that were not binned are left out.
        name: Unique on the page.

    Returns:
        The figure, None where nothing is binned.
    """
    shown = [(variable, tracks.binned[variable]) for variable in variables if variable in tracks.binned]
    if not shown:
        return None
    with figure(10, 6.6) as drawn:
        axes = drawn.subplots(3, len(shown), squeeze=False, sharex="col", sharey="row", height_ratios=(1.35, 0.8, 1.0))
        for column, (variable, binned) in enumerate(shown):
            _draw_column(list(axes[:, column]), binned)
            axes[2, column].set_xlabel(LABELS[variable])
        lows = [low for _, binned in shown if binned.efficiency for low in binned.efficiency.low]
        axes[0, 0].set(ylabel="track efficiency", ylim=share_limits(lows))
        axes[1, 0].set_ylabel("track purity")
        axes[1, 0].set_ylim(top=1.005)
        top = _rate_top([binned for _, binned in shown])
        axes[2, 0].set(ylabel="rate", ylim=(-0.03 * top, 1.3 * top))  # room for the legend, and for points at 0
        named = {
            label: handle for axis in axes[2] for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
        }
        axes[2, -1].legend(named.values(), named.keys(), loc="upper right", ncols=2)
        names = ", ".join(variable.replace("_", " ") for variable, _ in shown)
        return to_svg(
            drawn, name=name, description=f"Track efficiency, purity, fake and duplicate rate against {names}"
        )


def draw_binned(
    axis: Axes,
    figures: BinnedRatio | BinnedMean,
    *,
    shade: str,
    marker: str = "o",
    label: str | None = None,
    aside: float = 0.0,
) -> None:
    """Points at bin centres with bars for the bin and the interval; bins without entries are left out.

    Args:
        axis: Where to draw.
        figures: What to draw.
        shade: Colour of the palette.
        marker: Of matplotlib.
        label: For the legend.
        aside: Share of a bin by which the points stand beside its centre, for several series in one panel.
    """
    edges = np.array(figures.edges)
    logarithmic = edges[0] > 0 and edges[-1] / edges[0] >= WIDE_RANGE
    uneven = not logarithmic and np.ptp(np.diff(edges)) > UNEVEN * np.diff(edges).min()
    places = np.log(edges) if logarithmic else edges
    centres = (places[1:] + places[:-1]) / 2 + aside * np.diff(places)
    centres = np.exp(centres) if logarithmic else centres
    value, low, high = (np.array(column, dtype=np.float64) for column in (figures.value, figures.low, figures.high))
    axis.errorbar(
        centres,
        value,
        yerr=np.vstack((value - low, high - value)),
        xerr=np.vstack((centres - edges[:-1], edges[1:] - centres)),
        fmt=marker,
        ms=3.5,
        elinewidth=1,
        color=colour(shade),
        label=label,
    )
    if logarithmic:
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.xaxis.set_minor_formatter("")
    if uneven:
        # Narrow bins in the middle of wide ones: linear there, logarithmic beyond.
        scale = float(np.diff(edges).min())
        ticks = _spaced(edges, scale)
        axis.set_xscale("asinh", linear_width=scale)
        axis.set_xticks(ticks, [f"{tick:g}".replace("-", MINUS) for tick in ticks])
        axis.set_xticks([], minor=True)


def _spaced(edges: NDArray[np.float64], scale: float) -> list[float]:
    """Bin edges that have room for a label: that next to 0, then from the outermost inwards."""
    places = np.arcsinh(edges / scale)
    room = TICK_ROOM * np.ptp(places)
    kept = [int(np.argmin(np.abs(edges)))]
    for place in np.argsort(-np.abs(edges), kind="stable"):
        if np.abs(places[kept] - places[place]).min() >= room:
            kept.append(int(place))
    return sorted(float(edge) for edge in edges[kept])


def share_limits(lows: Sequence[float | None]) -> tuple[float, float]:
    """Limits of an axis of shares, given the lower bounds it shows: from 0, or from where all of them are above."""
    least = min((low for low in lows if low is not None), default=0.0)
    bottom = max(step for step in (0.0, 0.5, 0.8, 0.9) if step <= least)
    return bottom or -0.02, 1.0 + 0.05 * (1.0 - bottom)  # a point at 0 is whole


def _rate_top(columns: Sequence[BinnedTracks]) -> float:
    """Largest rate drawn: every point, and the bars of all but bins that hold next to nothing."""
    found = [item for binned in columns for item in (binned.fake_rate, binned.duplicate_rate) if item is not None]
    values = [value for item in found for value in item.value if value is not None]
    highs = [high for item in found for high in item.high if high is not None]
    return max(0.01, min(max(highs, default=0.0), max(2 * max(values, default=0.0), 0.05)))


def _draw_column(axes: Sequence[Axes], binned: BinnedTracks) -> None:
    rows = (
        (axes[0], binned.efficiency, "blue", "o", "efficiency"),
        (axes[1], binned.purity, "green", "o", "purity"),
        (axes[2], binned.fake_rate, "orange", "s", "fake rate"),
        (axes[2], binned.duplicate_rate, "purple", "D", "duplicate rate"),
    )
    for axis, figures, shade, marker, label in rows:
        if figures is not None:
            draw_binned(axis, figures, shade=shade, marker=marker, label=label)
    if binned.purity is None:
        axes[1].set_axis_off()
