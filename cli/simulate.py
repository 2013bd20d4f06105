"""The commands `simulate` and `convert`: events made, and events written in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import AsJson, ConfigFile, Limit, Out, Overrides, configure
from .printing import print_json, print_pairs


def simulate(
    out: Out = None,
    events: Annotated[int | None, typer.Option("--events", min=1, help="Number of events. Default: 10.")] = None,
    process: Annotated[
        str | None,
        typer.Option(
            "--process", metavar="NAME", help="ttbar, zmumu, dijet, bbbar, minimum_bias or gun. Default: ttbar."
        ),
    ] = None,
    pile_up: Annotated[float | None, typer.Option("--pile-up", help="Mean pile-up collisions. Default: 200.")] = None,
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
    generator `auto` falls back to ideal helices, and says so.
    """
    from ..pipeline.simulate import SimulateConfig
    from ..pipeline.simulate import simulate as run

    options = {
        "out": out,
        "events": events,
        "process": process,
        "pile_up": pile_up,
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
    out: Out = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="parquet|trackml", help="Format to write. Default: parquet.")
    ] = None,
    limit: Limit = None,
    config: ConfigFile = None,
    assignments: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Write events in another format: TrackML CSV, or one Parquet file of all.

    Reads TrackML CSV, ACTS CSV, archives of either, Parquet, and graphs of TrackML and sPHENIX (.npz). Hits, truth,
    particles, number of collisions and modules keep every bit.
    """
    from ..pipeline.convert import ConvertConfig
    from ..pipeline.convert import convert as run

    options = {"events": events, "out": out, "to": to, "limit": limit}
    result = run(configure(ConvertConfig, config, assignments, options))
    figures = {"events": result.events, "hits": result.hits, "folder": str(result.directory)}
    print_json(figures) if as_json else print_pairs("converted", figures)
