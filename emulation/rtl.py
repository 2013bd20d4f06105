"""The RTL engine of a network under Verilator: the Verilog that synthesis reads, cycle by cycle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import GraphError
from ..hls_projects.rtl_config import RtlConfig
from ..hls_projects.rtl_project import RtlProject, cached_rtl_project, write_rtl_project
from ..hls_projects.rtl_simulation_streams import StreamSimulation
from ..hls_projects.rtl_verilator import Verilator
from ..quantization import TypedGraph
from .executor import Arrays, to_values, wanted_nodes
from .inputs import Sizes, check_inputs
from .rtl_beats import HEADER, STATUS, beat_graphs, header_beats, input_integers, ports_of, read_rows, row_beats
from .rtl_cycles import CycleFigures, GraphCycles
from .rtl_status import Flags, check_flags, check_size, edge_order, expected_flags, permuted, read_status, restored

Integers = NDArray[np.int64]

ROWS_PER_GRAPH = 4096  # rows of a network of rows that go in under one header


@dataclass(frozen=True, kw_only=True)
class GraphResult:
    """What the engine made of one graph.

    Attributes:
        flags: Its status.
        outputs: Integers by output name; empty where the engine refused the graph.
    """

    flags: Flags
    outputs: Mapping[str, Integers]


class RtlExecutor:
    """Runs the RTL of a network.

    Only outputs can be seen. Graphs go through one engine that is never reset in between, its registers and memories
    random at the start.

    Args:
        graph: The network.
        project: An RTL project written from it (or its folder); None writes one to `directory`.
        directory: Where to write the project; None takes the user's cache.
        models: Where to keep the compiled model; None takes the user's cache.
        config: How to write the project; a project given is taken as it is.
        stalls: Probability of a gap or of back-pressure in a cycle, on each stream.
        seed: Of the stalls, of the initial state, and of what lanes hold that mean nothing.
        trace: File (.fst or .vcd) that gets the waveforms.
        verilator: Installation or program to use; None takes the one `find_verilator` finds.

    Attributes:
        cycles: When the graphs of the last run went in and came out; None before the first.

    Raises:
        GraphError: `project` is corrupted or of another network, or the engine cannot hold the network.
        ConfigError: `trace` is no name of a waveform.
        ToolError: Verilator or g++ is missing or fails.

    """

    name = "rtl"
    maxima_limited = True

    def __init__(
        self,
        graph: TypedGraph,
        *,
        project: RtlProject | Path | None = None,
        directory: Path | None = None,
        models: Path | None = None,
        config: RtlConfig | None = None,
        stalls: float = 0.0,
        seed: int = 0,
        trace: Path | None = None,
        verilator: Verilator | Path | None = None,
    ) -> None:
        self.graph, self.stalls, self.seed = graph, stalls, seed
        self.project = _find_project(graph, project, directory, config)
        self.cycles: GraphCycles | None = None
        self._runs = 0
        self._inputs = [stream for stream in self.project.streams if stream.direction == "in"]
        self._outputs = [stream for stream in self.project.streams if stream.direction == "out"]
        self._index_bits = next(
            (field.bits for stream in self._inputs for field in stream.fields if graph[field.tensor].tensor.is_index), 0
        )
        self._simulation = StreamSimulation(
            self.project.sources,
            self.project.top,
            ports=ports_of(self.project),
            seed=seed,
            waveform=trace,
            verilator=verilator,
            cache=models,
        )

    def close(self) -> None:
        """End the simulation; a waveform is whole then."""
        self._simulation.close()

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.float32]]:
        """Outputs as float32 by output name; inputs as `check_inputs` describes.

        Raises:
            DataError: An input is malformed.
            GraphError: The graph is larger than the maxima; the message names both. Or the engine breaks the protocol.
            DeadlockError: The engine hangs.

        """
        return to_values(self.graph, self.run_integers(inputs))

    def run_integers(self, inputs: Arrays, nodes: Sequence[str] | None = None) -> dict[str, Integers]:
        """Integers of the outputs asked for (all by default), each on its node's grid.

        Raises:
            ConfigError: A node asked for is no output.
            DataError, GraphError, DeadlockError: As `run`.

        """
        wanted = wanted_nodes(self.graph, nodes, executor=self.name)
        (outputs,) = self.run_many([inputs])
        return {name: outputs[name] for name in wanted}

    def run_many(self, batches: Sequence[Arrays], *, window: int = 0) -> list[dict[str, Integers]]:
        """Integers of the outputs of many graphs, streamed through the engine back to back.

        Args:
            batches: Inputs of each call.
            window: Graphs in the engine at a time; 0 lets in as many as it takes.

        Raises:
            DataError, GraphError, DeadlockError: As `run`.

        """
        pieces = [piece for inputs in batches for piece in self._pieces(inputs)]
        results = iter(self.stream_graphs(pieces, window=window))
        merged = []
        for inputs in batches:
            parts = [next(results).outputs for _ in self._pieces(inputs)]
            merged.append({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
        return merged

    def stream_graphs(
        self, batches: Sequence[Arrays], *, window: int = 0, check_maxima: bool = True
    ) -> list[GraphResult]:
        """As `run_many`, with the engine's status of each graph.

        Args:
            batches: Inputs of each graph, or of up to 65,535 rows.
            window: Graphs in the engine at a time; 0 lets in as many as it takes.
            check_maxima: Refuse graphs larger than the maxima here, as `run` does, rather than in the engine.

        Raises:
            DataError, GraphError, DeadlockError: As `run`.

        """
        sizes = [check_inputs(self.graph, inputs) for inputs in batches]
        for size in sizes:
            check_size(self.project.graph, size, maxima=check_maxima)
        expected = [expected_flags(self.project.graph, *graph) for graph in zip(batches, sizes, strict=True)]
        given = [Sizes() if flags.refused else size for flags, size in zip(expected, sizes, strict=True)]
        integers = [input_integers(self.project.graph, inputs, index_bits=self._index_bits) for inputs in batches]
        orders = [edge_order(self.project, *graph) for graph in zip(integers, sizes, strict=True)]
        integers = [permuted(self.graph, *graph) for graph in zip(integers, orders, strict=True)]
        self._runs += 1
        seed = self.seed * 1_000_003 + self._runs
        streams = self._simulation.run(
            {
                HEADER: header_beats(sizes),
                **{stream.name: row_beats(stream, integers, seed=seed) for stream in self._inputs},
            },
            {
                STATUS: np.arange(len(sizes), dtype=np.int64),
                **{stream.name: beat_graphs(stream, given) for stream in self._outputs},
            },
            stalls=self.stalls,
            seed=seed,
            window=window,
        )
        self.cycles = GraphCycles.of(streams, [STATUS, *(stream.name for stream in self._outputs)])
        flags = read_status(streams[STATUS])
        check_flags(flags, expected)
        outputs: list[dict[str, Integers]] = [{} for _ in sizes]
        for stream in self._outputs:
            for place, tensors in enumerate(read_rows(stream, streams[stream.name], given)):
                if not flags[place].refused:
                    outputs[place] |= restored(tensors, orders[place] if stream.domain == "E" else None)
        return [GraphResult(flags=flag, outputs=found) for flag, found in zip(flags, outputs, strict=True)]

    def measure_cycles(self, batches: Sequence[Arrays]) -> CycleFigures:
        """Cycles of a workload: latency of each graph alone in the engine, interval of all back to back, no stalls.

        Args:
            batches: Inputs of at least two graphs.

        Raises:
            GraphError: There are fewer than two graphs, or as `run`.
            DataError, DeadlockError: As `run`.

        """
        return CycleFigures.of(*self.time_graphs(batches))

    def time_graphs(self, batches: Sequence[Arrays]) -> tuple[GraphCycles, GraphCycles]:
        """When each graph of a workload goes in and comes out without stalls: alone in the engine, and back to back.

        Args:
            batches: As `measure_cycles` takes them.

        Raises:
            GraphError, DataError, DeadlockError: As `measure_cycles`.

        """
        if len(batches) < 2:
            raise GraphError(f"{len(batches)} graphs have no interval between them", remedy="give two or more")
        stalls, self.stalls = self.stalls, 0.0
        try:
            return self._cycles_of(batches, window=1), self._cycles_of(batches, window=0)
        finally:
            self.stalls = stalls

    def _cycles_of(self, batches: Sequence[Arrays], *, window: int) -> GraphCycles:
        self.stream_graphs(batches, window=window)
        assert self.cycles is not None
        return self.cycles

    def _pieces(self, inputs: Arrays) -> list[dict[str, NDArray[Any]]]:
        """The inputs themselves, or those of a network of rows in parts that one header can count."""
        if self.graph.is_graph_network:
            return [dict(inputs)]
        rows = check_inputs(self.graph, inputs).rows
        starts = range(0, max(rows, 1), ROWS_PER_GRAPH)
        return [{name: array[start : start + ROWS_PER_GRAPH] for name, array in inputs.items()} for start in starts]


def _find_project(
    graph: TypedGraph, project: RtlProject | Path | None, directory: Path | None, config: RtlConfig | None
) -> RtlProject:
    if project is None and directory is None:
        return cached_rtl_project(graph, config=config)
    if project is None:
        assert directory is not None
        return write_rtl_project(graph, directory, config=config)
    found = project if isinstance(project, RtlProject) else RtlProject.load(project)
    if found.graph.digest != found.config.sized(graph).digest:
        raise GraphError(
            f"{found.directory} was built from another version of {graph.name}",
            remedy="write the project again with hitfabric build --rtl",
        )
    return found
