"""Simulation of the component labelling, many graphs after each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core import ToolError
from .rtl_components import SOURCES, TOP, Components, ComponentsConfig, padding
from .rtl_tracking_streams import Beats, StreamPort, StreamRun, StreamSimulation
from .rtl_verilator import Verilator

GRAPH = StreamPort(name="s_axis_graph", bits=64)
STATUS = StreamPort(name="m_axis_status", bits=64)


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoredEdges:
    """Input of one graph.

    Attributes:
        edge_index: int64 [edges, 2].
        logits: int64 [edges].
        nodes: Number of nodes.
        tag: What the status gives back, 32 bits.
    """

    edge_index: NDArray[np.int64]
    logits: NDArray[np.int64]
    nodes: int
    tag: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledGraph:
    """Output of one graph, and when (cycles of the whole simulation).

    Attributes:
        components: Labels and flags.
        tag: As given.
        header: Cycle in which the header was taken.
        last_edge: Cycle in which the last beat of edges was taken; that of the header if there is none.
        first_label: Cycle of the first beat of labels; that of the status if there is none.
        status: Cycle of the status.
    """

    components: Components
    tag: int
    header: int
    last_edge: int
    first_label: int
    status: int


class ComponentsSimulation:
    """The module under Verilator.

    Args:
        config: Its parameters.
        sources: Its Verilog, where it is not that of this package.
        verilator: Installation, or its program; None takes the one found.

    Raises:
        ToolError: Verilator or g++ is missing or fails.
    """

    def __init__(
        self,
        config: ComponentsConfig,
        *,
        sources: Sequence[Path] = SOURCES,
        verilator: Verilator | Path | None = None,
    ) -> None:
        self.config = config
        edge_bits, label_bits = sum(config.edge_widths), config.index_bits
        self._edge_padding, self._label_padding = padding(edge_bits), padding(label_bits)
        edges, labels = edge_bits + self._edge_padding, label_bits + self._label_padding
        self._edges = StreamPort(name="s_axis_edges", bits=config.lanes * edges, last=True)
        self._labels = StreamPort(name="m_axis_labels", bits=config.label_lanes * labels, last=True)
        self._model = StreamSimulation(
            sources=sources,
            top=TOP,
            inputs=(GRAPH, self._edges),
            outputs=(self._labels, STATUS),
            parameters=config.parameters,
            verilator=verilator,
        )

    def run(self, graphs: Sequence[ScoredEdges], *, stalls: float = 0.0, seed: int = 0) -> list[LabelledGraph]:
        """Label graphs that are sent back to back.

        Args:
            graphs: The graphs.
            stalls: Probability of a gap or of back-pressure, in each cycle and stream.
            seed: Seed of the stalls and of the initial state.

        Returns:
            One result per graph.

        Raises:
            ToolError: The module gives more or fewer beats than its streams promise.
        """
        parts = [self.edge_beats(graph) for graph in graphs]
        return self.run_beats(graphs, parts, stalls=stalls, seed=seed)

    def edge_beats(self, graph: ScoredEdges) -> Beats:
        """The beats of a graph's edges."""
        rows = np.column_stack([graph.edge_index.reshape(-1, 2), graph.logits])
        return Beats.of(self._edges, rows, self.config.edge_widths, padding=self._edge_padding)

    def run_beats(
        self, graphs: Sequence[ScoredEdges], parts: Sequence[Beats], *, stalls: float = 0.0, seed: int = 0
    ) -> list[LabelledGraph]:
        """`run` with beats of edges that need not be those of the graphs (their number must be)."""
        headers = np.array([[g.nodes, len(g.edge_index), g.tag] for g in graphs], dtype=np.int64)
        beats = {
            GRAPH.name: Beats.of(GRAPH, headers.reshape(-1, 3), (16, 16, 32)),
            self._edges.name: Beats.joined(self._edges, parts),
        }
        counts = [0 if self._over_size(graph) else -(-graph.nodes // self.config.label_lanes) for graph in graphs]
        expected = {self._labels.name: sum(counts), STATUS.name: len(graphs)}
        run = self._model.run(beats, expected, stalls=stalls, seed=seed)
        return self._results(graphs, run, counts, [len(part) for part in parts])

    def _over_size(self, graph: ScoredEdges) -> bool:
        return graph.nodes > self.config.max_nodes or len(graph.edge_index) > self.config.max_edges

    def _results(
        self, graphs: Sequence[ScoredEdges], run: StreamRun, counts: Sequence[int], edge_beats: Sequence[int]
    ) -> list[LabelledGraph]:
        labels, status = run.outputs[self._labels.name], run.outputs[STATUS.name]
        rows = labels.rows(self._labels, (self.config.index_bits,), padding=self._label_padding)[:, 0]
        check_last(labels, counts, self._labels)
        found, place, edge = [], 0, 0
        for number, (graph, count) in enumerate(zip(graphs, counts, strict=True)):
            header = int(run.accepted[GRAPH.name][number])
            edge += edge_beats[number]
            first = place * self.config.label_lanes
            done = int(status.cycles[number])
            found.append(
                LabelledGraph(
                    components=Components(
                        labels=rows[first : first + (graph.nodes if count else 0)],
                        flags=int(status.data[number, 1]),
                    ),
                    tag=int(status.data[number, 0]),
                    header=header,
                    last_edge=int(run.accepted[self._edges.name][edge - 1]) if edge_beats[number] else header,
                    first_label=int(labels.cycles[place]) if count else done,
                    status=done,
                )
            )
            place += count
        return found


def check_last(beats: Beats, counts: Sequence[int], port: StreamPort) -> None:
    """Compare tlast of an output with the beats of each graph.

    Raises:
        ToolError: It is not on the last beat of every graph, and nowhere else.
    """
    expected = np.zeros(len(beats), dtype=np.bool_)
    expected[[end - 1 for end, count in zip(np.cumsum(counts), counts, strict=True) if count]] = True
    if not np.array_equal(beats.last, expected):
        raise ToolError(f"simulation: tlast of {port.name} is at a wrong beat", remedy="correct the RTL")
