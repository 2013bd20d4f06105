"""`hitfabric evaluate --all`: options in, table out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..core import ConfigError
from .options import configure
from .printing import print_json, print_table

if TYPE_CHECKING:
    from ..pipeline.evaluate_all import AllResult
    from ..pipeline.evaluate_all_data import Sample


def run_all(
    config: Path | None,
    assignments: Sequence[str] | None,
    options: Mapping[str, Any],
    *,
    unused: Mapping[str, object],
    quick: bool,
    docs: Path | None,
    cards: bool,
    as_json: bool,
) -> None:
    """Fill the table of targets and print it.

    Args:
        config: Configuration file.
        assignments: `--set`.
        options: Options of the command that `EvaluateAllConfig` knows.
        unused: Options that have no meaning with `--all`, by name; none may be given.
        quick: Few events.
        docs: Folder whose `physics.md` is written.
        cards: Write the figures into the model cards.
        as_json: Print JSON.

    Raises:
        ConfigError: An option without meaning is given.
        DataError: The page in `docs` lacks the marks of a block.
    """
    if given := [name for name, value in unused.items() if value is not None]:
        raise ConfigError(f"{given[0]} has no meaning with --all", remedy="leave it out, or leave out --all")
    from ..pipeline.evaluate_all import QUICK, EvaluateAllConfig, evaluate_all
    from ..pipeline.evaluate_all_page import check_page, write_physics_page
    from ..pipeline.model_cards import write_cards

    settings = configure(EvaluateAllConfig, config, assignments, options, base=QUICK if quick else None)
    folder = docs if docs is not None else settings.out
    check_page(folder)
    result = evaluate_all(settings)
    page = write_physics_page(result, folder)
    written = write_cards(result) if cards else []
    if as_json:
        print_json({**result.as_json(), "cards": written, "page": str(page)})
        return
    _print(result)
    if written:
        typer.echo(f"model cards written: {', '.join(written)}")
    typer.echo(f"tables and figures in {page}")


def _print(result: AllResult) -> None:
    from ..pipeline.evaluate_all_rows import COLUMNS, DOES_NOT_APPLY
    from ..reports.figures_comparison import NAMES

    columns = ("row", *(NAMES[column] for column in COLUMNS))
    lines = [
        (
            row.name,
            *(str(row.validation[column]) for column in COLUMNS),
            "no target" if row.target is None else row.target,
        )
        for row in result.rows
    ]
    print_table(f"validation: {_about(result.validation.sample)}", (*columns, "target met"), lines, whole=True)
    tested = [(row.name, *(str(row.test[column]) for column in COLUMNS)) for row in result.rows]
    print_table(f"test: {_about(result.test.sample)}", columns, tested, whole=True)
    conditions = [
        (row.name, condition.requirement, condition.value, condition.met)
        for row in result.rows
        for condition in row.conditions
    ]
    print_table("targets", ("row", "wanted", "reached", "met"), conditions, whole=True)
    reasons = {cell.missing for row in result.rows for cell in row.validation.values()} - {None, DOES_NOT_APPLY}
    for reason in sorted(str(item) for item in reasons):
        typer.echo(f"empty cell: {reason}")


def _about(sample: Sample) -> str:
    return f"{sample.about_events}; {sample.about_graphs}"
