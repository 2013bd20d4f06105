"""Hits to labels in RTL: doublet builder, graph engine and component labelling in one module, and its simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core import GraphError
from .rtl_components import SOURCES, ComponentsConfig
from .rtl_components_simulation import labels_stream
from .rtl_doublets import FEATURE_BITS, DoubletsConfig
from .rtl_doublets_simulation import hit_beats, hits_stream
from .rtl_doublets_verilog import parameters, write_doublets
from .rtl_project import RtlProject
from .rtl_simulation_beats import HEADER, STATUS, beat_graphs, header_beats, port_of, read_rows, read_words
from .rtl_simulation_streams import StreamSimulation
from .rtl_verilator import Verilator

TOP = "hitfabric_tracking"
TOP_SOURCE = Path(__file__).parent / "rtl" / "tracking_top.v"
"""Verilog of `TOP` itself, which takes its FIFOs from the labelling's; its head describes the streams."""

INTERNAL_FAULT = 1 << 4
"""Flag of the status beside those of the doublet builder."""


@dataclass(frozen=True, kw_only=True)
class TrackingProject:
    """The design from hits to labels.

    Attributes:
        sources: All Verilog files, absolute.
        doublets: The doublet builder.
        components: The labelling.
        parameters: Parameters of the module `hitfabric_tracking`.
    """

    sources: tuple[Path, ...]
    doublets: DoubletsConfig
    components: ComponentsConfig
    parameters: Mapping[str, int]


def write_tracking(
    engine: RtlProject, doublets: DoubletsConfig, directory: Path, *, threshold: int = 0, merges: int = 4
) -> TrackingProject:
    """Put an engine between the doublet builder and the labelling.

    Args:
        engine: An edge classifier: `nodes` of three features and `edges` of four, 16 bits each, one logit per edge.
        doublets: Layers and cuts; its sizes and lanes are those of the engine.
        directory: Where the tables of the doublet builder go.
        threshold: Smallest integer logit of an edge that counts.
        merges: Edges that the labelling resolves per cycle.

    Returns:
        The design.

    Raises:
        GraphError: The engine's streams or sizes are not those of the doublet builder.
    """
    maxima = engine.graph.maxima
    nodes, edges = engine.stream("s_axis_nodes"), engine.stream("s_axis_edges")
    logits = engine.stream("m_axis_edges")
    index = maxima.nodes.bit_length()
    found = [
        [(field.features, field.bits) for field in stream.fields] + [(stream.lanes, 0)]
        for stream in (nodes, edges, logits)
    ]
    lanes = (doublets.lanes, 0)
    expected = [[(3, FEATURE_BITS), lanes], [(2, index), (4, FEATURE_BITS), lanes]]
    sizes = (maxima.nodes, maxima.edges) == (doublets.max_nodes, doublets.max_edges)
    fields = found[:2] == expected and len(logits.fields) == 1 and found[2][0][0] == 1 and logits.lanes == lanes[0]
    if not (sizes and fields) or engine.edge_order is not None:
        raise GraphError(
            f"the engine of {engine.graph.name} does not take the edges of the doublet builder",
            remedy=f"build an edge classifier for {doublets.max_nodes} nodes and {doublets.max_edges} edges with "
            f"{doublets.lanes} edge and node lanes and a banked scatter-add",
        )
    components = ComponentsConfig(
        max_nodes=maxima.nodes,
        max_edges=maxima.edges,
        lanes=doublets.lanes,
        merges=merges,
        label_lanes=doublets.lanes,
        logit_bits=logits.fields[0].bits,
        threshold=threshold,
    )
    own = {"LOGIT_BITS": components.logit_bits, "THRESHOLD": threshold, "MERGES": merges}
    return TrackingProject(
        sources=(TOP_SOURCE, *write_doublets(doublets, directory), *SOURCES, *engine.sources),
        doublets=doublets,
        components=components,
        parameters={**parameters(doublets), **own, "LABEL_LANES": components.label_lanes},
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackedHits:
    """Output of one graph, and when (cycles of the whole simulation).

    Attributes:
        labels: int64 [hits], as of `Components`; empty if over-size.
        flags: Those of the doublet builder, and `INTERNAL_FAULT`.
        tag: As given.
        header: Cycle in which the header was taken.
        status: Cycle of the status.
    """

    labels: NDArray[np.int64]
    flags: int
    tag: int
    header: int
    status: int

    @property
    def latency(self) -> int:
        """Cycles from the one that takes the header to the one that gives the status, both counted."""
        return self.status - self.header + 1


class TrackingSimulation:
    """The module under Verilator, which keeps its state from run to run.

    Args:
        project: The design.
        seed: Of the initial state, and of what lanes hold that mean nothing.
        verilator: Installation, or its program; None takes the one found.

    Raises:
        ToolError: Verilator or g++ is missing or fails.
    """

    def __init__(self, project: TrackingProject, *, seed: int = 0, verilator: Verilator | Path | None = None) -> None:
        self.seed = seed
        self._hits, self._labels = hits_stream(project.doublets), labels_stream(project.components)
        self._model = StreamSimulation(
            project.sources,
            TOP,
            ports=(HEADER, port_of(self._hits), port_of(self._labels), STATUS),
            seed=seed,
            parameters=project.parameters,
            verilator=verilator,
        )

    def run(
        self,
        graphs: Sequence[NDArray[np.int64]],
        whole: Sequence[bool],
        *,
        stalls: float = 0.0,
        seed: int = 0,
        window: int = 0,
    ) -> list[TrackedHits]:
        """Track graphs whose hits are sent back to back.

        Args:
            graphs: int64 [hits, 4] of each graph: r, phi, z, layer number; their numbers are their tags.
            whole: Whether each has labels, that is, neither too many nodes nor edges (`integer_doublets` tells).
            stalls: Probability of a gap or of back-pressure, in each cycle and stream.
            seed: Seed of the stalls.
            window: Graphs in the module at a time; 0 lets in as many as it takes.

        Returns:
            One result per graph.

        Raises:
            GraphError: The module gives other beats than its streams promise, or breaks the protocol.
            DeadlockError: It hangs.
        """
        counts = [len(hits) if kept else 0 for hits, kept in zip(graphs, whole, strict=True)]
        streams = self._model.run(
            {
                HEADER.name: header_beats([(len(hits), 0) for hits in graphs]),
                self._hits.name: hit_beats(self._hits, graphs, seed=self.seed),
            },
            {
                self._labels.name: beat_graphs(self._labels, counts),
                STATUS.name: np.arange(len(graphs), dtype=np.int64),
            },
            stalls=stalls,
            seed=seed,
            window=window,
        )
        labels = read_rows(self._labels, streams[self._labels.name], counts)
        return [
            TrackedHits(
                labels=labels[n][0][:, 0],
                flags=int(flags),
                tag=int(tag),
                header=int(streams[HEADER.name].cycle[n]),
                status=int(streams[STATUS.name].cycle[n]),
            )
            for n, (tag, flags) in enumerate(read_words(streams[STATUS.name]))
        ]
