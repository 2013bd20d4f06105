"""Frequency of an RTL design placed and routed on a Lattice ECP5-85k by nextpnr: real wires, of another family.

It is the largest part that open tools place and route from a wheel. Its LUTs have 4 inputs, and its speed grade here is
6, the slowest: an UltraScale+ part is about three times as fast, so that what can be compared is one design with
another. Placement is random: the same design differs by some 13 % from seed to seed.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from ..core import ConfigError, StrictModel, ToolError, progress
from .report_figure import PLACED_ECP5, ReportFigure
from .rtl_open_tools import OpenTool, cached_result, find_open_tool, keep_modules, set_parameters, staged

PART = "ECP5-85k"
AVAILABLE = {"LUT4": 83640, "FF": 83640, "block RAM": 208, "multiplier": 156}
FULLEST = 0.95
"""Share of the part's LUTs above which nextpnr finds no placement in any useful time."""

SEEDS = (1, 2, 3)
TARGET_MHZ = 200.0
SECONDS = 900.0
CLOCKS = ("clk", "aclk")
FULL = re.compile(r"ERROR: .*(utili[sz]ation limit|[Uu]nable to (find|place)|no (more )?[Bb]els|[Nn]ot enough)")

PORTS_SCRIPT = """\
read_verilog -sv {sources}
{parameters}
hierarchy -check -top {top}
tee -q -o ports.txt portlist {top}
"""
SCRIPT = """\
read_verilog -sv {sources} harness.v
{parameters}
hierarchy -check -top harness
{keep}
synth_ecp5 -top harness
setattr -mod -unset keep_hierarchy *
flatten
delete t:$scopeinfo
tee -q -o statistics.json stat -json
write_json placed.json
"""
HARNESS = """\
// The parts have fewer pins than the design has ports: one bit in, one bit out, and registers at every port between.
module harness (input wire clk, input wire serial_in, output wire serial_out);
  reg [{inputs}:0] in;
  reg [{outputs}:0] out;
  reg [15:0] count;
  reg load;
  wire [{outputs}:0] result;
  always @(posedge clk) begin
    count <= {{count, ~count[15]}};  // no carry: the harness must not be what is slow
    load <= count[15];
    in <= {{in, serial_in}};
    out <= load ? result : {{out, serial_in}};
  end
  assign serial_out = out[{outputs}];
  {top} design (
{ports}
  );
endmodule
"""


class Placement(StrictModel):
    """What became of a design on the ECP5-85k.

    Attributes:
        top: Top module.
        tool: The tools and their versions.
        fits: Whether the part has room for it.
        reason: Why it does not, else empty.
        used: LUT4 (carry and memories among them), FF, block RAM and multipliers, with the harness.
        frequencies: Highest frequency of the routed design by seed, MHz; empty where it does not fit.
        wires: Delay of the wires of the slowest path over that of its cells, by seed.
    """

    top: str
    tool: str
    fits: bool
    reason: str = ""
    used: dict[str, int]
    frequencies: dict[int, float] = Field(default_factory=dict)
    wires: dict[int, float] = Field(default_factory=dict)

    @property
    def megahertz(self) -> float | None:
        """Median over the seeds, None where the design does not fit."""
        return statistics.median(self.frequencies.values()) if self.frequencies else None

    def figures(self) -> tuple[ReportFigure, ...]:
        """Frequency (median, lowest, highest of the seeds, MHz) and cells; the source says where it does not fit."""
        source = f"{self.tool}, {PART} speed grade 6, {len(self.frequencies)} seeds"
        values = sorted(self.frequencies.values())
        found: list[tuple[str, float, str]] = []
        if values:
            found = [("frequency", statistics.median(values), "MHz")]
            found += [("frequency min", values[0], "MHz"), ("frequency max", values[-1], "MHz")]
        else:
            source = f"{self.tool}: {self.reason}"
        found += [(f"{name} of the ECP5", float(count), "") for name, count in self.used.items()]
        return tuple(
            ReportFigure(name=name, value=value, unit=unit, kind=PLACED_ECP5, source=source)
            for name, value, unit in found
        )


def place(
    sources: Sequence[Path],
    top: str,
    *,
    keep: Sequence[str] = (),
    parameters: Mapping[str, int] | None = None,
    seeds: Sequence[int] = SEEDS,
    target_mhz: float = TARGET_MHZ,
    seconds: float = SECONDS,
) -> Placement:
    """Place and route a design, or find that done already in the user's cache.

    Args:
        sources: Verilog files, and files that they read by name.
        top: Top module; it has one clock, `clk` or `aclk`.
        keep: Modules synthesised once each.
        parameters: Parameters of the top module.
        seeds: Seeds of the placement, one run each.
        target_mhz: Frequency that the tools aim at.
        seconds: Each run of a tool is killed after so long.

    Returns:
        The frequencies; a design that does not fit is told so, with why.

    Raises:
        MissingToolError: Yosys or nextpnr is missing.
        ToolError: One of them failed, or took too long.
        ConfigError: The design has no clock of these names, or two sources have one name.
    """
    yosys, nextpnr = find_open_tool("yosys"), find_open_tool("nextpnr-ecp5")
    with staged(sources) as (folder, names):
        values = {"sources": " ".join(names), "parameters": set_parameters(top, parameters or {}), "top": top}
        script = SCRIPT.format(**values, keep=keep_modules(keep))

        def make() -> Placement:
            _synthesise(yosys, folder, values, script, seconds=seconds)
            found = Placement(
                top=top, tool=f"{yosys.version}, {nextpnr.version}", fits=True, used=_used(folder / "statistics.json")
            )
            return _placed(found, nextpnr, folder, seeds=seeds, target_mhz=target_mhz, seconds=seconds)

        made_from = (script, HARNESS, yosys.version, nextpnr.version, str(tuple(seeds)), str(target_mhz))
        return cached_result(Placement, f"{top}-ecp5", folder=folder, made_from=made_from, make=make)


