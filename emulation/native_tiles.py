"""How the native executor holds tensors: tiles of bytes, shorts, ints or 64-bit integers, by their proven range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from ..quantization import TensorType

BYTE_LIMIT = 1 << 7
SHORT_LIMIT = 1 << 15
INT_LIMIT = 1 << 31


class Kind(Enum):
    """Type of the stored elements: C++ type and bytes."""

    BYTE = ("std::uint8_t", 1)
    SHORT = ("std::int16_t", 2)
    INT = ("std::int32_t", 4)
    WIDE = ("std::int64_t", 8)

    @property
    def c_type(self) -> str:
        """C++ type."""
        return self.value[0]

    @property
    def bytes(self) -> int:
        """Bytes of an element."""
        return self.value[1]

    @property
    def in_dword(self) -> int:
        """Elements that share a dword."""
        return max(1, 4 // self.bytes)

    @property
    def most_stored(self) -> int:
        """Largest magnitude of a stored element."""
        return 255 if self is Kind.BYTE else 1 << (8 * self.bytes - 1)


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A tensor, or a part of one, held with one kind of element.

    Attributes:
        name: Identifier.
        dimension: Symbolic dimension of its rows.
        width: Features.
        kind: Type of the elements.
        offset: What is added to each element (128 makes signed bytes unsigned).
    """

    name: str
    dimension: str
    width: int
    kind: Kind
    offset: int = 0

    @property
    def row_dwords(self) -> int:
        """Dwords of a row in memory."""
        return -(-self.width // self.kind.in_dword) * max(1, self.kind.bytes // 4)

    @property
    def tile_dwords(self) -> int:
        """Dwords of a row in a tile: features are written four at a time."""
        return -(-self.width // 4) * self.kind.bytes if self.kind is not Kind.WIDE else 2 * self.width

    @property
    def zero(self) -> int:
        """The dword that stands for zeros, signed."""
        return -0x7F7F7F80 if self.offset else 0


@dataclass(frozen=True, kw_only=True)
class Part:
    """Features of a node that one tile holds, times a power of two.

    Attributes:
        tile: Where they are.
        at: Number of the first of them among the node's features.
        shift: The node's integers are those of the tile times `2**shift`.
    """

    tile: Tile
    at: int
    shift: int


def held_as(name: str, tensor: TensorType, low: int, high: int) -> Tile:
    """The narrowest tile for integers of `[low, high]`."""
    kind, offset = Kind.WIDE, 0
    if low >= 0 and high < 2 * BYTE_LIMIT:
        kind = Kind.BYTE
    elif low >= -BYTE_LIMIT and high < BYTE_LIMIT:
        kind, offset = Kind.BYTE, BYTE_LIMIT
    elif low >= -SHORT_LIMIT and high < SHORT_LIMIT:
        kind = Kind.SHORT
    elif low >= -INT_LIMIT and high < INT_LIMIT:
        kind = Kind.INT
    return Tile(name=name, dimension=str(tensor.shape[0]), width=tensor.width, kind=kind, offset=offset)


def fits_int(*values: int) -> bool:
    """Whether all values fit 32 bits."""
    return all(-INT_LIMIT <= value < INT_LIMIT for value in values)


def shifted(parts: Sequence[Part], *, at: int = 0, shift: int = 0) -> tuple[Part, ...]:
    """The parts at other features, times `2**shift`."""
    return tuple(Part(tile=part.tile, at=part.at + at, shift=part.shift + shift) for part in parts)
