"""Which executors `hitfabric validate` runs, and whether all they need is there."""

from __future__ import annotations

from collections.abc import Sequence

from ..core import ConfigError, DataError, find_tool
from ..emulation import EXECUTORS
from ..hls_projects.rtl_verilator import find_verilator
from .comparison import COMPILED
from .extras import require_extra
from .networks import Network

REFERENCE = "golden"
BREVITAS = "brevitas"
RTL = "rtl"


def choose_executors(wanted: Sequence[str] | None, networks: Sequence[Network]) -> tuple[str, ...]:
    """Executors to run, the reference first.

    Raises:
        ConfigError: An executor is unknown, named twice, or alone.
        DataError: A network has no checkpoint for Brevitas.
        ToolError: What an executor needs is not installed.
    """
    kept = all(network.checkpoint is not None for network in networks)
    names = tuple(wanted) if wanted is not None else (REFERENCE, *((BREVITAS,) if kept else ()), *COMPILED)
    if len(names) == 1 and names[0] != REFERENCE:
        names = (REFERENCE, *names)
    known = (BREVITAS, *EXECUTORS)
    for name in names:
        if name not in known:
            raise ConfigError(f"unknown executor {name!r}", remedy=f"use some of {', '.join(known)}")
    if len(set(names)) != len(names) or len(names) < 2:
        raise ConfigError(
            f"executors {', '.join(names)} give nothing to compare", remedy="name two or more different ones"
        )
    if names[0] == RTL:
        raise ConfigError(
            "executor rtl shows the outputs alone, and cannot be the reference", remedy="name another one first"
        )
    if BREVITAS in names:
        require_extra("train")
        if not kept:
            bare = next(network for network in networks if network.checkpoint is None)
            raise DataError(
                f"{bare.graph} has no checkpoints beside it", remedy="give the --out folder of hitfabric train"
            )
    if "csim" in names:
        require_extra("build")
    if RTL in names:
        require_extra(RTL)
        find_verilator()
    if {*COMPILED, RTL} & set(names):
        find_tool("g++", purpose="compile the executors")
    return names
