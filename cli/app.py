"""The program `hitfabric`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import typer

from . import commands
from .errors import USER_ERROR, fail, run_guarded

HELP = """Charged-particle tracking on FPGA fabric: train quantized networks, build their firmware, prove it bit for bit
equal to what was trained, serve it behind Triton, and track.

Every command writes a run directory (--out) with a run.json that says what made it.
Exit codes: 0 success, 1 validation found a mismatch, 2 an error you can act on, 130 interrupted."""

DEBUG = "--debug"

app = typer.Typer(
    name="hitfabric",
    help=HELP,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hitfabric {version('hitfabric')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _global(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, help="Print the version and exit.", callback=_show_version)
    ] = False,
    _debug: Annotated[bool, typer.Option(DEBUG, help="Show the traceback of an error.")] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(USER_ERROR)


commands.register(app)


def main() -> None:
    """Entry point: runs the command line and exits with its code."""
    arguments = [argument for argument in sys.argv[1:] if argument != DEBUG]  # wherever it stands
    sys.exit(run_guarded(lambda: _run(arguments), debug=DEBUG in sys.argv[1:]))


def _run(arguments: Sequence[str]) -> int:
    try:
        code = app(arguments, prog_name="hitfabric", standalone_mode=False)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        where = context.command_path if context is not None else "hitfabric"
        return fail(f"{error.format_message().rstrip('.')}; see {where} --help")
    return code if isinstance(code, int) else 0
