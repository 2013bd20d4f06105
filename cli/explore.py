"""`hitfabric explore`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from .options import (
    AsJson,
    Cluster,
    ConfigFile,
    Dask,
    Graphs,
    Jobs,
    Out,
    Overrides,
    Recipe,
    configure,
    recipe_or,
)
from .printing import print_json, print_table

if TYPE_CHECKING:
    from ..pipeline.explore_config import DesignPoint

SHORT = {"synthesised (Yosys)": "Yosys", "simulated": "sim.", "placed (ECP5)": "ECP5", "estimated": "est."}


def explore(
    network: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NETWORK]...",
            help="Shipped sector networks by name, or folders of typed graphs. Default: sector-in-8, sector-in-4bit.",
            show_default=False,
        ),
    ] = None,
    graphs: Graphs = None,
    out: Out = None,
    lanes: Annotated[
        list[int] | None, typer.Option("--lanes", min=1, help="Edges and nodes per cycle. Repeatable.")
    ] = None,
    spacing: Annotated[
        list[float] | None, typer.Option("--spacing", help="Levels of adders between registers. Repeatable.")
    ] = None,
    scatter: Annotated[
        list[str] | None,
        typer.Option("--scatter", metavar="banked|ordered", help="Way of the scatter-add. Repeatable."),
    ] = None,
    bits: Annotated[
        list[int] | None, typer.Option("--bits", min=2, max=16, help="Train networks of so many bits. Repeatable.")
    ] = None,
    width: Annotated[
        list[int] | None, typer.Option("--width", min=1, help="Train networks of this width. Repeatable.")
    ] = None,
    recipe: Recipe = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of weights, samples and drawn graphs.")] = None,
    jobs: Jobs = None,
    dask: Dask = None,
    cluster: Cluster = None,
    config: ConfigFile = None,
    assignments: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Sweep RTL designs: LUT, latency and interval in cycles, and AUC; print and draw the Pareto front.

    Each network becomes a Verilog engine for each combination of --lanes, --spacing and --scatter. Its cycles are
    simulated (Verilator) on phi sectors of --graphs, or on drawn graphs without them, and compared with the golden
    executor; its cells are counted by Yosys. --bits and --width train further networks on --graphs with the settings of
    --recipe. A sweep that was killed goes on in the same --out. Writes explore.json and explore.png.
    """
    from ..pipeline.explore import explore as run
    from ..pipeline.explore_config import ExploreConfig

    options = {
        "networks": network,
        "graphs": graphs,
        "out": out,
        "lanes": lanes,
        "spacing": spacing,
        "scatter": scatter,
        "bits": bits,
        "widths": width,
        "seed": seed,
        "jobs": jobs,
        "dask": dask,
        "cluster": cluster,
    }
    result = run(configure(ExploreConfig, recipe_or(config, recipe), assignments, options))
    if as_json:
        points = [point.model_dump(mode="json") for point in result.points]
        print_json({"points": points, "front": [result.points.index(item) for item in result.front]})
        return
    from ..reports.rtl_record import DESIGN_FIGURES

    rows = [_row(point, DESIGN_FIGURES, on_front=point in result.front) for point in result.points]
    columns = ("network", "lanes", "spacing", "scatter", *DESIGN_FIGURES, "AUC", "front")
    print_table("RTL designs", columns, rows, whole=True)
    for point in result.points:
        for name, item in point.figures.items():
            if item.value is None:
                typer.echo(f"{point.design.name}: no {name}: {item.source}")
    typer.echo("latency and interval in cycles, frequency in MHz; Yosys: a fabric of 6-input LUTs, no vendor's result")
    typer.echo(f"figure {result.figure}")


def _row(point: DesignPoint, figures: Sequence[str], *, on_front: bool) -> tuple[object, ...]:
    design = point.design
    auc = "-" if point.auc is None else f"{point.auc:.5f}"
    cells = [_cell(point, name) for name in figures]
    return (design.network, design.lanes, f"{design.spacing:g}", design.scatter, *cells, auc, "*" if on_front else "")


def _cell(point: DesignPoint, name: str) -> str:
    item = point.figures.get(name)
    return "-" if item is None or item.value is None else f"{item.value:,.10g} {SHORT.get(item.kind, item.kind)}"
