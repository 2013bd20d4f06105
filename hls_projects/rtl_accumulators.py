"""Accumulators of the scatter-add: as narrow as exactness allows."""

from __future__ import annotations

from dataclasses import dataclass

from ..quantization import EdgeAggregate, Requantize, TypedGraph
from .rtl_config import RtlConfig, Scatter


@dataclass(frozen=True, kw_only=True)
class Accumulator:
    """How the sums, or maxima, of one EdgeAggregate node are kept.

    Attributes:
        node: Name of the EdgeAggregate node.
        column: End of the edges that is summed at: 0 sender, 1 receiver.
        features: Features of a message.
        bits: Bits of the sum of one feature.
        saturates: The sum stops at all ones: messages are not negative, and every reader would saturate as well.
        maximum: The largest message, instead of the sum.
        high: Largest value kept.
        low: Smallest value kept.
        lanes: Edges per cycle.
        banks: Nodes read per cycle.
        scatter: How edges that meet are resolved.
    """

    node: str
    column: int
    features: int
    bits: int
    saturates: bool
    maximum: bool
    low: int
    high: int
    lanes: int
    banks: int
    scatter: Scatter

    @classmethod
    def of(cls, graph: TypedGraph, node: EdgeAggregate, *, config: RtlConfig, banks: int) -> Accumulator:
        """The narrowest accumulator whose readers cannot tell it from the exact one."""
        tensor = node.tensor
        enough = _enough(graph, node)
        bits = tensor.format.width
        saturates = False
        if enough is not None and enough.bit_length() < bits:
            bits, saturates = max(1, enough.bit_length()), True
        return cls(
            node=node.name,
            column=node.column,
            features=tensor.width,
            bits=bits,
            saturates=saturates,
            maximum=node.mode == "max",
            low=tensor.low,
            high=(1 << bits) - 1 if saturates else tensor.high,
            lanes=config.edge_lanes,
            banks=banks,
            scatter=config.scatter,
        )

    @property
    def ordered(self) -> bool:
        """Whether edges must ascend by the node they are summed at."""
        return self.scatter == "ordered"

    @property
    def levels(self) -> int:
        """Levels of the tree over the lanes."""
        return (self.lanes - 1).bit_length()

    @property
    def tree_cycles(self) -> int:
        """Registers of a tree over the lanes."""
        return (self.levels + 1) // 2

    @property
    def read_cycles(self) -> int:
        """Cycles from the word of a node in each lane to its sum."""
        return self.tree_cycles if not self.ordered else 1

    @property
    def write_cycles(self) -> int:
        """Cycles from a message until its sum can be read."""
        return 1 if not self.ordered else self.tree_cycles + 2


def _enough(graph: TypedGraph, node: EdgeAggregate) -> int | None:
    """A sum from which on no reader changes; None where there is none, or partial sums could pass it and come back.

    Requantize is monotonous, so that bisection finds the sum at which it reaches its value for the largest one.
    """
    messages = graph[node.inputs[0]].tensor
    readers = graph.consumers(node.name)
    if node.mode != "sum" or messages.low < 0 or not all(isinstance(reader, Requantize) for reader in readers):
        return None
    fraction, needed = node.tensor.format.fraction, 0
    for reader in readers:
        convert = reader.tensor.format.requantize_exact
        last = convert(node.tensor.high, fraction=fraction)
        low, high = 0, node.tensor.high
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if convert(middle, fraction=fraction) == last else (middle + 1, high)
        needed = max(needed, low)
    return needed
