"""What every executor offers."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..core import ConfigError
from ..core.errors import HitfabricWarning, MissingToolError
from ..quantization import Node, TypedGraph

Arrays = Mapping[str, NDArray[Any]]


class Executor(Protocol):
    """Computes a typed graph.

    Attributes:
        name: golden, native, numpy, csim or rtl; what computes, which need not be the name it was asked for by.
        graph: The graph computed.
        maxima_limited: Whether graphs beyond `graph.maxima` are refused, as in hardware of static size.

    """

    name: str
    graph: TypedGraph
    maxima_limited: bool

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.float32]]:
        """Outputs as float32 by output name."""
        ...

    def run_integers(self, inputs: Arrays, nodes: Sequence[str] | None = None) -> dict[str, NDArray[np.int64]]:
        """Integers of the visible nodes asked for (all by default), each on its node's grid."""
        ...


EXECUTORS = ("golden", "native", "numpy", "csim", "rtl")
OUTPUTS_ONLY = frozenset({"rtl"})
"""Executors that show the outputs alone: what is inside stays inside."""

NATIVE_OVER_NUMPY = 10
"""Rough factor in speed, for the warning; docs/performance.md has the measurements."""


def make_executor(name: str, graph: TypedGraph, **options: Any) -> Executor:  # noqa: ANN401 - options of the executor
    """Build an executor by name.

    Args:
        name: One of golden, native, numpy, csim, rtl. Where native finds no compiler, numpy takes its place and a
            `HitfabricWarning` says so.
        graph: The network.
        **options: Options of that executor's constructor.

    Returns:
        The executor, compiled where it compiles.

    Raises:
        ConfigError: Unknown name.
        ToolError: Its compiler failed, or that of a simulation is missing.

    """
    match name:
        case "golden":
            from .golden import GoldenExecutor

            return GoldenExecutor(graph, **options)
        case "native":
            return _native(graph, options)
        case "numpy":
            from .numpy_executor import NumpyExecutor

            return NumpyExecutor(graph, **options)
        case "csim":
            from .csim import CSimExecutor

            return CSimExecutor(graph, **options)
        case "rtl":
            from .rtl import RtlExecutor

            return RtlExecutor(graph, **options)
    raise ConfigError(f"unknown executor {name!r}", remedy=f"use one of {', '.join(EXECUTORS)}")


def _native(graph: TypedGraph, options: Mapping[str, Any]) -> Executor:
    from .native import NativeExecutor
    from .numpy_executor import NumpyExecutor

    try:
        return NativeExecutor(graph, **options)
    except MissingToolError as error:
        warnings.warn(
            HitfabricWarning(
                f"no C++ compiler: the NumPy executor computes instead of native, the same numbers about "
                f"{NATIVE_OVER_NUMPY} times slower; {error.remedy}"
            ),
            stacklevel=3,
        )
    return NumpyExecutor(graph, threads=options.get("threads"))


def to_values(graph: TypedGraph, integers: Mapping[str, NDArray[np.int64]]) -> dict[str, NDArray[np.float32]]:
    """Output integers as float32 values (exact up to 24 bits)."""
    return {node.name: node.tensor.format.to_float(integers[node.name]).astype(np.float32) for node in graph.outputs}


def shown_nodes(graph: TypedGraph, executor: str) -> tuple[Node, ...]:
    """Nodes whose integers an executor gives: all visible ones, or the outputs alone."""
    return graph.outputs if executor in OUTPUTS_ONLY else graph.visible


def wanted_nodes(graph: TypedGraph, nodes: Sequence[str] | None, *, executor: str = "") -> tuple[str, ...]:
    """Names of the nodes asked for; all that the executor shows by default.

    Raises:
        ConfigError: A name is not a node that it shows.

    """
    shown = tuple(node.name for node in shown_nodes(graph, executor))
    if nodes is None:
        return shown
    unknown = sorted(set(nodes) - set(shown))
    if unknown:
        seen = f"seen from outside by the executor {executor}" if executor in OUTPUTS_ONLY else "visible"
        raise ConfigError(f"nodes {unknown} of {graph.name} are not {seen}", remedy=f"use some of {list(shown)}")
    return tuple(nodes)
