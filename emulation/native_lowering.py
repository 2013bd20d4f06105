"""From nodes to the operations of the native executor: everything between rows becomes a linear map of tiles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..quantization import (
    Add,
    Concat,
    Dense,
    EdgeAggregate,
    EdgeGather,
    Input,
    Node,
    Output,
    Requantize,
    TypedGraph,
)
from .native_operations import Aggregate, Gather, Linear, Operation, Quantize, Store, Stored, Term
from .native_tiles import Part, Tile, fits_int, held_as, shifted
from .ranges import dense_shifts

AGGREGATE_LIMIT = 1 << 30
"""Sums over edges are saturated here, where what follows saturates earlier."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Form:
    """A node as a sum of terms."""

    terms: tuple[Term, ...]
    bias: tuple[int, ...]

    def times(self, shift: int) -> _Form:
        terms = tuple(Term(tile=term.tile, weight=term.weight, shift=term.shift + shift) for term in self.terms)
        return _Form(terms=terms, bias=tuple(value << shift for value in self.bias))


class Lowering:
    """Lowers a graph segment by segment.

    Args:
        graph: The network.
        home: Number of the segment of each node.
    """

    def __init__(self, graph: TypedGraph, home: Mapping[str, int]) -> None:
        self.graph = graph
        self._home = home
        self._number = 0
        self._parts: dict[str, tuple[Part, ...]] = {}
        self._segment_of: dict[str, int] = {}
        self._stored: dict[tuple[str, bool], Stored] = {}
        self._inputs = {node.name: number for number, node in enumerate(graph.inputs)}
        indices = [node.name for node in graph.inputs if node.tensor.is_index]
        self._indices = {name: number for number, name in enumerate(indices)}
        self._outputs = {node.name: number for number, node in enumerate(graph.outputs)}
        self._taps = {node.name: number for number, node in enumerate(graph.visible)}

    @property
    def stored(self) -> tuple[Stored, ...]:
        """Tensors kept between segments."""
        return tuple(self._stored.values())

    def segment(self, nodes: Sequence[Node]) -> tuple[Operation, ...]:
        """Operations of the next segment."""
        operations = [operation for node in nodes for operation in self._lower(node)]
        self._number += 1
        return tuple(operations)

    def _lower(self, node: Node) -> Iterable[Operation]:
        if self._is_folded(node):
            return
        match node:
            case Input():
                tile = self._keep(held_as(node.name, node.tensor, node.tensor.format.low, node.tensor.format.high))
                yield Quantize(node=node, input=self._inputs[node.name], tile=tile)
            case EdgeGather():
                yield from self._gather(node)
            case EdgeAggregate():
                yield from self._aggregate(node)
            case Dense() | Add() | Requantize():
                yield self._linear(node)
            case Concat():
                self._parts[node.name] = self._concatenated(node)
            case Output():
                self._parts[node.name] = self._read(node.inputs[0])
                yield self._store(node, self._outputs[node.name], integers=False)
        if node.name in self._taps:
            yield self._store(node, self._taps[node.name], integers=True)

    def _keep(self, tile: Tile, *, name: str | None = None) -> Tile:
        self._parts[name or tile.name] = (Part(tile=tile, at=0, shift=0),)
        self._segment_of[tile.name] = self._number
        return tile

    def _read(self, name: str) -> tuple[Part, ...]:
        """Parts of a node for an operation on the same rows."""
        for part in self._parts[name]:
            if self._segment_of[part.tile.name] != self._number:
                self._stored.setdefault((part.tile.name, True), Stored(tile=part.tile, tiles=True))
        return self._parts[name]

    def _rows(self, name: str) -> tuple[Part, ...]:
        """Parts of a node for an operation on other rows."""
        for part in self._parts[name]:
            self._stored.setdefault((part.tile.name, False), Stored(tile=part.tile, tiles=False))
        return self._parts[name]

    def _store(self, node: Node, number: int, *, integers: bool) -> Store:
        return Store(
            parts=self._read(node.name),
            number=number,
            fraction=node.tensor.format.fraction,
            width=node.tensor.width,
            integers=integers,
        )

    def _gather(self, node: EdgeGather) -> Iterable[Gather]:
        source, index = node.inputs
        width, found = self.graph[source].tensor.width, []
        for column in (0, 1):
            for number, part in enumerate(self._rows(source)):
                name = f"{node.name}_{column}_{number}"
                tile = Tile(
                    name=name,
                    dimension=str(node.tensor.shape[0]),
                    width=part.tile.width,
                    kind=part.tile.kind,
                    offset=part.tile.offset,
                )
                self._segment_of[name] = self._number
                found.append(Part(tile=tile, at=part.at + column * width, shift=part.shift))
                yield Gather(source=part.tile, ends=2 * self._indices[index] + column, tile=tile)
        self._parts[node.name] = tuple(found)

    def _aggregate(self, node: EdgeAggregate) -> Iterable[Aggregate]:
        source, index = node.inputs
        found = []
        for number, part in enumerate(self._rows(source)):
            low, high = self._aggregate_range(node)
            held = held_as(f"{node.name}_{number}", node.tensor, min(low, -(2**15) - 1), high)
            tile = Tile(name=held.name, dimension=held.dimension, width=part.tile.width, kind=held.kind)
            self._segment_of[tile.name] = self._number
            found.append(Part(tile=tile, at=part.at, shift=part.shift))
            ends = 2 * self._indices[index] + node.column
            yield Aggregate(source=part.tile, ends=ends, maximum=node.mode == "max", tile=tile)
        self._parts[node.name] = tuple(found)

    def _aggregate_range(self, node: Node) -> tuple[int, int]:
        """Range of the sums an aggregate gives, which are saturated where no consumer can tell."""
        low, high, fraction = node.tensor.low, node.tensor.high, node.tensor.format.fraction
        if fits_int(low, high):
            return low, high
        for user in self.graph.consumers(node.name):
            form = user.tensor.format
            if not isinstance(user, Requantize) or len(self._parts[node.inputs[0]]) > 1:
                return low, high
            ends = (max(low, -AGGREGATE_LIMIT), min(high, AGGREGATE_LIMIT))
            if any(
                form.requantize_exact(end, fraction=fraction) != form.requantize_exact(far, fraction=fraction)
                for end, far in zip(ends, (low, high), strict=True)
            ):
                return low, high
        return max(low, -AGGREGATE_LIMIT), min(high, AGGREGATE_LIMIT)

    def _concatenated(self, node: Concat) -> tuple[Part, ...]:
        found: list[Part] = []
        at = 0
        for source in node.inputs:
            tensor = self.graph[source].tensor
            shift = node.tensor.format.fraction - tensor.format.fraction
            found += shifted(self._read(source), at=at, shift=shift)
            at += tensor.width
        return tuple(found)

    def _linear(self, node: Node) -> Linear:
        source, form = node, None
        low, high = node.tensor.low, node.tensor.high
        if isinstance(node, Requantize):
            source, form = self.graph[node.inputs[0]], node.tensor.format
            low, high = source.tensor.low, source.tensor.high
            if isinstance(source, EdgeAggregate):
                low, high = self._aggregate_range(source)
        value = self._form(node) if form is None else self._value(source)
        ends = (low, high) if form is None else (form.low, form.high)
        tile = held_as(node.name, node.tensor, *ends)
        if form is None and tile.kind.bytes < 4:  # sums are written as ints
            tile = held_as(node.name, node.tensor, min(ends[0], -(2**15) - 1), ends[1])
        return Linear(
            tile=self._keep(tile),
            terms=value.terms,
            bias=value.bias,
            form=form,
            fraction=source.tensor.format.fraction,
            low=low,
            high=high,
        )

    def _is_folded(self, node: Node) -> bool:
        """Whether the only consumer computes the node within itself."""
        users = self.graph.consumers(node.name)
        if not isinstance(node, Dense | Add) or len(users) != 1 or not isinstance(users[0], Requantize | Add):
            return False
        once = users[0].inputs.count(node.name) == 1
        return once and self._home[users[0].name] == self._home[node.name]

    def _value(self, node: Node) -> _Form:
        """A node as a sum: its own terms where it is folded, else what it holds."""
        return self._form(node) if self._is_folded(node) else self._identity(node)

    def _form(self, node: Node) -> _Form:
        if isinstance(node, Dense):
            return self._dense(node)
        fraction = node.tensor.format.fraction
        forms = []
        for name in node.inputs:
            source = self.graph[name]
            forms.append(self._value(source).times(fraction - source.tensor.format.fraction))
        bias = tuple(sum(values) for values in zip(*(form.bias for form in forms), strict=True))
        return _Form(terms=tuple(term for form in forms for term in form.terms), bias=bias)

    def _dense(self, node: Dense) -> _Form:
        (name,) = node.inputs
        shift, bias_shift = dense_shifts(self.graph, node)
        terms = tuple(
            Term(tile=part.tile, weight=node.weight[:, part.at : part.at + part.tile.width], shift=part.shift + shift)
            for part in self._read(name)
        )
        bias = (0,) * node.tensor.width
        if node.bias is not None:
            bias = tuple(int(value) << bias_shift for value in node.bias)
        return _Form(terms=terms, bias=bias)

    def _identity(self, node: Node) -> _Form:
        width = node.tensor.width
        terms = []
        for part in self._read(node.name):
            weight = np.zeros((width, part.tile.width), dtype=np.int64)
            weight[part.at + np.arange(part.tile.width), np.arange(part.tile.width)] = 1
            terms.append(Term(tile=part.tile, weight=weight, shift=part.shift))
        return _Form(terms=tuple(terms), bias=(0,) * width)
