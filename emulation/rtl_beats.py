"""Graphs as beats on the streams of an RTL engine, and beats as the integers of its outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..hls_projects import rtl_simulation_beats
from ..hls_projects.rtl_project import RtlProject, RtlStream
from ..hls_projects.rtl_simulation_streams import Beats, StreamPort
from ..quantization import Input, TypedGraph
from .executor import Arrays
from .inputs import Sizes

Integers = NDArray[np.int64]

HEADER, STATUS = rtl_simulation_beats.HEADER.name, rtl_simulation_beats.STATUS.name
REPORT = "report this network as a defect of hitfabric"


def ports_of(project: RtlProject) -> list[StreamPort]:
    """All streams of an engine, header and status included."""
    rows = [rtl_simulation_beats.port_of(stream) for stream in project.streams]
    return [rtl_simulation_beats.HEADER, *rows, rtl_simulation_beats.STATUS]


def input_integers(graph: TypedGraph, inputs: Arrays, *, index_bits: int) -> dict[str, Integers]:
    """Integers of every input; an index too large for its bits becomes the largest they hold, which is padding too."""
    return {node.name: _entered(node, np.asarray(inputs[node.name]), index_bits) for node in graph.inputs}


def _entered(node: Input, array: NDArray[np.generic], index_bits: int) -> Integers:
    if node.tensor.is_index:
        return np.minimum(array.astype(np.int64), (1 << index_bits) - 1)
    return node.tensor.format.quantize(array)


def header_beats(sizes: Sequence[Sizes]) -> Beats:
    """One beat per graph: nodes (or rows), edges, and its number as tag."""
    return rtl_simulation_beats.header_beats([(size.nodes or size.rows, size.edges) for size in sizes])


def row_beats(stream: RtlStream, graphs: Sequence[Mapping[str, Integers]], *, seed: int) -> Beats:
    """Beats of an input stream of rows; lanes beyond a graph's rows are random, as they mean nothing.

    Args:
        stream: The stream.
        graphs: Integers of the inputs, graph by graph.
        seed: Of the lanes that mean nothing.
    """
    rows = [[tensors[field.tensor] for field in stream.fields] for tensors in graphs]
    return rtl_simulation_beats.row_beats(stream, rows, seed=seed)


def beat_graphs(stream: RtlStream, sizes: Sequence[Sizes]) -> Integers:
    """The graph of each beat of a stream of rows; sizes of graphs that give none are zero."""
    return rtl_simulation_beats.beat_graphs(stream, [size.of(stream.domain) for size in sizes])


def read_rows(stream: RtlStream, beats: Beats, sizes: Sequence[Sizes]) -> list[dict[str, Integers]]:
    """Integers of the outputs in a stream of rows, graph by graph.

    Raises:
        GraphError: tlast is not where a graph ends.
    """
    rows = rtl_simulation_beats.read_rows(stream, beats, [size.of(stream.domain) for size in sizes])
    names = [field.tensor for field in stream.fields]
    return [dict(zip(names, tensors, strict=True)) for tensors in rows]
