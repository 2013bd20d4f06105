"""Tables and figure of RTL designs."""

from __future__ import annotations

from markupsafe import Markup

from .canvas import figure, to_svg
from .figures_explore import ExplorePoint, plot_designs
from .physics_tables import DASH
from .rtl_record import DESIGN_FIGURES, Exploration, ExploredDesign

DesignRow = tuple[str, list[str], str, bool]


def design_rows(found: Exploration) -> list[DesignRow]:
    """Design in words, its figures with their kinds, AUC, and whether it is on the front."""
    front = set(found.front)
    return [
        (_name(point), [_shown(point, name) for name in DESIGN_FIGURES], _auc(point), place in front)
        for place, point in enumerate(found.points)
    ]


def draw_designs(found: Exploration) -> Markup:
    """LUT against latency and AUC; designs of the front are filled."""
    front = set(found.front)
    points = [
        ExplorePoint(
            network=str(point.design.get("network", "")),
            lut=point.value("LUT"),
            latency=point.value("latency p95"),
            interval=point.value("interval p95"),
            auc=point.auc,
            on_front=place in front,
        )
        for place, point in enumerate(found.points)
    ]
    with figure(10, 3.4) as drawn:
        left, right = drawn.subplots(1, 2)
        plot_designs(left, points, "latency", label="latency p95, cycles (simulated)")
        plot_designs(right, points, "auc", label="AUC")
        left.legend(loc="best")
        return to_svg(drawn, name="explore", description="LUTs of RTL designs against latency and AUC")


def _name(point: ExploredDesign) -> str:
    design = point.design
    words = (design.get(name) for name in ("network", "lanes", "spacing", "scatter"))
    return "{}, {} lanes, spacing {}, {}".format(*words)


def _shown(point: ExploredDesign, name: str) -> str:
    item = point.figures.get(name)
    return DASH if item is None or item.value is None else f"{item.value:,.6g} {item.kind}"


def _auc(point: ExploredDesign) -> str:
    return DASH if point.auc is None else f"{point.auc:.5f}"
