"""Simulation of a design with AXI4-Stream ports: beats in, beats out, each with the cycle in which it passed."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from ..core import ConfigError, DeadlockError, GraphError, HitfabricError, ToolError
from .rtl_simulation import DRIVERS, build_model
from .rtl_verilator import Verilator, Waveform

DRIVER = DRIVERS / "driver_streams.cpp"
IDLE_LIMIT = 20_000  # cycles: far more than any pass over a graph takes
SETTLE = 64  # cycles
REPORT = "report this design as a defect of hitfabric"


@dataclass(frozen=True, kw_only=True)
class StreamPort:
    """An AXI4-Stream port: `<name>_tdata`, `_tvalid`, `_tready` and perhaps `_tlast`.

    Attributes:
        name: Prefix of its signals.
        direction: Seen from the design.
        bits: Width of tdata.
        has_last: Whether it has tlast.
    """

    name: str
    direction: Literal["in", "out"]
    bits: int
    has_last: bool = True

    @property
    def bytes(self) -> int:
        """Whole bytes of one beat."""
        return -(-self.bits // 8)


@dataclass(frozen=True, kw_only=True, eq=False)
class Beats:
    """Beats of one stream.

    Attributes:
        data: uint8 [beats, bytes], the lowest byte first.
        graph: int64 [beats], number of the graph each belongs to, from 0 and never falling.
        last: bool [beats], tlast.
        cycle: int64 [beats], clock cycle in which each was taken, counted from the start; empty before a run.
    """

    data: NDArray[np.uint8]
    graph: NDArray[np.int64]
    last: NDArray[np.bool_]
    cycle: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


class _Input(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("last", ctypes.c_void_p),
        ("graph", ctypes.c_void_p),
        ("cycle", ctypes.c_void_p),
        ("count", ctypes.c_int64),
    ]


class _Output(_Input):
    pass


class _Run(ctypes.Structure):
    _fields_ = [
        ("inputs", ctypes.POINTER(_Input)),
        ("outputs", ctypes.POINTER(_Output)),
        ("stalls", ctypes.c_double),
        ("seed", ctypes.c_uint64),
        ("window", ctypes.c_int64),
        ("idle_limit", ctypes.c_int64),
        ("settle", ctypes.c_int64),
    ]


class StreamSimulation:
    """A design under Verilator, from reset on; it keeps its state from run to run.

    Args:
        sources: Verilog files.
        top: Module with the ports, a clock `aclk` and a reset `aresetn`.
        ports: All its streams.
        seed: Of the random values that all registers and memories start with.
        waveform: File (.fst, or .vcd) that gets the waveforms.
        parameters: Values of the module's parameters, where they are not the default.
        verilator: As `build_model` takes it.
        cache: As `build_model` takes it.

    Raises:
        ConfigError: `waveform` ends in neither .fst nor .vcd.
        ToolError: Verilator or g++ is missing or fails, or the waveform cannot be written.
    """

    def __init__(
        self,
        sources: Sequence[Path],
        top: str,
        *,
        ports: Sequence[StreamPort],
        seed: int = 0,
        waveform: Path | None = None,
        parameters: Mapping[str, int] | None = None,
        verilator: Verilator | Path | None = None,
        cache: Path | None = None,
    ) -> None:
        self.top, self.ports, self.seed, self.waveform = top, tuple(ports), seed, waveform
        self.inputs = tuple(port for port in ports if port.direction == "in")
        self.outputs = tuple(port for port in ports if port.direction == "out")
        self.path = build_model(
            sources,
            top,
            driver=[DRIVER, driver_text(self.ports)],
            waveform=_waveform_format(waveform),
            parameters=parameters,
            verilator=verilator,
            cache=cache,
        )
        self._library = _declared(self.path)
        self._lock = threading.Lock()
        self._simulation = ctypes.c_void_p()
        self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_simulation", None):
            self.close()

    def close(self) -> None:
        """End the simulation; its waveform is whole then."""
        with self._lock:
            if self._simulation:
                self._library.hitfabric_streams_close(self._simulation)
                self._simulation.value = None  # at the end of the interpreter there is no ctypes to make another

    def run(
        self,
        inputs: Mapping[str, Beats],
        expected: Mapping[str, NDArray[np.int64]],
        *,
        stalls: float = 0.0,
        seed: int = 0,
        window: int = 0,
        idle_limit: int = IDLE_LIMIT,
    ) -> dict[str, Beats]:
        """Feed beats, and take what is expected; other threads wait.

        After an error the design is started anew with the next run.

        Args:
            inputs: Beats of every input.
            expected: For every output the graph of each beat expected, as `Beats.graph`.
            stalls: Probability of a gap (inputs) or of back-pressure (outputs) in a cycle, on each stream; with it
                tdata is random while tvalid is low, long pauses occur, and tvalid may not depend on tready.
            seed: Of the stalls.
            window: Graphs under way at a time; 0 lets in as many as the design takes.
            idle_limit: Cycles without a beat on any stream after which the design is said to hang.

        Returns:
            Beats of every stream, with their cycles.

        Raises:
            DeadlockError: The design hangs; the message names the cycle, and what each stream had done.
            GraphError: The design breaks the protocol or gives more beats than expected.
            ToolError: The model failed.
        """
        with self._lock:
            if not self._simulation:
                self._open()
            given = {port.name: _prepared(port, inputs[port.name]) for port in self.inputs}
            taken = {port.name: _empty(port, expected[port.name]) for port in self.outputs}
            job = _Run(
                inputs=(_Input * len(given))(*(_described(given[port.name], port) for port in self.inputs)),
                outputs=(_Output * len(taken))(*(_described(taken[port.name], port) for port in self.outputs)),
                stalls=stalls,
                seed=seed,
                window=window,
                idle_limit=idle_limit,
                settle=SETTLE,
            )
            problem = self._library.hitfabric_streams_run(self._simulation, ctypes.byref(job))
        if problem is not None:
            self.close()
            raise _error_of(problem.decode(errors="replace"), self.top)
        return given | taken

    def _open(self) -> None:
        waveform = None if self.waveform is None else str(self.waveform).encode()
        problem = self._library.hitfabric_streams_open(self.seed, waveform, ctypes.byref(self._simulation))
        if problem is not None:
            raise _error_of(problem.decode(errors="replace"), self.top)


def driver_text(ports: Sequence[StreamPort]) -> str:
    """C++ that tells the driver which port of the model is what."""
    lines = ["found.clock = &model.aclk;", "found.reset = &model.aresetn;"]
    for port in ports:
        last = f"&model.{port.name}_tlast" if port.has_last else "nullptr"
        signals = f"model.{port.name}_tvalid, model.{port.name}_tready, {last}, model.{port.name}_tdata, {port.bits}"
        lines.append(f'found.{port.direction}puts.push_back(stream_of("{port.name}", {signals}));')
    body = "\n".join(f"  {line}" for line in ["Ports found;", *lines, "return found;"])
    return (
        f'#include "driver_streams.h"\n\nnamespace hitfabric {{\n\nPorts ports_of(Vmodel& model) {{\n{body}\n}}\n\n}}\n'
    )


def _waveform_format(path: Path | None) -> Waveform | None:
    if path is None:
        return None
    match path.suffix:
        case ".fst":
            return "fst"
        case ".vcd":
            return "vcd"
    raise ConfigError(f"{path} is no name of a waveform", remedy="end it in .fst or .vcd")


def _declared(path: Path) -> Any:  # noqa: ANN401 - ctypes has no type for a library's functions
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise ToolError(f"cannot load {path}: {error}", remedy=f"remove {path.parent}, it is compiled again") from error
    library.hitfabric_streams_open.argtypes = [ctypes.c_uint64, ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p)]
    library.hitfabric_streams_open.restype = ctypes.c_char_p
    library.hitfabric_streams_run.argtypes = [ctypes.c_void_p, ctypes.POINTER(_Run)]
    library.hitfabric_streams_run.restype = ctypes.c_char_p
    library.hitfabric_streams_close.argtypes = [ctypes.c_void_p]
    library.hitfabric_streams_close.restype = None
    return library


def _prepared(port: StreamPort, beats: Beats) -> Beats:
    """The beats as the driver reads them: contiguous, with room for the cycles."""
    data = np.ascontiguousarray(beats.data, dtype=np.uint8)
    if data.shape != (len(beats.graph), port.bytes) or len(beats.last) != len(data):
        raise GraphError(
            f"stream {port.name} was given beats of shape {data.shape} for {len(beats.graph)} graphs' numbers",
            remedy=f"give {port.bytes} bytes per beat, and a graph and tlast of each",
        )
    return Beats(
        data=data,
        graph=np.ascontiguousarray(beats.graph, dtype=np.int64),
        last=np.ascontiguousarray(beats.last, dtype=np.bool_),
        cycle=np.full(len(data), -1, dtype=np.int64),
    )


def _empty(port: StreamPort, graph: NDArray[np.int64]) -> Beats:
    return Beats(
        data=np.zeros((len(graph), port.bytes), dtype=np.uint8),
        graph=np.ascontiguousarray(graph, dtype=np.int64),
        last=np.zeros(len(graph), dtype=np.bool_),
        cycle=np.full(len(graph), -1, dtype=np.int64),
    )


def _described(beats: Beats, port: StreamPort) -> tuple[int, int | None, int, int, int]:
    last = beats.last.ctypes.data if port.has_last else None
    return beats.data.ctypes.data, last, beats.graph.ctypes.data, beats.cycle.ctypes.data, len(beats.data)


def _error_of(problem: str, top: str) -> HitfabricError:
    """The error for what the driver answered."""
    kind, _, text = problem.partition("\n")
    match kind:
        case "hang":
            cycle, *states = text.splitlines()
            return DeadlockError(
                f"{top} hangs in cycle {cycle}: {'; '.join(states)}", remedy=REPORT, waits=tuple(states)
            )
        case "protocol":
            return GraphError(f"{top} breaks the stream protocol: {text}", remedy=REPORT)
        case "surplus":
            return GraphError(f"{top} gives more than it should: {text}", remedy=REPORT)
    return ToolError(f"the simulation of {top} failed: {text}", remedy="read the message, or report it as a defect")
