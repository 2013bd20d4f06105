"""The command `graphs`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import AsJson, ConfigFile, DeviceName, Events, Limit, ModelPath, Overrides, configure
from .printing import print_json, print_pairs


def graphs(
    events: Events = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder of the graphs. Default: runs/graphs.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind",
            metavar="geometric|learned",
            help="Doublets by cuts, or the radius graph of a chain's embedding. Default: geometric.",
        ),
    ] = None,
    min_pt: Annotated[
        float | None,
        typer.Option("--min-pt", help="Geometric: only hits of particles above this true pT, GeV. Default: 2."),
    ] = None,
    sectors: Annotated[
        int | None, typer.Option("--sectors", min=1, help="Cut into so many sectors in phi. Default: whole events.")
    ] = None,
    overlap: Annotated[
        float | None,
        typer.Option("--overlap", help="With --sectors: margin on each side of a sector, rad. Default: 0."),
    ] = None,
    model: ModelPath = None,
    device: DeviceName = None,
    limit: Limit = None,
    config: ConfigFile = None,
    assignments: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Make the graphs of the sector workload from events.

    Geometric doublets with the cuts of the published TrackML graphs (neighbouring pixel layers, phi slope, z0, pT above
    2 GeV), labelled; on the same events they are those graphs edge by edge. Writes one .npz per event or sector, as
    hitfabric train --graphs reads them. All cuts, sectors in eta too, are settings (docs/graphs.md).
    """
    from ..pipeline.graphs import GraphsConfig, make_graphs

    options = {
        "events": events,
        "out": out,
        "kind": kind,
        "cuts.min_pt": min_pt,
        "sectors.phi": sectors,
        "sectors.phi_overlap": overlap,
        "model": model,
        "device": device,
        "limit": limit,
    }
    settings = configure(GraphsConfig, config, assignments, options)
    figures = make_graphs(settings).summary() | {"folder": str(settings.out)}
    print_json(figures) if as_json else print_pairs(f"{settings.kind} graphs", figures)
