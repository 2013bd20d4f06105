"""Figure of a search for bit widths: everything tried is on it, and its axes can be read."""

from __future__ import annotations

from matplotlib.backends.backend_agg import FigureCanvasAgg

from hitfabric.reports.canvas import figure
from hitfabric.reports.figures_search import SearchPoint, plot_search

POINTS = [
    SearchPoint(cost=3.2e6, score=0.9997, accepted=True, on_front=True),
    SearchPoint(cost=3.1e6, score=0.9991, accepted=False, on_front=False),
    SearchPoint(cost=3.0e6, score=0.9, accepted=False, on_front=False),
    SearchPoint(cost=2.4e6, score=0.9995, accepted=True, on_front=True),
    SearchPoint(cost=1.3e6, score=0.9987, accepted=True, on_front=True),
]


def test_the_figure_shows_the_front_among_everything_tried() -> None:
    with figure(6.4, 4.0) as drawn:
        axes = drawn.subplots()
        plot_search(axes, POINTS, score="AUC")
        FigureCanvasAgg(drawn).draw()
        lines = {str(line.get_label()): line for line in axes.get_lines()}
        ticks = [label.get_text() for label in axes.get_xticklabels()]
    low, high = axes.get_xlim()
    shown = [text for text, place in zip(ticks, axes.get_xticks(), strict=True) if low <= place <= high]
    assert shown == ["1.5 M", "2 M", "3 M"]
    counts = {label: len(line.get_xydata()) for label, line in lines.items()}
    assert counts == {"tried: one bit less in one place": 2, "end of a round": 2, "start": 1, "Pareto front": 3}
    assert lines["Pareto front"].get_xydata().tolist() == [[1.3e6, 0.9987], [2.4e6, 0.9995], [3.2e6, 0.9997]]
    bottom, top = axes.get_ylim()
    assert 0.9 < bottom < 0.9987 and top > 0.9997  # what lost nearly everything does not set the scale


def test_a_search_that_found_nothing_better_is_drawn() -> None:
    with figure(6.4, 4.0) as drawn:
        axes = drawn.subplots()
        plot_search(axes, POINTS[:1], score="AUC")
        bottom, top = axes.get_ylim()
    assert bottom < POINTS[0].score < top
