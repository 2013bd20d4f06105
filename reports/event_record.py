"""`event_display.npz`: the hits of one event, with truth and found labels."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core import DataError
from .reading import REMEDY

POSITIONS = ("x", "y", "z", "r")
REQUIRED = (*POSITIONS, "labels", "particle_id", "pt")
RADIUS_TOLERANCE_MM = 0.1


@dataclass(frozen=True, kw_only=True)
class EventDisplay:
    """One event, one entry per hit.

    Attributes:
        x: Position, mm, float64 [hits].
        y: As `x`.
        z: As `x`.
        r: Distance from the beam axis, mm.
        labels: Found track, int64; -1 is no track.
        particle_id: Truth particle, an integer type; 0 is none.
        pt: Transverse momentum of the hit's particle, GeV; NaN where unknown.
        event: Name of the event, empty where the file gives none.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    z: NDArray[np.float64]
    r: NDArray[np.float64]
    labels: NDArray[np.int64]
    particle_id: NDArray[np.integer]
    pt: NDArray[np.float64]
    event: str = ""


def read_event_display(path: Path) -> EventDisplay | None:
    """Read `event_display.npz`.

    Args:
        path: The file.

    Returns:
        The event, or None where there is no such file.

    Raises:
        DataError: Not an npz file, an array is missing, unknown, of the wrong type or length, or not finite.
    """
    if not path.exists():
        return None
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile) as error:
        # np.load gives a bare array, which is no context manager, for an npy file.
        raise DataError(f"{path} is not an npz file of plain arrays: {error}", remedy=REMEDY) from error
    _check_names(path, arrays)
    event = str(arrays.pop("event", ""))
    _check_arrays(path, arrays)
    reals = {name: arrays[name].astype(np.float64) for name in (*POSITIONS, "pt")}
    if not np.allclose(reals["r"], np.hypot(reals["x"], reals["y"]), rtol=1e-4, atol=RADIUS_TOLERANCE_MM):
        raise DataError(f"{path}: r is not the distance of (x, y) from the beam axis", remedy=REMEDY)
    return EventDisplay(
        **reals, labels=arrays["labels"].astype(np.int64), particle_id=arrays["particle_id"], event=event
    )


def _check_names(path: Path, arrays: dict[str, NDArray]) -> None:
    missing = [name for name in REQUIRED if name not in arrays]
    unknown = sorted(set(arrays) - {*REQUIRED, "event"})
    if missing or unknown:
        what = f"missing {', '.join(missing)}" if missing else f"unknown {', '.join(unknown)}"
        raise DataError(f"{path}: {what}", remedy=REMEDY)


def _check_arrays(path: Path, arrays: dict[str, NDArray]) -> None:
    hits = arrays["x"].shape
    for name, array in arrays.items():
        integer = name in ("labels", "particle_id")
        if not np.issubdtype(array.dtype, np.integer if integer else np.number):
            raise DataError(f"{path}: {name} has type {array.dtype}", remedy=REMEDY)
        if array.ndim != 1 or array.shape != hits:
            raise DataError(f"{path}: {name} has shape {array.shape}, x has {hits}", remedy=REMEDY)
        if name in POSITIONS and not np.isfinite(array).all():
            raise DataError(f"{path}: {name} is not finite at hit {int(np.argmin(np.isfinite(array)))}", remedy=REMEDY)