def _synthesise(yosys: OpenTool, folder: Path, values: Mapping[str, str], script: str, *, seconds: float) -> None:
    top = values["top"]
    (folder / "ports.ys").write_text(PORTS_SCRIPT.format(**values), encoding="utf-8")
    yosys.run(["-q", "-s", "ports.ys"], folder=folder, seconds=seconds, purpose=f"read {top}")
    (folder / "harness.v").write_text(_harness((folder / "ports.txt").read_text(encoding="utf-8"), top), "utf-8")
    (folder / "place.ys").write_text(script, encoding="utf-8")
    yosys.run(["-q", "-s", "place.ys"], folder=folder, seconds=seconds, purpose=f"synthesise {top} for the ECP5")


def _harness(ports: str, top: str) -> str:
    """The design behind one bit in and one bit out."""
    lines, taken = [], {"input": 0, "output": 0}
    clock = None
    for direction, high, low, name in re.findall(r"^(input|output) \[(\d+):(\d+)\] (\S+)$", ports, flags=re.MULTILINE):
        if direction == "input" and name in CLOCKS and clock is None:
            clock = name
            continue
        width = int(high) - int(low) + 1
        vector = "in" if direction == "input" else "result"
        lines.append(f"    .{name}({vector}[{taken[direction]}+:{width}])")
        taken[direction] += width
    if clock is None:
        raise ConfigError(f"{top} has no clock", remedy=f"call it {' or '.join(CLOCKS)}")
    if not taken["output"]:
        raise ConfigError(f"{top} has no output", remedy="without one nothing of it is kept")
    return HARNESS.format(
        top=top,
        inputs=max(taken["input"] - 1, 0),
        outputs=taken["output"] - 1,
        ports=",\n".join([f"    .{clock}(clk)", *lines]),
    )


def _used(path: Path) -> dict[str, int]:
    try:
        modules = json.loads(path.read_text(encoding="utf-8"))["modules"]
        cells: Mapping[str, int] = modules["\\harness"]["num_cells_by_type"]
    except (OSError, ValueError, KeyError) as error:
        raise ToolError("Yosys wrote no statistics for the ECP5", remedy="use another version of Yosys") from error
    return {
        "LUT4": cells.get("LUT4", 0) + 2 * cells.get("CCU2C", 0) + 4 * cells.get("TRELLIS_DPR16X4", 0),
        "FF": cells.get("TRELLIS_FF", 0),
        "block RAM": cells.get("DP16KD", 0) + cells.get("PDPW16KD", 0),
        "multiplier": cells.get("MULT18X18D", 0),
    }


def _placed(
    found: Placement, nextpnr: OpenTool, folder: Path, *, seeds: Sequence[int], target_mhz: float, seconds: float
) -> Placement:
    for name, count in found.used.items():
        room = AVAILABLE[name] * (FULLEST if name == "LUT4" else 1.0)
        if count > room:
            reason = f"{count:,} {name}, the {PART} has {AVAILABLE[name]:,}"
            return found.model_copy(update={"fits": False, "reason": reason})
    frequencies: dict[int, float] = {}
    wires: dict[int, float] = {}
    for seed in progress(seeds, description=f"{found.top} on the {PART}") if len(seeds) > 1 else seeds:
        try:
            frequencies[seed], wires[seed] = _route(nextpnr, folder, seed=seed, target_mhz=target_mhz, seconds=seconds)
        except ToolError as error:
            if FULL.search(error.message):
                return found.model_copy(update={"fits": False, "reason": error.message})
            raise
    return found.model_copy(update={"frequencies": frequencies, "wires": wires})


def _route(nextpnr: OpenTool, folder: Path, *, seed: int, target_mhz: float, seconds: float) -> tuple[float, float]:
    """Frequency, and delay of the wires of the slowest path over that of its cells."""
    arguments = ["--85k", "--package", "CABGA756", "--speed", "6", "--json", "placed.json", "--report", "report.json"]
    arguments += ["--seed", str(seed), "--freq", f"{target_mhz:g}", "--timing-allow-fail", "--lpf-allow-unconstrained"]
    nextpnr.run(arguments, folder=folder, seconds=seconds, purpose="place and route the design")
    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        frequency = min(float(clock["achieved"]) for clock in report["fmax"].values())
        return round(frequency, 2), round(_wires(report["critical_paths"]), 2)
    except (OSError, ValueError, KeyError, ZeroDivisionError) as error:
        raise ToolError("nextpnr reported no frequency", remedy="does the design have registers?") from error


def _wires(paths: Sequence[Mapping[str, Any]]) -> float:
    """Wires over cells of the slowest path between two registers of one clock."""

    def total(path: Mapping[str, Any], *, routing: bool) -> float:
        return sum(float(step["delay"]) for step in path["path"] if (step["type"] == "routing") == routing)

    between = [path for path in paths if path["from"] == path["to"]]
    slowest = max(between, key=lambda path: total(path, routing=True) + total(path, routing=False))
    return total(slowest, routing=True) / total(slowest, routing=False)
