"""Track building by the compiled host stages; the labels are those of NumPy, hit by hit.

Both functions give None where NumPy has to do it: there is no compiler, or an array is of a type the kernels do not
take. Edges that are refused are handed to NumPy as well, which words the error.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..core import GraphError
from .compiled import OUT_OF_MEMORY, check_status, compiled_stages, pointer

Ints = NDArray[np.int64]

LOGIT_TYPES = (np.float16, np.float32, np.float64)
"""Types whose every value is a float64."""


def compiled_components(
    edge_index: Ints, keep: NDArray[np.bool_] | None, hits: int, minimum_hits: int, *, refuse: Callable[[], object]
) -> Ints | None:
    """Connected components as `connected_components` gives them, which has checked `keep`.

    Args:
        edge_index: int64 [edges, 2].
        keep: bool [edges], the edges to follow; None follows all.
        hits: Number of hits.
        minimum_hits: Fewest hits of a track.
        refuse: Raises the error for edges that lead out of the event.

    Returns:
        int64 [hits], or None.

    Raises:
        GraphError: Out of memory, or what `refuse` raises.
    """
    library = compiled_stages()
    if library is None or not _takes(edge_index, hits):
        return None
    edges, labels = np.ascontiguousarray(edge_index), np.empty(hits, dtype=np.int64)
    keep = None if keep is None else np.ascontiguousarray(keep)
    status = library.hitfabric_connected_components(
        pointer(edges),
        pointer(keep),
        *map(ctypes.c_int64, (len(edges), hits, _least(minimum_hits, hits))),
        pointer(labels),
    )
    _check(status, refuse, sizes=(hits, len(edges)))
    return labels


def compiled_walk(
    edge_index: Ints,
    logits: NDArray[np.floating],
    hits: int,
    *,
    thresholds: Sequence[float],
    minimum_hits: int,
    absorb: bool,
    refuse: Callable[[], object],
) -> Ints | None:
    """The walkthrough as `walk_tracks` gives it, which has checked the shapes.

    Args:
        edge_index: int64 [edges, 2].
        logits: float [edges].
        hits: Number of hits.
        thresholds: `component_threshold`, `walk_min` and `walk_add`.
        minimum_hits: Fewest hits of a track.
        absorb: Whether tracks absorb what is beside them.
        refuse: Raises the error for edges that lead out of the event or make a cycle, and logits that are not finite.

    Returns:
        int64 [hits], or None.

    Raises:
        GraphError: Out of memory, or what `refuse` raises.
    """
    library = compiled_stages()
    if library is None or not _takes(edge_index, hits) or logits.dtype not in LOGIT_TYPES:
        return None
    edges, labels = np.ascontiguousarray(edge_index), np.empty(hits, dtype=np.int64)
    wide = np.ascontiguousarray(logits, dtype=np.float64)
    # NumPy compares logits with thresholds rounded to their type.
    rounded = np.array(thresholds, dtype=logits.dtype).astype(np.float64)
    status = library.hitfabric_walk_tracks(
        pointer(edges),
        pointer(wide),
        *map(ctypes.c_int64, (len(edges), hits)),
        pointer(rounded),
        ctypes.c_int64(_least(minimum_hits, hits)),
        ctypes.c_int(absorb),
        pointer(labels),
    )
    _check(status, refuse, sizes=(hits, len(edges)))
    return labels


def _takes(edge_index: Ints, hits: int) -> bool:
    """Whether the kernels take these edges; NumPy takes other types too, or says what is wrong with them."""
    return edge_index.dtype == np.int64 and edge_index.ndim == 2 and edge_index.shape[1] == 2 and hits >= 0


def _least(minimum_hits: int, hits: int) -> int:
    """The same minimum as a number that fits 64 bits: no track has more than all hits."""
    return max(0, min(minimum_hits, hits + 1))


def _check(status: int, refuse: Callable[[], object], *, sizes: Sequence[int]) -> None:
    if status not in (0, OUT_OF_MEMORY):
        refuse()
        raise GraphError(
            f"the compiled track building refuses edges that NumPy takes (status {status})",
            remedy="report this with the event: one of the two is wrong",
        )
    check_status(status, sizes=sizes)
