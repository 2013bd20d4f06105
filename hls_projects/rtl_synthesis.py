"""Cells of an RTL design on UltraScale+, counted by Yosys: an estimate for a fabric of 6-input LUTs.

`synth_xilinx -family xcup` maps as for series 7: CARRY4, and two small LUTs are not packed into one. It is no vendor's
result. Modules that are named to be kept are synthesised once however often they are instantiated; what is inside them,
and all else, is flattened.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core import StrictModel, ToolError
from .report_figure import ESTIMATED, ReportFigure
from .rtl_cells import cell_figures, figure_count, lut_logic, lut_total, other_cells
from .rtl_logic_path import LogicPath, lut_memories_verilog, read_logic_path
from .rtl_open_tools import OpenTool, cached_result, find_open_tool, keep_modules, set_parameters, staged

FAMILY = "xcup"
SECONDS = 900.0
NOTE = "6-input LUT fabric, synth_xilinx -family xcup"
STATISTICS, TIMING, MEMORIES = "statistics.json", "timing.txt", "hitfabric_lut_memories.v"

# With memories of LUTs and block RAM as Yosys knows them for UltraScale+, but the delays it knows for series 7.
SCRIPT = """\
read_verilog -sv {sources}
{parameters}
hierarchy -check -top {top}
{keep}
synth_xilinx -flatten -family {family} -noiopad -noclkbuf -top {top}
tee -q -o {statistics} stat -json -tech xilinx
setattr -mod -unset keep_hierarchy *
flatten
techmap -map {memories}
delete =A:blackbox =A:whitebox
delete t:$scopeinfo
read_verilog -lib -specify +/xilinx/cells_sim.v
read_verilog -lib +/xilinx/cells_xtra.v
tee -q -o {timing} sta
"""


class ModuleCells(StrictModel):
    """Cells of one kept module, over all its instances.

    Attributes:
        name: Name of the module; variants by parameters are one.
        instances: Instances in the whole design.
        cells: Cells by type, those of kept modules below not among them.
        packed: LUTs of logic after small ones are put in pairs into one, as Yosys estimates it; pairs across modules
            are taken from the module above, of which little may be left, even less than nothing.
    """

    name: str
    instances: int
    cells: dict[str, int]
    packed: int

    @property
    def lut(self) -> int:
        """LUTs of all instances."""
        return lut_total(self.cells)

    def count(self, name: str) -> int:
        """One of the figures by its name; see `Synthesis.count`."""
        return figure_count(self.cells, name)


class Synthesis(StrictModel):
    """What Yosys made of a design.

    Attributes:
        top: Top module.
        tool: Yosys and its version.
        modules: Kept modules and the top, the one with most LUTs first.
        path: Longest path between registers by cell delays.
        seconds: Time it took.
    """

    top: str
    tool: str
    modules: tuple[ModuleCells, ...]
    path: LogicPath
    seconds: float

    @property
    def cells(self) -> dict[str, int]:
        """Cells of the whole design by type."""
        total: Counter[str] = Counter()
        for module in self.modules:
            total.update(module.cells)
        return dict(sorted(total.items()))

    @property
    def other(self) -> dict[str, int]:
        """Cells of kinds that the counts do not know."""
        return other_cells(self.cells)

    def figures(self) -> tuple[ReportFigure, ...]:
        """LUT (total, by size, and in pairs), FF, CARRY4, memories, DSP of the whole design."""
        cells = self.cells
        packed = sum(module.packed for module in self.modules) + lut_total(cells) - lut_logic(cells)
        pairs = ReportFigure(
            name="LUT in pairs",
            value=float(packed),
            kind=ESTIMATED,
            source=f"{self.tool}: its estimate where two LUTs of up to five inputs share one of six",
        )
        return (*cell_figures(cells, source=f"{self.tool}, {NOTE}"), pairs)

    def count(self, name: str) -> int:
        """One of the figures by its name, such as `LUT`; 0 where the design has none.

        Raises:
            GraphError: There is no figure of that name.
        """
        return figure_count(self.cells, name)


def synthesise(
    sources: Sequence[Path],
    top: str,
    *,
    keep: Sequence[str] = (),
    parameters: Mapping[str, int] | None = None,
    seconds: float = SECONDS,
) -> Synthesis:
    """Count the cells of a design, or find them counted already in the user's cache.

    Args:
        sources: Verilog files, and files that they read by name.
        top: Top module.
        keep: Modules counted by themselves, synthesised once each.
        parameters: Parameters of the top module.
        seconds: Yosys is killed after so long.

    Returns:
        The counts and the longest path.

    Raises:
        MissingToolError: There is no Yosys.
        ToolError: It failed, or took too long.
        ConfigError: Two sources have one name.
    """
    tool = find_open_tool("yosys")
    with staged(sources) as (folder, names):
        script = SCRIPT.format(
            sources=" ".join(names),
            parameters=set_parameters(top, parameters or {}),
            keep=keep_modules(keep),
            top=top,
            family=FAMILY,
            statistics=STATISTICS,
            timing=TIMING,
            memories=MEMORIES,
        )
        (folder / MEMORIES).write_text(lut_memories_verilog(), encoding="ascii")
        return cached_result(
            Synthesis,
            top,
            folder=folder,
            made_from=(script, tool.version),
            make=lambda: _run(tool, folder, script, top=top, seconds=seconds),
        )


def _run(tool: OpenTool, folder: Path, script: str, *, top: str, seconds: float) -> Synthesis:
    (folder / "synthesise.ys").write_text(script, encoding="utf-8")
    begin = time.monotonic()
    tool.run(["-q", "-s", "synthesise.ys"], folder=folder, seconds=seconds, purpose=f"synthesise {top}")
    try:
        statistics = json.loads((folder / STATISTICS).read_text(encoding="utf-8"))
        timing = (folder / TIMING).read_text(encoding="utf-8")
        modules = _modules(statistics["modules"], top)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ToolError(f"{tool.version} wrote no statistics of {top}", remedy="use another version") from error
    return Synthesis(
        top=top,
        tool=tool.version,
        modules=modules,
        path=read_logic_path(timing),
        seconds=round(time.monotonic() - begin, 1),
    )


def _modules(statistics: Mapping[str, Mapping[str, Any]], top: str) -> tuple[ModuleCells, ...]:
    """Cells of each module times its instances, from the top down."""
    # Names of modules have a backslash here, and as types of cells have none.
    cells = {name.removeprefix("\\"): dict(module["num_cells_by_type"]) for name, module in statistics.items()}
    whole = {name.removeprefix("\\"): int(module["estimated_num_lc"]) for name, module in statistics.items()}
    # Unlike the cells, Yosys' estimate of a module holds that of the modules below.
    below = {name: sum(whole.get(kind, 0) * number for kind, number in cells[name].items()) for name in cells}
    instances = _instances(cells, next(name for name in cells if _plain(name) == top))
    totals: dict[str, Counter[str]] = {}
    packed: Counter[str] = Counter()
    numbers: Counter[str] = Counter()
    for name, count in instances.items():
        own = {kind: number * count for kind, number in cells[name].items() if kind not in cells}
        totals.setdefault(_plain(name), Counter()).update(own)
        numbers[_plain(name)] += count
        packed[_plain(name)] += count * (whole[name] - below[name])
    found = [
        ModuleCells(name=name, instances=numbers[name], cells=dict(total), packed=packed[name])
        for name, total in totals.items()
    ]
    return tuple(sorted(found, key=lambda module: (-module.lut, module.name)))


def _instances(cells: Mapping[str, Mapping[str, int]], top: str) -> Counter[str]:
    """Instances of each module below and at the top."""
    found: Counter[str] = Counter()

    def enter(name: str, count: int) -> None:
        found[name] += count
        for kind, number in cells[name].items():
            if kind in cells:
                enter(kind, count * number)

    enter(top, 1)
    return found


def _plain(name: str) -> str:
    r"""Name of a module without `$paramod$HASH\` before it or `\PARAMETERS` after it."""
    match = re.fullmatch(r"\$paramod(?:\$\w+)?\\(\w+)(?:\\.*)?", name)
    return match[1] if match else name
