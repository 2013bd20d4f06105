"""`hitfabric validate`."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from .options import (
    AsJson,
    Cluster,
    ConfigFile,
    Dask,
    Events,
    Graphs,
    Jobs,
    ModelPath,
    Out,
    Overrides,
    configure,
)
from .printing import print_json
from .summary import print_ladder

MISMATCH = 1


def validate(
    networks: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NETWORK]...",
            help="embedding, filter, interaction_network, a shipped network (sector-in-8) or chain (event-pixel), or "
            "the directory of a typed graph, a project, a chain, or a run of hitfabric train or build. "
            "Default: every network of --model.",
            show_default=False,
        ),
    ] = None,
    model: ModelPath = None,
    events: Events = None,
    graphs: Graphs = None,
    projects: Annotated[
        Path | None, typer.Option("--projects", metavar="DIR", help="--out folder of hitfabric build.")
    ] = None,
    out: Out = None,
    executors: Annotated[
        str | None,
        typer.Option(
            "--executors",
            metavar="A,B,...",
            help="brevitas, golden, native, numpy, csim, rtl: the first is the reference, the others are compared with "
            "it. Default: golden and all but numpy and rtl that the networks allow.",
            show_default=False,
        ),
    ] = None,
    mutate: Annotated[bool | None, typer.Option("--mutate", help="Plant faults; each must be caught.")] = None,
    everything: Annotated[
        bool | None, typer.Option("--everything", help="Every hit, pair and graph of the events, not a sample.")
    ] = None,
    bounded: Annotated[
        bool | None, typer.Option("--bounded", help="C simulation with streams as deep as in hardware.")
    ] = None,
    jobs: Jobs = None,
    dask: Dask = None,
    cluster: Cluster = None,
    resume: Annotated[
        bool | None,
        typer.Option(
            "--resume/--no-resume", help="Continue an interrupted run with the same settings in --out. Default: yes."
        ),
    ] = None,
    config: ConfigFile = None,
    assignments: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Compare executors bit for bit: zero mismatches, or a named first divergence.

    Every executor against the first, at every visible node, on the extremes of every format, on vectors from a directed
    search and on hits of real events (--events). Writes ladder.json, validation.json, junit.xml and report.html. Exit
    code 1 on any mismatch, or if a planted fault is not caught.
    """
    from ..pipeline.validate import ValidateConfig, divergences
    from ..pipeline.validate import validate as run
    from ..pipeline.verdict import summary

    options = {
        "networks": networks or None,
        "model": model,
        "events": events,
        "graphs": graphs,
        "projects": projects,
        "out": out,
        "executors": [name.strip() for name in executors.split(",")] if executors is not None else None,
        "mutate": mutate,
        "everything": everything,
        "bounded": bounded,
        "jobs": jobs,
        "dask": dask,
        "cluster": cluster,
        "resume": resume,
    }
    settings = configure(ValidateConfig, config, assignments, options)
    with redirect_stdout(sys.stderr):  # whatever a library prints must not end in the JSON
        result = run(settings)
    print_json(summary(result)) if as_json else print_ladder(result)
    for line in divergences(result):
        typer.echo(f"mismatch: {line}", err=True)
    if not result.passed:
        raise typer.Exit(MISMATCH)
