"""Figures of the run itself: training curves, latencies, time per stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from .canvas import colour, figure, printable, to_svg
from .records import LatencySeries
from .training_record import TrainingCurves

PANELS_PER_ROW = 3
BINS = 30
WIDE_RANGE = 30.0
SPLITS = {"train_": ("training", "blue"), "validation_": ("validation", "orange"), "": ("all", "purple")}
ENGINES = {"direct": "blue", "triton": "orange", "onnx": "green"}


def draw_training(curves: TrainingCurves, *, name: str) -> Markup:
    """Metrics against epoch, one panel per metric; `train_x`, `validation_x` and `x` share a panel."""
    panels = _panels(curves)
    rows = -(-len(panels) // PANELS_PER_ROW) or 1
    with figure(10, 0.35 + 2.05 * rows) as drawn:
        axes = drawn.subplots(rows, PANELS_PER_ROW, squeeze=False).ravel()
        for axis, (metric, splits) in zip(axes, panels.items(), strict=False):
            for prefix in splits:
                label, shade = SPLITS[prefix] if len(splits) > 1 else SPLITS["train_"]
                values = curves.columns[prefix + metric]
                axis.plot(curves.epochs, values, "o-", ms=3, color=colour(shade), label=label)
            axis.set(title=metric.replace("_", " "), xlabel="epoch")
            axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
            if len(splits) > 1:
                axis.legend()
        for axis in axes[len(panels) :]:
            axis.set_axis_off()
        return to_svg(drawn, name=name, description=f"Training metrics of {curves.network} against epoch")


def draw_latency(series: Sequence[LatencySeries]) -> Markup:
    """Latency histograms, one panel per model, both engines on the same bins."""
    models = list(dict.fromkeys(item.model for item in series))
    columns = min(max(len(models), 2), 4)
    rows = -(-len(models) // columns)
    with figure(10, 0.3 + 2.3 * rows) as drawn:
        axes = drawn.subplots(rows, columns, squeeze=False).ravel()
        for axis, model in zip(axes, models, strict=False):
            of_model = [item for item in series if item.model == model and item.samples_ms]
            joined = np.concatenate([item.samples_ms for item in of_model]) if of_model else np.empty(0)
            edges, scale = _latency_bins(joined)
            for item in of_model:
                counts, _ = np.histogram(item.samples_ms, edges)
                shade = colour(ENGINES[item.engine])
                axis.stairs(counts, edges, fill=True, color=shade, alpha=0.18, lw=0)
                axis.stairs(counts, edges, color=shade, lw=1.3, label=item.engine)
            axis.set(title=model, xlabel="latency (ms)", xscale=scale, xlim=(edges[0], edges[-1]))
            axis.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
            if of_model:
                axis.legend()
        for axis in axes[len(models) :]:
            axis.set_axis_off()
        axes[0].set_ylabel("requests per bin")
        return to_svg(drawn, name="latency", description="Histograms of serving latency for each model and engine")


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


def _latency_bins(samples: np.ndarray) -> tuple[np.ndarray, str]:
    if samples.size == 0:
        return np.array([0.0, 1.0]), "linear"
    low, high = float(samples.min()), float(samples.max())
    if low > 0 and high / low > WIDE_RANGE:
        # One slow first request must not squeeze all others into one bin.
        return np.geomspace(low, high, BINS + 1), "log"
    margin = 0.5 * (high == low)
    return np.linspace(low - margin, high + margin, BINS + 1), "linear"
