"""`hitfabric compile`: networks as shared libraries with a C interface, for callers without Python."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..core import ConfigError, DataError, RunDirectory, StrictModel, atomic_file, progress
from ..emulation.native_build import INSTRUCTIONS, KERNELS, native_instructions, native_library
from ..emulation.native_plan import Plan, plan
from ..quantization import Node, TypedGraph
from .networks import Network, select_networks

HEADER = "hitfabric_native.h"


class CompileConfig(StrictModel):
    """What to compile, to where.

    Attributes:
        network: Name or directory, see `select_networks`; of a chain, every network is compiled.
        out: Run directory to write; `<network>.so` and the header go there.
        instructions: Instruction sets to have code for (amx, avx512vnni, avx2, plain); none given takes all that there
            are for this kind of processor, so that the library runs on any of them.
    """

    network: str
    out: Path = Path("runs/compiled")
    instructions: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CompiledNetwork:
    """A library written.

    Attributes:
        name: Name of the network.
        library: The library.
        instructions: Instruction sets it has code for, best first.
        inputs: Inputs in the order of the interface, as `nodes [N, 3] float32`.
        outputs: Outputs, likewise.
        maximal_edges: Largest number of edges of a call; None for a network of rows, or where there is no limit.
    """

    name: str
    library: Path
    instructions: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    maximal_edges: int | None


def compile_networks(config: CompileConfig) -> list[CompiledNetwork]:
    """Compile networks as the native executor does, and write the libraries with the header of their interface.

    Args:
        config: What to compile, to where.

    Returns:
        One library per network.

    Raises:
        ConfigError: Nothing has this name, or there is no code for an instruction set.
        DataError: `out` is no folder.
        GraphError: A graph is malformed.
        ToolError: There is no C++ compiler, or it failed.
    """
    networks = select_networks([config.network], model=None, projects=None).networks
    if config.out.exists() and not config.out.is_dir():
        raise DataError(f"{config.out} is no folder", remedy="give another --out")
    plans = [(network, plan(TypedGraph.load(network.graph))) for network in networks]
    chosen = [_instructions(network, planned, config.instructions) for network, planned in plans]
    compiled = [
        _compile(*plans[k], chosen[k], config.out)
        for k in progress(range(len(plans)), description="compiling networks", total=len(plans))
    ]
    _copy(KERNELS / HEADER, config.out / HEADER)
    RunDirectory(path=config.out).record(
        command="compile", config=config, inputs=[network.graph for network in networks]
    )
    return compiled


def _instructions(network: Network, planned: Plan, asked: tuple[str, ...]) -> tuple[str, ...]:
    """Instruction sets to have code for, best first."""
    able = native_instructions(planned)
    chosen = tuple(name for name in able if not asked or name in asked)
    if not chosen or not set(asked) <= set(INSTRUCTIONS):
        raise ConfigError(
            f"no code of {network.name} for {', '.join(asked)}",
            remedy=f"give some of {', '.join(able)}, or none for all",
        )
    return chosen


def _compile(network: Network, planned: Plan, instructions: tuple[str, ...], folder: Path) -> CompiledNetwork:
    library = folder / f"{Path(network.name).name}.so"
    _copy(native_library(planned, instructions=instructions), library)
    graph = planned.graph
    limited = graph.is_graph_network and not planned.dynamic
    return CompiledNetwork(
        name=network.name,
        library=library,
        instructions=instructions,
        inputs=_tensors(graph.inputs),
        outputs=_tensors(graph.outputs),
        maximal_edges=planned.maximal_edges if limited else None,
    )


def _copy(source: Path, target: Path) -> None:
    with atomic_file(target) as temporary:
        shutil.copyfile(source, temporary)


def _tensors(nodes: Iterable[Node]) -> tuple[str, ...]:
    return tuple(
        f"{node.name} [{node.tensor.shape[0]}, {node.tensor.width}] {'int64' if node.tensor.is_index else 'float32'}"
        for node in nodes
    )
