"""Weights of the native executor in the order in which its kernels read them, without those that are zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .native_operations import Linear, Term
from .native_tiles import Kind, Tile

OUTPUTS = 4
"""Outputs computed together."""

MATRIX = 16
"""Outputs, and groups of features, of a matrix."""

DIGIT_BITS = {Kind.BYTE: 8, Kind.SHORT: 16}

EVERY, SOME, OWN = "every_group", "some_groups", "own_groups"
"""Which groups of features are visited: all, those used by any of four outputs, those used by each output."""

COST = {EVERY: 16.5, SOME: 18.0, OWN: 5.5}
"""Cycles per group (and, of OWN, output) of 64 rows, measured with AVX-512."""

ONE_ROW_COST = {EVERY: 0.1, OWN: 1.6}
"""Cycles per group and output of a single row."""

Dwords = NDArray[np.int32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """Part of a sum, over one tile, with weights that fit its kernel.

    Attributes:
        tile: Source.
        weight: int64 [outputs, features], both padded with zeros to whole groups.
        shift: Bits to the left after the sum.
        visit: EVERY, SOME or OWN.
    """

    tile: Tile
    weight: NDArray[np.int64]
    shift: int
    visit: str

    @property
    def kernel(self) -> str:
        """Name of the multiplication."""
        return {Kind.BYTE: "Bytes", Kind.SHORT: "Shorts", Kind.INT: "Ints"}[self.tile.kind]

    @property
    def groups(self) -> int:
        """Dwords of features."""
        return self.weight.shape[1] // self.tile.kind.in_dword


@dataclass(frozen=True, kw_only=True, eq=False)
class Packed:
    """A linear map, packed.

    Attributes:
        stages: In the order of falling shifts.
        bias: int32 [outputs, padded to fours], modulo 2^32, with what the offsets of the tiles add.
        weights: What the stages read, for a kernel that multiplies bytes.
        widened: The same for a kernel that multiplies bytes as shorts.
        groups: uint16 lists of groups.
    """

    stages: tuple[Stage, ...]
    bias: Dwords
    weights: Dwords
    widened: Dwords
    groups: NDArray[np.uint16]


def pack(linear: Linear, *, one_row: bool = False) -> Packed:
    """Pack a linear map that is exact in 32 bits; `one_row` for a single row, whose lanes are outputs."""
    width = linear.tile.width
    stages = sorted((stage for term in linear.terms for stage in _stages(term)), key=lambda stage: -stage.shift)
    if one_row:
        stages = [_for_one_row(stage) for stage in stages]
    bias = [value - sum(_offset(term, output) for term in linear.terms) for output, value in enumerate(linear.bias)]
    bias += [0] * (-width % OUTPUTS)
    weights: list[Dwords] = []
    widened: list[Dwords] = []
    groups: list[int] = []
    for first in range(0, len(bias), OUTPUTS):
        for stage in stages:
            own = stage.weight[first : first + OUTPUTS]
            for rows, visited in _visits(own, stage):
                if stage.visit != EVERY:
                    groups += [len(visited), *visited.tolist()]
                chosen = rows.reshape(len(rows), stage.groups, -1)[:, visited].transpose(1, 0, 2)
                weights.append(_dwords(chosen, stage.tile.kind))
                widened.append(_widened(chosen) if stage.tile.kind is Kind.BYTE else weights[-1])
    return Packed(
        stages=tuple(stages),
        bias=np.array([_modulo(value) for value in bias], dtype=np.int32),
        weights=_joined(weights),
        widened=_joined(widened),
        groups=np.array(groups, dtype=np.uint16),
    )


def matrix_stages(packed: Packed) -> bool:
    """Whether matrices of bytes (AMX) can compute the sums, and are large enough to pay."""
    stages = packed.stages
    large = len(packed.bias) >= MATRIX // 2 and any(stage.groups >= MATRIX // 2 for stage in stages)
    return large and all(stage.tile.kind is Kind.BYTE and stage.shift == stages[0].shift for stage in stages)


def matrices(packed: Packed) -> NDArray[np.int8]:
    """Weights in matrices of 16 outputs and 64 features, by outputs, then stages, then features."""
    outputs = -(-len(packed.bias) // MATRIX)
    found = [np.zeros(0, np.int8)]
    for first in range(0, outputs * MATRIX, MATRIX):
        for stage in packed.stages:
            rows = stage.weight[first : first + MATRIX]
            padded = np.pad(rows, [(0, MATRIX - len(rows)), (0, -rows.shape[1] % (4 * MATRIX))])
            found += [padded[:, at : at + 4 * MATRIX].astype(np.int8).ravel() for at in range(0, padded.shape[1], 64)]
    return np.concatenate(found)


def _joined(arrays: Sequence[Dwords]) -> Dwords:
    return np.concatenate([np.zeros(0, np.int32), *arrays])


def _offset(term: Term, output: int) -> int:
    return (int(term.weight[output].sum()) * term.tile.offset) << term.shift


def _modulo(value: int) -> int:
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


def _stages(term: Term) -> list[Stage]:
    kind = term.tile.kind
    if kind is Kind.INT:
        weight = (term.weight.astype(object) << term.shift) % (1 << 32)
        return _stage(term.tile, np.vectorize(_modulo, otypes=[np.int64])(weight), 0)
    bits = DIGIT_BITS[kind]
    most = int(np.abs(term.weight).max(initial=0))
    shift = term.shift if most << term.shift < 1 << (bits - 1) else 0
    found: list[Stage] = []
    rest, place = term.weight << shift, term.shift - shift
    while rest.any():
        digit = (rest + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))
        found += _stage(term.tile, digit, place)
        rest, place = (rest - digit) >> bits, place + bits
    return found


def _stage(tile: Tile, weight: NDArray[np.int64], shift: int) -> list[Stage]:
    """A stage, unless its weights are all zero or it is shifted out of 32 bits."""
    if not weight.any() or shift > 31:
        return []
    padding = [(0, -size % unit) for size, unit in zip(weight.shape, (OUTPUTS, tile.kind.in_dword), strict=True)]
    padded = np.pad(weight, padding)
    used = _used(padded, padded.shape[1] // tile.kind.in_dword).reshape(len(padded) // OUTPUTS, OUTPUTS, -1)
    costs = {
        EVERY: COST[EVERY] * used[:, 0].size,
        SOME: COST[SOME] * float(used.any(axis=1).sum()),
        OWN: COST[OWN] * float(used.sum()),
    }
    visit = min(costs, key=lambda name: costs[name])
    return [Stage(tile=tile, weight=padded, shift=shift, visit=visit)]


def _for_one_row(stage: Stage) -> Stage:
    used = float(_used(stage.weight, stage.groups).sum())
    dense = ONE_ROW_COST[EVERY] * len(stage.weight) * stage.groups <= ONE_ROW_COST[OWN] * used
    return replace(stage, visit=EVERY if dense else OWN)


def _used(weight: NDArray[np.int64], groups: int) -> NDArray[np.bool_]:
    """Whether a group has a weight that is not zero, bool [outputs, groups]."""
    return np.asarray(weight.reshape(len(weight), groups, -1).any(axis=2))


def _visits(rows: NDArray[np.int64], stage: Stage) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Outputs taken together, and the groups visited for them."""
    used = _used(rows, stage.groups)
    if stage.visit == OWN:
        return [(rows[k : k + 1], np.flatnonzero(used[k])) for k in range(OUTPUTS)]
    if stage.visit == SOME:
        return [(rows, np.flatnonzero(used.any(axis=0)))]
    return [(rows, np.arange(stage.groups))]


def _dwords(weights: NDArray[np.int64], kind: Kind) -> Dwords:
    """[groups, outputs, elements of a dword] to dwords."""
    element = {Kind.BYTE: np.int8, Kind.SHORT: np.int16, Kind.INT: np.int32}[kind]
    return np.ascontiguousarray(weights.astype(element)).reshape(-1).view("<i4")


def _widened(weights: NDArray[np.int64]) -> Dwords:
    """[groups, outputs, 4] to two dwords of shorts each: bytes 0 and 2, bytes 1 and 3."""
    shorts = weights[:, :, [0, 2, 1, 3]].astype(np.int16)
    return np.ascontiguousarray(shorts).reshape(-1).view("<i4")
