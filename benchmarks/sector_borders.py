"""Count the true edges that sectors lose at their borders, and the hits they share, by number of sectors and overlap.

    python benchmarks/sector_borders.py --events DIR [--names event000009030,event000009031] [--min-pt 1] [--json FILE]

A true edge joins consecutive hits of one particle on different layers. Each cell is: lost true edges in percent, mean
number of sectors that see a hit, most hits that one sector of one event sees.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import reduce
from operator import add
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hitfabric.detector import PIXEL_VOLUMES, BorderLoss, SectorGrid, border_loss, read_events, truth_edges

GRIDS = ((4, 1), (8, 1), (16, 1), (32, 1), (64, 1), (1, 4), (1, 8), (8, 4), (16, 8))
OVERLAPS = ((0.0, 0.0), (0.01, 0.1), (0.02, 0.2), (0.05, 0.5), (0.1, 1.0))
"""Margins in phi (rad) and eta."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Count, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=Path, required=True)
    parser.add_argument("--names", type=lambda text: text.split(","), help="only these events")
    parser.add_argument("--min-pt", type=float, default=1.0, help="of the particles whose edges are counted, GeV")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    losses: dict[tuple[str, SectorGrid], list[BorderLoss]] = {}
    for whole in read_events(options.events, names=options.names, require_truth=True):
        for name, event in (("pixels", whole.select(volumes=PIXEL_VOLUMES)), ("all layers", whole)):
            truth, features = truth_edges(event, options.min_pt), event.features()
            for phi, eta in GRIDS:
                for phi_overlap, eta_overlap in OVERLAPS:
                    grid = SectorGrid(phi=phi, eta=eta, phi_overlap=phi_overlap, eta_overlap=eta_overlap)
                    losses.setdefault((name, grid), []).append(border_loss(features, truth, grid))
    totals = {key: reduce(add, found) for key, found in losses.items()}
    console = Console()
    for name in dict.fromkeys(name for name, _ in totals):
        mine = {grid: total for (hits, grid), total in totals.items() if hits == name}
        table = Table("phi x eta", *(f"{phi} rad, {eta}" for phi, eta in OVERLAPS))
        table.title = (
            f"{name}, {next(iter(mine.values())).true_edges:,} true edges: percent lost (sectors per hit, hits)"
        )
        for phi, eta in GRIDS:
            row = [total for grid, total in mine.items() if (grid.phi, grid.eta) == (phi, eta)]
            cells = (f"{100 * item.fraction:.2f} ({item.copies:.2f}, {item.largest:,})" for item in row)
            table.add_row(f"{phi} x {eta}", *cells)
        console.print(table)
    if options.json:
        rows = [{"hits_of": name, **grid.model_dump(), **asdict(total)} for (name, grid), total in totals.items()]
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
