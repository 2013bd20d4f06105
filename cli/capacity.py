"""The command `capacity`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import AsJson, ConfigFile, Events, ModelPath, Overrides, configure
from .printing import print_json, print_pairs, print_table

if TYPE_CHECKING:
    from ..pipeline.capacity import Capacity

GIGABYTE = 1e9


def capacity(
    events_per_second: Annotated[
        float | None,
        typer.Option(
            "--events-per-second-per-server", metavar="X", help="Throughput of one server, where it is known."
        ),
    ] = None,
    hits: Annotated[
        int | None,
        typer.Option("--hits", min=1, help="Hits per event of that throughput. Default: those of --spacepoints."),
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure the cost here and now, in process, instead of giving it.")
    ] = False,
    chain: Annotated[
        str | None, typer.Option("--chain", metavar="NAME", help="Measure a shipped chain. Default: event-full.")
    ] = None,
    model: ModelPath = None,
    events: Events = None,
    cores: Annotated[
        int | None, typer.Option("--cores-per-server", min=1, help="With --measure: cores of the servers to buy.")
    ] = None,
    spacepoints: Annotated[int | None, typer.Option("--spacepoints", help="Hits of an event. Default: 300000.")] = None,
    full_scan: Annotated[
        float | None, typer.Option("--full-scan-hz", help="Events per second tracked whole. Default: 150000.")
    ] = None,
    region_rate: Annotated[
        float | None, typer.Option("--regions-hz", help="Events per second with regions of interest. Default: 1e6.")
    ] = None,
    regions: Annotated[
        float | None, typer.Option("--regions-per-event", help="Mean number of regions of an event. Default: 10.")
    ] = None,
    fraction: Annotated[
        float | None, typer.Option("--region-fraction", help="Part of an event's hits in one region. Default: 0.005.")
    ] = None,
    utilisation: Annotated[
        float | None, typer.Option("--utilisation", help="Highest mean load of a server. Default: 0.7.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Also write capacity.json and run.json there.")
    ] = None,
    config: ConfigFile = None,
    assignments: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Calculate the servers an experiment needs.

    From the cost of an event, given (--events-per-second-per-server) or measured on this machine (--measure: whole
    events and wedges of them give an overhead per request and seconds per hit), to the servers for a full scan and for
    regions of interest. Prints every assumption.
    """
    from ..pipeline.capacity import CapacityConfig
    from ..pipeline.capacity import capacity as run

    options = {
        "events_per_second_per_server": events_per_second,
        "known_hits": hits,
        "measure": measure or None,
        "measurement.chain": chain,
        "measurement.model": model,
        "measurement.events": events,
        "cores_per_server": cores,
        "spacepoints": spacepoints,
        "full_scan_hz": full_scan,
        "regions.rate_hz": region_rate,
        "regions.per_event": regions,
        "regions.fraction": fraction,
        "utilisation": utilisation,
        "out": out,
    }
    result = run(configure(CapacityConfig, config, assignments, options))
    print_json(result.record()) if as_json else _print(result)


def _print(result: Capacity) -> None:
    measured = result.measurement
    if measured is not None:
        print_pairs(
            "measured here",
            {
                "processor": measured.processor,
                "cores": measured.cores,
                "chain": measured.chain,
                "events": measured.source,
                "us per hit": measured.seconds_per_hit * 1e6,
                "ms of overhead per request": measured.overhead_seconds * 1e3,
            },
        )
        rows = [(f"{point.hits:,}", f"{point.seconds * 1e3:.1f}") for point in measured.points]
        print_table("sizes measured", ("hits", "ms"), rows)
    rows = [
        (
            each.name,
            f"{each.requests_per_second:.3g}",
            f"{each.hits_per_request:,}",
            f"{each.seconds_per_request * 1e3:.3g}",
            f"{each.servers:,}",
            f"{each.requests_in_flight:,.0f}",
            f"{each.input_bytes_per_second / GIGABYTE:.3g}",
            f"{each.output_bytes_per_second / GIGABYTE:.3g}",
        )
        for each in result.demands
    ]
    columns = ("tracking", "requests/s", "hits", "ms each", "servers", "in flight", "GB/s in", "GB/s out")
    print_table("servers needed", columns, rows, whole=True)
    typer.echo("assumptions:")
    for sentence in result.assumptions:
        typer.echo(f"- {sentence}")
