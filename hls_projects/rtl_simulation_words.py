"""Tensors as the words of an RTL design, and back: fields of bits, the first feature of the first field lowest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..core import GraphError
from .rtl_fields import Field

Integers = NDArray[np.int64]
Bytes = NDArray[np.uint8]


def pack_rows(fields: Sequence[Field], tensors: Sequence[Integers], *, word_bits: int | None = None) -> Bytes:
    """Rows as whole bytes.

    Args:
        fields: Fields of a row, the first lowest.
        tensors: int64 [rows, features] of each field.
        word_bits: Bits of a row, at least the fields' sum; None takes their sum.

    Returns:
        uint8 [rows, bytes], the lowest byte first; what the fields leave is 0.

    Raises:
        GraphError: A tensor does not fit its field.
    """
    used = sum(field.width for field in fields)
    rows = len(tensors[0]) if tensors else 0
    bits = np.zeros((rows, -(-(used if word_bits is None else word_bits) // 8) * 8), dtype=np.uint8)
    place = 0
    for field, values in zip(fields, tensors, strict=True):
        _check_fits(field, values)
        shifts = np.arange(field.bits, dtype=np.int64)
        bits[:, place : place + field.width] = ((values[:, :, None] >> shifts) & 1).reshape(rows, field.width)
        place += field.width
    return np.packbits(bits, axis=1, bitorder="little")


def unpack_rows(fields: Sequence[Field], rows: Bytes) -> list[Integers]:
    """What `pack_rows` packed.

    Args:
        fields: Fields of a row, the first lowest.
        rows: uint8 [rows, bytes], the lowest byte first.

    Returns:
        int64 [rows, features] of each field.
    """
    bits = np.unpackbits(rows, axis=1, bitorder="little") if rows.size else np.zeros((len(rows), 8 * rows.shape[1]))
    place = 0
    tensors = []
    for field in fields:
        own = bits[:, place : place + field.width].reshape(len(rows), field.features, field.bits).astype(np.int64)
        weights = np.left_shift(1, np.arange(field.bits, dtype=np.int64))
        if field.signed:
            weights[-1] = -weights[-1]
        tensors.append(own @ weights)
        place += field.width
    return tensors


def _check_fits(field: Field, values: Integers) -> None:
    low = -(1 << (field.bits - 1)) if field.signed else 0
    high = (1 << (field.bits - field.signed)) - 1
    if values.shape[1:] != (field.features,):
        raise GraphError(
            f"tensor {field.tensor} has shape {values.shape}, its field {field.features} features",
            remedy="report this network as a defect of hitfabric",
        )
    if values.size and (int(values.min()) < low or int(values.max()) > high):
        raise GraphError(
            f"tensor {field.tensor} leaves the {field.bits} bits of its field",
            remedy="report this network as a defect of hitfabric",
        )
