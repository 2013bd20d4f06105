"""The wire in Python, and that Python and C++ agree about it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from hitfabric.core import DataError
from hitfabric.fpga_backend import wire

RunCheck = Callable[..., subprocess.CompletedProcess[str]]

TENSORS = st.lists(
    st.none()
    | st.sampled_from([np.float32, np.int64, np.int32]).flatmap(
        lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
    ),
    max_size=4,
)


COUNTS = st.tuples(st.integers(0, 2**16 - 1), st.integers(0, 2**63), st.integers(0, 2**32 - 1), st.integers(0, 9))


@given(
    TENSORS,
    st.integers(0, 2**63),
    st.sampled_from(list(wire.Status)),
    st.text(max_size=50),
    st.integers(0, 9),
    COUNTS,
)
def test_what_is_written_is_read(
    tensors: list[np.ndarray | None],
    request_id: int,
    status: wire.Status,
    message: str,
    blocks: int,
    counts: tuple[int, ...],
) -> None:
    offset = blocks * wire.ALIGNMENT
    memory = memoryview(bytearray(offset + wire.frame_bytes(tensors, message)))
    frame = wire.Frame(
        request_id=request_id,
        status=status,
        tensors=tuple(tensors),
        response_offset=offset,
        message=message,
        wanted=counts[0],
        device_nanoseconds=counts[1],
        checked=counts[2],
        mismatched=counts[3],
    )
    wire.write_frame(memory, offset, frame)
    read = wire.read_frame(memory, offset)
    assert (read.request_id, read.status, read.response_offset, read.message) == (request_id, status, offset, message)
    assert (read.wanted, read.device_nanoseconds, read.checked, read.mismatched) == counts
    assert len(read.tensors) == len(tensors)
    for have, want in zip(read.tensors, tensors, strict=True):
        if have is None or want is None:
            assert have is want
            continue
        assert have.dtype == want.dtype and have.shape == want.shape and have.tobytes() == want.tobytes()


def test_payloads_are_aligned_and_do_not_overlap() -> None:
    tensors = [np.full(3, 7, np.float32), np.full((2, 2), 9, np.int64)]
    memory = memoryview(bytearray(wire.frame_bytes(tensors)))
    wire.write_frame(memory, 0, wire.Frame(request_id=1, status=wire.Status.DONE, tensors=tuple(tensors)))
    starts = [wire.DESCRIPTOR.unpack_from(memory, wire.HEADER.size + i * wire.DESCRIPTOR.size)[-3] for i in range(2)]
    assert all(start % wire.ALIGNMENT == 0 for start in starts)
    assert starts[0] + tensors[0].nbytes <= starts[1]


@pytest.mark.parametrize("position", range(8))
def test_a_damaged_magic_or_version_is_refused(position: int) -> None:
    memory = bytearray(wire.frame_bytes([]))
    wire.write_frame(memoryview(memory), 0, wire.Frame(request_id=1, status=wire.Status.DONE))
    memory[position] ^= 0xFF
    with pytest.raises(DataError, match="magic"):
        wire.read_frame(memoryview(memory))


@pytest.mark.parametrize(("field", "value"), [(0, 77), (1, 9), (2, -1), (2, 1 << 40), (6, 1 << 40), (7, 13)], ids=str)
def test_a_tensor_outside_the_memory_is_refused(field: int, value: int) -> None:
    tensor = np.zeros((4, 3), np.float32)
    memory = memoryview(bytearray(wire.frame_bytes([tensor])))
    wire.write_frame(memory, 0, wire.Frame(request_id=1, status=wire.Status.DONE, tensors=(tensor,)))
    descriptor = list(wire.DESCRIPTOR.unpack_from(memory, wire.HEADER.size))
    descriptor[field] = value
    wire.DESCRIPTOR.pack_into(memory, wire.HEADER.size, *descriptor)
    with pytest.raises(DataError, match="tensor"):
        wire.read_frame(memory)


def test_types_the_wire_does_not_carry_are_refused() -> None:
    tensor = np.zeros(3, np.float64)
    memory = memoryview(bytearray(wire.frame_bytes([tensor])))
    with pytest.raises(DataError, match="float64"):
        wire.write_frame(memory, 0, wire.Frame(request_id=1, status=wire.Status.DONE, tensors=(tensor,)))


def test_python_and_cpp_declare_the_same_layout(check_program: RunCheck) -> None:
    printed = check_program("layout").stdout
    assert {name: int(value) for name, value in (line.split() for line in printed.splitlines())} == wire.layout()
