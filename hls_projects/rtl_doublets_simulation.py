"""Simulation of the doublet builder, many graphs after each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core import ToolError
from .rtl_components import padding
from .rtl_components_simulation import GRAPH, STATUS, check_last
from .rtl_doublets import HIT_WIDTHS, Doublets, DoubletsConfig, integer_doublets, wrap
from .rtl_doublets_verilog import TOP, parameters
from .rtl_tracking_streams import Beats, StreamPort, StreamRun, StreamSimulation
from .rtl_verilator import Verilator

HEADERS = StreamPort(name="m_axis_graph", bits=64)


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
    """The module under Verilator.

    Args:
        config: Its parameters.
        sources: Its Verilog, as `write_doublets` gives it.
        verilator: Installation, or its program; None takes the one found.

    Raises:
        ToolError: Verilator or g++ is missing or fails.
    """

    def __init__(
        self, config: DoubletsConfig, *, sources: Sequence[Path], verilator: Verilator | Path | None = None
    ) -> None:
        self.config = config
        bits = sum(config.edge_widths)
        self._padding = padding(bits)
        self._hits = StreamPort(name="s_axis_hits", bits=config.lanes * sum(HIT_WIDTHS), last=True)
        self._edges = StreamPort(name="m_axis_edges", bits=config.lanes * (bits + self._padding), last=True)
        self._model = StreamSimulation(
            sources=sources,
            top=TOP,
            inputs=(GRAPH, self._hits),
            outputs=(HEADERS, self._edges, STATUS),
            parameters=parameters(config),
            verilator=verilator,
        )

    def hit_beats(self, hits: NDArray[np.int64]) -> Beats:
        """The beats of a graph's hits [hits, 4]."""
        return Beats.of(self._hits, hits, HIT_WIDTHS)

    def run(
        self,
        graphs: Sequence[NDArray[np.int64]],
        *,
        tags: Sequence[int] | None = None,
        parts: Sequence[Beats] | None = None,
        stalls: float = 0.0,
        seed: int = 0,
    ) -> list[BuiltGraph]:
        """Build graphs whose hits are sent back to back.

        Args:
            graphs: int64 [hits, 4] of each graph: r, phi, z, layer number.
            tags: What each status gives back, 32 bits; None counts the graphs.
            parts: Beats of the hits, where they are not those of the graphs (their number must be).
            stalls: Probability of a gap or of back-pressure, in each cycle and stream.
            seed: Seed of the stalls and of the initial state.

        Returns:
            One result per graph.

        Raises:
            ToolError: The module gives other beats than its streams promise, or not as many edges as the reference.
        """
        names = list(range(len(graphs))) if tags is None else list(tags)
        beats = [self.hit_beats(hits) for hits in graphs] if parts is None else list(parts)
        headers = np.array([[len(hits), 0, tag] for hits, tag in zip(graphs, names, strict=True)], dtype=np.int64)
        sent = {
            GRAPH.name: Beats.of(GRAPH, headers.reshape(-1, 3), (16, 16, 32)),
            self._hits.name: Beats.joined(self._hits, beats),
        }
        known = [integer_doublets(hits, self.config) for hits in graphs]
        counts = [-(-len(doublets.edge_index) // self.config.lanes) for doublets in known]
        whole = [doublets.flags & 3 == 0 for doublets in known]
        expected = {HEADERS.name: sum(whole), self._edges.name: sum(counts), STATUS.name: len(graphs)}
        run = self._model.run(sent, expected, stalls=stalls, seed=seed)
        check_last(run.outputs[self._edges.name], counts, self._edges)
        return self._results(run, counts, whole, [len(part) for part in beats])

    def _results(
        self, run: StreamRun, counts: Sequence[int], whole: Sequence[bool], hit_beats: Sequence[int]
    ) -> list[BuiltGraph]:
        edges, status = run.outputs[self._edges.name], run.outputs[STATUS.name]
        rows = edges.rows(self._edges, self.config.edge_widths, padding=self._padding)
        headers = run.outputs[HEADERS.name].rows(HEADERS, (16, 16, 32))
        hits = np.concatenate([[0], np.cumsum(hit_beats)])
        starts = np.concatenate([[0], np.cumsum(counts)])
        found, place = [], 0
        for number, count in enumerate(counts):
            size, tag, done = 0, int(status.data[number, 0]), int(status.cycles[number])
            if whole[number]:
                size = int(headers[place, 1])
                if headers[place, 2] != tag or -(-size // self.config.lanes) != count:
                    raise ToolError(
                        f"simulation: header {headers[place]} for tag {tag} and {count} beats of edges",
                        remedy="correct the RTL",
                    )
                place += 1
            first = int(starts[number])
            header = int(run.accepted[GRAPH.name][number])
            of_graph = rows[first * self.config.lanes :][:size]
            found.append(
                BuiltGraph(
                    doublets=_sorted(of_graph, int(status.data[number, 1])),
                    tag=tag,
                    header=header,
                    last_hit=int(run.accepted[self._hits.name][hits[number + 1] - 1]) if hit_beats[number] else header,
                    first_edge=int(edges.cycles[first]) if count else done,
                    status=done,
                )
            )
        return found


def _sorted(rows: NDArray[np.int64], flags: int) -> Doublets:
    order = np.lexsort((rows[:, 1], rows[:, 0]))
    return Doublets(edge_index=rows[order, :2], features=wrap(rows[order, 2:], 16), flags=flags)
