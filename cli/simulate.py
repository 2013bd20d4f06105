"""The commands `simulate` and `convert`: events made, and events written in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import AsJson, Cluster, ConfigFile, Dask, Limit, Overrides, configure
from .printing import print_json, print_pairs


def simulate(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder of the events. Default: runs/events.")
    ] = None,
    events: Annotated[int | None, typer.Option("--events", min=1, help="Number of events. Default: 10.")] = None,
    process: Annotated[
        str | None,
        typer.Option(
            "--process", metavar="NAME", help="ttbar, zmumu, dijet, bbbar, minimum_bias or gun. Default: ttbar."
        ),
    ] = None,
    pile_up: Annotated[float | None, typer.Option("--pile-up", help="Mean pile-up collisions. Default: 200.")] = None,
    pt_min: Annotated[
        float | None,
        typer.Option("--pt-min", help="Smallest transverse momentum of a generated particle, GeV. Default: 0.1."),
    ] = None,
    eta_max: Annotated[
        float | None, typer.Option("--eta-max", help="Largest |eta| of a generated particle. Default: 4.")
    ] = None,
    detector: Annotated[
        str | None, typer.Option("--detector", metavar="NAME", help="Only generic, the TrackML detector, the default.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Processes; the events do not depend on it. Default: one per core."),
    ] = None,
    dask: Dask = None,
    cluster: Cluster = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Seed; an event depends on it and its number alone.")
    ] = None,
    generator: Annotated[
        str | None, typer.Option("--generator", metavar="auto|acts|helix", help="Default: auto.")
    ] = None,
    config: ConfigFile = None,
    assignments: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Simulate pile-up events: Pythia 8, ACTS Fatras, Generic detector.

    Writes events in TrackML CSV layout, with truth and particles. Without the wheels of the extra `simulate` the
    generator `auto` falls back to ideal helices, and says so. What a particle gun shoots, and the number of the first
    event, are settings too (docs/events.md).
    """
    from ..pipeline.simulate import SimulateConfig
    from ..pipeline.simulate import simulate as run

    options = {
        "out": out,
        "events": events,
        "process": process,
        "pile_up": pile_up,
        "pt_min": pt_min,
        "eta_max": eta_max,
        "detector": detector,
        "workers": workers,
        "dask": dask,
        "cluster": cluster,
        "seed": seed,
        "generator": generator,
    }
    result = run(configure(SimulateConfig, config, assignments, options))
    figures = {
        "events": len(result.events),
        "hits": result.hits,
        "generator": result.generator,
        "seconds": result.seconds,
        "folder": str(result.directory),
    }
    print_json(figures) if as_json else print_pairs("simulated", figures)


def convert(
    events: Annotated[
        Path | None,
        typer.Option(
            "--events",
            metavar="PATH",
            help="Folder, .zip archive or Parquet file of events, in any format that is read.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="New folder. Default: runs/converted.")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="parquet|trackml|graphs", help="Format to write. Default: parquet.")
    ] = None,
    limit: Limit = None,
    config: ConfigFile = None,
    assignments: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Write events in another format: TrackML CSV, or one Parquet file of all; or sPHENIX graphs for training.

    Reads TrackML CSV, ACTS CSV, archives of either, Parquet, and graphs of TrackML and sPHENIX (.npz). Hits, truth,
    particles, number of collisions and modules keep every bit (docs/events.md).
    """
    from ..pipeline.convert import ConvertConfig
    from ..pipeline.convert import convert as run

    options = {"events": events, "out": out, "to": to, "limit": limit}
    result = run(configure(ConvertConfig, config, assignments, options))
    figures = {"events": result.events, "hits": result.hits, "folder": str(result.directory)}
    print_json(figures) if as_json else print_pairs("converted", figures)
