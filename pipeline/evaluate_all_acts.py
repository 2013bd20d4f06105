"""The fourth column of `hitfabric evaluate --all`: seeding and combinatorial Kalman filter of ACTS on the same hits."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from ..core import HitfabricError
from ..core.spread import Spread
from ..detector import PIXEL_VOLUMES
from ..detector.acts_reconstruction import reconstruct_with_acts
from ..models.metrics import Fiducial, match_tracks
from .evaluate_all_events import ChainTotals, read_whole

WORKLOADS: dict[str, Collection[int] | None] = {"event-pixel": PIXEL_VOLUMES, "event-full": None}
"""Volumes whose hits each workload has; None is all."""


def acts_totals(
    workload: str, prefixes: Sequence[Path], *, fiducial: Fiducial, description: str, spread: Spread | None = None
) -> ChainTotals | str:
    """Run ACTS on events.

    Args:
        workload: Key of `WORKLOADS`.
        prefixes: Events with truth and particles.
        fiducial: Cuts of the track metrics, those of the chains.
        description: Of the progress bar.
        spread: Where it is done; None takes one process per core.

    Returns:
        Totals with track matchings alone, or why ACTS could not be run: it needs its wheel, and events of the Generic
        detector.
    """
    volumes = WORKLOADS[workload]
    totals = ChainTotals()
    try:
        events = [read_whole(prefix) for prefix in prefixes]
        chosen = events if volumes is None else [event.select(volumes=volumes) for event in events]
        found = reconstruct_with_acts(chosen, description=description, spread=spread)
        for event, tracks in zip(chosen, found, strict=True):
            totals.matchings.append(match_tracks(event, tracks.labels, fiducial=fiducial))
            totals.seconds["acts"] = totals.seconds.get("acts", 0.0) + tracks.cpu_seconds
    except HitfabricError as error:
        return f"ACTS seeding + CKF: not run: {error}"
    return totals
