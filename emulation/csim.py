"""The C simulation: hls4ml's own project compiled with g++, the C++ that synthesis reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core import DeadlockError, GraphError
from ..hls_projects import (
    HlsProject,
    ProjectConfig,
    Stream,
    cached_project,
    compile_csim,
    pad_inputs,
    project_streams,
    static_shape,
    write_project,
)
from ..quantization import Node, TypedGraph
from .csim_library import Integers, Values, error_of, load_library
from .executor import Arrays, to_values, wanted_nodes
from .inputs import Sizes, check_inputs

UNBOUNDED = 2**31  # packets: more than any tensor has


@dataclass(frozen=True, kw_only=True)
class StreamUsage:
    """How full a stream was.

    Attributes:
        stream: The stream, with its declared depth.
        highest: Highest number of packets in it at a time, over all graphs run so far.
    """

    stream: Stream
    highest: int


class CSimExecutor:
    """Runs the C simulation of a network's hls4ml project.

    Args:
        graph: The network.
        project: A project written from it (or its folder); None writes one to `directory`.
        directory: Where to write the project; None takes a folder of the user's cache named by the network's content.
        config: How to write the project; a project given is taken as it is.
        accumulator_widths: Bits of accumulators that wrap, by Dense or EdgeAggregate node: a planted fault.
        bounded: With streams that hold no more packets than declared for synthesis, each layer a process: what would
            deadlock in hardware is a DeadlockError here. Dataflow designs only.

    Raises:
        GraphError: `project` is corrupted or of another network, hls4ml cannot hold the network, or `bounded` and the
            project has no streams.
        ToolError: g++ is missing or fails.

    """

    name = "csim"
    maxima_limited = True

    def __init__(
        self,
        graph: TypedGraph,
        *,
        project: HlsProject | Path | None = None,
        directory: Path | None = None,
        config: ProjectConfig | None = None,
        accumulator_widths: Mapping[str, int] | None = None,
        bounded: bool = False,
    ) -> None:
        self.graph = graph
        self.project = _find_project(graph, project, directory, config, accumulator_widths)
        self.bounded = bounded
        self._streams = project_streams(self.project) if bounded else ()
        self._peaks = np.zeros(len(self._streams), dtype=np.int64)
        self._library = load_library(compile_csim(self.project, bounded=bounded).resolve())

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.float32]]:
        """Outputs as float32 by output name; inputs as `check_inputs` describes.

        Raises:
            DataError: An input is malformed.
            GraphError: The graph is larger than the maxima; the message names both.
            DeadlockError: `bounded`, and the streams are too shallow; the executor stays usable.

        """
        return to_values(self.graph, self.run_integers(inputs, [node.name for node in self.graph.outputs]))

    def run_integers(self, inputs: Arrays, nodes: Sequence[str] | None = None) -> dict[str, Integers]:
        """Integers of the visible nodes asked for, each on its node's grid; padding rows removed.

        Raises:
            DataError, GraphError, DeadlockError: As `run`.

        """
        wanted = wanted_nodes(self.graph, nodes)
        sizes = check_inputs(self.graph, inputs)
        traced = any(name in self.project.traced for name in wanted)
        values = self._compute(inputs, sizes, traced=traced, peaks=self._peaks)
        return {name: self._integers(self.graph[name], values[name], sizes) for name in wanted}

    def stream_usage(self) -> tuple[StreamUsage, ...]:
        """How full each stream was so far, in the order of data flow.

        The processes run in an order that keeps the streams low, so that depths equal to what was highest are enough;
        `minimal_depths` tells whether they can be smaller still.

        Raises:
            GraphError: The executor is not `bounded`.

        """
        self._check_bounded()
        return tuple(
            StreamUsage(stream=stream, highest=int(highest))
            for stream, highest in zip(self._streams, self._peaks, strict=True)
        )

    def minimal_depths(self, inputs: Arrays) -> dict[str, int]:
        """Depths, none of which can be smaller without a deadlock, by stream: `ProjectConfig.stream_depths` takes them.

        Which packets a layer reads and writes does not depend on their values, so that one graph stands for all. A
        design of these depths completes; depths for full speed are larger.

        Args:
            inputs: Inputs as `run` takes them.

        Raises:
            DataError, GraphError: As `run`, or the executor is not `bounded`.

        """
        self._check_bounded()
        sizes = check_inputs(self.graph, inputs)
        depths = np.full(len(self._streams), UNBOUNDED, dtype=np.int64)
        enough = np.zeros_like(depths)
        self._compute(inputs, sizes, depths=depths, peaks=enough)
        depths = np.maximum(enough, 1)
        for k in range(len(depths)):
            self._lower(inputs, sizes, depths, k)
        return {stream.name: int(depth) for stream, depth in zip(self._streams, depths, strict=True)}

    def _lower(self, inputs: Arrays, sizes: Sizes, depths: Integers, k: int) -> None:
        """Set `depths[k]` to the smallest that does without a deadlock, given the others.

        Deeper streams never bring a deadlock about: the search may halve, and lowering others later changes nothing.
        """
        too_shallow, tried = 0, int(depths[k]) - 1  # what was highest is usually needed: one less is tried first
        while depths[k] - too_shallow > 1:
            trial = depths.copy()
            trial[k] = tried
            try:
                self._compute(inputs, sizes, depths=trial)
                depths[k] = tried
            except DeadlockError:
                too_shallow = tried
            tried = (too_shallow + int(depths[k])) // 2

    def _check_bounded(self) -> None:
        if not self.bounded:
            raise GraphError("the streams of this C simulation hold any number of packets", remedy="give bounded=True")

    def _compute(
        self,
        inputs: Arrays,
        sizes: Sizes,
        *,
        traced: bool = False,
        depths: Integers | None = None,
        peaks: Integers | None = None,
    ) -> dict[str, Values]:
        """Values of the outputs, and of the traced nodes, in the static shapes."""
        lanes = self.project.config.parallelism
        padded = pad_inputs(self.graph, inputs, nodes=sizes.nodes, edges=sizes.edges, parallelism=lanes)
        count = 1 if self.graph.is_graph_network else sizes.rows
        outputs = {node.name: self._allocate(node, count) for node in self.graph.outputs}
        layers = {name: self._allocate(self.graph[name], count) for name in self.project.traced if traced}
        problem = self._library.run(
            [padded[node.name] for node in self.graph.inputs],
            list(outputs.values()),
            list(layers.values()),
            count=count,
            depths=depths,
            peaks=peaks,
        )
        if problem is not None:
            raise error_of(problem, name=self.graph.name, streams=self._streams, depths=depths)
        return outputs | layers

    def _allocate(self, node: Node, count: int) -> NDArray[np.float64]:
        shape = static_shape(self.graph, node, parallelism=self.project.config.parallelism)
        # NaN: a layer that was never written cannot pass as zeros.
        return np.full(shape if self.graph.is_graph_network else (count, *shape), np.nan)

    def _integers(self, node: Node, values: NDArray[np.float64], sizes: Sizes) -> Integers:
        real = values[: sizes.of(node.tensor.shape[0])]
        scaled = real * 2.0**node.tensor.format.fraction
        integers = scaled.astype(np.int64)
        if not np.array_equal(integers, scaled):
            raise GraphError(f"node {node.name} left its grid in the C simulation", remedy="write the project again")
        return integers


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
