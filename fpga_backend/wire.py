"""The wire between the C++ backend and the worker: frames in shared memory, as `cpp/wire.h` documents and declares."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from ..core import DataError

MAGIC = 0x46544948
VERSION = 2
ALIGNMENT = 64
MAXIMUM_RANK = 4
MAXIMUM_TENSORS = 16
MAXIMUM_MESSAGE = 4096

# magic, version, request id, status, tensor count, response offset, message offset, message bytes, wanted outputs,
# device nanoseconds, checked, mismatched
HEADER = struct.Struct("<IIQIIQQIIQII")
# data type, rank, dims, offset, bytes, 1 reserved
DESCRIPTOR = struct.Struct(f"<iI{MAXIMUM_RANK}qQQQ")

EVERY_OUTPUT = (1 << MAXIMUM_TENSORS) - 1

Array = NDArray[np.generic]


class Status(IntEnum):
    """What a frame is."""

    REQUEST = 0
    DONE = 1
    INVALID = 2
    INTERNAL = 3


class DataType(IntEnum):
    """Element types, with the values of Triton's TRITONSERVER_DataType; ABSENT is a tensor that is not there."""

    ABSENT = 0
    INT32 = 8
    INT64 = 9
    FP32 = 11


DTYPES: dict[DataType, np.dtype[np.generic]] = {
    DataType.INT32: np.dtype("<i4"),
    DataType.INT64: np.dtype("<i8"),
    DataType.FP32: np.dtype("<f4"),
}


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A frame as read.

    Attributes:
        request_id: Number of the request.
        status: What the frame is.
        tensors: Views into the memory, in the order of the signature; None for one that is not there.
        response_offset: Where the response to a request goes.
        message: Text of a response that is not DONE; the signature of a worker that announces itself.
        wanted: Bit i of a request is set when somebody wants output i.
        device_nanoseconds: Time the device took for a response.
        checked: Shadow checks finished since the last response.
        mismatched: Those of them that found another result.
    """

    request_id: int
    status: Status
    tensors: tuple[Array | None, ...] = ()
    response_offset: int = 0
    message: str = ""
    wanted: int = EVERY_OUTPUT
    device_nanoseconds: int = 0
    checked: int = 0
    mismatched: int = 0


def align(offset: int) -> int:
    """Round up to the alignment of payloads."""
    return (offset + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT


def read_frame(memory: memoryview, offset: int = 0) -> Frame:
    """Read the frame at `offset`; its tensors are views, valid until the next request.

    Raises:
        DataError: The frame is malformed or of another version.
    """
    if offset + HEADER.size > len(memory):
        raise _malformed("lies outside the memory")
    magic, version, request_id, status, count, response, *rest = HEADER.unpack_from(memory, offset)
    message_at, message_bytes, wanted, device_nanoseconds, checked, mismatched = rest
    if magic != MAGIC or version != VERSION:
        raise _malformed(f"has magic {magic:#x} version {version}, expected {MAGIC:#x} version {VERSION}")
    if count > MAXIMUM_TENSORS or offset + HEADER.size + count * DESCRIPTOR.size > len(memory):
        raise _malformed(f"declares {count} tensors")
    first = offset + HEADER.size
    tensors = tuple(_read_tensor(memory, first + index * DESCRIPTOR.size) for index in range(count))
    text = bytes(memory[message_at : message_at + min(message_bytes, MAXIMUM_MESSAGE)]).decode(errors="replace")
    return Frame(
        request_id=request_id,
        status=Status(status),
        tensors=tensors,
        response_offset=response,
        message=text,
        wanted=wanted,
        device_nanoseconds=device_nanoseconds,
        checked=checked,
        mismatched=mismatched,
    )


def frame_bytes(tensors: Sequence[Array | None], message: str = "") -> int:
    """Bytes a frame at an aligned offset occupies, payloads included."""
    end = HEADER.size + len(tensors) * DESCRIPTOR.size
    for tensor in tensors:
        end = align(end) + (0 if tensor is None else tensor.nbytes)
    return align(end) + min(len(message.encode()), MAXIMUM_MESSAGE)


def write_frame(memory: memoryview, offset: int, frame: Frame) -> None:
    """Write a frame with its payloads at an aligned `offset`; the memory must hold `frame_bytes` from there.

    Raises:
        DataError: A tensor has a type or rank the wire does not carry, or the frame does not fit.
    """
    if offset % ALIGNMENT or offset + frame_bytes(frame.tensors, frame.message) > len(memory):
        raise _malformed(f"does not fit at offset {offset} of {len(memory)} bytes")
    cursor = offset + HEADER.size + len(frame.tensors) * DESCRIPTOR.size
    for index, tensor in enumerate(frame.tensors):
        cursor = align(cursor)
        descriptor = _describe(tensor, cursor)
        DESCRIPTOR.pack_into(memory, offset + HEADER.size + index * DESCRIPTOR.size, *descriptor)
        if tensor is None:
            continue
        if tensor.size:
            target = np.frombuffer(memory, dtype=tensor.dtype, count=tensor.size, offset=cursor)
            target.reshape(tensor.shape)[...] = tensor
        cursor += tensor.nbytes
    text = frame.message.encode()[:MAXIMUM_MESSAGE]
    cursor = align(cursor)
    memory[cursor : cursor + len(text)] = text
    HEADER.pack_into(
        memory,
        offset,
        *(MAGIC, VERSION, frame.request_id, frame.status, len(frame.tensors)),
        *(frame.response_offset, cursor, len(text), frame.wanted),
        *(frame.device_nanoseconds, frame.checked, frame.mismatched),
    )


def layout() -> Mapping[str, int]:
    """Sizes, offsets and constants of the wire, as the C++ side prints them in the test that compares the two."""
    return {
        "magic": MAGIC,
        "version": VERSION,
        "alignment": ALIGNMENT,
        "maximum_rank": MAXIMUM_RANK,
        "maximum_tensors": MAXIMUM_TENSORS,
        "maximum_message": MAXIMUM_MESSAGE,
        "header": HEADER.size,
        "descriptor": DESCRIPTOR.size,
    }


def _read_tensor(memory: memoryview, offset: int) -> Array | None:
    code, rank, *rest = DESCRIPTOR.unpack_from(memory, offset)
    if code == DataType.ABSENT:
        return None
    shape, (start, size, _) = tuple(rest[:rank]), rest[MAXIMUM_RANK:]
    if code not in DTYPES or not 0 <= rank <= MAXIMUM_RANK or min(shape, default=0) < 0:
        raise _malformed(f"holds a tensor of type {code} and shape {shape}")
    dtype = DTYPES[DataType(code)]
    count = math.prod(shape)
    if count * dtype.itemsize != size or start + size > len(memory):
        raise _malformed(f"holds a tensor of shape {shape} in {size} bytes at {start}")
    return np.frombuffer(memory, dtype=dtype, count=count, offset=start).reshape(shape)


def _describe(tensor: Array | None, offset: int) -> tuple[int, ...]:
    if tensor is None:
        return (DataType.ABSENT, *(0,) * (MAXIMUM_RANK + 4))
    for code, dtype in DTYPES.items():
        if tensor.dtype == dtype and tensor.ndim <= MAXIMUM_RANK:
            dims = (*tensor.shape, *(0,) * (MAXIMUM_RANK - tensor.ndim))
            return (code, tensor.ndim, *dims, offset, tensor.nbytes, 0)
    raise _malformed(f"cannot carry a tensor of {tensor.dtype} and shape {tensor.shape}")


def _malformed(what: str) -> DataError:
    return DataError(f"a wire frame {what}", remedy="run backend and worker of the same hitfabric version")
