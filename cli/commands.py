"""The commands: options in, pipeline called, result printed.

The pipeline is imported inside each command, so that `--help` is fast and works without any extra.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from ..core import ConfigError
from . import network_commands
from .build import build, resources
from .capacity import capacity
from .compile import compile_
from .doctor import doctor
from .evaluate_all import run_all
from .explore import explore
from .graphs import graphs as make_graphs
from .lint import lint
from .options import (
    AsJson,
    Cluster,
    ConfigFile,
    Dask,
    DeviceName,
    Events,
    Graphs,
    Jobs,
    Limit,
    ModelPath,
    Out,
    Overrides,
    Recipe,
    configure,
    recipe_or,
)
from .printing import print_json, print_pairs, print_table
from .search import search
from .serve import repository, serve
from .simulate import convert, simulate
from .summary import print_demo, print_trained
from .validate import MISMATCH, validate


def register(app: typer.Typer) -> None:
    """Add every command to the program."""
    app_commands = (simulate, convert, train, search, build, resources, validate, repository, serve, track, evaluate)
    for command in (*app_commands, explore, report, demo, capacity, lint, doctor):
        app.command()(command)
    app.command("graphs")(make_graphs)
    app.command("compile")(compile_)
    network_commands.register(app)


def train(
    events: Events = None,
    graphs: Graphs = None,
    out: Out = None,
    recipe: Recipe = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of weights and samples. Default: 0.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the same training was killed.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write event files for TensorBoard.")] = False,
    config: ConfigFile = None,
    assignments: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Train networks, quantization-aware: the chain on --events, the sector network on --graphs.

    Embedding, edge filter and interaction network, each on what the one before lets through; radius and thresholds
    are chosen on validation events. Writes checkpoints, training curves, typed graphs and the float references.
    A --recipe is a configuration that trained a network shipped with hitfabric; --set changes single values of it.
    """
    from ..pipeline.train import TrainConfig
    from ..pipeline.train import train as run

    options = {"events": events, "graphs": graphs, "out": out, "chain.seed": seed}
    options |= {"resume": resume or None, "tensorboard": tensorboard or None}
    settings = configure(TrainConfig, recipe_or(config, recipe), assignments, options)
    result = run(settings)
    figures: dict[str, object] = {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in result.metrics.items()
    }
    if result.sector_auc is not None:
        figures["sector_auc"] = result.sector_auc
    figures |= {name: str(path) for name, path in (("chain", result.chain), ("sector", result.sector)) if path}
    if as_json:
        print_json(figures)
        return
    print_pairs("trained (validation data)", figures)
    print_trained(result, settings.out)


