"""Clock cycles of an RTL engine against the size of the graph: figure and table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from .canvas import colour, figure, to_svg
from .cycles_record import NetworkCycles

BINS = 30
PERCENTS = ((50, (0, (1, 2))), (95, (0, (4, 3))))


@dataclass(frozen=True, kw_only=True)
class CyclesRow:
    """One quantity of one network: median, 95th percentile, largest."""

    network: str
    quantity: str
    values: tuple[int, int, int]


def cycles_rows(networks: Sequence[NetworkCycles]) -> list[CyclesRow]:
    """The table; percentiles are values that occurred."""
    return [
        CyclesRow(network=item.network, quantity=quantity, values=_percentiles(values))
        for item in networks
        for quantity, values in (
            ("latency", item.latency),
            ("interval", item.interval),
            ("interval between results", item.result_interval),
        )
    ]


def draw_cycles(item: NetworkCycles, *, name: str) -> Markup:
    """Latency (left) and interval (right) of each graph against its size, each with its distribution beside it.

    Args:
        item: Cycles of one network.
        name: Unique on the page.
    """
    with figure(10, 3.4) as drawn:
        axes = drawn.subplots(1, 4, width_ratios=(3, 1, 3, 1))
        # An interval ends with the last beat of the later graph: that graph's size is what it belongs to.
        _draw_pair(axes[:2], item.sizes, item.latency, shade="blue", label="latency (cycles)")
        _draw_pair(axes[2:], item.sizes[1:], item.interval, shade="orange", label="interval (cycles)")
        for axis in axes[::2]:
            axis.set_xlabel(f"{item.size} of the graph" if item.size == "edges" else "rows")
        return to_svg(
            drawn, name=name, description=f"Latency and interval of {item.network} against {item.size}, in clock cycles"
        )


def _draw_pair(axes: Sequence[Axes], sizes: Sequence[int], values: Sequence[int], *, shade: str, label: str) -> None:
    scatter, histogram = axes
    scatter.plot(sizes, values, "o", ms=3, alpha=0.55, mew=0, color=colour(shade))
    scatter.set_ylabel(label)
    scatter.set_ylim(0, 1.08 * max(values))
    low, high = min(values), max(values)
    step = max(1, -(-(high - low + 1) // BINS))
    histogram.hist(
        values,
        bins=[border - 0.5 for border in range(low, high + step + 1, step)],
        orientation="horizontal",
        color=colour(shade),
        alpha=0.6,
    )
    histogram.set_ylim(scatter.get_ylim())
    histogram.tick_params(labelleft=False)
    histogram.set_xlabel("graphs")
    histogram.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=3))
    for (percent, style), value in zip(PERCENTS, _percentiles(values), strict=False):
        for axis in axes:
            axis.axhline(value, color=colour("ink"), lw=1, ls=style, label=f"p{percent}: {value}")
    scatter.legend(loc="lower right")


def _percentiles(values: Sequence[int]) -> tuple[int, int, int]:
    median, high, largest = np.percentile(values, (50, 95, 100), method="inverted_cdf")
    return int(median), int(high), int(largest)
