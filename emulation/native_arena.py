"""Places of the tiles of a block in a thread's working memory: a place is used again once its tile is done with."""

from __future__ import annotations

from collections.abc import Sequence

from .native_operations import Linear, Operation, Store
from .native_tiles import Tile

ROWS = 64
"""Rows of a block."""

UNIT = 16
"""Places are multiples of this many dwords, so that vectors are aligned."""


class Arena:
    """Places of tiles.

    Args:
        operations: Operations of a segment, in order.
        elsewhere: Names of tiles that are not in the working memory.

    Attributes:
        at: Place of each tile, in dwords.
        dwords: Dwords needed in all.
    """

    def __init__(self, operations: Sequence[Operation], elsewhere: frozenset[str]) -> None:
        self.at: dict[str, int] = {}
        self.dwords = 0
        last = {tile.name: k for k, operation in enumerate(operations) for tile in _used(operation)}
        live: dict[str, tuple[int, int]] = {}
        for k, operation in enumerate(operations):
            if isinstance(operation, Store) or operation.tile.name in elsewhere:
                continue
            tile = operation.tile
            live = {name: place for name, place in live.items() if last[name] >= k}
            size = -(-tile.tile_dwords * ROWS // UNIT) * UNIT
            start = _first_fit(sorted(live.values()), size)
            self.at[tile.name] = start
            live[tile.name] = (start, start + size)
            self.dwords = max(self.dwords, start + size)


def _used(operation: Operation) -> list[Tile]:
    """Tiles an operation reads or writes in the working memory."""
    if isinstance(operation, Store):
        return [part.tile for part in operation.parts]
    if isinstance(operation, Linear):
        return [operation.tile, *(term.tile for term in operation.terms)]
    return [operation.tile]


def _first_fit(taken: Sequence[tuple[int, int]], size: int) -> int:
    start = 0
    for low, high in taken:
        if low - start >= size:
            break
        start = max(start, high)
    return start
