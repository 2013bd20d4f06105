"""The event that a benchmark runs on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hitfabric.core import DataError
from hitfabric.detector import Event, list_events, read_event
from hitfabric.detector.simulation_helix import simulate_helix_event


def choose_event(folder: Path | None, *, pile_up: float) -> Event:
    """The last event of a folder, or a simulated one of ideal helices.

    Raises:
        DataError: The folder holds no event.
    """
    if folder is None:
        return simulate_helix_event("helices", rng=np.random.default_rng(0), pile_up=pile_up)
    events = list_events(folder)
    if not events:
        raise DataError(f"{folder} holds no event", remedy="name a folder of events")
    return read_event(events[-1])
