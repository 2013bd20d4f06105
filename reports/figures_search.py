"""Figure of a search for bit widths: accuracy against effective bit operations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg

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
        points: At least one.
        path: File to write.
        score: Name of the score, for the axis.
    """
    groups = (
        ("tried", "muted", ".", [item for item in points if not item.accepted]),
        ("end of a round", "orange", "s", [item for item in points if item.accepted]),
    )
    front = sorted((item.cost, item.score) for item in points if item.on_front)
    with figure(6.4, 4.0) as drawn:
        axes = drawn.subplots()
        for label, shade, marker, members in groups:
            places = [item.cost for item in members], [item.score for item in members]
            axes.plot(*places, marker, ms=4, color=colour(shade), label=label)
        axes.step(*zip(*front, strict=True), where="post", color=colour("blue"), label="Pareto front")
        axes.set(xlabel="EBOPs of one graph (256 nodes, 512 edges)", ylabel=score, xscale="log")
        # Networks that lost nearly everything would hide the differences between the good ones.
        best = max(item.score for item in points)
        worst = min(score for _, score in front)
        axes.set_ylim(worst - 0.3 * (best - worst) - 1e-4, best + 0.1 * (best - worst) + 1e-4)
        axes.legend(loc="lower right")
        FigureCanvasAgg(drawn)
        with atomic_file(path) as temporary:
            drawn.savefig(temporary, format="png", dpi=150, facecolor="white", metadata={"Software": None})
