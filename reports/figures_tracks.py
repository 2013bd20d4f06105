"""Figures of track performance against what the particles, the tracks and the events are like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator

from ..models.metrics import Variable
from .canvas import PT, colour, figure, to_svg
from .counts import BinnedMean, BinnedRatio
from .evaluation_record import BinnedTracks, TrackPerformance

WIDE_RANGE = 20.0
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
        axes[0, 0].set(ylabel="track efficiency", ylim=(0, 1.05))
        axes[1, 0].set_ylabel("track purity")
        axes[1, 0].set_ylim(top=1.005)
        axes[2, 0].set_ylabel("rate")
        # Room above the points for the legend.
        axes[2, 0].set_ylim(0, 1.3 * axes[2, 0].get_ylim()[1])
        named = {
            label: handle for axis in axes[2] for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
        }
        axes[2, -1].legend(named.values(), named.keys(), loc="upper right", ncols=2)
        names = ", ".join(variable.replace("_", " ") for variable, _ in shown)
        return to_svg(
            drawn, name=name, description=f"Track efficiency, purity, fake and duplicate rate against {names}"
        )


def draw_binned(
    axis: Axes, figures: BinnedRatio | BinnedMean, *, shade: str, marker: str = "o", label: str | None = None
) -> None:
    """Points at bin centres with bars for the bin and the interval; bins without entries are left out."""
    edges = np.array(figures.edges)
    logarithmic = edges[0] > 0 and edges[-1] / edges[0] >= WIDE_RANGE
    centres = np.sqrt(edges[1:] * edges[:-1]) if logarithmic else (edges[1:] + edges[:-1]) / 2
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
