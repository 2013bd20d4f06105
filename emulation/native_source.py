"""C++ of the native executor, generated from a plan: one file of passes, and one that describes the network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ..quantization import FixedPoint
from .native_arena import Arena
from .native_lowering import Aggregate, Gather, Linear, Operation, Quantize, Store, Stored
from .native_pack import EVERY, MATRIX, Packed, matrices, matrix_stages, pack
from .native_plan import Plan, Segment
from .native_tiles import Kind, Part, Tile

DIMENSIONS = {"R": "kRowsOfCall", "N": "kNodesOfCall", "E": "kEdgesOfCall"}
FLOAT_BITS = 24
SLACK = 16
"""Zeros behind each array, since whole vectors are read."""


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
        [f'"{node.name} {node.tensor.shape[0]} {node.tensor.width}"' for node in nodes]
        for nodes in (inputs, plan.graph.outputs, plan.graph.visible)
    ]
    programs = [f"kProgram{name.capitalize()}" for name in instructions]
    variants = [f'{{"{name}", &{program}}}' for name, program in zip(instructions, programs, strict=True)]
    lists = {
        "Table kTables": tables,
        "EdgeIndex kIndices": columns,
        "const char* kInputs": names[0],
        "const char* kOutputs": names[1],
        "const char* kTaps": names[2],
        "Variant kVariants": variants,
    }
    members = [f"{name.split()[-1]}, {len(items)}" for name, items in lists.items()]
    members.insert(-1, f"{plan.maximal_edges}")
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
        self.constants: list[str] = []
        self.work_dwords = 64
        self._tables = {(kept.tile.name, kept.tiles): number for number, kept in enumerate(plan.stored)}
        self._kept = {(kept.tile.name, kept.tiles): kept for kept in plan.stored}
        self._arena = Arena((), frozenset())
        self._count = 0

    def segment(self, number: int, segment: Segment) -> str:
        in_tables = frozenset(kept.tile.name for kept in self.plan.stored if kept.tiles)
        self._arena = Arena(segment.operations, in_tables)
        self.work_dwords = max(self.work_dwords, self._arena.dwords)
        lines = [f"void block_{number}(Call& call, std::int32_t* work, std::int64_t start, int count) {{"]
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
                lines = self._linear(operation) if operation.in_32_bits else self._wide(operation)
                return [*lines, *self._rows(operation.tile)]
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

    def _linear(self, linear: Linear) -> list[str]:
        packed, number = pack(linear), self._next()
        self._constants(number, packed)
        tiles = list(dict.fromkeys(stage.tile for stage in packed.stages))
        sources = {tile: f"x{k}" for k, tile in enumerate(tiles)}
        lines = [f"const std::int32_t* {name} = {self._place(tile)};" for tile, name in sources.items()]
        lines += [
            f"std::int32_t* to = {self._place(linear.tile)};",
            *self._by_matrices(linear, packed, sources, number),
            *_by_vectors(linear, packed, sources, number),
        ]
        return ["{", *(f"  {line}" for line in lines), "}"]

    def _by_matrices(self, linear: Linear, packed: Packed, sources: dict[Tile, str], number: int) -> list[str]:
        """The sums by AMX, where they are large enough; the line behind is the other way."""
        if not matrix_stages(packed):
            return []
        self.constants += ["#if defined(HITFABRIC_AMX)", _array("std::int8_t", f"matrices_{number}", matrices(packed))]
        self.constants.append("#endif")
        listed = ", ".join(f"{{{sources[stage.tile]}, {-(-stage.groups // MATRIX)}}}" for stage in packed.stages)
        fours = len(packed.bias) // 4
        shift = packed.stages[0].shift
        return [
            "#if defined(HITFABRIC_AMX)",
            f"const MatrixSource listed[] = {{{listed}}};",
            "const auto finish = [&](int four, const std::int32_t* found) {",
            "  for_rows(count, Stream{}, [&](auto together, int lane, Stream&) HITFABRIC_ALWAYS {",
            "    Sums<decltype(together)::value> sums;",
            "    sums.take(found + lane);",
            *([f"    sums.shift({shift});"] if shift else []),
            f"    sums.add_bias(bias_{number} + 4 * four);",
            f"    {_finish(linear)}.write(in_lanes(sums), to + four * {linear.tile.kind.bytes} * kRows + lane);",
            "  });",
            "};",
            f"if (count > 1) matrix_sums(listed, {len(packed.stages)}, matrices_{number}, {fours}, finish);",
            "if (count == 1)",
            "#endif",
        ]

    def _constants(self, number: int, packed: Packed) -> None:
        self.constants += [
            "#if defined(HITFABRIC_WIDENED)",
            _array("std::int32_t", f"weights_{number}", packed.widened),
            "#else",
            _array("std::int32_t", f"weights_{number}", packed.weights),
            "#endif",
            _array("std::int32_t", f"bias_{number}", packed.bias),
            _array("std::uint16_t", f"groups_{number}", packed.groups),
        ]

    def _wide(self, linear: Linear) -> list[str]:
        number, width = self._next(), linear.tile.width
        bias = ", ".join(_int64(value) for value in linear.bias)
        self.constants.append(f"constexpr std::int64_t bias_{number}[] = {{{bias}}};")
        lines = ["{", f"  std::int64_t sums[{width} * kRows];", f"  wide_start(bias_{number}, {width}, sums);"]
        for k, term in enumerate(linear.terms):
            rows, features = np.nonzero(term.weight)
            if len(rows) == 0:
                continue
            terms = ", ".join(
                f"{{{o}, {f}, {_int64(int(term.weight[o, f]) << term.shift)}}}"
                for o, f in zip(rows, features, strict=True)
            )
            self.constants.append(f"constexpr WideTerm terms_{number}_{k}[] = {{{terms}}};")
            arguments = f"{self._place(term.tile)}, {term.tile.offset}, terms_{number}_{k}, {len(rows)}, sums"
            lines.append(f"  wide_terms<{term.tile.kind.c_type}>({arguments});")
        rounding, low, high = _rounding(linear.form), -(2**62), 2**62
        if linear.form is not None:
            low, high = linear.form.low, linear.form.high
        limits = f"{linear.shift}, {_int64(low)}, {_int64(high)}, {linear.tile.offset}"
        types = f"{rounding}, {linear.tile.kind.c_type}"
        lines.append(f"  wide_finish<{types}>(sums, {width}, {limits}, {self._place(linear.tile)});")
        return [*lines, "}"]

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

    def _next(self) -> int:
        self._count += 1
        return self._count


def _by_vectors(linear: Linear, packed: Packed, sources: dict[Tile, str], number: int) -> list[str]:
    every = {stage.tile: stage for stage in packed.stages if stage.visit == EVERY}
    return [
        "{",
        *(
            f"  const Row<{stage.kernel}, {stage.groups}> {sources[tile]}_row({sources[tile]}, count);"
            for tile, stage in every.items()
        ),
        f"  Stream stream{{weights_{number}, groups_{number}}};",
        f"  for (int four = 0; four < {len(packed.bias) // 4}; ++four) {{",
        f"    const std::int32_t* bias = bias_{number} + 4 * four;",
        f"    std::int32_t* at = to + four * {linear.tile.kind.bytes} * kRows;",
        "    stream = for_rows(count, stream, [&](auto together, int lane, Stream& s) HITFABRIC_ALWAYS {",
        "      Sums<decltype(together)::value> sums;",
        *(f"      {line}" for line in _sums(packed, sources)),
        f"      {_finish(linear)}.write(in_lanes(sums), at + lane);",
        "    });",
        "  }",
        "}",
    ]


def _sums(packed: Packed, sources: dict[Tile, str]) -> Iterable[str]:
    late = any(stage.shift for stage in packed.stages)
    yield "sums.clear();" if late else "sums.start(bias);"
    for k, stage in enumerate(packed.stages):
        x = sources[stage.tile]
        row = f"{x}_row, " if stage.visit == EVERY else ""
        yield f"{stage.visit}<{stage.kernel}>(sums, {x} + lane, {row}s);"
        following = packed.stages[k + 1].shift if k + 1 < len(packed.stages) else 0
        if stage.shift > following:
            yield f"sums.shift({stage.shift - following});"
    if late:
        yield "sums.add_bias(bias);"


def _finish(linear: Linear) -> str:
    form, kind = linear.form, linear.tile.kind
    if form is None:
        return "AsInts{}"
    arguments = f"{{{linear.shift}, {form.low}, {form.high}}}"
    if kind is Kind.BYTE:
        return f"ToBytes<{_rounding(form)}, {str(linear.tile.offset != 0).lower()}>{arguments}"
    return f"To{'Shorts' if kind is Kind.SHORT else 'Ints'}<{_rounding(form)}>{arguments}"


def _rounding(form: FixedPoint | None) -> str:
    return "Rounding::kHalfEven" if form is not None and form.rounding == "RND_CONV" else "Rounding::kFloor"


def _scale(exponent: int) -> str:
    return repr(2.0**exponent)


def _as(kind: str, place: str) -> str:
    return place if kind == "std::int32_t" else f"reinterpret_cast<{kind}*>({place})"


def _int64(value: int) -> str:
    value = (value + (1 << 63)) % (1 << 64) - (1 << 63)
    return f"static_cast<std::int64_t>({value % (1 << 64)}u)"


def _array(kind: str, name: str, values: Iterable[int]) -> str:
    body = ", ".join([*(str(int(value)) for value in values), *["0"] * SLACK])
    return f"alignas(64) constexpr {kind} {name}[] = {{{body}}};"


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

__all__ = ["Stored", "network_info", "network_source", "operations_of"]