def track(
    events: Events = None,
    out: Out = None,
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine",
            metavar="direct|onnx|triton",
            help="In this process, the float reference by ONNX Runtime, or a server. Default: direct.",
        ),
    ] = None,
    model: ModelPath = None,
    device: DeviceName = None,
    url: Annotated[str | None, typer.Option("--url", help="host:port of the server. Default: 127.0.0.1:8001.")] = None,
    client: Annotated[
        Path | None,
        typer.Option(
            "--client",
            metavar="FILE",
            help="YAML with everything about the client: servers, retries, TLS, fall-back. In place of --engine.",
        ),
    ] = None,
    limit: Limit = None,
    jobs: Jobs = None,
    dask: Dask = None,
    cluster: Cluster = None,
    config: ConfigFile = None,
    assignments: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Find tracks: hits in, labels out.

    Writes labels/<event>-labels.csv (hit_id, track_id; -1 is no track). direct and triton give the same labels.
    """
    from ..pipeline.track import TrackConfig
    from ..pipeline.track import track as run

    where = {"jobs": jobs, "dask": dask, "cluster": cluster}
    options = {
        "events": events,
        "out": out,
        "engine": engine,
        "model": model,
        "device": device,
        "url": url,
        "client": client,
        "limit": limit,
        **where,
    }
    settings = configure(TrackConfig, config, assignments, options)
    found = run(settings)
    rows = [(item.name, len(item.labels), item.hits, item.tracks, f"{item.seconds * 1e3:.0f}") for item in found]
    if as_json:
        names = ("event", "hits", "hits_used", "tracks", "milliseconds")
        print_json([dict(zip(names, row, strict=True)) for row in rows])
    else:
        engine = settings.engine if settings.client is None else settings.client.name
        print_table(f"tracks ({engine})", ("event", "hits", "hits used", "tracks", "ms"), rows)
        typer.echo(f"labels in {settings.out / 'labels'}")


def evaluate(
    events: Events = None,
    graphs: Graphs = None,
    out: Out = None,
    model: ModelPath = None,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", metavar="DIR", help="--out folder of hitfabric track; default: track again."),
    ] = None,
    device: DeviceName = None,
    limit: Limit = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Fill the table of targets over all shipped networks; needs no --events.")
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="With --all: data folder. Default: beside the checkout, or none."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="With --all: few events, seconds, poor statistics.")] = False,
    docs: Annotated[
        Path | None, typer.Option("--docs", metavar="DIR", help="With --all: where physics.md goes. Default: --out.")
    ] = None,
    cards: Annotated[bool, typer.Option("--cards", help="With --all: write figures into the model cards.")] = False,
    jobs: Jobs = None,
    dask: Dask = None,
    cluster: Cluster = None,
    config: ConfigFile = None,
    assignments: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Measure edge and track performance on events with truth.

    Edge efficiency and purity after each stage, ROC curves, track efficiency, purity, fake and duplicate rate against
    pT, eta, phi, z0 and pile-up by ACORN's definitions, TrackML score. Hits without a label are unknown. Writes
    evaluation.json and event_display.npz. With --all, the whole table of targets: quantized, float twin and wider
    float side by side, on validation data and on events simulated afresh.
    """
    where = {"jobs": jobs, "dask": dask, "cluster": cluster}
    if everything:
        run_all(
            config,
            assignments,
            {"out": out, "device": device, "events": limit, "graphs": limit, "data": data, **where},
            unused={"--events": events, "--graphs": graphs, "--model": model, "--labels": labels},
            quick=quick,
            docs=docs,
            cards=cards,
            as_json=as_json,
        )
        return
    if data is not None or docs is not None or quick or cards:
        raise ConfigError("--data, --docs, --quick and --cards belong to --all", remedy="add --all, or leave them out")
    from ..pipeline.evaluate import EvaluateConfig
    from ..pipeline.evaluate import evaluate as run

    options = {
        "events": events,
        "graphs": graphs,
        "out": out,
        "model": model,
        "labels": labels,
        "device": device,
        "limit": limit,
        **where,
    }
    result = run(configure(EvaluateConfig, config, assignments, options))
    if as_json:
        print_json(result.evaluation.model_dump(mode="json"))
        return
    rows = [
        (
            stage.name,
            _ratio(stage.kept, stage.target),
            _ratio(stage.kept, stage.edges - stage.unknown),
            _ratio(stage.edges, stage.hits),
        )
        for stage in result.evaluation.stages
    ]
    print_table("edges", ("after", "efficiency", "purity", "edges per hit"), rows)
    networks = result.evaluation.networks.items()
    print_pairs("area under the ROC curve", {name: item.roc.auc for name, item in networks if item.roc is not None})
    print_pairs("tracks", result.summary())


def report(
    run_directory: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory of any command.")],
    other: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="A second one: the two are compared.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the one-page HTML report of a run directory.

    Draws whatever the directory holds: event display, ROC curves, efficiencies, the bit-accuracy ladder, latencies,
    cells and cycles. Of two directories it writes comparison.html into the second.
    """
    from ..pipeline.report import ReportConfig
    from ..pipeline.report import report as run

    page = run(ReportConfig(run=run_directory, other=other))
    print_json({"page": str(page)}) if as_json else typer.echo(page)


def demo(
    out: Out = None,
    events: Events = None,
    graphs: Graphs = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Small events and short training: one minute, poor physics.")
    ] = False,
    config: ConfigFile = None,
    assignments: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Run the whole road: events, train, build, validate, serve, track, evaluate, report.

    Takes events from --events, or simulates them. Prints the summary and the path of report.html.
    """
    from ..pipeline.demo import DemoConfig, quick_config
    from ..pipeline.demo import demo as run
    from ..pipeline.validate import divergences

    options = {"out": out, "events": events, "graphs": graphs}
    result = run(configure(DemoConfig, config, assignments, options, base=quick_config() if quick else None))
    if as_json:
        print_json(result.summary.model_dump(mode="json"))
    else:
        print_demo(result)
    for line in divergences(result.validation):
        typer.echo(f"mismatch: {line}", err=True)
    if not result.validation.passed or not (result.summary.serving and result.summary.serving.labels_equal):
        raise typer.Exit(MISMATCH)


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
