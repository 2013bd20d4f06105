"""Options that every command shares, and the way from options to a validated configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
import yaml

from ..core import ConfigError, StrictModel, load_config

ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="YAML file with any of the command's settings.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="One setting, dotted (e.g. chain.seed=3); wins over the file. Repeatable."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Events = Annotated[
    Path | None,
    typer.Option(
        "--events",
        metavar="DIR",
        help="Folder of events: TrackML or ACTS CSV, or Parquet (docs/events.md).",
        show_default=False,
    ),
]
Graphs = Annotated[
    Path | None, typer.Option("--graphs", metavar="DIR", help="Folder of graphs (.npz) of the sector workload.")
]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Run directory to write.", show_default=False)]
ModelPath = Annotated[
    Path | None,
    typer.Option(
        "--model",
        metavar="DIR",
        help="--out folder of hitfabric train, or a chain directory. Default: the shipped weights.",
        show_default=False,
    ),
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="At most this many events.")]
DeviceName = Annotated[
    str | None, typer.Option("--device", metavar="native|numpy|csim|golden", help="What computes. Default: native.")
]
Jobs = Annotated[
    int | None, typer.Option("--jobs", min=1, help="Worker processes; the result does not depend on their number.")
]
Dask = Annotated[
    str | None,
    typer.Option(
        "--dask", metavar="ADDRESS", help="Workers of a running Dask cluster: tcp://host:port or a scheduler file."
    ),
]
Cluster = Annotated[
    Path | None,
    typer.Option("--cluster", metavar="FILE", help="YAML of a batch system on which workers are started."),
]

RECIPES = (
    "sector-in-8",
    "sector-in-40",
    "sector-in-4bit",
    "sector-ceiling",
    "event-pixel",
    "event-pixel-ceiling",
    "event-full",
    "event-full-ceiling",
)
"""Names for the help text: it is shown without importing what reads the recipes."""

Recipe = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        metavar="NAME",
        help=f"Configuration of a shipped network: {', '.join(RECIPES)}.",
        show_default=False,
    ),
]

Config = TypeVar("Config", bound=StrictModel)


def configure(
    model: type[Config],
    file: Path | None,
    assignments: Sequence[str] | None,
    options: Mapping[str, Any],
    *,
    base: Mapping[str, Any] | None = None,
) -> Config:
    """Merge defaults, `base`, file, `--set` and options, later ones winning, and validate.

    Raises:
        ConfigError: A file, key or value is not accepted; each one is named.
    """
    from pydantic import ValidationError

    overrides = dict(base or {}) if file is None else {}
    overrides |= parse_assignments(assignments or ())
    overrides |= {key: value for key, value in options.items() if value is not None}
    for name, info in model.model_fields.items():
        if info.is_required() and name not in overrides and file is None:
            raise ConfigError(f"--{name.replace('_', '-')} is missing", remedy=f"give --{name.replace('_', '-')}")
    try:
        return load_config(model, file, overrides)
    except (ValidationError, AttributeError, TypeError) as error:
        raise ConfigError(f"settings do not fit together: {error}", remedy="see --help") from error


def recipe_or(config: Path | None, recipe: str | None) -> Path | None:
    """The configuration file: that of a recipe where one is named.

    Raises:
        ConfigError: Both are given, or there is no such recipe.
    """
    if recipe is None:
        return config
    if config is not None:
        raise ConfigError("--recipe and --config are both given", remedy="give one, and change the rest with --set")
    from ..models.zoo import recipe_path

    return recipe_path(recipe)


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """Parse `KEY=VALUE`; the value is YAML.

    Raises:
        ConfigError: No `=`, no key, or a value that is not YAML.
    """
    values: dict[str, Any] = {}
    for text in assignments:
        key, sign, value = text.partition("=")
        if not sign or not key.strip():
            raise ConfigError(f"--set {text!r} is not KEY=VALUE", remedy="write for example --set chain.seed=3")
        try:
            values[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {text!r}: the value is not YAML", remedy="quote it") from error
    return values
