"""The command `compile`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from .network_commands import NetworkName
from .options import AsJson, Out, configure
from .printing import print_json, print_table

COLUMNS = ("network", "library", "kB", "inputs", "outputs", "code for")


def compile_(
    network: NetworkName,
    out: Out = None,
    instructions: Annotated[
        list[str] | None,
        typer.Option(
            "--instructions",
            metavar="NAME",
            help="amx, avx512vnni, avx2 or plain, and code for no other. Repeatable. Default: all, for any processor.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compile networks to shared libraries, for programs in C, C++ or any language that calls C.

    Writes NAME.so for each network and hitfabric_native.h, the interface, to --out (default: runs/compiled). A library
    computes bit for bit what was trained, takes the best of its instruction sets at run time, and needs neither Python
    nor this package. examples/native_from_c has a program that runs one.
    """
    from ..pipeline.compile import HEADER, CompileConfig, compile_networks

    options = {"network": network, "out": out, "instructions": instructions or None}
    settings = configure(CompileConfig, None, None, options)
    compiled = compile_networks(settings)
    sizes = {item.name: item.library.stat().st_size for item in compiled}
    if as_json:
        print_json({item.name: {**asdict(item), "bytes": sizes[item.name]} for item in compiled})
        return
    rows = [
        (
            item.name,
            item.library.name,
            f"{sizes[item.name] / 1000:,.0f}",
            ", ".join(item.inputs),
            ", ".join(item.outputs),
            ", ".join(item.instructions),
        )
        for item in compiled
    ]
    print_table("compiled", COLUMNS, rows, prose=True)
    for item in compiled:
        if item.maximal_edges is not None:
            typer.echo(f"{item.name} takes up to {item.maximal_edges} edges")
    typer.echo(f"libraries and {HEADER} in {settings.out}")
