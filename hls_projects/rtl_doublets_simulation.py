"""Simulation of the doublet builder, many graphs after each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core import GraphError
from .rtl_doublets import FEATURE_BITS, HIT_WIDTHS, Doublets, DoubletsConfig, integer_doublets
from .rtl_doublets_verilog import TOP, parameters
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
from .rtl_simulation_streams import REPORT, Beats, StreamPort, StreamSimulation
from .rtl_simulation_words import Integers
from .rtl_verilator import Verilator

BUILT = StreamPort(name="m_axis_graph", direction="out", bits=64, has_last=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class BuiltGraph:
    """Output of one graph, and when (cycles of the whole simulation).

    Attributes:
        doublets: Edges in sorted order, features and flags.
        tag: As given.
        header: Cycle in which the header of the hits was taken.
        last_hit: Cycle in which the last beat of hits was taken; that of the header if there is none.
        first_edge: Cycle of the first beat of edges; that of the status if there is none.
        status: Cycle of the status.
    """

    doublets: Doublets
    tag: int
    header: int
    last_hit: int
    first_edge: int
    status: int


class DoubletsSimulation:
    """The module under Verilator, which keeps its state from run to run.

    Args:
        config: Its parameters.
        sources: Its Verilog, as `write_doublets` gives it.
        seed: Of the initial state, and of what lanes hold that mean nothing.
        verilator: Installation, or its program; None takes the one found.

    Raises:
        ToolError: Verilator or g++ is missing or fails.
    """

    def __init__(
        self,
        config: DoubletsConfig,
        *,
        sources: Sequence[Path],
        seed: int = 0,
        verilator: Verilator | Path | None = None,
    ) -> None:
        self.config, self.seed = config, seed
        index = Field(tensor="edge_index", features=2, bits=config.index_bits, signed=False)
        features = Field(tensor="edges", features=4, bits=FEATURE_BITS, signed=True)
        self._hits = hits_stream(config)
        self._edges = RtlStream.of(
            "m_axis_edges", direction="out", domain="E", lanes=config.lanes, fields=(index, features)
        )
        self._model = StreamSimulation(
            sources,
            TOP,
            ports=(HEADER, port_of(self._hits), BUILT, port_of(self._edges), STATUS),
            seed=seed,
            parameters=parameters(config),
            verilator=verilator,
        )

    def hit_beats(self, graphs: Sequence[Integers]) -> Beats:
        """The beats of the hits of graphs."""
        return hit_beats(self._hits, graphs, seed=self.seed)

    def run(
        self,
        graphs: Sequence[Integers],
        *,
        tags: Sequence[int] | None = None,
        hits: Beats | None = None,
        stalls: float = 0.0,
        seed: int = 0,
        window: int = 0,
    ) -> list[BuiltGraph]:
        """Build graphs whose hits are sent back to back.

        Args:
            graphs: int64 [hits, 4] of each graph: r, phi, z, layer number.
            tags: What each status gives back, 32 bits; None counts the graphs.
            hits: Beats of the hits, where they are not those of the graphs (their number must be).
            stalls: Probability of a gap or of back-pressure, in each cycle and stream.
            seed: Seed of the stalls.
            window: Graphs in the module at a time; 0 lets in as many as it takes.

        Returns:
            One result per graph.

        Raises:
            GraphError: The module gives other beats than its streams promise, not as many edges as the reference, or
                breaks the protocol.
            DeadlockError: It hangs.
        """
        given = {
            HEADER.name: header_beats([(len(graph), 0) for graph in graphs], tags=tags),
            self._hits.name: self.hit_beats(graphs) if hits is None else hits,
        }
        known = [integer_doublets(graph, self.config) for graph in graphs]
        counts = [len(doublets.edge_index) for doublets in known]
        numbers = np.arange(len(graphs), dtype=np.int64)
        whole = numbers[[doublets.flags & 3 == 0 for doublets in known]]
        expected = {BUILT.name: whole, self._edges.name: beat_graphs(self._edges, counts), STATUS.name: numbers}
        streams = self._model.run(given, expected, stalls=stalls, seed=seed, window=window)
        status = read_words(streams[STATUS.name])
        _check_headers(read_words(streams[BUILT.name]), status[whole], np.array(counts, dtype=np.int64)[whole])
        rows = read_rows(self._edges, streams[self._edges.name], counts)
        headers, ends = streams[HEADER.name].cycle, streams[STATUS.name].cycle
        last_hit = last_cycles(streams[self._hits.name], without=headers)
        first_edge = first_cycles(streams[self._edges.name], without=ends)
        return [
            BuiltGraph(
                doublets=_sorted(index, features, flags=int(flags)),
                tag=int(tag),
                header=int(headers[n]),
                last_hit=int(last_hit[n]),
                first_edge=int(first_edge[n]),
                status=int(ends[n]),
            )
            for n, ((tag, flags), (index, features)) in enumerate(zip(status, rows, strict=True))
        ]


def hits_stream(config: DoubletsConfig) -> RtlStream:
    """The stream of hits."""
    position = Field(tensor="position", features=3, bits=HIT_WIDTHS[0], signed=True)
    layer = Field(tensor="layer", features=1, bits=HIT_WIDTHS[3], signed=False)
    return RtlStream.of("s_axis_hits", direction="in", domain="N", lanes=config.lanes, fields=(position, layer))


def hit_beats(stream: RtlStream, graphs: Sequence[Integers], *, seed: int) -> Beats:
    """Beats of hits, int64 [hits, 4] of each graph: r, phi, z, layer number."""
    return row_beats(stream, [[hits[:, :3], hits[:, 3:]] for hits in graphs], seed=seed)


def _check_headers(built: NDArray[np.uint32], status: NDArray[np.uint32], counts: Integers) -> None:
    """Compare the headers of graphs with edges with their status, and with the edges expected."""
    for header, (tag, _), count in zip(built, status, counts, strict=True):
        if int(header[0]) >> 16 != count or header[1] != tag:
            raise GraphError(
                f"{TOP} gives a header of {int(header[0]) >> 16} edges with tag {header[1]} for {count} edges of {tag}",
                remedy=REPORT,
            )


def _sorted(index: Integers, features: Integers, *, flags: int) -> Doublets:
    order = np.lexsort((index[:, 1], index[:, 0]))
    return Doublets(edge_index=index[order], features=features[order], flags=flags)
