"""Tables and figure of RTL designs."""

from __future__ import annotations

from markupsafe import Markup

from .canvas import figure, to_svg
from .figures_explore import ExplorePoint, Quantity, plot_designs
from .physics_tables import DASH
from .rtl_record import DESIGN_FIGURES, Exploration, ExploredDesign

DesignRow = tuple[str, list[tuple[str, str]], str, bool]


def design_columns(found: Exploration) -> list[tuple[str, str]]:
    """Name of each figure, and its kind where all designs have it of one kind."""
    return [(name, kinds[0] if len(kinds := _kinds(found, name)) == 1 else "") for name in DESIGN_FIGURES]


def design_rows(found: Exploration) -> list[DesignRow]:
    """Design in words, its figures, with kinds where a column has several, AUC, and whether it is on the front."""
    front, columns = set(found.front), design_columns(found)
    return [
        (_name(point), [_shown(point, name, kind) for name, kind in columns], _auc(point), place in front)
        for place, point in enumerate(found.points)
    ]


def design_gaps(found: Exploration) -> list[str]:
    """Why figures are not known, by design."""
    gaps = []
    for point in found.points:
        reasons: dict[str, list[str]] = {}
        for name, item in point.figures.items():
            if item.value is None:
                reasons.setdefault(item.source or item.kind, []).append(name)
        gaps += [f"{_name(point)}: {', '.join(names)}: {reason}" for reason, names in reasons.items()]
    return gaps


def _kinds(found: Exploration, name: str) -> list[str]:
    items = (point.figures.get(name) for point in found.points)
    return list(dict.fromkeys(item.kind for item in items if item is not None and item.value is not None))


PANELS: tuple[tuple[Quantity, str], ...] = (
    ("latency", "latency p95, cycles (simulated)"),
    ("interval", "interval p95, cycles (simulated)"),
    ("auc", "AUC"),
)


def draw_designs(found: Exploration) -> Markup | None:
    """LUT against latency, interval and AUC where they are known; designs of the front are filled. None without any."""
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
    known = [point for point in points if point.lut is not None]
    panels: list[tuple[Quantity, str]] = [
        panel for panel in PANELS if any(getattr(point, panel[0]) is not None for point in known)
    ]
    if not panels:
        return None
    with figure(10, 3.4) as drawn:
        axes = drawn.subplots(1, len(panels), squeeze=False)[0]
        for axis, (quantity, label) in zip(axes, panels, strict=True):
            plot_designs(axis, points, quantity, label=label)
        drawn.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
        return to_svg(drawn, name="explore", description="LUTs of RTL designs against latency, interval and AUC")


def _name(point: ExploredDesign) -> str:
    design = point.design
    words = (design.get(name) for name in ("network", "lanes", "spacing", "scatter"))
    return "{}, {} lanes, spacing {}, {}".format(*words)


def _shown(point: ExploredDesign, name: str, kind: str) -> tuple[str, str]:
    item = point.figures.get(name)
    if item is None or item.value is None:
        return DASH, ""
    return f"{item.value:,.6g} {item.unit}".strip(), "" if kind else item.kind


def _auc(point: ExploredDesign) -> str:
    return DASH if point.auc is None else f"{point.auc:.5f}"
