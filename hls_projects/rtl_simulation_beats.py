"""Rows of tensors as beats of AXI4-Streams, and back: headers, statuses, and rows in lanes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..core import GraphError
from .rtl_project import RtlStream
from .rtl_simulation_streams import REPORT, Beats, StreamPort
from .rtl_simulation_words import Integers, pack_rows, unpack_rows

HEADER = StreamPort(name="s_axis_graph", direction="in", bits=64, has_last=False)
"""One beat opens a graph: nodes (or rows) in 16 bits, edges in 16, tag in 32."""

STATUS = StreamPort(name="m_axis_status", direction="out", bits=64, has_last=False)
"""One beat ends a graph: tag in 32 bits, then flags."""


def port_of(stream: RtlStream) -> StreamPort:
    """The port of a stream of rows."""
    return StreamPort(name=stream.name, direction=stream.direction, bits=stream.lanes * stream.word_bits)


def header_beats(counts: Sequence[tuple[int, int]], *, tags: Sequence[int] | None = None) -> Beats:
    """Headers of graphs.

    Args:
        counts: Nodes (or rows) and edges of each, below 65,536.
        tags: Tag of each, 32 bits; None counts them.
    """
    words = np.zeros((len(counts), 4), dtype="<u2")
    words[:, :2] = np.array(counts, dtype="<u2").reshape(-1, 2)
    words.view("<u4")[:, 1] = np.arange(len(counts)) if tags is None else tags
    graph = np.arange(len(counts), dtype=np.int64)
    return Beats(data=words.view(np.uint8), graph=graph, last=np.zeros(len(counts), dtype=np.bool_))


def row_beats(stream: RtlStream, graphs: Sequence[Sequence[Integers]], *, seed: int) -> Beats:
    """Beats of a stream of rows; lanes beyond a graph's rows are random, as they mean nothing.

    Args:
        stream: The stream.
        graphs: For each graph int64 [rows, features] of the stream's fields.
        seed: Of the lanes that mean nothing.

    Raises:
        GraphError: A tensor does not fit its field.
    """
    width, generator = stream.word_bits // 8, np.random.default_rng(seed)
    parts = [np.zeros((0, stream.lanes * width), dtype=np.uint8)]
    for tensors in graphs:
        rows = pack_rows(stream.fields, tensors, word_bits=stream.word_bits)
        spare = generator.integers(0, 256, (-len(rows) % stream.lanes, width), dtype=np.uint8)
        parts.append(np.concatenate([rows, spare]).reshape(-1, stream.lanes * width))
    graph = beat_graphs(stream, [len(tensors[0]) for tensors in graphs])
    return Beats(data=np.concatenate(parts), graph=graph, last=last_of_graph(graph))


def beat_graphs(stream: RtlStream, counts: Sequence[int]) -> Integers:
    """The graph of each beat of a stream of rows.

    Args:
        stream: The stream.
        counts: Rows of each graph; 0 for one that gives none.
    """
    beats = [-(-count // stream.lanes) for count in counts]
    return np.repeat(np.arange(len(counts), dtype=np.int64), beats)


def last_of_graph(graph: Integers) -> NDArray[np.bool_]:
    """Where tlast belongs."""
    return np.append(graph[1:] != graph[:-1], True) if len(graph) else np.zeros(0, dtype=np.bool_)


def read_rows(stream: RtlStream, beats: Beats, counts: Sequence[int]) -> list[list[Integers]]:
    """Tensors of a stream of rows, graph by graph, as `row_beats` takes them.

    Args:
        stream: The stream.
        beats: As many as `beat_graphs` says.
        counts: Rows of each graph.

    Raises:
        GraphError: tlast is not where a graph ends.
    """
    wrong = np.flatnonzero(beats.last != last_of_graph(beats.graph))
    if len(wrong):
        place = int(wrong[0])
        graph = int(beats.graph[place])
        beat = place - int(np.searchsorted(beats.graph, graph))
        raise GraphError(
            f"{stream.name} has tlast {int(beats.last[place])} in beat {beat} of graph {graph}", remedy=REPORT
        )
    rows = beats.data.reshape(-1, stream.word_bits // 8)
    first, found = 0, []
    for count in counts:
        found.append(unpack_rows(stream.fields, rows[first : first + count]))
        first += -(-count // stream.lanes) * stream.lanes
    return found


def read_words(beats: Beats) -> NDArray[np.uint32]:
    """Beats of whole 32-bit words, such as statuses: uint32 [beats, words], the lowest first."""
    return np.ascontiguousarray(beats.data).view("<u4")


def first_cycles(beats: Beats, *, without: Integers) -> Integers:
    """Cycle of the first beat of each graph.

    Args:
        beats: Beats of one stream after a run.
        without: int64 [graphs], what graphs without a beat get.

    Returns:
        int64 [graphs].
    """
    found = without.copy()
    found[beats.graph[::-1]] = beats.cycle[::-1]  # the earliest stays
    return found


def last_cycles(beats: Beats, *, without: Integers) -> Integers:
    """Cycle of the last beat of each graph; arguments as of `first_cycles`."""
    found = without.copy()
    found[beats.graph] = beats.cycle
    return found
