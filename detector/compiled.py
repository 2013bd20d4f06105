"""The compiled host stages: C++ of `cpp/`, compiled on first use and cached; where there is no compiler, none."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core import (
    GraphError,
    HitfabricWarning,
    MissingToolError,
    cache_directory,
    compile_library,
    processor_fingerprint,
)

SOURCES = Path(__file__).parent / "cpp"
# Products and sums must round one after the other, as in NumPy, for both to give the same bits.
FLAGS = ("-O3", "-march=native", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-pthread")
# Statuses of the C functions (cpp/status.h).
OUT_OF_MEMORY = 1
BAD_INDEX = 2


@functools.cache
def compiled_stages() -> ctypes.CDLL | None:
    """The library of the compiled host stages, compiled if need be.

    Returns:
        The library; None, after a warning, where there is no compiler or the cache cannot be written. What uses it then
        computes the same with SciPy and NumPy, several times slower.

    Raises:
        ToolError: The compiler failed.
    """
    try:
        library = ctypes.CDLL(str(compile_stages()))
    except (MissingToolError, OSError) as error:
        message = f"radius graphs, pair features and track building run on SciPy and NumPy, slower: {error}"
        warnings.warn(HitfabricWarning(message), stacklevel=2)
        return None
    library.hitfabric_radius_open.restype = ctypes.c_void_p
    library.hitfabric_radius_close.restype = None
    return library


def compile_stages() -> Path:
    """Compile the library unless the cache has it.

    Returns:
        The shared library.

    Raises:
        ToolError: No compiler, or it failed.
        OSError: The cache cannot be written.
    """
    code = "\n".join(path.read_text(encoding="utf-8") for path in sorted(SOURCES.iterdir()))
    key = hashlib.sha256("\n".join([code, *FLAGS, processor_fingerprint()]).encode()).hexdigest()[:24]
    library = cache_directory() / "detector" / f"{key}.so"
    if not library.exists():
        sources = sorted(SOURCES.glob("*.cpp"))
        compile_library(sources, target=library, flags=FLAGS, purpose="compile the radius graph")
    return library


def available_threads() -> int:
    """Number of cores this process may use."""
    return len(os.sched_getaffinity(0))


def pointer(array: NDArray[np.generic] | None) -> ctypes.c_void_p:
    """Address of a contiguous array for a C function; null for None."""
    return ctypes.c_void_p(None if array is None else array.ctypes.data)


def check_status(status: int, *, sizes: Sequence[int]) -> None:
    """Turn the status of a C function into an error.

    Raises:
        GraphError: Out of memory, or an edge leads out of the event.
    """
    if status == OUT_OF_MEMORY:
        raise GraphError(f"out of memory for {list(sizes)}", remedy="give smaller events, or a smaller radius")
    if status == BAD_INDEX:
        raise_bad_index(sizes[0])


def raise_bad_index(hits: int) -> None:
    """Refuse edges that lead out of an event.

    Raises:
        GraphError: Always.
    """
    raise GraphError(f"a pair names a hit that is not of the {hits}", remedy="give indices of hits of the event")
