"""`hitfabric doctor`: what is installed, what is missing, what each missing piece is for, how to get it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..core import ConfigError
from . import doctor_checks
from .doctor_checks import Check

PURPOSES = {
    "core": "everything: events, graphs, tracking by shipped networks, metrics, reports",
    "train": "hitfabric train, search, lint, and comparison with Brevitas",
    "build": "hls4ml projects, their C simulation, QONNX",
    "rtl": "Verilog engines: simulation, cells, frequency",
    "serve": "hitfabric serve, and track --engine triton",
    "simulate": "events of Pythia 8 and ACTS Fatras, reconstruction with ACTS",
    "tensorboard": "hitfabric train --tensorboard",
    "cluster": "more than one machine: Dask, and batch systems",
    "vendor": "synthesis and bitstreams; nothing else needs them",
}


@dataclass(frozen=True, kw_only=True)
class Section:
    """What one purpose needs.

    Attributes:
        name: Key of `PURPOSES`; of Python packages also the extra that holds them.
        purpose: What it is for.
        checks: What was looked for.
        wanted: Asked for by name, or needed always: what it lacks is an error.
    """

    name: str
    purpose: str
    checks: tuple[Check, ...]
    wanted: bool

    @property
    def complete(self) -> bool:
        """Whether all that it cannot do without is there."""
        return all(check.found for check in self.checks if check.required)


@dataclass(frozen=True, kw_only=True)
class Examination:
    """What was found.

    Attributes:
        sections: One for each purpose.
        machine: Facts about the machine.
    """

    sections: tuple[Section, ...]
    machine: dict[str, object]

    @property
    def passed(self) -> bool:
        """Whether everything wanted is complete."""
        return all(section.complete for section in self.sections if section.wanted)


def examine(wanted: Sequence[str] = ()) -> Examination:
    """Look for everything that any part of hitfabric uses; tools are called, and a library is compiled.

    Args:
        wanted: Purposes that must be complete; `core` always must be.

    Raises:
        ConfigError: There is no such purpose.
    """
    if unknown := [name for name in wanted if name not in PURPOSES]:
        raise ConfigError(f"{unknown[0]} is no purpose", remedy=f"give any of {', '.join(PURPOSES)}")
    sections = tuple(
        Section(name=name, purpose=purpose, checks=tuple(_checks(name)), wanted=name == "core" or name in wanted)
        for name, purpose in PURPOSES.items()
    )
    return Examination(sections=sections, machine=doctor_checks.machine())


def _checks(name: str) -> list[Check]:
    packages = [] if name == "vendor" else doctor_checks.packages(None if name == "core" else name)
    further = {
        "core": doctor_checks.core_checks,
        "build": doctor_checks.build_checks,
        "rtl": doctor_checks.rtl_checks,
        "serve": doctor_checks.serve_checks,
        "vendor": doctor_checks.vendor_checks,
    }.get(name)
    return packages + (further() if further is not None else [])
