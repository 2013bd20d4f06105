"""Simulation of the component labelling, many graphs after each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .rtl_components import SOURCES, TOP, Components, ComponentsConfig
from .rtl_fields import Field
from .rtl_project import RtlStream
from .rtl_simulation_beats import (
    HEADER,
    STATUS,
    beat_graphs,
    first_cycles,
    header_beats,
    last_cycles,
    port_of,
    read_rows,
    read_words,
    row_beats,
)
from .rtl_simulation_streams import Beats, StreamSimulation
from .rtl_verilator import Verilator


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
    """The module under Verilator, which keeps its state from run to run.

    Args:
        config: Its parameters.
        sources: Its Verilog, where it is not that of this package.
        seed: Of the initial state, and of what lanes hold that mean nothing.
        verilator: Installation, or its program; None takes the one found.

    Raises:
        ToolError: Verilator or g++ is missing or fails.
    """

    def __init__(
        self,
        config: ComponentsConfig,
        *,
        sources: Sequence[Path] = SOURCES,
        seed: int = 0,
        verilator: Verilator | Path | None = None,
    ) -> None:
        self.config, self.seed = config, seed
        index = Field(tensor="edge_index", features=2, bits=config.index_bits, signed=False)
        logit = Field(tensor="logit", features=1, bits=config.logit_bits, signed=True)
        self._edges = RtlStream.of(
            "s_axis_edges", direction="in", domain="E", lanes=config.lanes, fields=(index, logit)
        )
        self._labels = labels_stream(config)
        self._model = StreamSimulation(
            sources,
            TOP,
            ports=(HEADER, port_of(self._edges), port_of(self._labels), STATUS),
            seed=seed,
            parameters=config.parameters,
            verilator=verilator,
        )

    def edge_beats(self, graphs: Sequence[ScoredEdges]) -> Beats:
        """The beats of the edges of graphs."""
        rows = [[graph.edge_index.reshape(-1, 2), graph.logits[:, None]] for graph in graphs]
        return row_beats(self._edges, rows, seed=self.seed)

    def run(
        self,
        graphs: Sequence[ScoredEdges],
        *,
        edges: Beats | None = None,
        stalls: float = 0.0,
        seed: int = 0,
        window: int = 0,
    ) -> list[LabelledGraph]:
        """Label graphs that are sent back to back.

        Args:
            graphs: The graphs.
            edges: Beats of the edges, where they are not those of the graphs (their number must be).
            stalls: Probability of a gap or of back-pressure, in each cycle and stream.
            seed: Seed of the stalls.
            window: Graphs in the module at a time; 0 lets in as many as it takes.

        Returns:
            One result per graph.

        Raises:
            GraphError: The module gives other beats than its streams promise, or breaks the protocol.
            DeadlockError: It hangs.
        """
        given = {
            HEADER.name: header_beats(
                [(graph.nodes, len(graph.edge_index)) for graph in graphs], tags=[graph.tag for graph in graphs]
            ),
            self._edges.name: self.edge_beats(graphs) if edges is None else edges,
        }
        counts = [0 if self._over_size(graph) else graph.nodes for graph in graphs]
        expected = {
            self._labels.name: beat_graphs(self._labels, counts),
            STATUS.name: np.arange(len(graphs), dtype=np.int64),
        }
        streams = self._model.run(given, expected, stalls=stalls, seed=seed, window=window)
        headers, status = streams[HEADER.name].cycle, streams[STATUS.name].cycle
        labels = read_rows(self._labels, streams[self._labels.name], counts)
        last_edge = last_cycles(streams[self._edges.name], without=headers)
        first_label = first_cycles(streams[self._labels.name], without=status)
        return [
            LabelledGraph(
                components=Components(labels=labels[n][0][:, 0], flags=int(flags)),
                tag=int(tag),
                header=int(headers[n]),
                last_edge=int(last_edge[n]),
                first_label=int(first_label[n]),
                status=int(status[n]),
            )
            for n, (tag, flags) in enumerate(read_words(streams[STATUS.name]))
        ]

    def _over_size(self, graph: ScoredEdges) -> bool:
        return graph.nodes > self.config.max_nodes or len(graph.edge_index) > self.config.max_edges


def labels_stream(config: ComponentsConfig) -> RtlStream:
    """The stream of labels."""
    field = Field(tensor="label", features=1, bits=config.index_bits, signed=False)
    return RtlStream.of("m_axis_labels", direction="out", domain="N", lanes=config.label_lanes, fields=(field,))
