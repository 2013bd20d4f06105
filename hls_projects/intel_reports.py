"""Readers of the reports of the Intel HLS Compiler and of Quartus, below `<project>-fpga.prj/reports/lib`.

Older versions write JavaScript (`var areaJSON={...};`), newer ones plain JSON too (`json/`), with the same content.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from .report_figure import (
    IMPLEMENTED,
    SIMULATED,
    SYNTHESISED,
    ReportFigure,
    broken,
    parse_number,
    read_text,
)

AREA = ("ALUT", "FF", "RAM blocks", "DSP", "MLAB")
FITTED = {"alm": "ALM", "reg": "FF", "dsp": "DSP", "ram": "RAM blocks", "mlab": "MLAB"}


def read_area(path: Path, *, source: str) -> tuple[ReportFigure, ...]:
    """Resources that i++ estimates: `json/area.json` or `report_data.js`.

    Raises:
        ToolError: The report is missing, truncated or malformed.
    """
    total = _object(path, "areaJSON", target="csynth").get("total")
    if not isinstance(total, list) or len(total) < len(AREA):
        raise broken(path, f"total is not a list of {', '.join(AREA)}", target="csynth")
    figures = []
    for name, text in zip(AREA, total, strict=False):
        value = parse_number(text, path, name, target="csynth")
        if value is not None:
            figures.append(ReportFigure(name=name, value=value, kind=SYNTHESISED, source=source))
    return tuple(figures)


def read_verification(path: Path, *, source: str) -> tuple[ReportFigure, ...]:
    """Latency and interval that the simulation of the RTL showed: `verification_data.js`.

    Raises:
        ToolError: The report is missing, truncated or malformed.
    """
    try:
        _, latency, interval = _object(path, "verifJSON", target="cosim")["functions"][0]["data"][:3]
        cells = {"latency": str(latency).split(","), "interval": str(interval).split(",")}
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise broken(path, "holds no latency and interval of a function", target="cosim") from error
    figures = []
    for quantity, texts in cells.items():
        if len(texts) != 3:
            raise broken(path, f"{quantity} is {','.join(texts)!r}, not minimum, maximum, average", target="cosim")
        for which, text in zip(("min", "max", "avg"), texts, strict=True):
            value = parse_number(text, path, f"{quantity} {which}", target="cosim")
            if value is not None:
                name = f"{quantity} {which}"
                figures.append(ReportFigure(name=name, value=value, unit="cycles", kind=SIMULATED, source=source))
    return tuple(figures)


def read_fit(path: Path, *, source: str) -> tuple[ReportFigure, ...]:
    """Resources and clock after Quartus' fitter: `json/quartus.json` or `quartus_data.js`.

    Before a compilation by Quartus the report holds no figures, and neither does the result.

    Raises:
        ToolError: The report is missing, truncated or malformed.
    """
    data = _object(path, "quartusJSON", target="impl")
    try:
        clock = data["quartusFitClockSummary"]["nodes"][0]["clock"]
        used = data["quartusFitResourceUsageSummary"]["nodes"][-1]
        cells = {name: used[key] for key, name in FITTED.items()}
    except (KeyError, IndexError, TypeError) as error:
        raise broken(path, "holds no summaries of the fitter's clock and resources", target="impl") from error
    megahertz = parse_number(clock, path, "clock", target="impl")
    if megahertz is None:
        return ()
    figures = [
        ReportFigure(name="clock period", value=round(1000 / megahertz, 6), unit="ns", kind=IMPLEMENTED, source=source)
    ]
    for name, text in cells.items():
        value = parse_number(text, path, name, target="impl")
        if value is not None:
            figures.append(ReportFigure(name=name, value=value, kind=IMPLEMENTED, source=source))
    return tuple(figures)


def _object(path: Path, name: str, *, target: str) -> dict[str, Any]:
    """The object `name` of a script, or that a JSON file is (with or without a key `name` around it)."""
    text = read_text(path)
    start = 0
    if path.suffix == ".js":
        found = re.search(rf"\bvar\s+{name}\s*=\s*", text)
        if found is None:
            raise broken(path, f"holds no {name}", target=target)
        start = found.end()
    try:
        value, _ = json.JSONDecoder().raw_decode(text, start)
    except ValueError as error:
        raise broken(path, f"{name} is not whole: {error}", target=target) from error
    if isinstance(value, dict) and isinstance(value.get(name), dict):
        value = value[name]
    if not isinstance(value, dict):
        raise broken(path, f"{name} is not an object", target=target)
    return value
