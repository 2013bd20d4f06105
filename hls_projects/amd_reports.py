"""Readers of the reports of Vivado HLS, Vitis HLS and Vivado.

Layouts, where versions differ: DSP blocks are `DSP48E` until 2020.1 and `DSP` since; the cosimulation table has gained
a column of total execution time; Vivado's utilization table has a column `Prohibited` since 2020.3; the report of the
implementation is `<top>_export.xml` in older versions and `export_impl.xml` in newer ones. An unknown latency is
`undef` or `?`.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping
from pathlib import Path

from .report_figure import (
    IMPLEMENTED,
    SIMULATED,
    SYNTHESISED,
    Kind,
    ReportFigure,
    broken,
    parse_number,
    read_text,
)

LATENCIES = {
    "Best-caseLatency": "latency min",
    "Worst-caseLatency": "latency max",
    "Interval-min": "interval min",
    "Interval-max": "interval max",
}
RESOURCES = {"LUT": "LUT", "FF": "FF", "DSP": "DSP", "DSP48E": "DSP", "BRAM_18K": "BRAM18", "URAM": "URAM"}
IMPLEMENTED_RESOURCES = {"LUT": "LUT", "FF": "FF", "DSP": "DSP", "BRAM": "BRAM18", "URAM": "URAM"}
# Site type in Vivado's utilization report -> name and units of it per site.
SITES = {
    "CLB LUTs": ("LUT", 1),
    "Slice LUTs": ("LUT", 1),
    "CLB Registers": ("FF", 1),
    "Slice Registers": ("FF", 1),
    "Registers": ("FF", 1),
    "Block RAM Tile": ("BRAM18", 2),
    "URAM": ("URAM", 1),
    "DSPs": ("DSP", 1),
    "DSP Slices": ("DSP", 1),
}
ROUTED = ("Routed", "Fully Routed", "Fully Placed", "Physopt postRoute")


def read_csynth(path: Path, *, top: str, source: str) -> tuple[ReportFigure, ...]:
    """Figures of a C synthesis report, `<top>_csynth.xml` or `.rpt`: clock, latency, interval, resources.

    Args:
        path: The report.
        top: Name of the top function it must be of.
        source: What the figures name as their source.

    Returns:
        The figures; a latency that depends on data has none.

    Raises:
        ToolError: The report is missing, truncated, malformed or of another function.
    """
    if path.suffix == ".rpt":
        return _csynth_text(path, top=top, source=source)
    root = _xml(path, target="csynth")
    found = _text(root, "UserAssignments/TopModelName", path, target="csynth")
    if found != top:
        raise broken(path, f"is of {found}, not of {top}", target="csynth")
    timing = "PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod"
    values: dict[str, str] = {
        "clock target": _text(root, "UserAssignments/TargetClockPeriod", path, target="csynth"),
        "clock period": _text(root, timing, path, target="csynth"),
    }
    for tag, name in LATENCIES.items():
        values[name] = _text(root, f"PerformanceEstimates/SummaryOfOverallLatency/{tag}", path, target="csynth")
    values |= _resources(root, "AreaEstimates/Resources", RESOURCES, path, target="csynth")
    return _figures(values, path, kind=SYNTHESISED, source=source, target="csynth")


def read_cosim(path: Path, *, source: str) -> tuple[ReportFigure, ...]:
    """Latency and interval of a cosimulation report, `<top>_cosim.rpt`.

    Raises:
        ToolError: The report is missing, truncated or malformed, or the cosimulation did not pass.
    """
    for line in read_text(path).splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if cells[0] not in ("Verilog", "VHDL") or len(cells) < 2 or cells[1] == "NA":
            continue
        if cells[1] != "Pass":
            raise broken(path, f"the cosimulation did not pass: {cells[1]}", target="cosim")
        if len(cells) < 8:
            raise broken(path, f"the row of {cells[0]} has {len(cells)} columns, expected 8 or 9", target="cosim")
        names = [f"{quantity} {which}" for quantity in ("latency", "interval") for which in ("min", "avg", "max")]
        values = dict(zip(names, cells[2:8], strict=True))
        return _figures(values, path, kind=SIMULATED, source=source, target="cosim")
    raise broken(path, "holds no row of a simulated RTL", target="cosim")


def read_export(path: Path, *, source: str) -> tuple[ReportFigure, ...]:
    """Figures of the implementation report of the HLS tool: resources, achieved clock and worst negative slack.

    Raises:
        ToolError: The report is missing, truncated or malformed, or of synthesis alone.
    """
    root = _xml(path, target="impl")
    run = root.findtext("RunData/RUN_TYPE")
    if run is not None and run.strip() != "impl":
        raise broken(path, f"is of a run of {run.strip()}, not of place and route", target="impl")
    values = _resources(root, "AreaReport/Resources", IMPLEMENTED_RESOURCES, path, target="impl")
    values["clock target"] = _text(root, "TimingReport/TargetClockPeriod", path, target="impl")
    values["clock period"] = _text(root, "TimingReport/AchievedClockPeriod", path, target="impl")
    figures = _figures(values, path, kind=IMPLEMENTED, source=source, target="impl")
    slack = parse_number(root.findtext("TimingReport/WNS_FINAL") or "", path, "WNS_FINAL", target="impl")
    known = {figure.name: figure.value for figure in figures}
    if slack is None and {"clock target", "clock period"} <= known.keys():
        slack = round(known["clock target"] - known["clock period"], 6)
    if slack is None:
        return figures
    return (*figures, ReportFigure(name="WNS", value=slack, unit="ns", kind=IMPLEMENTED, source=source))


def read_utilization(path: Path, *, source: str) -> tuple[ReportFigure, ...]:
    """Resources of Vivado's `report_utilization` of a placed or routed design.

    Raises:
        ToolError: The report is missing, truncated or malformed, or of a design that is not placed.
    """
    text = read_text(path)
    state = re.search(r"^\| Design State\s*: (.+?)\s*(?:\|\s*)?$", text, flags=re.MULTILINE)
    if state is None or state[1] not in ROUTED:
        raise broken(path, f"the design is {state[1] if state else 'in no named state'}, not routed", target="impl")
    values: dict[str, float] = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) < 4 or cells[1].rstrip("*") not in SITES:
            continue
        name, units = SITES[cells[1].rstrip("*")]
        used = parse_number(cells[2], path, cells[1], target="impl")
        if used is not None and name not in values:
            values[name] = used * units
    missing = [name for name in ("LUT", "FF", "DSP", "BRAM18") if name not in values]
    if missing:
        raise broken(path, f"holds no row of {', '.join(missing)}", target="impl")
    return tuple(
        ReportFigure(name=name, value=value, kind=IMPLEMENTED, source=source) for name, value in values.items()
    )


def read_timing(path: Path, *, source: str) -> tuple[ReportFigure, ...]:
    """Worst negative slack, and the clock that it leaves, of Vivado's `report_timing_summary`.

    Raises:
        ToolError: The report is missing, truncated or malformed.
    """
    lines = read_text(path).splitlines()
    slack = _below(lines, ("WNS(ns)", "TNS(ns)"), path)[0]
    value = parse_number(slack, path, "WNS", target="impl")
    if value is None:
        return ()
    figures = [ReportFigure(name="WNS", value=value, unit="ns", kind=IMPLEMENTED, source=source)]
    clock = next((line for line in lines if re.match(r"^(ap_clk|default)\s+\{", line)), None)
    if clock is not None:
        target = parse_number(clock.split("}")[1].split()[0], path, "clock period", target="impl")
        if target is not None:
            period = {"clock target": target, "clock period": round(target - value, 6)}
            figures += [
                ReportFigure(name=name, value=number, unit="ns", kind=IMPLEMENTED, source=source)
                for name, number in period.items()
            ]
    return tuple(figures)


def _csynth_text(path: Path, *, top: str, source: str) -> tuple[ReportFigure, ...]:
    text = read_text(path)
    found = re.search(r"HLS Report for '(\w+)'", text)
    if found is None or found[1] != top:
        raise broken(path, f"is of {found[1] if found else 'no named function'}, not of {top}", target="csynth")
    clock = re.search(r"^\s*\|ap_clk\s*\|([^|]*)\|([^|]*)\|", text, flags=re.MULTILINE)
    latency = re.search(r"\+ Latency:.*?\|\s*min\s*\|.*?\n[\s+-]*\n\s*\|(.*?)\|\s*\n", text, flags=re.DOTALL)
    names = re.search(r"^\|\s*Name\s*\|(.*)\|$", text, flags=re.MULTILINE)
    total = re.search(r"^\|Total\s*\|(.*)\|$", text, flags=re.MULTILINE)
    if clock is None or latency is None or names is None or total is None:
        raise broken(path, "ends before its clock, latency and total of resources", target="csynth")
    cells = [cell.strip() for cell in latency[1].split("|")]
    if len(cells) < 6:
        raise broken(path, f"the latency has {len(cells)} columns, expected 7", target="csynth")
    values = {"clock target": clock[1], "clock period": clock[2], "latency min": cells[0], "latency max": cells[1]}
    values |= {"interval min": cells[-3], "interval max": cells[-2]}
    columns = [cell.strip() for cell in names[1].split("|")]
    for column, cell in zip(columns, total[1].split("|"), strict=False):
        if column in RESOURCES:
            values[RESOURCES[column]] = cell
    missing = [name for name in ("LUT", "FF", "DSP", "BRAM18") if name not in values]
    if missing:
        raise broken(path, f"holds no total of {', '.join(missing)}", target="csynth")
    return _figures(values, path, kind=SYNTHESISED, source=source, target="csynth")


def _xml(path: Path, *, target: str) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(read_text(path))
    except ElementTree.ParseError as error:
        raise broken(path, f"is not whole: {error}", target=target) from error


def _text(root: ElementTree.Element, place: str, path: Path, *, target: str) -> str:
    found = root.findtext(place)
    if found is None:
        raise broken(path, f"holds no {place}", target=target)
    return found.strip()


def _resources(
    root: ElementTree.Element, place: str, names: Mapping[str, str], path: Path, *, target: str
) -> dict[str, str]:
    area = root.find(place)
    children: Iterable[ElementTree.Element] = () if area is None else area
    values = {names[child.tag]: (child.text or "") for child in children if child.tag in names}
    missing = [name for name in ("LUT", "FF", "DSP", "BRAM18") if name not in values]
    if missing:
        raise broken(path, f"holds no {', '.join(missing)} in {place}", target=target)
    return values


def _figures(
    values: Mapping[str, str], path: Path, *, kind: Kind, source: str, target: str
) -> tuple[ReportFigure, ...]:
    figures = []
    for name, text in values.items():
        value = parse_number(text, path, name, target=target)
        if value is not None:
            unit = "ns" if name.startswith("clock") else "cycles" if name.startswith(("latency", "interval")) else ""
            figures.append(ReportFigure(name=name, value=value, unit=unit, kind=kind, source=source))
    return tuple(figures)


def _below(lines: list[str], header: tuple[str, str], path: Path) -> list[str]:
    """Values two lines below the line that starts with `header`."""
    for place, line in enumerate(lines[:-2]):
        if tuple(line.split()[:2]) == header:
            cells = lines[place + 2].split()
            if cells:
                return cells
    raise broken(path, f"holds no values of {header[0]}", target="impl")
