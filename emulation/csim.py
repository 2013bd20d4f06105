"""The C simulation: hls4ml's own project compiled with g++, the C++ that synthesis reads."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import GraphError
from ..hls_projects import HlsProject, ProjectConfig, cached_project, compile_csim, pad_inputs, write_project
from ..quantization import Node, TypedGraph
from .executor import Arrays, to_values, wanted_nodes
from .inputs import Sizes, check_inputs

Integers = NDArray[np.int64]
_ARRAYS = ctypes.POINTER(ctypes.c_void_p)


class CSimExecutor:
    """Runs the C simulation of a network's hls4ml project.

    Args:
        graph: The network.
        project: A project written from it (or its folder); None writes one to `directory`.
        directory: Where to write the project; None takes a folder of the user's cache named by the network's content.
        config: How to write the project; a project given is taken as it is.
        accumulator_widths: Bits of accumulators that wrap, by Dense node: a planted fault.

    Raises:
        GraphError: `project` is corrupted or of another network, or hls4ml cannot hold the network.
        ToolError: g++ is missing or fails.

    """

    name = "csim"

    def __init__(
        self,
        graph: TypedGraph,
        *,
        project: HlsProject | Path | None = None,
        directory: Path | None = None,
        config: ProjectConfig | None = None,
        accumulator_widths: Mapping[str, int] | None = None,
    ) -> None:
        self.graph = graph
        self.project = _find_project(graph, project, directory, config, accumulator_widths)
        self._library = ctypes.CDLL(str(compile_csim(self.project).resolve()))
        self._function = self._library.hitfabric_csim
        self._function.argtypes = [_ARRAYS, _ARRAYS, _ARRAYS, ctypes.c_int64]
        self._function.restype = None
        # The trace mechanism of the firmware's C++ is global to the library; ctypes runs without the GIL.
        self._lock = threading.Lock()

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.float32]]:
        """Outputs as float32 by output name; inputs as `check_inputs` describes.

        Raises:
            DataError: An input is malformed.
            GraphError: The graph is larger than the maxima; the message names both.

        """
        return to_values(self.graph, self.run_integers(inputs, [node.name for node in self.graph.outputs]))

    def run_integers(self, inputs: Arrays, nodes: Sequence[str] | None = None) -> dict[str, Integers]:
        """Integers of the visible nodes asked for, each on its node's grid; padding rows removed."""
        wanted = wanted_nodes(self.graph, nodes)
        sizes = check_inputs(self.graph, inputs)
        padded = pad_inputs(self.graph, inputs, nodes=sizes.nodes, edges=sizes.edges)
        count = 1 if self.graph.is_graph_network else sizes.rows
        outputs = {node.name: self._allocate(node, count) for node in self.graph.outputs}
        traced = {}
        if any(name in self.project.traced for name in wanted):
            traced = {name: self._allocate(self.graph[name], count) for name in self.project.traced}
        with self._lock:
            self._function(
                _pointers([padded[node.name] for node in self.graph.inputs]),
                _pointers(list(outputs.values())),
                _pointers(list(traced.values())) if traced else None,
                count,
            )
        values: Mapping[str, NDArray[np.float64]] = outputs | traced
        return {name: self._integers(self.graph[name], values[name], sizes) for name in wanted}

    def _allocate(self, node: Node, count: int) -> NDArray[np.float64]:
        maxima = self.graph.maxima
        static = Sizes(rows=count, nodes=maxima.nodes, edges=maxima.edges)
        # NaN: a layer that was never written cannot pass as zeros.
        return np.full([static.of(dimension) for dimension in node.tensor.shape], np.nan)

    def _integers(self, node: Node, values: NDArray[np.float64], sizes: Sizes) -> Integers:
        real = values[: sizes.of(node.tensor.shape[0])]
        scaled = real * 2.0**node.tensor.format.fraction
        integers = scaled.astype(np.int64)
        if not np.array_equal(integers, scaled):
            raise GraphError(f"node {node.name} left its grid in the C simulation", remedy="write the project again")
        return integers


def _pointers(arrays: list[NDArray[np.float64]]) -> Any:  # noqa: ANN401 - a ctypes array type made on the fly
    return (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))


def _find_project(
    graph: TypedGraph,
    project: HlsProject | Path | None,
    directory: Path | None,
    config: ProjectConfig | None,
    accumulator_widths: Mapping[str, int] | None,
) -> HlsProject:
    if project is None and directory is None:
        return cached_project(graph, config=config, accumulator_widths=accumulator_widths)
    if project is None:
        assert directory is not None
        return write_project(graph, directory, config=config, accumulator_widths=accumulator_widths)
    found = project if isinstance(project, HlsProject) else HlsProject.load(project)
    if found.graph.digest != graph.digest or found.accumulator_widths != dict(accumulator_widths or {}):
        raise GraphError(
            f"{found.directory} was built from another version of {graph.name}", remedy="build the project again"
        )
    return found
