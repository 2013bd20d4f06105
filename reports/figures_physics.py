"""Figures of the graphs that the chain makes: stages, edges, scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ..models.metrics import Variable
from .canvas import SERIES, colour, figure, power_of_ten, printable, to_svg
from .counts import Ratio
from .evaluation_record import DensityCurve, EdgeStage, NetworkScores, ScoreHistogram
from .figures_tracks import LABELS, draw_binned, share_limits

SHOWN: tuple[Variable, ...] = ("pt", "eta")


def draw_edge_stages(stages: tuple[EdgeStage, ...]) -> Markup:
    """Edge efficiency and purity, and edges per hit, after each stage of the chain."""
    names = [printable(stage.name) for stage in stages]
    places = np.arange(len(stages))
    with figure(10, 2.7) as drawn:
        quality, size = drawn.subplots(1, 2, width_ratios=(1.5, 1.0))
        rows = (
            ("efficiency", "blue", "o", [stage.efficiency for stage in stages]),
            ("purity", "orange", "s", [stage.purity for stage in stages]),
        )
        for label, shade, marker, ratios in rows:
            centre, low, high = _columns(ratios)
            errors = np.vstack((centre - low, high - centre))
            quality.errorbar(
                places, centre, errors, fmt=f"{marker}-", ms=5, color=colour(shade), label=label, elinewidth=1
            )
            for place, value in zip(places[np.isfinite(centre)], centre[np.isfinite(centre)], strict=True):
                quality.annotate(
                    f"{value:.3f}",
                    (place, value),
                    (0, 7 if value < 0.5 or label == "efficiency" else -15),
                    textcoords="offset points",
                    ha="center",
                    fontsize=8.5,
                    color=colour(shade),
                )
        quality.set(
            ylim=(-0.05, 1.2), xlim=(-0.4, len(stages) - 0.6), ylabel="share of edges", yticks=np.linspace(0, 1, 6)
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


def draw_construction(stages: tuple[EdgeStage, ...]) -> Markup | None:
    """True edges in the graph against its size, and against pT and eta; one series per stage, None without any."""
    shown = [variable for variable in SHOWN if any(variable in stage.binned for stage in stages)]
    # A logarithmic axis has no place for graphs without edges, nor has an efficiency of nothing.
    curves = any(stage.curve and stage.curve.target and any(stage.curve.edges_per_hit) for stage in stages)
    if not shown and not curves:
        return None
    with figure(10, 3.6) as drawn:
        axes = drawn.subplots(1, curves + len(shown), squeeze=False)[0]
        shift = 0.6 / max(len(stages), 1)
        for place, stage in enumerate(stages):
            shade = SERIES[place % len(SERIES)]
            if curves and stage.curve is not None:
                _draw_curve(axes[0], stage.curve, shade=shade)
            if curves and stage.hits and stage.efficiency is not None and stage.efficiency.value is not None:
                axes[0].plot(stage.edges / stage.hits, stage.efficiency.value, "o", ms=6, color=colour(shade))
            for axis, variable in zip(axes[int(curves) :], shown, strict=True):
                if variable in stage.binned:
                    aside = shift * (place - (len(stages) - 1) / 2)
                    draw_binned(axis, stage.binned[variable], shade=shade, label=printable(stage.name), aside=aside)
        if curves:
            axes[0].set_xscale("log")
            axes[0].xaxis.set_major_formatter("{x:g}")
            axes[0].set(xlabel="edges per hit", ylim=(0, 1.05))
        for axis, variable in zip(axes[int(curves) :], shown, strict=True):
            lows = [low for stage in stages if variable in stage.binned for low in stage.binned[variable].low]
            axis.set(xlabel=LABELS[variable], ylim=share_limits(lows))
        axes[0].set_ylabel("efficiency of true edges")
        if shown:
            drawn.legend(*axes[-1].get_legend_handles_labels(), loc="outside lower center", ncols=len(stages))
        return to_svg(
            drawn, name="construction", description="Efficiency of true edges against edges per hit, pT and eta"
        )


def draw_roc(networks: Mapping[str, NetworkScores]) -> Markup | None:
    """ROC and efficiency against purity, one line per network; None where no network has a curve."""
    curves = [(name, scores.roc, scores.threshold) for name, scores in networks.items() if scores.roc is not None]
    if not curves:
        return None
    with figure(10, 4.2) as drawn:
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
        drawn.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
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


def _draw_curve(axis: Axes, curve: DensityCurve, *, shade: str) -> None:
    density, value, low, high = (
        np.array(column, dtype=np.float64) for column in (curve.edges_per_hit, curve.efficiency, curve.low, curve.high)
    )
    order = np.argsort(density)[np.sort(density) > 0]
    axis.plot(density[order], value[order], color=colour(shade), lw=1.2)
    axis.fill_between(density[order], low[order], high[order], color=colour(shade), alpha=0.18, lw=0)


def _columns(ratios: Sequence[Ratio | None]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Value, lower and upper bound of each, NaN where there are none."""
    rows = [(ratio.value, ratio.low, ratio.high) if ratio is not None else (None,) * 3 for ratio in ratios]
    value, low, high = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    return value, low, high
