"""C++ of the native executor, generated from a plan: one file of passes, and one that describes the network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np

from ..quantization import Node
from .native_arena import Arena
from .native_linear import LinearSource
from .native_operations import Aggregate, Gather, Linear, Operation, Quantize, Store
from .native_pack import matrix_stages, pack
from .native_plan import Plan, Segment
from .native_tiles import Kind, Part, Tile

DIMENSIONS = {"R": "kRowsOfCall", "N": "kNodesOfCall", "E": "kEdgesOfCall"}
FLOAT_BITS = 24


@lru_cache(maxsize=2)  # looked for in the cache by its text, more than once
def network_source(plan: Plan) -> str:
    """The passes of a network, to be compiled once per instruction set."""
    writer = _Writer(plan)
    blocks = [writer.segment(number, segment) for number, segment in enumerate(plan.segments)]
    phases = [
        f"    {{{DIMENSIONS[segment.dimension]}, {operations_of(segment)}, block_{number}}},"
        for number, segment in enumerate(plan.segments)
    ]
    text = [HEADER, *writer.constants, *blocks, "constexpr Phase kPhases[] = {", *phases, "};", ""]
    return "\n".join([*text, FOOTER.replace("@WORK@", str(writer.work_dwords))])


def network_info(plan: Plan, instructions: Sequence[str]) -> str:
    """Tables, indices, names and limits of a network, for the entry."""
    tables = [
        f"{{{DIMENSIONS[kept.tile.dimension]}, {'true' if kept.tiles else 'false'}, {kept.dwords}, {kept.tile.zero}}}"
        for kept in plan.stored
    ]
    inputs = plan.graph.inputs
    indices = [number for number, node in enumerate(inputs) if node.tensor.is_index]
    aggregated = {
        operation.ends
        for segment in plan.segments
        for operation in segment.operations
        if isinstance(operation, Aggregate)
    }
    flags = [[str(2 * k + column in aggregated).lower() for column in (0, 1)] for k in range(len(indices))]
    columns = [f"{{{number}, {{{', '.join(pair)}}}}}" for number, pair in zip(indices, flags, strict=True)]
    names = [
        [_described(node, "int64" if node.tensor.is_index else "float32") for node in inputs],
        [_described(node, "float32") for node in plan.graph.outputs],
        [_described(node, "int64") for node in plan.graph.visible],
    ]
    programs = [f"kProgram{name.capitalize()}" for name in instructions]
    return _info(
        lists={
            "Table kTables": tables,
            "EdgeIndex kIndices": columns,
            "const char* kInputs": names[0],
            "const char* kOutputs": names[1],
            "const char* kTaps": names[2],
            "Variant kVariants": [f'{{"{k}", &{name}}}' for k, name in zip(instructions, programs, strict=True)],
        },
        programs=programs,
        maximal_edges=plan.maximal_edges,
    )


def _described(node: Node, kind: str) -> str:
    """A tensor as the interface describes it to callers."""
    return f'"{node.name} {node.tensor.shape[0]} {node.tensor.width} {kind}"'


def processor_info(instructions: Sequence[str]) -> str:
    """The description of no network, with nothing but names of instruction sets."""
    empty = ("Table kTables", "EdgeIndex kIndices", *(f"const char* k{name}" for name in ("Inputs", "Outputs", "Taps")))
    lists: dict[str, list[str]] = {name: [] for name in empty}
    return _info(
        lists=lists | {"Variant kVariants": [f'{{"{name}", nullptr}}' for name in instructions]},
        programs=(),
        maximal_edges=0,
    )


def _info(*, lists: Mapping[str, Sequence[str]], programs: Sequence[str], maximal_edges: int) -> str:
    members = [f"{name.split()[-1]}, {len(items)}" for name, items in lists.items()]
    members.insert(-1, f"{maximal_edges}")
    return "\n".join(
        [
            '#include "call.h"\n\nnamespace hitfabric {\n',
            *(f"extern const Program {name};" for name in programs),
            "namespace {",
            *(f"constexpr {_one_or_more(name, items)};" for name, items in lists.items()),
            "}  // namespace\n",
            f"const Network kNetwork = {{{', '.join(members)}}};\n",
            "}  // namespace hitfabric\n",
        ]
    )


def _one_or_more(name: str, items: Sequence[str]) -> str:
    """An array; C++ has none of length 0."""
    return f"{name}[{max(1, len(items))}] = {{{', '.join(items)}}}"


@lru_cache(maxsize=2)
def uses_matrices(plan: Plan) -> bool:
    """Whether any part of the network is for matrices of bytes (AMX)."""
    linear = (operation for segment in plan.segments for operation in segment.operations)
    return any(isinstance(one, Linear) and one.in_32_bits and matrix_stages(pack(one)) for one in linear)


def operations_of(segment: Segment) -> int:
    """Multiplications per row, with a little for every row that is moved."""
    linear = (operation for operation in segment.operations if isinstance(operation, Linear))
    return 20 + sum(int(np.count_nonzero(term.weight)) for operation in linear for term in operation.terms)


class _Writer:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._linear = LinearSource()
        self.work_dwords = 64
        self._tables = {(kept.tile.name, kept.tiles): number for number, kept in enumerate(plan.stored)}
        self._arena = Arena((), frozenset())

    @property
    def constants(self) -> list[str]:
        return self._linear.constants

    def segment(self, number: int, segment: Segment) -> str:
        in_tables = frozenset(kept.tile.name for kept in self.plan.stored if kept.tiles)
        self._arena = Arena(segment.operations, in_tables)
        self.work_dwords = max(self.work_dwords, self._arena.dwords)
        places = "[[maybe_unused]] std::int32_t* work"  # every tile may be in a table
        lines = [f"void block_{number}(Call& call, {places}, std::int64_t start, int count) {{"]
        for operation in segment.operations:
            lines += [f"  {line}" for line in self._operation(operation)]
        return "\n".join([*lines, "}\n"])

    def _operation(self, operation: Operation) -> list[str]:
        match operation:
            case Quantize():
                return [self._quantize(operation), *self._rows(operation.tile)]
            case Gather():
                tile = operation.source
                kind = "std::int64_t" if tile.kind is Kind.WIDE else "std::int32_t"
                dwords = tile.width if tile.kind is Kind.WIDE else tile.row_dwords
                table = _as(kind, self._table(tile))
                target = _as(kind, self._place(operation.tile))
                return [
                    f"gather<{kind}>({table}, {dwords}, call.ends[{operation.ends}] + start, count, {target});",
                    *self._rows(operation.tile),
                ]
            case Aggregate():
                return [self._aggregate(operation), *self._rows(operation.tile)]
            case Linear():
                return [*self._linear.lines(operation, self._place), *self._rows(operation.tile)]
            case Store():
                return list(self._store(operation))

    def _place(self, tile: Tile) -> str:
        """Where a tile is, in the block."""
        number = self._tables.get((tile.name, True))
        if number is not None:
            return f"call.tables[{number}] + start * {tile.tile_dwords}"
        return f"work + {self._arena.at[tile.name]}"

    def _table(self, tile: Tile) -> str:
        return f"call.tables[{self._tables[tile.name, False]}]"

    def _rows(self, tile: Tile) -> Iterable[str]:
        """Keeps a tile as rows too, where something reads it so."""
        if (tile.name, False) in self._tables:
            kind = "std::int64_t" if tile.kind is Kind.WIDE else "std::int32_t"
            width = tile.width if tile.kind is Kind.WIDE else tile.row_dwords
            target = _as(kind, f"{self._table(tile)} + start * {tile.row_dwords}")
            yield f"to_rows<{kind}>({_as(kind, self._place(tile))}, {width}, count, {target}, {width});"

    def _quantize(self, operation: Quantize) -> str:
        form, tile = operation.node.tensor.format, operation.tile
        exact_in_float = form.width <= FLOAT_BITS and form.fraction >= 0
        half_even = str(form.rounding == "RND_CONV").lower()
        types = f"{half_even}, {tile.kind.c_type}, {'float' if exact_in_float else 'double'}, {tile.width}"
        limits = f"{_scale(form.fraction)}, {form.low}, {form.high}, {tile.offset}"
        return f"quantize<{types}>(call, {operation.input}, start, count, {limits}, {self._place(tile)});"

    def _aggregate(self, operation: Aggregate) -> str:
        source, tile = operation.source, operation.tile
        chunk = (2**31 - 1) // source.kind.most_stored if source.kind.bytes < 4 else 2**31 - 1
        maximum = str(operation.maximum).lower()
        types = f"{maximum}, {source.kind.c_type}, {tile.kind.c_type}, {source.width}, {chunk}"
        edges = f"call.edges_of_nodes[{operation.ends}]"
        target = _as(tile.kind.c_type, self._place(tile))
        return f"aggregate<{types}>({self._table(source)}, {edges}, start, count, {source.offset}, {target});"

    def _store(self, store: Store) -> Iterable[str]:
        target = f"call.{'taps' if store.integers else 'outputs'}[{store.number}]"
        yield f"if ({target}) {{"
        for part in store.parts:
            rows = f"{target} + start * {store.width} + {part.at}, {store.width}"
            yield f"  {self._store_part(store, part, rows)}"
        yield "}"

    def _store_part(self, store: Store, part: Part, rows: str) -> str:
        tile = part.tile
        if store.integers:
            sizes = f"{tile.width}, {tile.offset}, {part.shift}, count"
            return f"store_integers<{tile.kind.c_type}>({self._place(tile)}, {sizes}, {rows});"
        scale = _scale(part.shift - store.fraction)
        types = f"{tile.kind.c_type}, {tile.width}"
        return f"store_floats<{types}>({self._place(tile)}, {tile.offset}, {scale}, count, {rows});"


def _scale(exponent: int) -> str:
    return repr(2.0**exponent)


def _as(kind: str, place: str) -> str:
    return place if kind == "std::int32_t" else f"reinterpret_cast<{kind}*>({place})"


HEADER = """\
#include "network.h"

namespace hitfabric {
namespace {
"""

FOOTER = """\
}  // namespace

extern const Program HITFABRIC_PROGRAM;
const Program HITFABRIC_PROGRAM = {kPhases, static_cast<int>(sizeof(kPhases) / sizeof(kPhases[0])), @WORK@};

}  // namespace hitfabric
"""
