"""Graphs as beats on the streams of an RTL engine, and beats as the integers of its outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..core import GraphError
from ..hls_projects.rtl_project import RtlProject, RtlStream
from ..hls_projects.rtl_simulation_streams import Beats, StreamPort
from ..hls_projects.rtl_simulation_words import pack_rows, unpack_rows
from ..quantization import Input, TypedGraph
from .executor import Arrays
from .inputs import Sizes

Integers = NDArray[np.int64]

HEADER, STATUS = "s_axis_graph", "m_axis_status"
REPORT = "report this network as a defect of hitfabric"


def ports_of(project: RtlProject) -> list[StreamPort]:
    """All streams of an engine, header and status included."""
    rows = [
        StreamPort(name=stream.name, direction=stream.direction, bits=stream.lanes * stream.word_bits)
        for stream in project.streams
    ]
    header = StreamPort(name=HEADER, direction="in", bits=64, has_last=False)
    return [header, *rows, StreamPort(name=STATUS, direction="out", bits=64, has_last=False)]


def input_integers(graph: TypedGraph, inputs: Arrays, *, index_bits: int) -> dict[str, Integers]:
    """Integers of every input; an index too large for its bits becomes the largest they hold, which is padding too."""
    return {node.name: _entered(node, np.asarray(inputs[node.name]), index_bits) for node in graph.inputs}


def _entered(node: Input, array: NDArray[np.generic], index_bits: int) -> Integers:
    if node.tensor.is_index:
        return np.minimum(array.astype(np.int64), (1 << index_bits) - 1)
    return node.tensor.format.quantize(array)


def header_beats(sizes: Sequence[Sizes]) -> Beats:
    """One beat per graph: nodes (or rows), edges, and its number as tag."""
    words = np.zeros((len(sizes), 4), dtype="<u2")
    words[:, 0] = [size.nodes or size.rows for size in sizes]
    words[:, 1] = [size.edges for size in sizes]
    words.view("<u4")[:, 1] = np.arange(len(sizes))
    graph = np.arange(len(sizes), dtype=np.int64)
    return Beats(data=words.view(np.uint8), graph=graph, last=np.zeros(len(sizes), dtype=np.bool_))


def row_beats(
    stream: RtlStream, graphs: Sequence[Mapping[str, Integers]], sizes: Sequence[Sizes], *, seed: int
) -> Beats:
    """Beats of an input stream of rows; lanes beyond a graph's rows are random, as they mean nothing.

    Args:
        stream: The stream.
        graphs: Integers of the inputs, graph by graph.
        sizes: Sizes of each.
        seed: Of the lanes that mean nothing.
    """
    width, generator = stream.word_bits // 8, np.random.default_rng(seed)
    parts = []
    for tensors in graphs:
        rows = pack_rows(stream.fields, [tensors[field.tensor] for field in stream.fields], word_bits=stream.word_bits)
        spare = generator.integers(0, 256, (-len(rows) % stream.lanes, width), dtype=np.uint8)
        parts.append(np.concatenate([rows, spare]).reshape(-1, stream.lanes * width))
    data = np.concatenate(parts) if parts else np.zeros((0, stream.lanes * width), dtype=np.uint8)
    graph = beat_graphs(stream, sizes)
    return Beats(data=data, graph=graph, last=last_of_graph(graph))


def beat_graphs(stream: RtlStream, sizes: Sequence[Sizes]) -> Integers:
    """The graph of each beat of a stream of rows; sizes of graphs that give none are zero."""
    counts = [-(-size.of(stream.domain) // stream.lanes) for size in sizes]
    return np.repeat(np.arange(len(sizes), dtype=np.int64), counts)


def last_of_graph(graph: Integers) -> NDArray[np.bool_]:
    """Where tlast belongs."""
    return np.append(graph[1:] != graph[:-1], True) if len(graph) else np.zeros(0, dtype=np.bool_)


def read_rows(stream: RtlStream, beats: Beats, sizes: Sequence[Sizes]) -> list[dict[str, Integers]]:
    """Integers of the outputs in a stream of rows, graph by graph.

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
    first, results = 0, []
    for size in sizes:
        count = size.of(stream.domain)
        tensors = unpack_rows(stream.fields, rows[first : first + count])
        results.append({field.tensor: tensor for field, tensor in zip(stream.fields, tensors, strict=True)})
        first += -(-count // stream.lanes) * stream.lanes
    return results
