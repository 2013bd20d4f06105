"""Figures of physics performance: tracks, edges, scores."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator

from .canvas import PT, SERIES, colour, figure, power_of_ten, printable, to_svg
from .records import BinnedTracks, EdgeStage, NetworkScores, ScoreHistogram, TrackPerformance
from .statistics import Interval, rates, shares

WIDE_RANGE = 20.0


def draw_tracks(tracks: TrackPerformance) -> Markup | None:
    """Track efficiency (top), fake and duplicate rate (bottom) against pT and eta; None where nothing is binned."""
    variables = [(f"{PT} (GeV)", tracks.pt), ("η", tracks.eta)]
    shown = [(label, binned) for label, binned in variables if binned is not None]
    if not shown:
        return None
    with figure(10, 5.4) as drawn:
        axes = drawn.subplots(2, len(shown), squeeze=False, sharex="col", sharey="row", height_ratios=(1.35, 1.0))
        for column, (label, binned) in enumerate(shown):
            _draw_binned_tracks(axes[0, column], axes[1, column], binned)
            axes[1, column].set_xlabel(label)
        axes[0, 0].set(ylabel="track efficiency", ylim=(0, 1.05))
        axes[1, 0].set_ylabel("rate")
        # Room above the points for the legend.
        axes[1, 0].set_ylim(0, 1.3 * axes[1, 0].get_ylim()[1])
        named = {
            label: handle for axis in axes[1] for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
        }
        axes[1, -1].legend(named.values(), named.keys(), loc="upper right", ncols=2)
        return to_svg(drawn, name="tracks", description="Track efficiency, fake and duplicate rate against pT and eta")


def draw_edge_stages(stages: tuple[EdgeStage, ...]) -> Markup:
    """Edge efficiency and purity, and edges per hit, after each stage of the chain."""
    names = [printable(stage.name) for stage in stages]
    places = np.arange(len(stages))
    with figure(10, 2.7) as drawn:
        quality, size = drawn.subplots(1, 2, width_ratios=(1.5, 1.0))
        rows = (
            ("efficiency", "blue", "o", 7, [stage.target for stage in stages]),
            ("purity", "orange", "s", -15, [stage.edges for stage in stages]),
        )
        for label, shade, marker, above, totals in rows:
            centre, low, high = shares([stage.kept for stage in stages], totals)
            errors = np.vstack((centre - low, high - centre))
            quality.errorbar(
                places, centre, errors, fmt=f"{marker}-", ms=5, color=colour(shade), label=label, elinewidth=1
            )
            for place, value in zip(places[np.isfinite(centre)], centre[np.isfinite(centre)], strict=True):
                quality.annotate(
                    f"{value:.3f}",
                    (place, value),
                    (0, above),
                    textcoords="offset points",
                    ha="center",
                    fontsize=8.5,
                    color=colour(shade),
                )
        quality.set(
            ylim=(-0.12, 1.18), xlim=(-0.4, len(stages) - 0.6), ylabel="share of edges", yticks=np.linspace(0, 1, 6)
        )
        quality.legend(loc="center right")
        quality.set_xticks(places, names)
        densities = [stage.edges / stage.hits if stage.hits else np.nan for stage in stages]
        bars = size.barh(places, densities, height=0.5, color=colour("blue"), alpha=0.75)
        size.grid(False, axis="y")
        size.bar_label(
            bars, labels=[f"{value:.3g}" for value in densities], padding=4, color=colour("ink"), fontsize=8.5
        )
        size.set_yticks(places, names)
        size.invert_yaxis()
        size.margins(x=0.15)
        size.set_xlabel("edges per hit")
        return to_svg(drawn, name="stages", description="Edge efficiency and purity and edges per hit after each stage")


def draw_roc(networks: Mapping[str, NetworkScores]) -> Markup | None:
    """ROC and efficiency against purity, one line per network; None where no network has a curve."""
    curves = [(name, scores.roc, scores.threshold) for name, scores in networks.items() if scores.roc is not None]
    if not curves:
        return None
    with figure(10, 3.9) as drawn:
        left, right = drawn.subplots(1, 2)
        for place, (name, curve, threshold) in enumerate(curves):
            shade = colour(SERIES[place % len(SERIES)])
            auc = "" if curve.auc is None else f", AUC {curve.auc:.4f}"
            order = np.argsort(curve.threshold)
            fpr, efficiency = np.array(curve.false_positive_rate)[order], np.array(curve.efficiency)[order]
            purity = np.array([np.nan if value is None else value for value in curve.purity])[order]
            left.plot(np.where(fpr > 0, fpr, np.nan), efficiency, color=shade, label=f"{name}{auc}")
            right.plot(efficiency, purity, color=shade, label=name)
            if threshold is not None and curve.threshold:
                nearest = int(np.argmin(np.abs(np.array(curve.threshold)[order] - threshold)))
                left.plot(fpr[nearest], efficiency[nearest], "o", ms=6, color=shade)
                right.plot(efficiency[nearest], purity[nearest], "o", ms=6, color=shade)
        left.set_xscale("log")
        left.set_xlim(right=1.0)
        left.xaxis.set_major_formatter(power_of_ten)
        left.set(xlabel="false positive rate", ylabel="edge efficiency", ylim=(0, 1.03))
        right.set(xlabel="edge efficiency", ylabel="edge purity", xlim=(0, 1.03), ylim=(0, 1.03))
        left.legend(loc="lower right")
        return to_svg(drawn, name="roc", description="ROC curve and purity against efficiency of each network")


def draw_scores(networks: Mapping[str, NetworkScores]) -> Markup | None:
    """Score histograms of true and false edges, one panel per network, logarithmic; None where there are none."""
    panels = [(name, scores.scores, scores.threshold) for name, scores in networks.items() if scores.scores is not None]
    if not panels:
        return None
    with figure(10, 2.9) as drawn:
        axes = drawn.subplots(1, max(len(panels), 2), squeeze=False)[0]
        for axis, (name, histogram, threshold) in zip(axes, panels, strict=False):
            _draw_histogram(axis, histogram, threshold)
            axis.set(title=name, xlabel=histogram.quantity)
        for axis in axes[len(panels) :]:
            axis.set_axis_off()
        axes[0].set_ylabel("edges per bin")
        axes[0].legend(loc="best")
        return to_svg(drawn, name="scores", description="Score histograms of true and false edges of each network")


def _draw_histogram(axis: Axes, histogram: ScoreHistogram, threshold: float | None) -> None:
    rows = (("false", histogram.false, "orange"), ("true", histogram.true, "blue"))
    for label, counts, shade in rows:
        axis.stairs(counts, histogram.edges, fill=True, alpha=0.18, color=colour(shade), lw=0)
        axis.stairs(counts, histogram.edges, color=colour(shade), lw=1.3, label=label)
    if threshold is not None:
        axis.axvline(threshold, color=colour("ink"), lw=1, ls=(0, (4, 3)), label="working point")
    if sum(histogram.true) + sum(histogram.false):
        axis.set_yscale("log")
        axis.set_ylim(bottom=0.7)
        axis.yaxis.set_major_formatter(power_of_ten)


def _draw_binned_tracks(top: Axes, bottom: Axes, binned: BinnedTracks) -> None:
    rows = (
        (top, binned.efficiency, shares, "blue", "o", "efficiency"),
        (bottom, binned.fake_rate, shares, "orange", "s", "fake rate"),
        (bottom, binned.duplicate_rate, rates, "purple", "D", "duplicate rate"),
    )
    for axis, ratio, interval, shade, marker, label in rows:
        if ratio is not None:
            found = interval(ratio.passed, ratio.total)
            _draw_ratio(axis, ratio.edges, found, shade=shade, marker=marker, label=label)


def _draw_ratio(
    axis: Axes, bins: tuple[float, ...], interval: Interval, *, shade: str, marker: str, label: str
) -> None:
    edges = np.array(bins)
    logarithmic = edges[0] > 0 and edges[-1] / edges[0] >= WIDE_RANGE
    centres = np.sqrt(edges[1:] * edges[:-1]) if logarithmic else (edges[1:] + edges[:-1]) / 2
    centre, low, high = interval
    axis.errorbar(
        centres,
        centre,
        yerr=np.vstack((centre - low, high - centre)),
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
