"""Tables of RTL projects: figures with how each is known, and cells by module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from .printing import print_table

if TYPE_CHECKING:
    from pathlib import Path

    from ..hls_projects.rtl_synthesis import ModuleCells
    from ..pipeline.build_rtl import RtlBuild


def print_rtl(result: RtlBuild, *, folder: Path) -> None:
    """Print each project's figures and, where it was synthesised, the cells of its modules."""
    for record in result.records:
        config = record.config
        lanes = f"{config.edge_lanes} edge and {config.node_lanes} node lanes, spacing {config.register_spacing:g}"
        rows = [
            (name, "-" if item.value is None else f"{item.value:,.10g} {item.unit}".strip(), item.kind)
            for name, items in record.figures.items()
            for item in items
        ]
        print_table(f"{record.network}: Verilog, {lanes}", ("", "figure", "known as"), rows)
        if record.modules:
            _print_modules(record.network, record.modules)
    typer.echo(f"Verilog in {folder}; LUT, FF, ... are Yosys' for a fabric of 6-input LUTs, no vendor's result")


def _print_modules(network: str, modules: tuple[ModuleCells, ...]) -> None:
    rows = [
        (item.name, item.instances, item.count("LUT"), item.count("FF"), item.count("BRAM18"), item.count("DSP"))
        for item in modules
    ]
    print_table(
        f"{network}: cells by module, all instances", ("module", "instances", "LUT", "FF", "BRAM18", "DSP"), rows
    )
