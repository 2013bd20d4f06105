"""Loading a compiled network, through the C interface of `cpp/hitfabric_native.h`."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core import ToolError

ABI_VERSION = 2
OK, NOT_FINITE, NEGATIVE_INDEX = 0, 3, 4


class NoCodeError(ToolError):
    """A library was made for other processors."""


class Call(ctypes.Structure):
    """As in hitfabric_native.h."""

    _fields_ = (
        ("rows", ctypes.c_int64),
        ("nodes", ctypes.c_int64),
        ("edges", ctypes.c_int64),
        ("inputs", ctypes.c_void_p),
        ("outputs", ctypes.c_void_p),
        ("taps", ctypes.c_void_p),
        ("input_count", ctypes.c_int32),
        ("output_count", ctypes.c_int32),
        ("tap_count", ctypes.c_int32),
        ("threads", ctypes.c_int32),
        ("instructions", ctypes.c_char_p),
        ("bad_input", ctypes.c_int32),
        ("bad_row", ctypes.c_int64),
    )


class Arguments:
    """Arguments of calls of one thread, one after the other.

    Attributes:
        inputs: Addresses of the inputs.
        outputs: Addresses of the outputs, null where none is wanted.
        taps: Addresses for visible nodes, null where none is wanted.
        call: What the library takes.
        address: Where it is.
    """

    def __init__(self, inputs: int, outputs: int, taps: int, *, threads: int, instructions: bytes | None) -> None:
        self.inputs = (ctypes.c_void_p * inputs)()
        self.outputs = (ctypes.c_void_p * outputs)()
        self.taps = (ctypes.c_void_p * taps)()
        places = [ctypes.addressof(array) for array in (self.inputs, self.outputs, self.taps)]
        self.call = Call(0, 0, 0, *places, inputs, outputs, taps, threads, instructions)
        self.address = ctypes.addressof(self.call)


def address_of(array: NDArray[np.generic]) -> int:
    """Where an array's elements are; the faster of two ways takes only arrays that may be written to."""
    if array.flags.writeable and array.size:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))  # type: ignore[arg-type] - arrays are buffers
    return array.__array_interface__["data"][0]


def _check_whole(path: Path) -> None:
    """Refuse a file that was cut off: the loader does not notice, and the first call into what is missing is fatal.

    Raises:
        OSError: The file is shorter than its header says, or has none.
    """
    with path.open("rb") as file:
        header = file.read(64)
    little = header[:6] == b"\x7fELF\x02\x01"
    sections, size, count = int.from_bytes(header[40:48], "little"), header[58:60], header[60:62]
    end = sections + int.from_bytes(size, "little") * int.from_bytes(count, "little")  # they are last in a file
    if len(header) < 64 or (little and path.stat().st_size < end):
        raise OSError("the file is cut off")


class NativeLibrary:
    """A compiled network.

    Args:
        path: The library.
        instructions: Instruction set to use; None takes the best.

    Attributes:
        path: The library.
        available: Instruction sets of the library that this processor has, best first.
        chosen: The one used.
        instructions: As `Call` takes it.
        run_address: Address of `hitfabric_run`.

    Raises:
        ToolError: The library is not to be loaded, has another interface, or no code for this processor.
    """

    def __init__(self, path: Path, instructions: str | None) -> None:
        self.path = path
        try:
            _check_whole(path)
            self._library = ctypes.CDLL(str(path))
            version = self._library.hitfabric_abi_version()
        except (OSError, AttributeError) as error:  # AttributeError: a library of something else
            raise ToolError(f"cannot load {path}: {error}", remedy="delete it: it is compiled anew") from error
        if version != ABI_VERSION:
            raise ToolError(f"{path} has interface {version}, not {ABI_VERSION}", remedy="delete it")
        self._run = self._library.hitfabric_run
        self._run.argtypes = (ctypes.c_void_p,)
        self.run_address = ctypes.cast(self._run, ctypes.c_void_p).value or 0
        self._library.hitfabric_instructions.restype = ctypes.c_char_p
        self._library.hitfabric_message.restype = ctypes.c_char_p
        self.available = tuple(self._library.hitfabric_instructions().decode().split())
        if instructions is not None and instructions not in self.available:
            raise ToolError(
                f"no {instructions} code for this processor", remedy=f"use one of {', '.join(self.available)}"
            )
        if not self.available:
            raise NoCodeError(f"{path} has no code for this processor", remedy="delete it: it is compiled anew")
        self.chosen = instructions or self.available[0]
        self.instructions = None if instructions is None else instructions.encode()

    def arguments(self, inputs: int, outputs: int, taps: int, *, threads: int) -> Arguments:
        """Arguments for as many inputs, outputs and visible nodes."""
        return Arguments(inputs, outputs, taps, threads=threads, instructions=self.instructions)

    def run(self, arguments: Arguments, sizes: Sequence[int]) -> int:
        """Compute for rows, nodes and edges (-1: there are none); returns the status."""
        call = arguments.call
        rows, nodes, edges = sizes
        if rows > 0:
            call.rows = rows
        else:
            call.rows, call.nodes, call.edges = max(rows, 0), max(nodes, 0), max(edges, 0)
        return self._run(arguments.address)

    def message(self, status: int) -> str:
        """A status in words."""
        return self._library.hitfabric_message(status).decode()
