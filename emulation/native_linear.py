"""C++ of linear maps: vectors of rows, AMX matrices where they are large, 64 bits where 32 are too few."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from ..quantization import FixedPoint
from .native_operations import Linear
from .native_pack import EVERY, MATRIX, Packed, matrices, matrix_stages, pack
from .native_tiles import Kind, Tile

SLACK = 16
"""Zeros behind each array, since whole vectors are read."""

Place = Callable[[Tile], str]
"""Where a tile is, as a C++ expression."""


class LinearSource:
    """Writes linear maps, and collects the constants they need.

    Attributes:
        constants: Lines for the beginning of the file.
    """

    def __init__(self) -> None:
        self.constants: list[str] = []
        self._count = 0

    def lines(self, linear: Linear, place: Place) -> list[str]:
        """Statements that compute a map."""
        return self._narrow(linear, place) if linear.in_32_bits else self._wide(linear, place)

    def _narrow(self, linear: Linear, place: Place) -> list[str]:
        packed, number = pack(linear), self._next()
        self._constants(number, packed)
        tiles = list(dict.fromkeys(stage.tile for stage in packed.stages))
        sources = {tile: f"x{k}" for k, tile in enumerate(tiles)}
        lines = [f"const std::int32_t* {name} = {place(tile)};" for tile, name in sources.items()]
        lines += [
            f"std::int32_t* to = {place(linear.tile)};",
            *self._by_matrices(linear, packed, sources, number),
            *self._by_outputs(linear, packed, sources),
            *_by_vectors(linear, packed, sources, number, loop="for_rows(count, "),
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

    def _by_outputs(self, linear: Linear, packed: Packed, sources: dict[Tile, str]) -> list[str]:
        """The sums of a single row, where it is to visit other groups; the line behind is for several."""
        single = pack(linear, one_row=True)
        if [stage.visit for stage in single.stages] == [stage.visit for stage in packed.stages]:
            return []
        number = self._next()
        self._constants(number, single)
        lines = _by_vectors(linear, single, sources, number, loop="for_one_row(")
        return ["if (count == 1)", *lines, "else"]

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

    def _wide(self, linear: Linear, place: Place) -> list[str]:
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
            arguments = f"{place(term.tile)}, {term.tile.offset}, terms_{number}_{k}, {len(rows)}, sums"
            lines.append(f"  wide_terms<{term.tile.kind.c_type}>({arguments});")
        rounding, low, high = _rounding(linear.form), -(2**62), 2**62
        if linear.form is not None:
            low, high = linear.form.low, linear.form.high
        limits = f"{linear.shift}, {_int64(low)}, {_int64(high)}, {linear.tile.offset}"
        types = f"{rounding}, {linear.tile.kind.c_type}"
        lines.append(f"  wide_finish<{types}>(sums, {width}, {limits}, {place(linear.tile)});")
        return [*lines, "}"]

    def _next(self) -> int:
        self._count += 1
        return self._count


def _by_vectors(linear: Linear, packed: Packed, sources: dict[Tile, str], number: int, *, loop: str) -> list[str]:
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
        f"    stream = {loop}stream, [&](auto together, int lane, Stream& s) HITFABRIC_ALWAYS {{",
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


def _int64(value: int) -> str:
    value = (value + (1 << 63)) % (1 << 64) - (1 << 63)
    return f"static_cast<std::int64_t>({value % (1 << 64)}u)"


def _array(kind: str, name: str, values: Iterable[int]) -> str:
    body = ", ".join([*(str(int(value)) for value in values), *["0"] * SLACK])
    return f"alignas(64) constexpr {kind} {name}[] = {{{body}}};"
