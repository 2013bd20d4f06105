"""`hitfabric search`."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import AsJson, ConfigFile, Graphs, Out, Overrides, Recipe, configure, recipe_or
from .printing import print_json, print_table


def search(
    graphs: Graphs = None,
    out: Out = None,
    recipe: Recipe = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of weights and samples. Default: 0.")] = None,
    config: ConfigFile = None,
    assignments: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Search bit widths layer by layer: accuracy against effective bit operations (EBOPs).

    Trains the sector network of a recipe on --graphs, then takes bits away where they are worth least, round by round:
    one bit less in each place is tried shortly, the best changes are made together. A search that was killed goes on
    in the same --out, given again with the same settings. How far and how long is set by --set search.rounds=40,
    search.changes=4, search.steps=20, search.accepted_steps=120, search.largest_loss=0.01, search.minimum_bits=2,
    search.learning_rate=0.002 (the defaults).

    Writes search.json, search.png and recipes/, one configuration of hitfabric train per network of the Pareto front.
    """
    from ..pipeline.search import SearchConfig
    from ..pipeline.search import search as run

    options = {"graphs": graphs, "out": out, "seed": seed}
    result = run(configure(SearchConfig, recipe_or(config, recipe), assignments, options))
    if as_json:
        print_json({"candidates": len(result.candidates), "front": [item.model_dump() for item in result.front]})
        return
    rows = [(f"{item.ebops:,.0f}", f"{item.bops:,.0f}", f"{item.score:.4f}", str(item.round)) for item in result.front]
    print_table(f"Pareto front of {len(result.candidates)} networks", ("EBOPs", "BOPs", "AUC", "round"), rows)
    typer.echo(f"figure {result.figure}, recipes in {result.recipes}")
