"""Between a network's tensors and the words in a kernel's memory buffers, as `hls_projects/kernel.py` lays them out.

A kernel takes a graph padded to the maxima and to whole packets of its lanes. A run computes one graph, so that more
padding than it reads does no harm: buffers hold that of any number of lanes, and nothing depends on how many there are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import ToolError
from ..emulation import Sizes
from ..hls_projects import pad_inputs, static_shape
from ..hls_projects.kernel import word_bits
from ..hls_projects.project import MAXIMAL_PARALLELISM
from ..quantization import Input, Output, TypedGraph
from .signature import Arrays

PAGE = 4096


@dataclass(frozen=True, kw_only=True)
class WordBuffer:
    """One memory buffer of a kernel.

    Attributes:
        node: The input or output it holds.
        argument: Name of the kernel's argument.
        dtype: Type of its words.
        shape: Numbers of one row, or of one graph of maximal size.
        padding: Word of what pads a graph: 0, or the index of no node.
        nbytes: Bytes to allocate: the most rows of one run, or a graph with padding for any number of lanes.
    """

    node: Input | Output
    argument: str
    dtype: np.dtype[np.signedinteger[Any]]
    shape: tuple[int, ...]
    padding: int
    nbytes: int

    @property
    def is_input(self) -> bool:
        """Whether the kernel reads it."""
        return isinstance(self.node, Input)

    def used_bytes(self, count: int) -> int:
        """Bytes of `count` rows or graphs."""
        return count * math.prod(self.shape) * self.dtype.itemsize


def word_buffers(graph: TypedGraph, *, rows: int) -> tuple[WordBuffer, ...]:
    """The buffers of a network's kernel, in the order of its arguments.

    Args:
        graph: The network.
        rows: Most rows of one run; a run computes one graph.
    """
    count = 1 if graph.is_graph_network else rows
    buffers = []
    for node in (*graph.inputs, *graph.outputs):
        dtype = np.dtype(f"<i{word_bits(node) // 8}")
        shape = static_shape(graph, node)
        spare = (MAXIMAL_PARALLELISM - 1) * math.prod(shape[1:]) if graph.is_graph_network else 0
        nbytes = (count * math.prod(shape) + spare) * dtype.itemsize
        buffers.append(
            WordBuffer(
                node=node,
                argument=f"{node.name}_words",
                dtype=dtype,
                shape=shape,
                padding=graph.maxima.nodes if node.tensor.is_index else 0,
                nbytes=max(-(-nbytes // PAGE), 1) * PAGE,
            )
        )
    return tuple(buffers)


def pack(
    graph: TypedGraph, buffers: tuple[WordBuffer, ...], inputs: Arrays, sizes: Sizes
) -> dict[str, NDArray[np.signedinteger[Any]]]:
    """Words of the inputs, by argument.

    Raises:
        GraphError: The graph is larger than the maxima.
    """
    padded = pad_inputs(graph, inputs, nodes=sizes.nodes, edges=sizes.edges)
    return {
        buffer.argument: np.ascontiguousarray(
            buffer.node.tensor.format.quantize(padded[buffer.node.name]), dtype=buffer.dtype
        )
        for buffer in buffers
        if buffer.is_input
    }


def unpack(
    graph: TypedGraph,
    buffers: tuple[WordBuffer, ...],
    words: Mapping[str, NDArray[np.signedinteger[Any]]],
    sizes: Sizes,
) -> dict[str, NDArray[np.int64]]:
    """Integers of the outputs by name, padding removed.

    Raises:
        ToolError: A word is none of its number's format: memory that the kernel did not write, or a broken transfer.
    """
    outputs = {}
    for buffer in buffers:
        if buffer.is_input:
            continue
        node = buffer.node
        shape = buffer.shape if graph.is_graph_network else (-1, *buffer.shape)
        integers = words[buffer.argument].reshape(shape).astype(np.int64)[: sizes.of(node.tensor.shape[0])]
        form = node.tensor.format
        if integers.size and not form.low <= int(integers.min()) <= int(integers.max()) <= form.high:
            raise ToolError(
                f"the card gave {integers.min()} to {integers.max()} for {node.name}, whose format holds {form.low} to"
                f" {form.high}",
                remedy="look at the card with xbutil examine and xbutil validate",
            )
        outputs[node.name] = integers
    return outputs
