"""The command `doctor`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from .options import AsJson
from .printing import print_json, print_pairs, print_table

if TYPE_CHECKING:
    from ..pipeline.doctor import Examination, Section

INCOMPLETE = 1
COLUMNS = ("for", "piece", "state", "what it is for", "how to get it")


def doctor(
    purpose: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PURPOSE]...",
            help="What must work: core (always), train, build, rtl, serve, simulate, tensorboard, cluster, vendor.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what is installed, what is missing, what each missing piece is for and how to get it.

    Versions are compared with those that this hitfabric was made for, installed programs are called, and a library is
    compiled and run. Nothing is installed or downloaded. Exit code 1 if a purpose that must work lacks what it cannot
    do without.
    """
    from ..pipeline.doctor import examine

    found = examine(purpose or ())
    if as_json:
        sections = [asdict(section) | {"complete": section.complete} for section in found.sections]
        print_json({"passed": found.passed, "machine": found.machine, "sections": sections})
    else:
        _print(found)
    if not found.passed:
        raise typer.Exit(INCOMPLETE)


def _print(found: Examination) -> None:
    print_pairs("this machine", {key: _words(value) for key, value in found.machine.items()})
    rows = [(section.name, _state(section), section.purpose) for section in found.sections]
    print_table("what works", ("purpose", "state", "for"), rows, prose=True)
    missing = [
        (section.name, check.name, check.detail, check.use or section.purpose, check.remedy)
        for section in found.sections
        for check in section.checks
        if not check.found
    ]
    if missing:
        print_table("missing", COLUMNS, missing, prose=True)


def _state(section: Section) -> str:
    missing = sum(not check.found for check in section.checks)
    if not missing:
        return "complete"
    return f"works, {missing} optional missing" if section.complete else f"incomplete, {missing} missing"


def _words(value: object) -> object:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else value
