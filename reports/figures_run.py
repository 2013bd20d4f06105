"""Figures of the run itself: training curves, latencies, time per stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, MaxNLocator

from .canvas import colour, figure, printable, to_svg
from .records import LatencySeries
from .training_record import TrainingCurves

PANELS_PER_ROW = 4
LARGE = 10_000
LEAST_BINS, BINS = 8, 30
METRICS = {
    "auc": "AUC",
    "macs": "MACs",
    "bops": "BOPs",
    "ebops": "EBOPs",
    "seconds": "time in the phase (s)",
    "nonzero_weights": "weights not 0",
    "kept": "share of edges kept",
}
WIDE_RANGE = 30.0
SPLITS = {"train_": ("training", "blue"), "validation_": ("validation", "orange"), "": ("all", "purple")}
ENGINES = {"direct": "blue", "triton": "orange", "onnx": "green"}


def draw_training(curves: TrainingCurves, *, name: str) -> Markup:
    """Metrics against epoch, one panel per metric that changes; `train_x`, `validation_x` and `x` share a panel."""
    panels = {metric: splits for metric, splits in _panels(curves).items() if not _constant(curves, metric, splits)}
    rows = -(-len(panels) // PANELS_PER_ROW) or 1
    with figure(10, 0.35 + 1.95 * rows) as drawn:
        axes = drawn.subplots(rows, PANELS_PER_ROW, squeeze=False).ravel()
        for axis, (metric, splits) in zip(axes, panels.items(), strict=False):
            for prefix in splits:
                label, shade = SPLITS[prefix] if len(splits) > 1 else SPLITS["train_"]
                values = curves.columns[prefix + metric]
                axis.plot(curves.epochs, values, "o-", ms=3, color=colour(shade), label=label)
            axis.set(title=metric_name(metric), xlabel="epoch")
            axis.set_xlim(curves.epochs[0] - 0.5, curves.epochs[-1] + 0.5)
            axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
            if axis.get_ylim()[1] >= LARGE:
                axis.yaxis.set_major_formatter(EngFormatter(sep=""))
            if len(splits) > 1:
                axis.legend()
        for axis in axes[len(panels) :]:
            axis.set_axis_off()
        return to_svg(drawn, name=name, description=f"Training metrics of {curves.network} against epoch")


def constant_metrics(curves: TrainingCurves) -> list[str]:
    """Metrics that stay what they are, with their value."""
    return [
        f"{metric_name(metric)} {curves.columns[splits[0] + metric][0]:,.6g}"
        for metric, splits in _panels(curves).items()
        if _constant(curves, metric, splits)
    ]


def metric_name(metric: str) -> str:
    """Name of a metric for readers."""
    return METRICS.get(metric, metric.replace("_", " "))


def draw_latency(series: Sequence[LatencySeries]) -> Markup:
    """Latency histograms, one panel per model, all engines on the same bins; of one model also the cumulative share."""
    models = list(dict.fromkeys(item.model for item in series))
    columns = min(max(len(models), 2), 4)
    rows = -(-len(models) // columns)
    with figure(10, 0.6 + 2.3 * rows) as drawn:
        axes = drawn.subplots(rows, columns, squeeze=False).ravel()
        for axis, model in zip(axes, models, strict=False):
            _draw_histogram(axis, model, [item for item in series if item.model == model and item.samples_ms])
        if len(models) == 1:
            _draw_cumulative(axes[1], [item for item in series if item.samples_ms])
        for axis in axes[max(len(models), 2 * (len(models) == 1)) :]:
            axis.set_axis_off()
        axes[0].set_ylabel("requests per bin")
        engines = dict.fromkeys(item.engine for item in series)
        keys = {engine: Line2D([], [], color=colour(ENGINES[engine])) for engine in engines}
        drawn.legend(keys.values(), keys.keys(), loc="outside lower center", ncols=len(keys) or 1)
        return to_svg(drawn, name="latency", description="Histograms of serving latency for each model and engine")


def _draw_histogram(axis: Axes, model: str, series: Sequence[LatencySeries]) -> None:
    joined = np.concatenate([item.samples_ms for item in series]) if series else np.empty(0)
    edges, scale = _latency_bins(joined)
    for item in series:
        counts, _ = np.histogram(item.samples_ms, edges)
        shade = colour(ENGINES[item.engine])
        axis.stairs(counts, edges, fill=True, color=shade, alpha=0.18, lw=0)
        axis.stairs(counts, edges, color=shade, lw=1.3)
    axis.set(title=model, xlabel="latency (ms)", xscale=scale, xlim=(edges[0], edges[-1]))
    axis.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))


def _draw_cumulative(axis: Axes, series: Sequence[LatencySeries]) -> None:
    for item in series:
        axis.ecdf(item.samples_ms, color=colour(ENGINES[item.engine]))
    axis.set(xlabel="latency (ms)", ylabel="share of requests answered", ylim=(0, 1.03))


def draw_seconds(seconds: Mapping[str, float]) -> Markup:
    """Wall-clock seconds per stage as bars, in the order of the run."""
    names, values = [printable(name) for name in seconds], list(seconds.values())
    with figure(10, 0.6 + 0.3 * len(names)) as drawn:
        axis = drawn.subplots()
        bars = axis.barh(range(len(names)), values, height=0.55, color=colour("blue"))
        axis.bar_label(
            bars, labels=[f"{value:.3g} s" for value in values], padding=5, color=colour("ink"), fontsize=8.5
        )
        axis.set_yticks(range(len(names)), names)
        axis.invert_yaxis()
        axis.margins(x=0.1)
        axis.grid(False, axis="y")
        axis.set_xlabel("wall-clock time (s)")
        return to_svg(drawn, name="seconds", description="Wall-clock seconds of each stage")


def _panels(curves: TrainingCurves) -> dict[str, list[str]]:
    panels: dict[str, list[str]] = {}
    for column in curves.columns:
        prefix = next(prefix for prefix in SPLITS if column.startswith(prefix))
        panels.setdefault(column.removeprefix(prefix), []).append(prefix)
    return panels


def _constant(curves: TrainingCurves, metric: str, splits: Sequence[str]) -> bool:
    values = np.concatenate([curves.columns[prefix + metric] for prefix in splits])
    return len(curves.epochs) > 1 and bool((values == values[0]).all())


def _latency_bins(samples: np.ndarray) -> tuple[np.ndarray, str]:
    bins = int(np.clip(2 * np.sqrt(samples.size), LEAST_BINS, BINS))
    if samples.size == 0:
        return np.array([0.0, 1.0]), "linear"
    low, high = float(samples.min()), float(samples.max())
    if low > 0 and high / low > WIDE_RANGE:
        # One slow first request must not squeeze all others into one bin.
        return np.geomspace(low, high, bins + 1), "log"
    margin = 0.5 * (high == low)
    return np.linspace(low - margin, high + margin, bins + 1), "linear"
