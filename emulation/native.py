"""The native executor: C++ specialised to the graph, compiled once, exact at the speed of compiled code."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core import GraphError, ToolError
from ..quantization import TypedGraph
from .executor import Arrays, wanted_nodes
from .inputs import check_inputs, check_shapes
from .native_build import native_instructions, native_library, native_library_here
from .native_library import NEGATIVE_INDEX, NOT_FINITE, OK, Arguments, NativeLibrary, address_of
from .native_plan import plan

FLOAT32, INT64 = np.dtype(np.float32), np.dtype(np.int64)
SIZES = {"R": 0, "N": 1, "E": 2}
"""Place of each symbolic dimension among the sizes of a call."""


@dataclass(frozen=True, kw_only=True)
class NativeTensor:
    """An input or output of a compiled network.

    Attributes:
        place: Place of its size among rows, nodes and edges.
        width: Features.
        is_index: int64 edge index; else float32.
    """

    place: int
    width: int
    is_index: bool = False


@dataclass(frozen=True, kw_only=True)
class NativeInterface:
    """How compiled code other than this executor calls the network (`cpp/hitfabric_native.h`).

    Attributes:
        run: Address of `hitfabric_run`; valid as long as the executor is.
        inputs: Inputs in order.
        outputs: Outputs in order.
        taps: Number of visible nodes.
        instructions: Instruction set used, as `hitfabric_call` takes it.
        threads: Threads of one call.
    """

    run: int
    inputs: tuple[NativeTensor, ...]
    outputs: tuple[NativeTensor, ...]
    taps: int
    instructions: bytes | None
    threads: int


class NativeExecutor:
    """Bit-identical to the golden executor, for any number of rows, nodes and edges.

    Calls may come from several threads at once; the interpreter is free for others while one computes. Arrays that are
    contiguous, of float32 or int64, are read where they are.

    Args:
        graph: The network.
        threads: Threads of one call; by default the cores this process may use.
        instructions: Instruction set (amx, avx512vnni, avx2 or plain); None takes the best that the processor has.
        extra_flags: Further flags of the compiler, such as those of a sanitizer.

    Attributes:
        instructions: The instruction set used.

    Raises:
        ToolError: The network is not in the cache of compiled networks, and there is no C++ compiler, or it failed; or
            the processor has no such instruction set.

    """

    name = "native"
    maxima_limited = False

    def __init__(
        self,
        graph: TypedGraph,
        *,
        threads: int | None = None,
        instructions: str | None = None,
        extra_flags: Sequence[str] = (),
    ) -> None:
        self.graph = graph
        self.threads = threads or len(os.sched_getaffinity(0))
        planned = plan(graph)
        self._maximal_edges = planned.maximal_edges
        if instructions is None:
            path = native_library_here(planned, extra_flags=extra_flags)
        else:
            _check_instructions(instructions, native_instructions(planned))
            path = native_library(planned, instructions=(instructions,), extra_flags=extra_flags)
        self.library = NativeLibrary(path, instructions)
        self.instructions = self.library.chosen
        self._expected = [
            (node.name, SIZES[str(node.tensor.shape[0])], node.tensor.width, INT64 if node.tensor.is_index else FLOAT32)
            for node in graph.inputs
        ]
        self._outputs = [(node.name, *_shape(node.tensor.shape)) for node in graph.outputs]
        self._visible = [(node.name, *_shape(node.tensor.shape)) for node in graph.visible]
        self._of_thread = threading.local()

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.float32]]:
        """Outputs as float32 by output name; inputs as `check_inputs` describes."""
        given, sizes = self._take(inputs)
        arguments = self._arguments("values")
        outputs: dict[str, NDArray[np.float32]] = {}
        for k, (name, place, width) in enumerate(self._outputs):
            output = np.empty((sizes[place], width), FLOAT32)
            arguments.outputs[k] = address_of(output)
            outputs[name] = output
        self._call(arguments, given, sizes)
        return outputs

    def run_integers(self, inputs: Arrays, nodes: Sequence[str] | None = None) -> dict[str, NDArray[np.int64]]:
        """Integers of the visible nodes asked for, each on its node's grid."""
        given, sizes = self._take(inputs)
        arguments = self._arguments("integers")
        wanted = set(wanted_nodes(self.graph, nodes))
        taps: dict[str, NDArray[np.int64]] = {}
        for k, (name, place, width) in enumerate(self._visible):
            arguments.taps[k] = None
            if name in wanted:
                taps[name] = np.empty((sizes[place], width), INT64)
                arguments.taps[k] = address_of(taps[name])
        self._call(arguments, given, sizes)
        return taps

    def interface(self) -> NativeInterface:
        """What compiled code needs to call the network by itself."""
        inputs = (
            NativeTensor(place=place, width=width, is_index=dtype is INT64) for _, place, width, dtype in self._expected
        )
        outputs = (NativeTensor(place=place, width=width) for _, place, width in self._outputs)
        return NativeInterface(
            run=self.library.run_address,
            inputs=tuple(inputs),
            outputs=tuple(outputs),
            taps=len(self._visible),
            instructions=self.library.instructions,
            threads=self.threads,
        )

    def _take(self, inputs: Arrays) -> tuple[Arrays, list[int]]:
        """The inputs as the library reads them, and their sizes; the values are checked while they are read."""
        sizes = [-1, -1, -1]
        if not self._as_expected(inputs, sizes):
            check_shapes(self.graph, inputs)
            inputs = {name: _converted(inputs[name], dtype) for name, _, _, dtype in self._expected}
            self._as_expected(inputs, sizes)
        if sizes[2] > self._maximal_edges:
            raise GraphError(
                f"graph of {sizes[2]} edges exceeds the {self._maximal_edges} that network {self.graph.name} is"
                " proven for",
                remedy="raise the maxima, or requantize after each aggregate",
            )
        return inputs, sizes

    def _as_expected(self, inputs: Arrays, sizes: list[int]) -> bool:
        """Whether the arrays can be read where they are; sets the sizes. A call of one row spends its time here."""
        if len(inputs) != len(self._expected):
            return False
        for name, place, width, dtype in self._expected:
            array = inputs.get(name)
            if not isinstance(array, np.ndarray) or array.dtype is not dtype or array.ndim != 2:
                return False
            (rows, columns), flags = array.shape, array.flags
            if columns != width or sizes[place] not in (-1, rows) or not (flags.c_contiguous and flags.aligned):
                return False
            sizes[place] = rows
        return True

    def _call(self, arguments: Arguments, given: Arrays, sizes: Sequence[int]) -> None:
        for k, (name, _, _, _) in enumerate(self._expected):
            arguments.inputs[k] = address_of(given[name])
        status = self.library.run(arguments, sizes)
        if status == OK:
            return
        if status in (NOT_FINITE, NEGATIVE_INDEX):
            check_inputs(self.graph, given)
        rows, nodes, edges = (max(size, 0) for size in sizes)
        raise GraphError(
            f"{self.library.message(status)}, for {rows} rows, {nodes} nodes and {edges} edges of network"
            f" {self.graph.name}",
            remedy="give smaller batches",
        )

    def _arguments(self, kind: str) -> Arguments:
        """Of this thread, made once: making them takes longer than computing a row."""
        found = self._of_thread.__dict__.get(kind)
        if found is None:
            lengths = [len(self._expected), len(self._outputs), len(self._visible)]
            found = self.library.arguments(*lengths, threads=self.threads)
            self._of_thread.__dict__[kind] = found
        return found


def _check_instructions(asked: str, able: Sequence[str]) -> None:
    if asked not in able:
        raise ToolError(f"no {asked} code for this network and processor", remedy=f"use one of {', '.join(able)}")


def _shape(shape: Sequence[object]) -> tuple[int, int]:
    rows, width = shape
    assert isinstance(width, int)
    return SIZES[str(rows)], width


def _converted(array: NDArray[np.generic], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    if array.dtype == np.uint64:  # any index beyond the nodes is padding
        array = np.minimum(array, np.iinfo(np.int64).max)
    return np.require(array, dtype, ("C", "A"))
