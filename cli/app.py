"""The program `hitfabric`."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import click
import typer

from . import commands
from .errors import fail, run_guarded

HELP = """Charged-particle tracking on FPGA fabric: train quantized networks, build their firmware, prove it equal to what
was trained bit for bit, serve it behind Triton, and track.

Every command writes a run directory (--out) with a run.json that says what made it.
Exit codes: 0 success, 1 validation found a mismatch, 2 an error you can act on, 130 interrupted."""

app = typer.Typer(
    name="hitfabric",
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _global(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, help="Print the version and exit.", callback=lambda value: _version(value)
        ),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    pass


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hitfabric {version('hitfabric')}")
        raise typer.Exit


commands.register(app)


def main() -> None:
    """Entry point: runs the command line and exits with its code."""
    sys.exit(run_guarded(_run, debug="--debug" in sys.argv[1:]))


def _run() -> int:
    try:
        code = app(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        # The message is the help itself.
        error.show()
        return 2
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        where = context.command_path if context is not None else "hitfabric"
        return fail(f"{error.format_message()}; see {where} --help")
    except click.exceptions.Exit as error:
        return error.exit_code
    return code if isinstance(code, int) else 0
