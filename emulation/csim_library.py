"""A compiled C simulation, loaded once per process."""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import DeadlockError, GraphError, HitfabricError, ToolError
from ..hls_projects import Stream

_POINTERS = ctypes.POINTER(ctypes.c_void_p)
Integers = NDArray[np.int64]
Values = NDArray[np.float64]


@functools.cache
def load_library(path: Path) -> CSimLibrary:
    """The library at a resolved path; executors of one project share it, as they share its C++ globals."""
    return CSimLibrary(path)


class CSimLibrary:
    """The C functions of a project's entry, called by one thread at a time.

    Args:
        path: Shared library as `compile_csim` makes it.

    Raises:
        ToolError: It cannot be loaded.
    """

    def __init__(self, path: Path) -> None:
        try:
            library = ctypes.CDLL(str(path))
        except OSError as error:  # compiled on another kind of machine
            raise ToolError(
                f"cannot load {path}: {error}", remedy=f"remove {path.parent}, it is compiled again"
            ) from error
        self._run = library.hitfabric_csim
        self._run.argtypes = [_POINTERS, _POINTERS, _POINTERS, ctypes.c_int64]
        self._run.restype = ctypes.c_char_p
        self._probe = getattr(library, "hitfabric_probe", None)
        if self._probe is not None:
            self._probe.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
            self._probe.restype = None
        # The trace mechanism of the firmware's C++ is global to the library; ctypes runs without the GIL.
        self._lock = threading.Lock()

    def run(
        self,
        inputs: Sequence[Values],
        outputs: Sequence[Values],
        traced: Sequence[Values],
        *,
        count: int,
        depths: Integers | None = None,
        peaks: Integers | None = None,
    ) -> str | None:
        """Run `count` rows or graphs.

        Args:
            inputs: Contiguous arrays in the order of the entry's arguments.
            outputs: Arrays written.
            traced: Arrays written with the values of traced layers; empty leaves tracing off.
            count: Rows or graphs.
            depths: Packets each stream holds, instead of those declared; bounded libraries only.
            peaks: Raised to the highest occupancy of each stream; bounded libraries only.

        Returns:
            What went wrong, as the entry says it, or None.
        """
        with self._lock:
            if self._probe is not None:
                self._probe(_address(depths), _address(peaks))
            problem = self._run(_pointers(inputs), _pointers(outputs), _pointers(traced) if traced else None, count)
        return problem.decode(errors="replace") if problem is not None else None


def error_of(problem: str, *, name: str, streams: Sequence[Stream], depths: Integers | None = None) -> HitfabricError:
    """The error for what the entry of network `name` answered.

    Args:
        problem: The answer.
        name: Name of the network.
        streams: Its streams.
        depths: Packets they held, where those were not the ones declared.
    """
    kind, _, record = problem.partition("\n")
    if kind != "deadlock":
        return GraphError(f"the C simulation of {name} failed: {problem}", remedy="write the project again")
    held = {stream.name: stream.depth if depths is None else int(depths[k]) for k, stream in enumerate(streams)}
    by_name = {stream.name: stream for stream in streams}
    circle, _, others = record.partition("\n\n")
    waits = [line.split() for line in circle.splitlines()]
    full = tuple(stream for _, stream, state in waits if state == "full")
    told = [_sentence(*wait, streams=by_name, depths=held) for wait in waits]
    rest = [_sentence(*line.split(), streams=by_name, depths=held) for line in others.splitlines()]
    return DeadlockError(
        f"deadlock in the firmware of {name}: {', '.join(told)}",
        remedy=f"raise stream_depths of {' or '.join(f'{stream} above {held[stream]}' for stream in full)}"
        if full
        else "report this network as a defect of hitfabric",
        streams=full,
        waits=(*told, *rest),
    )


def _sentence(process: str, name: str, state: str, *, streams: Mapping[str, Stream], depths: Mapping[str, int]) -> str:
    stream = streams[name]
    if state == "full":
        return f"{process} waits for {stream.reader} to read {name} (full at depth {depths[name]})"
    return f"{process} waits for {stream.writer} to write {name} (empty)"


def _address(array: Integers | None) -> int | None:
    return array.ctypes.data if array is not None else None


def _pointers(arrays: Sequence[Values]) -> Any:  # noqa: ANN401 - a ctypes array type made on the fly
    return (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))
