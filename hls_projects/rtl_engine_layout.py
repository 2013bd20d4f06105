"""Sizes and times of the RTL engine: what each pass reads and writes, how wide, and how many cycles later."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ..quantization import EdgeAggregate, TypedGraph
from .rtl_accumulators import Accumulator
from .rtl_config import RtlConfig
from .rtl_fields import Core, Field
from .rtl_passes import Pass

GATHER_CYCLES = 3  # index memory, node memory, choice of the bank


def ceil_log2(number: int) -> int:
    """Bits that count to `number` values."""
    return (number - 1).bit_length()


@dataclass(frozen=True, kw_only=True)
class Link:
    """A memory between two passes.

    Attributes:
        kind: `rows` in order, `ends` of edges in order, or `gather` (nodes read at any index).
        writer: Name of the pass that writes.
        reader: Name of the pass that reads.
        fields: Tensors of a row.
        buffers: Graphs it holds at a time, a power of two.
    """

    kind: Literal["rows", "ends", "gather"]
    writer: str
    reader: str
    fields: tuple[Field, ...]
    buffers: int

    @property
    def name(self) -> str:
        """Name of the memory."""
        return f"{self.writer}_{self.kind}_{self.reader}"

    @property
    def width(self) -> int:
        """Bits of a row."""
        return sum(field.width for field in self.fields)

    @property
    def buffer_bits(self) -> int:
        """Address bits that choose the graph."""
        return ceil_log2(self.buffers)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A pass with its times, in cycles after the issue of a row.

    Attributes:
        work: What it computes.
        lanes: Rows per cycle.
        beat_bits: Bits that count the beats of the largest graph.
        read: When all it reads is there.
        written: When its results are written, or enter the output FIFO.
        core: What computes a row; None where nothing is to be computed.
        scatters: Accumulators it feeds.
    """

    work: Pass
    lanes: int
    beat_bits: int
    read: int
    written: int
    core: Core | None
    scatters: tuple[Accumulator, ...]

    @property
    def name(self) -> str:
        """Name of the pass."""
        return self.work.name

    @property
    def extra(self) -> int:
        """Cycles after `written` until the last accumulator is written."""
        return max((item.write_cycles for item in self.scatters), default=0)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """An engine before it is written as Verilog.

    Attributes:
        graph: The network, for the maxima built.
        config: Parameters.
        passes: Passes in order.
        node_bits: Bits of a node's place; at least one more than chooses its lane.
        accumulators: One per EdgeAggregate node.
        links: Memories between passes.
        graph_bits: Bits of a count of graphs: one more than of a slot.
    """

    graph: TypedGraph
    config: RtlConfig
    passes: tuple[Pass, ...]
    node_bits: int
    accumulators: dict[str, Accumulator]
    links: tuple[Link, ...]
    graph_bits: int

    @property
    def slot_bits(self) -> int:
        """Bits of a slot: what is known of a graph on its way."""
        return self.graph_bits - 1

    @property
    def index(self) -> Field | None:
        """The edge index as a field of its stream."""
        for node in self.graph.inputs:
            if node.tensor.is_index:
                return Field.of(self.graph, node.name)
        return None

    def lanes(self, work: Pass) -> int:
        """Rows per cycle of a pass."""
        return self.config.lanes(work.domain, level=work.level)

    def beat_bits(self, work: Pass) -> int:
        """Bits that count the beats of the largest graph."""
        if work.domain == "N":
            return self.node_bits - ceil_log2(self.lanes(work))
        if work.domain == "R":
            return 1  # rows keep no memory, so that their place does not matter
        return max(1, ceil_log2(-(-self.graph.maxima.edges // self.lanes(work))))

    def read_cycles(self, work: Pass) -> int:
        """Cycles from the issue of a row until all of it is read."""
        if work.gathers:
            return GATHER_CYCLES
        return 1 + max((self.accumulators[name].read_cycles for name in work.aggregates), default=0)

    def into(self, work: Pass) -> Iterator[Link]:
        """Memories that a pass reads."""
        return (link for link in self.links if link.reader == work.name)

    def out_of(self, work: Pass) -> Iterator[Link]:
        """Memories that a pass writes."""
        return (link for link in self.links if link.writer == work.name)

    def stage(self, work: Pass, core: Core | None) -> Stage:
        """A pass with its times, once its core is known."""
        read = self.read_cycles(work)
        return Stage(
            work=work,
            lanes=self.lanes(work),
            beat_bits=self.beat_bits(work),
            read=read,
            written=read + (core.latency if core else 0),
            core=core,
            scatters=tuple(self.accumulators[name] for name in work.scatters),
        )


def plan_layout(graph: TypedGraph, passes: tuple[Pass, ...], config: RtlConfig) -> Layout:
    """Decide memories, widths and accumulators.

    Args:
        graph: The network, for the maxima to build.
        passes: Its passes.
        config: Parameters.

    Returns:
        The layout.
    """
    lanes = [config.lanes("N", level=level) for level in (0, 2)]
    node_bits = max(1, ceil_log2(graph.maxima.nodes), *(ceil_log2(count) + 1 for count in lanes))
    accumulators = {
        node.name: Accumulator.of(graph, node, config=config, banks=config.lanes("N", level=2))
        for node in graph.nodes
        if isinstance(node, EdgeAggregate)
    }
    links = tuple(_links(graph, passes))
    deepest = max((link.buffers for link in links), default=1)
    return Layout(
        graph=graph,
        config=config,
        passes=passes,
        node_bits=node_bits,
        accumulators=accumulators,
        links=links,
        graph_bits=max(3, ceil_log2(len(passes) + 2), ceil_log2(deepest)) + 1,
    )


def _links(graph: TypedGraph, passes: tuple[Pass, ...]) -> Iterator[Link]:
    ranks = {level: rank for rank, level in enumerate(sorted({work.level for work in passes}))}
    for reader in passes:
        for writer in passes:
            if ranks[writer.level] >= ranks[reader.level]:
                continue
            buffers = 1 << ceil_log2(ranks[reader.level] - ranks[writer.level] + 1)
            for kind, tensors in _shared(graph, writer, reader).items():
                if tensors is not None:
                    fields = tuple(Field.of(graph, name) for name in tensors)
                    yield Link(kind=kind, writer=writer.name, reader=reader.name, fields=fields, buffers=buffers)


def _shared(
    graph: TypedGraph, writer: Pass, reader: Pass
) -> dict[Literal["rows", "ends", "gather"], tuple[str, ...] | None]:
    """What one pass reads of another, by kind of memory; None for nothing."""
    loaded = tuple(name for name in reader.loads if name in writer.stores)
    wanted = {graph[name].inputs[0] for name in reader.gathers}
    gathered = tuple(name for name in writer.gathered if name in wanted)
    same = writer.domain == reader.domain
    indexed = writer.enters and writer.domain == reader.domain == "E" and bool(reader.gathers or reader.scatters)
    return {
        "rows": loaded if loaded and same else None,
        "ends": () if indexed else None,
        "gather": gathered if gathered and writer.domain == "N" and reader.domain == "E" else None,
    }
