"""Hits to labels in RTL: doublet builder, graph engine and component labelling in one module, and its simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core import GraphError
from .rtl_components import SOURCES, ComponentsConfig, padding
from .rtl_components_simulation import GRAPH, STATUS, check_last
from .rtl_doublets import FEATURE_BITS, HIT_WIDTHS, DoubletsConfig
from .rtl_doublets_verilog import parameters, write_doublets
from .rtl_project import RtlProject
from .rtl_tracking_streams import Beats, StreamPort, StreamSimulation
from .rtl_verilator import Verilator

TOP = "hitfabric_tracking"
OWN_SOURCES = tuple(Path(__file__).parent / "rtl" / name for name in ("tracking_top.v", "tracking_fifo.v"))
"""Verilog of `TOP` itself; its head describes the streams."""

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
        sources=(*OWN_SOURCES, *write_doublets(doublets, directory), *SOURCES, *engine.sources),
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
    """The module under Verilator.

    Args:
        project: The design.
        verilator: Installation, or its program; None takes the one found.

    Raises:
        ToolError: Verilator or g++ is missing or fails.
    """

    def __init__(self, project: TrackingProject, *, verilator: Verilator | Path | None = None) -> None:
        components, doublets = project.components, project.doublets
        self._index_bits, self._lanes = components.index_bits, components.label_lanes
        self._padding = padding(components.index_bits)
        label = components.index_bits + self._padding
        self._hits = StreamPort(name="s_axis_hits", bits=doublets.lanes * sum(HIT_WIDTHS), last=True)
        self._labels = StreamPort(name="m_axis_labels", bits=self._lanes * label, last=True)
        self._model = StreamSimulation(
            sources=project.sources,
            top=TOP,
            inputs=(GRAPH, self._hits),
            outputs=(self._labels, STATUS),
            parameters=project.parameters,
            verilator=verilator,
        )

    def run(
        self, graphs: Sequence[NDArray[np.int64]], whole: Sequence[bool], *, stalls: float = 0.0, seed: int = 0
    ) -> list[TrackedHits]:
        """Track graphs whose hits are sent back to back.

        Args:
            graphs: int64 [hits, 4] of each graph: r, phi, z, layer number; their numbers are their tags.
            whole: Whether each has labels, that is, neither too many nodes nor edges (`integer_doublets` tells).
            stalls: Probability of a gap or of back-pressure, in each cycle and stream.
            seed: Seed of the stalls and of the initial state.

        Returns:
            One result per graph.

        Raises:
            ToolError: The module gives other beats than its streams promise.
        """
        headers = np.array([[len(hits), 0, tag] for tag, hits in enumerate(graphs)], dtype=np.int64).reshape(-1, 3)
        beats = [Beats.of(self._hits, hits, HIT_WIDTHS) for hits in graphs]
        sent = {GRAPH.name: Beats.of(GRAPH, headers, (16, 16, 32)), self._hits.name: Beats.joined(self._hits, beats)}
        counts = [-(-len(hits) // self._lanes) if kept else 0 for hits, kept in zip(graphs, whole, strict=True)]
        run = self._model.run(
            sent, {self._labels.name: sum(counts), STATUS.name: len(graphs)}, stalls=stalls, seed=seed
        )
        labels, status = run.outputs[self._labels.name], run.outputs[STATUS.name]
        check_last(labels, counts, self._labels)
        rows = labels.rows(self._labels, (self._index_bits,), padding=self._padding)[:, 0]
        starts = np.concatenate([[0], np.cumsum(counts)]) * self._lanes
        return [
            TrackedHits(
                labels=rows[starts[n] :][: len(hits) if counts[n] else 0],
                flags=int(status.data[n, 1]),
                tag=int(status.data[n, 0]),
                header=int(run.accepted[GRAPH.name][n]),
                status=int(status.cycles[n]),
            )
            for n, hits in enumerate(graphs)
        ]
