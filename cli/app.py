"""The program `hitfabric`."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib.metadata import version
from typing import Annotated

import typer

from ..core import Verbosity, speaking, verbosity
from . import commands
from .errors import INTERRUPTED, USER_ERROR, OutputClosed, fail, run_guarded

HELP = """Charged-particle tracking on FPGA fabric: train quantized networks, build their firmware, prove it bit for bit
equal to what was trained, serve it behind Triton, and track.

Every command writes a run directory (--out) with a run.json that says what made it.
Exit codes: 0 success; 1 what was checked does not hold (validate, demo, lint, doctor); 2 an error you can act on;
130 interrupted, 143 terminated: what was being written is not there, and nothing is half-written."""

DEBUG = ("--debug",)
QUIET = ("--quiet", "-q")
VERBOSE = ("--verbose", "-v")
HELP_OPTIONS = {"--help", "-h", "--version"}
STARTED = time.monotonic()

app = typer.Typer(
    name="hitfabric",
    help=HELP,
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
    _quiet: Annotated[
        bool, typer.Option(*QUIET, help="Print errors only, and what --json prints. Before or after a command.")
    ] = False,
    _verbose: Annotated[
        bool, typer.Option(*VERBOSE, help="Progress item by item, as lines; time and memory taken. Likewise.")
    ] = False,
    _debug: Annotated[bool, typer.Option(*DEBUG, help="Show the traceback of an error. Likewise.")] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(USER_ERROR)


commands.register(app)


def main() -> None:
    """Entry point: runs the command line and exits with its code."""
    options, arguments = split_global(sys.argv[1:])
    if _says(options, QUIET) and _says(options, VERBOSE):
        sys.exit(fail("--quiet and --verbose are both given; leave one out"))
    with speaking(_level(options)):
        code = run_guarded(lambda: _run(arguments), debug=_says(options, DEBUG))
        _tell_cost(code)
    sys.exit(code)


def split_global(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Options of the program, wherever they stand before a `--`, and all other arguments."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    known = (*DEBUG, *QUIET, *VERBOSE)
    options = [argument for argument in arguments[:end] if argument in known]
    return options, [argument for argument in arguments[:end] if argument not in known] + list(arguments[end:])


def _says(options: Sequence[str], names: Sequence[str]) -> bool:
    return any(option in names for option in options)


def _level(options: Sequence[str]) -> Verbosity:
    if _says(options, QUIET):
        return Verbosity.QUIET
    return Verbosity.VERBOSE if _says(options, VERBOSE) else Verbosity.NORMAL


def _run(arguments: Sequence[str]) -> int:
    asked = "--json" in arguments or not HELP_OPTIONS.isdisjoint(arguments)
    if verbosity() is Verbosity.QUIET and not asked:
        with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
            return _call(arguments)
    code = _call(arguments)
    try:
        sys.stdout.flush()  # here, where a full disk is told in one line
    except BrokenPipeError as error:
        raise OutputClosed from error
    return code


def _call(arguments: Sequence[str]) -> int:
    try:
        code = app(arguments, prog_name="hitfabric", standalone_mode=False)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        where = context.command_path if context is not None else "hitfabric"
        return fail(f"{error.format_message().rstrip('.')}; see {where} --help")
    except SystemExit as error:  # how both typer and rich end where the output is closed
        if isinstance(error.__context__, BrokenPipeError):
            raise OutputClosed from error
        raise
    if code == INTERRUPTED:  # how typer ends on Ctrl-C, without a word
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0


def _tell_cost(code: int) -> None:
    if verbosity() is not Verbosity.VERBOSE:
        return
    mebibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    seconds = time.monotonic() - STARTED
    print(f"exit code {code} after {seconds:.1f} s, {mebibytes} MiB at most", file=sys.stderr)
