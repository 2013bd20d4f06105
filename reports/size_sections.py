"""How large graphs are: table and figure against the size that an engine was built for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from .canvas import colour, figure, printable, to_svg
from .content import RunContent
from .physics_tables import DASH
from .size_record import GraphSizes

LEAST_GRAPHS = 10
"""Fewer graphs than this are in the table alone."""
LEAST_BINS, MOST_BINS = 8, 40
WIDE_RANGE = 20.0
DASHES = (0, (4, 3))
PERCENTS = (50, 95, 100)


@dataclass(frozen=True, kw_only=True)
class SizeRow:
    """One kind of graphs in the table; `nodes` and `edges` are median, 95th percentile and largest."""

    kind: str
    sample: str
    graphs: int
    nodes: tuple[str, ...]
    edges: tuple[str, ...]
    limit: str
    network: str
    over: str
    over_edges: str


def sizes_of(content: RunContent) -> list[GraphSizes]:
    """Every kind of graphs that a run knows the sizes of."""
    found = [*(content.evaluation.graphs if content.evaluation else ())]
    found += [*(content.ladder.graphs if content.ladder else ())]
    found += [*(content.graph_sizes.root if content.graph_sizes else ())]
    return [sizes for sizes in found if sizes.sizes]


def size_rows(kinds: Sequence[GraphSizes]) -> list[SizeRow]:
    """The table."""
    return [
        SizeRow(
            kind=sizes.kind,
            sample=sizes.sample,
            graphs=sizes.graphs,
            nodes=_percentiles(sizes, 0),
            edges=_percentiles(sizes, 1),
            limit=_limit(sizes),
            network=sizes.limit.of if sizes.limit else "",
            over=_share(sizes.over[0], sizes.graphs) if sizes.limit else DASH,
            over_edges=f"{sizes.over[1]:,} of {sizes.edges:,} edges" if sizes.over[0] else "",
        )
        for sizes in kinds
    ]


def draw_sizes(kinds: Sequence[GraphSizes]) -> Markup | None:
    """Nodes and edges per graph, a row for each kind of ten graphs or more; None without any."""
    shown = [sizes for sizes in kinds if sizes.graphs >= LEAST_GRAPHS]
    if not shown:
        return None
    with figure(10, 0.5 + 2.1 * len(shown)) as drawn:
        axes = drawn.subplots(len(shown), 2, squeeze=False, sharey="row")
        for row, sizes in zip(axes, shown, strict=True):
            limits = _limits(sizes)
            for column, (axis, name) in enumerate(zip(row, ("nodes", "edges"), strict=True)):
                values, counts = _counted(sizes, column)
                _draw(axis, values, counts, limit=limits[column])
                axis.set_xlabel(f"{name} per graph")
            row[0].set_title(printable(sizes.kind))
            row[0].set_ylabel("graphs per bin")
        if any(sizes.limit for sizes in shown):
            keys = {
                "within": Patch(facecolor=colour("blue"), alpha=0.6),
                "beyond the largest taken": Patch(facecolor=colour("orange"), alpha=0.6),
                "largest taken": Line2D([], [], color=colour("ink"), lw=1, ls=DASHES),
            }
            drawn.legend(keys.values(), keys.keys(), loc="outside lower center", ncols=len(keys))
        return to_svg(drawn, name="sizes", description="Nodes and edges per graph against the largest that is taken")


def _draw(axis: Axes, values: NDArray[np.int64], counts: NDArray[np.int64], *, limit: int | None) -> None:
    edges, scale = _bins(values, limit, graphs=int(counts.sum()))
    entries, _ = np.histogram(values, edges, weights=counts)
    border = len(entries) if limit is None else int(np.searchsorted(edges, limit))
    for part, shade in ((slice(0, border), "blue"), (slice(border, None), "orange")):
        if entries[part].any():
            borders = edges[part.start : None if part.stop is None else part.stop + 1]
            axis.stairs(entries[part], borders, fill=True, alpha=0.25, color=colour(shade), lw=0)
            axis.stairs(entries[part], borders, color=colour(shade), lw=1.3)
    if limit is not None:
        axis.axvline(limit + 0.5, color=colour("ink"), lw=1, ls=DASHES)
    axis.set_xscale(scale)
    if scale == "log":
        axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else "")
        axis.xaxis.set_minor_formatter(NullFormatter())
    if counts.max() > 100:
        axis.set_yscale("log")
        axis.set_ylim(bottom=0.7)
        axis.yaxis.set_major_formatter("{x:,.0f}")
        axis.yaxis.set_minor_formatter(NullFormatter())
    else:
        axis.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))


def _bins(values: NDArray[np.int64], limit: int | None, *, graphs: int) -> tuple[NDArray[np.float64], str]:
    """Bins between integers, of which one ends at the limit, and whether they are even in the logarithm."""
    bins = int(np.clip(3 * np.sqrt(graphs), LEAST_BINS, MOST_BINS))
    low, high = int(values.min()), int(max(values.max(), limit or 0))
    if low > 0 and high / low > WIDE_RANGE:
        raw, scale = np.geomspace(low, high + 1, bins + 1), "log"
    else:
        raw, scale = np.linspace(low, high + 1, min(bins, high + 1 - low) + 1), "linear"
    borders = np.unique(np.ceil(raw))
    if limit is not None and low <= limit < high:
        inner = borders[1:-1]  # the outermost enclose all
        others = np.delete(inner, np.argmin(np.abs(inner - (limit + 1)))) if len(inner) else inner
        borders = np.unique([borders[0], *others, limit + 1, borders[-1]])
    return borders - 0.5, scale


def _counted(sizes: GraphSizes, column: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sizes and how many graphs have each, int64; column 0 are the nodes, 1 the edges."""
    table = np.array(sizes.sizes, dtype=np.int64)
    return table[:, column], table[:, 2]


def _percentiles(sizes: GraphSizes, column: int) -> tuple[str, ...]:
    values, counts = _counted(sizes, column)
    found = np.percentile(np.repeat(values, counts), PERCENTS, method="inverted_cdf")
    return tuple(f"{int(value):,}" for value in found)


def _limits(sizes: GraphSizes) -> tuple[int | None, int | None]:
    return (sizes.limit.nodes, sizes.limit.edges) if sizes.limit else (None, None)


def _limit(sizes: GraphSizes) -> str:
    named = zip(("nodes", "edges"), _limits(sizes), strict=True)
    return ", ".join(f"{count:,} {name}" for name, count in named if count is not None) or DASH


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({100 * part / whole:.3g} %)" if part else "none"
