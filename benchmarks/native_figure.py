"""Cost against size, with the exponent of each side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from native_measure import Measurement

DECADES = 100.0
"""The exponent is fitted to the sizes within this factor of the largest one of each side: the upper two decades."""

NAMES = {
    "native": "native",
    "onnxruntime_float32": "ONNX Runtime float32",
    "onnxruntime_int8": "ONNX Runtime int8",
    "torch_float32": "torch float32",
    "exact_gemm": "exact float32 GEMM (torch)",
    "golden": "golden",
    "csim": "hls4ml C simulation",
}
MARKERS = "osD^vPX"


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Median time of the fastest variant of a side by size.

    Attributes:
        side: Family of the side.
        network: The network.
        threads: Threads.
        sizes: Rows or edges, growing.
        seconds: Seconds a call.
        exponent: b of seconds = a * size**b, by least squares of the logarithms; None where fewer than two sizes are
            within the range of the fit.
        fitted_from: Smallest size in the fit.

    """

    side: str
    network: str
    threads: int
    sizes: tuple[int, ...]
    seconds: tuple[float, ...]
    exponent: float | None
    fitted_from: int | None


def curves(measurements: Sequence[Measurement]) -> list[Curve]:
    """Curves of every side, network and number of threads; means over several graphs are no point of them."""
    best: dict[tuple[str, str, int], dict[int, float]] = {}
    for each in (each for each in measurements if each.graphs <= 1):
        times = best.setdefault((each.network, each.side, each.threads), {})
        times[each.items] = min(each.median, times.get(each.items, each.median))
    found = []
    for (network, side, threads), times in best.items():
        sizes = tuple(sorted(times))
        seconds = tuple(times[size] for size in sizes)
        exponent, start = fit(sizes, seconds)
        found.append(
            Curve(
                side=side,
                network=network,
                threads=threads,
                sizes=sizes,
                seconds=seconds,
                exponent=exponent,
                fitted_from=start,
            )
        )
    return found


def fit(sizes: Sequence[int], seconds: Sequence[float]) -> tuple[float | None, int | None]:
    """Exponent over the upper two decades, and the smallest size in the fit."""
    upper = [number for number, size in enumerate(sizes) if size * DECADES >= max(sizes)]
    if len(upper) < 2:
        return None, None
    logarithms = np.log([[sizes[number], seconds[number]] for number in upper])
    return float(np.polyfit(logarithms[:, 0], logarithms[:, 1], 1)[0]), sizes[upper[0]]


def draw(found: Sequence[Curve], path: Path, *, title: str) -> None:
    """Write the figure: one panel for each network, the most threads."""
    most = max((curve.threads for curve in found), default=1)
    networks = list(dict.fromkeys(curve.network for curve in found))
    columns = min(3, max(1, len(networks)))
    rows = -(-len(networks) // columns)
    with mpl.rc_context({"font.size": 8}):
        figure = Figure(figsize=(4.6 * columns, 4.2 * rows), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for axis, network in zip(axes, networks, strict=False):
            _panel(axis, [curve for curve in found if curve.network == network and curve.threads == most], network)
        for axis in axes[len(networks) :]:
            axis.set_visible(False)
        note = f"{most} threads (golden, C simulation: 1); time ~ size^b, b fitted over each side's upper two decades"
        figure.suptitle(f"{title}\n{note}")
        figure.savefig(path, dpi=150)


def _panel(axis: Axes, found: Sequence[Curve], network: str) -> None:
    sides = list(NAMES)
    for curve in sorted(found, key=lambda curve: sides.index(curve.side)):
        number = sides.index(curve.side)
        exponent = "" if curve.exponent is None else f", b = {curve.exponent:.2f}"
        label = f"{NAMES[curve.side]}{exponent}"
        width = 2.2 if curve.side == "native" else 1.0
        axis.plot(
            curve.sizes, curve.seconds, label=label, color=f"C{number}", marker=MARKERS[number], ms=4, linewidth=width
        )
    axis.set(xscale="log", yscale="log", title=network, ylabel="seconds a call")
    axis.set_xlabel("rows" if network[0].isdigit() else "edges")
    axis.grid(which="major", alpha=0.3)
    axis.legend(fontsize=7)
