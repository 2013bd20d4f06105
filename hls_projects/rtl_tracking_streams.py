"""Simulation of any module with AXI4-Stream ports, beat by beat: what goes in, what comes out, and in which cycle."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core import ConfigError, ToolError
from .rtl_simulation import build_model
from .rtl_verilator import Verilator

TEMPLATE = Path(__file__).parent / "rtl" / "tracking_streams.cpp.in"
FAILURES = {
    -1: "the outputs expected did not come within the limit of cycles",
    -2: "an output changed while it waited to be taken",
    -3: "more beats came out than expected",
    -4: "the model stopped",
}


@dataclass(frozen=True, kw_only=True)
class StreamPort:
    """One stream of a module.

    Attributes:
        name: Prefix of its signals, as `s_axis_edges`.
        bits: Width of tdata.
        last: Whether it has tlast.
    """

    name: str
    bits: int
    last: bool = False

    @property
    def words(self) -> int:
        """32-bit words of a beat."""
        return -(-self.bits // 32)


@dataclass(frozen=True, kw_only=True, eq=False)
class Beats:
    """Beats of one stream.

    Attributes:
        data: uint32 [beats, words], lowest word first.
        last: bool [beats].
        cycles: int64 [beats], cycle in which each was taken; empty for beats that are yet to be sent.
    """

    data: NDArray[np.uint32]
    last: NDArray[np.bool_]
    cycles: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.data)

    @classmethod
    def of(cls, port: StreamPort, values: NDArray[np.int64], widths: Sequence[int], *, padding: int = 0) -> Beats:
        """Beats of one graph whose lanes hold rows of fields.

        Args:
            port: Stream; its width divided by the width of a lane gives the lanes.
            values: int64 [rows, fields]; negative ones as two's complement.
            widths: Bits of each field, first field lowest.
            padding: Bits above the fields of a lane.

        Returns:
            ceil(rows / lanes) beats, tlast on the last.
        """
        lane_bits = sum(widths) + padding
        lanes = port.bits // lane_bits
        count = -(-len(values) // lanes)
        bits = np.zeros((count * lanes, lane_bits), dtype=np.uint8)
        place = 0
        for column, width in enumerate(widths):
            bits[: len(values), place : place + width] = (values[:, column, None] >> np.arange(width)) & 1
            place += width
        wide = np.zeros((count, port.words * 32), dtype=np.uint8)
        wide[:, : port.bits] = bits.reshape(count, port.bits)
        data = np.packbits(wide, axis=1, bitorder="little").view("<u4")
        return cls(data=data, last=np.arange(count) == count - 1, cycles=np.zeros(0, dtype=np.int64))

    def rows(self, port: StreamPort, widths: Sequence[int], *, padding: int = 0) -> NDArray[np.int64]:
        """The unsigned fields of every lane of every beat: int64 [beats * lanes, fields]; see `of`."""
        lane_bits = sum(widths) + padding
        bits = np.unpackbits(np.ascontiguousarray(self.data).view(np.uint8), axis=1, bitorder="little")
        lanes = bits[:, : port.bits].reshape(-1, lane_bits).astype(np.int64)
        found = np.zeros((len(lanes), len(widths)), dtype=np.int64)
        place = 0
        for column, width in enumerate(widths):
            found[:, column] = lanes[:, place : place + width] @ (1 << np.arange(width, dtype=np.int64))
            place += width
        return found

    @classmethod
    def joined(cls, port: StreamPort, parts: Sequence[Beats]) -> Beats:
        """Beats of several graphs one after the other."""
        data = np.concatenate([np.zeros((0, port.words), dtype=np.uint32), *(part.data for part in parts)])
        last = np.concatenate([np.zeros(0, dtype=np.bool_), *(part.last for part in parts)])
        return cls(data=data, last=last, cycles=np.zeros(0, dtype=np.int64))


@dataclass(frozen=True, kw_only=True, eq=False)
class StreamRun:
    """What a simulation did.

    Attributes:
        outputs: Beats of every output stream.
        accepted: Cycle in which each beat of every input stream was taken.
        cycles: Cycles simulated.
    """

    outputs: Mapping[str, Beats]
    accepted: Mapping[str, NDArray[np.int64]]
    cycles: int


class StreamSimulation:
    """A compiled model of one module.

    Args:
        sources: Verilog files.
        top: Module, with ports `aclk`, `aresetn` and streams.
        inputs: Its slave streams.
        outputs: Its master streams.
        parameters: Values of the module's parameters, where they are not the default.
        verilator: Installation, or its program; None takes the one found.

    Raises:
        ToolError: Verilator or g++ is missing or fails.
    """

    def __init__(
        self,
        *,
        sources: Sequence[Path],
        top: str,
        inputs: Sequence[StreamPort],
        outputs: Sequence[StreamPort],
        parameters: Mapping[str, int] | None = None,
        verilator: Verilator | Path | None = None,
    ) -> None:
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        library = build_model(
            sources, top, driver=_driver(self.inputs, self.outputs), parameters=parameters, verilator=verilator
        )
        self._run = ctypes.CDLL(str(library)).run_streams
        self._run.restype = ctypes.c_int64

    def run(
        self,
        beats: Mapping[str, Beats],
        expected: Mapping[str, int],
        *,
        stalls: float = 0.0,
        seed: int = 0,
        limit: int = 1_000_000,
    ) -> StreamRun:
        """Reset the module, send all beats, and collect as many as are expected, and 50 cycles more.

        Args:
            beats: Beats to send by stream.
            expected: Beats that each output gives.
            stalls: Probability, in each cycle, that an input has a gap before a beat, and that an output is not taken.
            seed: Seed of the stalls and of the initial state of every register.
            limit: Cycles after which the outputs that have not come are given up.

        Returns:
            The outputs, and when each beat was taken.

        Raises:
            ToolError: More or fewer beats come out, or a stream breaks the rules of AXI4-Stream.
        """
        if set(beats) != {port.name for port in self.inputs} or set(expected) != {port.name for port in self.outputs}:
            raise ConfigError(
                f"beats are given for {sorted(beats)} and expected of {sorted(expected)}",
                remedy=f"name the streams {[port.name for port in (*self.inputs, *self.outputs)]}",
            )
        sent = [_contiguous(beats[port.name]) for port in self.inputs]
        accepted = [np.zeros(len(part), dtype=np.int64) for part in sent]
        found = [_room(port, expected[port.name]) for port in self.outputs]
        numbers = np.array([*(len(part) for part in sent), *(len(part) for part in found)], dtype=np.int64)
        times = [*accepted, *(part.cycles for part in found)]
        cycles = self._run(
            numbers.ctypes,
            _pointers([part.data for part in (*sent, *found)]),
            _pointers([part.last for part in (*sent, *found)]),
            _pointers(times),
            ctypes.c_double(stalls),
            ctypes.c_uint64(seed),
            ctypes.c_int64(limit),
        )
        if cycles < 0:
            raise ToolError(f"simulation: {FAILURES[cycles]}", remedy="correct the RTL, or the beats expected")
        return StreamRun(
            outputs={port.name: part for port, part in zip(self.outputs, found, strict=True)},
            accepted={port.name: part for port, part in zip(self.inputs, accepted, strict=True)},
            cycles=cycles,
        )


def _contiguous(beats: Beats) -> Beats:
    return Beats(data=np.ascontiguousarray(beats.data), last=np.ascontiguousarray(beats.last), cycles=beats.cycles)


def _room(port: StreamPort, count: int) -> Beats:
    return Beats(
        data=np.zeros((count, port.words), dtype=np.uint32),
        last=np.zeros(count, dtype=np.bool_),
        cycles=np.zeros(count, dtype=np.int64),
    )


def _pointers(arrays: Sequence[NDArray[np.generic]]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))


def _driver(inputs: Sequence[StreamPort], outputs: Sequence[StreamPort]) -> str:
    """The C++ template with the ports filled in."""
    send, get = [], []
    for number, port in enumerate(inputs):
        last = f"top.{port.name}_tlast = last;" if port.last else "(void)last;"
        data = f"put(top.{port.name}_tdata, data, {port.bits});"
        send.append(f"case {number}: {data} {last} top.{port.name}_tvalid = valid; break;")
    for number, port in enumerate(outputs):
        last = f"top.{port.name}_tlast" if port.last else "false"
        get.append(f"case {number}: get(top.{port.name}_tdata, data, {port.words}); last = {last}; break;")
    ready = [f"case {n}: return top.{port.name}_tready;" for n, port in enumerate(inputs)]
    valid = [f"case {n}: return top.{port.name}_tvalid;" for n, port in enumerate(outputs)]
    take = [f"case {n}: top.{port.name}_tready = ready; break;" for n, port in enumerate(outputs)]
    text = TEMPLATE.read_text(encoding="utf-8")
    widths = ", ".join(str(port.words) for port in (*inputs, *outputs))
    parts = {"WORDS": widths, "INPUTS": str(len(inputs)), "OUTPUTS": str(len(outputs))}
    parts |= {"SEND": "\n".join(send), "READY": "\n".join(ready), "VALID": "\n".join(valid)}
    parts |= {"TAKE": "\n".join(take), "GET": "\n".join(get)}
    for name, part in parts.items():
        text = text.replace(f"@{name}@", part)
    return text
