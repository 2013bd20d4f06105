"""Operations of the native executor on a block of rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..quantization import FixedPoint, Input
from .native_tiles import Part, Tile, fits_int


@dataclass(frozen=True, kw_only=True, eq=False)
class Quantize:
    """Features of an input, quantized.

    Attributes:
        node: The input.
        input: Its number.
        tile: Where they go.
    """

    node: Input
    input: int
    tile: Tile


@dataclass(frozen=True, kw_only=True, eq=False)
class Gather:
    """Rows at one end of each edge.

    Attributes:
        source: Kept rows of nodes.
        ends: Number of the edge index, times two, plus the column.
        tile: Where they go.
    """

    source: Tile
    ends: int
    tile: Tile


@dataclass(frozen=True, kw_only=True, eq=False)
class Aggregate:
    """Sum or maximum of edge rows at each node.

    Attributes:
        source: Kept rows of edges.
        ends: Number of the edge index, times two, plus the column.
        maximum: Maximum instead of sum.
        tile: Where they go.
    """

    source: Tile
    ends: int
    maximum: bool
    tile: Tile


@dataclass(frozen=True, kw_only=True, eq=False)
class Term:
    """`weight @ tile << shift`; weight is int64 [out, width of the tile]."""

    tile: Tile
    weight: NDArray[np.int64]
    shift: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Linear:
    """Sum of terms and bias, then rounding and saturation.

    Attributes:
        tile: Where it goes.
        terms: What is added.
        bias: int [out], any size.
        form: Format of the result, or None where the sums are kept.
        fraction: Fractional bits of the sums.
        low: Smallest sum.
        high: Largest sum.
    """

    tile: Tile
    terms: tuple[Term, ...]
    bias: tuple[int, ...]
    form: FixedPoint | None
    fraction: int
    low: int
    high: int

    @property
    def shift(self) -> int:
        """Bits to the right, or to the left if negative."""
        return 0 if self.form is None else self.fraction - self.form.fraction

    @property
    def in_32_bits(self) -> bool:
        """Whether arithmetic modulo 2^32 gives the result."""
        wide = any(term.tile.kind.bytes == 8 for term in self.terms) or self.tile.kind.bytes == 8
        if wide or not fits_int(self.low, self.high):
            return False
        if self.form is None:
            return True
        if self.shift > 0:
            rounding = 1 << (self.shift - 1) if self.form.rounding == "RND_CONV" else 0
            return self.shift < 32 and fits_int(self.high + rounding)
        limit = (max(self.form.high, -self.form.low) >> -self.shift) + 1
        return -self.shift < 32 and fits_int(limit << -self.shift)


@dataclass(frozen=True, kw_only=True, eq=False)
class Store:
    """Values of a node, for the caller.

    Attributes:
        parts: Where they are.
        number: Number of the output, or of the visible node.
        fraction: Fractional bits.
        width: Features.
        integers: Whether integers are given, or float32 values.
    """

    parts: tuple[Part, ...]
    number: int
    fraction: int
    width: int
    integers: bool


Operation = Quantize | Gather | Aggregate | Linear | Store


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A tensor kept between passes, as rows or as tiles."""

    tile: Tile
    tiles: bool

    @property
    def dwords(self) -> int:
        """Dwords of a row."""
        return self.tile.tile_dwords if self.tiles else self.tile.row_dwords
