"""Figure of a search for bit widths: accuracy against effective bit operations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from ..core import atomic_file
from .canvas import colour, figure


@dataclass(frozen=True, kw_only=True)
class SearchPoint:
    """One network that was tried.

    Attributes:
        cost: Effective bit operations of one inference.
        score: Figure on validation data.
        accepted: It ended a round of the search.
        on_front: No other network beats it in both.
    """

    cost: float
    score: float
    accepted: bool
    on_front: bool


def draw_search(points: Sequence[SearchPoint], path: Path, *, score: str) -> None:
    """Draw every network tried and the Pareto front; written as PNG.

    Args:
        points: At least one, in the order of the search: the first is where it started.
        path: File to write.
        score: Name of the score, for the axis.
    """
    with figure(6.4, 4.0) as drawn:
        plot_search(drawn.subplots(), points, score=score)
        FigureCanvasAgg(drawn)
        with atomic_file(path) as temporary:
            drawn.savefig(temporary, format="png", dpi=150, facecolor="white", metadata={"Software": None})


def plot_search(axes: Axes, points: Sequence[SearchPoint], *, score: str) -> None:
    """Draw on the given axes; see `draw_search`."""
    groups = (
        ("tried: one bit less in one place", "muted", ".", 4, [item for item in points[1:] if not item.accepted]),
        ("end of a round", "orange", "s", 4, [item for item in points[1:] if item.accepted]),
        ("start", "green", "D", 6, points[:1]),
    )
    for label, shade, marker, size, members in groups:
        places = [item.cost for item in members], [item.score for item in members]
        axes.plot(*places, marker, ms=size, color=colour(shade), label=label)
    front = sorted((item.cost, item.score) for item in points if item.on_front)
    axes.step(*zip(*front, strict=True), where="post", color=colour("blue"), label="Pareto front")
    axes.set(xlabel="EBOPs of one graph (256 nodes, 512 edges)", ylabel=score, xscale="log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 6, 8)))
    axes.xaxis.set_major_formatter(EngFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    # Networks that lost nearly everything would hide the differences between the good ones.
    best, worst = front[-1][1], front[0][1]
    axes.set_ylim(worst - 0.3 * (best - worst) - 1e-4, best + 0.1 * (best - worst) + 1e-4)
    axes.legend(loc="lower right")
