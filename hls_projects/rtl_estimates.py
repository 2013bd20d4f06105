"""What an RTL project costs before any vendor's tool: one list of figures, each with how it is known.

The frequency of designs too large to place is estimated from the longest path between registers of the mapped netlist:
delays of cells from Yosys' library for series 7 (Artix-7, its slow corner), and a share for the wires as in designs
placed on an ECP5. UltraScale+ is faster; the estimate says so and makes nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .report_figure import ESTIMATED, ReportFigure
from .rtl_logic_path import LogicPath
from .rtl_place import Placement, place
from .rtl_project import RtlProject
from .rtl_synthesis import SECONDS, Synthesis, synthesise

WIRES = 1.4
"""Delay of the wires of a path over that of its cells: the median of 15 placements of a core of the 4-bit sector
network on an ECP5 at five register spacings, which gave 1.2 to 1.8."""

BLOCKS = (
    "hitfabric_scatter_banked",
    "hitfabric_scatter_ordered",
    "hitfabric_memory",
    "hitfabric_gather",
    "hitfabric_fifo",
)
"""Modules of the engine that are counted by themselves, besides the cores."""


@dataclass(frozen=True, kw_only=True)
class RtlEstimate:
    """Cells and frequency of a project.

    Attributes:
        synthesis: Cells on UltraScale+, by module.
        placement: Place and route on the ECP5, None where it was not asked for.
        figures: All figures with their kinds.
    """

    synthesis: Synthesis
    placement: Placement | None
    figures: tuple[ReportFigure, ...]


def estimate_rtl(project: RtlProject, *, seconds: float = SECONDS, seeds: Sequence[int] = ()) -> RtlEstimate:
    """Count the cells of a project, estimate its frequency, and place it where seeds are given.

    Args:
        project: The project.
        seconds: Longest time one run of a tool may take.
        seeds: Seeds of placements on the ECP5; none places nothing.

    Returns:
        The figures.

    Raises:
        MissingToolError: Yosys, or nextpnr where seeds are given, is missing.
        ToolError: A tool failed, or took too long.
    """
    keep = [*(core.name for core in project.cores), *BLOCKS]
    synthesis = synthesise(project.sources, project.top, keep=keep, seconds=seconds)
    placement = place(project.sources, project.top, keep=keep, seeds=seeds, seconds=seconds) if seeds else None
    figures = [*synthesis.figures(), *path_figures(synthesis.path), *_core_figures(project)]
    if placement is not None:
        figures += placement.figures()
    return RtlEstimate(synthesis=synthesis, placement=placement, figures=tuple(figures))


def path_figures(path: LogicPath) -> tuple[ReportFigure, ...]:
    """Logic depth, delay and the frequency that follows, each `estimated`, with their assumptions as source.

    Args:
        path: Longest path of the mapped netlist; one without delay gives no frequency.
    """
    library = "cell delays of Yosys' series 7 library (Artix-7)"
    unseen = f"; paths through {', '.join(path.untimed)} not seen" if path.untimed else ""
    found = [
        ReportFigure(name="logic levels", value=float(path.levels), kind=ESTIMATED, source="the longest path" + unseen),
        ReportFigure(name="logic delay", value=path.delay, unit="ns", kind=ESTIMATED, source=library + unseen),
    ]
    if path.delay > 0:
        found.append(
            ReportFigure(
                name="frequency",
                value=round(1000 / (path.delay * (1 + WIRES)), 1),
                unit="MHz",
                kind=ESTIMATED,
                source=f"{library}, wires {WIRES:g} times as slow as cells; UltraScale+ is faster{unseen}",
            )
        )
    return tuple(found)


def _core_figures(project: RtlProject) -> list[ReportFigure]:
    """LUTs of the cores as their generator reckons them, times the lanes that each of them is built for."""
    lanes = {item.name: item.lanes for item in project.passes}
    known = [core.lut_estimate for core in project.cores]
    if not known or any(lut is None for lut in known):
        return []
    total = sum(
        (core.lut_estimate or 0.0) * next((count for name, count in lanes.items() if core.name.endswith(name)), 1)
        for core in project.cores
    )
    solvers = ", ".join(sorted({core.solver for core in project.cores}))
    return [ReportFigure(name="LUT of the cores", value=round(total), kind=ESTIMATED, source=f"{solvers}, all lanes")]
