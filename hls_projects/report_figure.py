"""One figure of a project and how it is known; errors of reports that cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..core import ToolError

Kind = Literal[
    "counted",
    "estimated",
    "simulated",
    "synthesised (Yosys)",
    "placed (ECP5)",
    "synthesised (HLS estimate)",
    "simulated (C/RTL cosimulation)",
    "implemented",
]
COUNTED: Kind = "counted"
ESTIMATED: Kind = "estimated"
SIMULATED_RTL: Kind = "simulated"
SYNTHESISED_YOSYS: Kind = "synthesised (Yosys)"
PLACED_ECP5: Kind = "placed (ECP5)"
SYNTHESISED: Kind = "synthesised (HLS estimate)"
SIMULATED: Kind = "simulated (C/RTL cosimulation)"
IMPLEMENTED: Kind = "implemented"

UNKNOWN = ("", "-", "?", "na", "n/a", "undef", "tbd", "unknown")  # how the vendors' reports write an unknown figure


@dataclass(frozen=True, kw_only=True)
class ReportFigure:
    """One figure of a hardware project.

    Attributes:
        name: What it is: `LUT`, `FF`, `DSP`, `BRAM18` (blocks of 18 kbit), `URAM`, `latency min`, `interval max`,
            `clock period`, `WNS`, ...
        value: The figure.
        unit: `cycles`, `ns`, `bit`; empty for numbers of things.
        kind: How it is known.
        source: File it was read from, relative to the project; for figures of our own, the formula in words.
    """

    name: str
    value: float
    unit: str = ""
    kind: Kind
    source: str


def read_text(path: Path) -> str:
    """Text of a report.

    Raises:
        ToolError: It cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ToolError(f"cannot read {path}: {error.strerror}", remedy="run its make target again") from error


def broken(path: Path, reason: str, *, target: str) -> ToolError:
    """The error of a report that is not what the vendor's tool writes."""
    return ToolError(f"{path}: {reason}", remedy=f"run make {target} again")


def parse_number(text: str | float, path: Path, name: str, *, target: str) -> float | None:
    """A number of a report, or None where the report says that it is unknown.

    Raises:
        ToolError: It is neither.
    """
    plain = str(text).strip().removesuffix("ns").strip().replace(",", "")
    if plain.lower() in UNKNOWN:
        return None
    try:
        value = float(plain)
    except ValueError as error:
        raise broken(path, f"{name} is {text!r}, not a number", target=target) from error
    if value != value or value in (float("inf"), float("-inf")):
        raise broken(path, f"{name} is {text!r}, not a finite number", target=target)
    return value
