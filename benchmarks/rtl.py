"""Cycles and cells of the RTL engine beside published designs: simulated with Verilator, counted with Yosys.

    python benchmarks/rtl.py --graphs DIR [--json FILE] [--only sector small ...] [--place]

DIR holds graphs (.npz) such as TrackML's `plus_2GeV`. Every figure says how it is known; every reference says where it
is from, and whether it is of equal work. Cycles become times at an assumed clock of 200 MHz, which nobody has reached
on a card here. That the outputs are right is what rtl_exactness.py shows. Cells are cached, so that a run that was cut
short goes on quickly.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rtl_cases import Case, sector_graphs
from rtl_chain import chain_rows
from rtl_rows import RtlRow
from rtl_targets import four_bit_rows, large_rows, scatter_rows, sector_rows, small_rows, spacing_rows

from hitfabric.hls_projects.rtl_config import RtlConfig

PARTS: dict[str, Callable[[Case], Iterator[RtlRow]]] = {
    "sector": sector_rows,
    "four-bit": four_bit_rows,
    "scatter": scatter_rows,
    "small": small_rows,
    "large": large_rows,
    "spacing": spacing_rows,
    "chain": chain_rows,
}


def main() -> None:
    """Measure, print the table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graphs", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", nargs="+", choices=tuple(PARTS), default=tuple(PARTS))
    parser.add_argument("--lanes", type=int, default=8, help="edges per cycle of the sector design")
    parser.add_argument("--node-lanes", type=int, default=8, help="nodes per cycle of its input")
    parser.add_argument("--update-lanes", type=int, default=4, help="nodes per cycle of its node networks")
    spacing = RtlConfig().register_spacing
    parser.add_argument("--spacing", type=float, default=spacing, help="levels of adders between registers")
    parser.add_argument("--place", action="store_true", help="place the small design of the spacing sweep on an ECP5")
    parser.add_argument("--seconds", type=float, default=1800.0, help="longest time one run of a tool may take")
    options = parser.parse_args()
    case = Case(
        graphs=sector_graphs(options.graphs, sectors=8, nodes=256, edges=512),
        folder=options.graphs,
        edge_lanes=options.lanes,
        node_lanes=options.node_lanes,
        update_lanes=options.update_lanes,
        spacing=options.spacing,
        place=options.place,
        seconds=options.seconds,
    )
    rows = []
    for part in options.only:
        for row in PARTS[part](case):
            rows.append(row)
            Console(stderr=True).print(f"{part}: {row.workload}, {row.quantity}: {row.shown}", highlight=False)
    _print(rows)
    if options.json is not None:
        found = [row.as_json() for row in rows]
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _print(rows: list[RtlRow]) -> None:
    table = Table(title="RTL engine", title_justify="left")
    for name in ("workload", "quantity", "figure", "known as", "target", "met", "reference", "equal work?"):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(
            row.workload, row.quantity, row.shown, row.kind, row.target_shown, row.met_shown, row.reference, row.equal
        )
    Console(width=max(Console().width, 200)).print(table)


if __name__ == "__main__":
    main()
