"""Reconstruction with ACTS itself, as the reference that our networks are compared with.

Hits are given to the seeding and the combinatorial Kalman filter of ACTS as measurements on the modules of the Generic
detector, with the resolution that the simulation smeared them by. docs/acts_reference.md says what is compared.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core import ToolError, progress
from ..core.spread import Spread, in_order
from ..core.workers import LocalSpread
from .acts_settings import ActsReconstructionConfig
from .event import Event
from .quiet import quietly
from .simulation_acts import import_acts

ALGORITHMS = (
    "ConstTrackContainer",
    "GenericDetector",
    "GreedyAmbiguityResolutionAlgorithm",
    "GridTripletSeedingAlgorithm",
    "IndexSourceLink",
    "MeasurementContainer",
    "MeasurementSubset",
    "ReadDataHandle",
    "SpacePointMaker",
    "TrackFindingAlgorithm",
    "TrackParamsEstimationAlgorithm",
    "WriteDataHandle",
)
"""What `acts.examples` must have."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ActsTracks:
    """Tracks that ACTS found in one event.

    Attributes:
        name: Name of the event.
        labels: int64 [hits], track of each hit, from 0 on; `NO_TRACK` (-1) for none. Made for `match_tracks`.
        cpu_seconds: Processor time of the reconstruction, from hits to labels, on one core.
    """

    name: str
    labels: NDArray[np.int64]
    cpu_seconds: float


def reconstruct_with_acts(
    events: Sequence[Event],
    config: ActsReconstructionConfig | None = None,
    *,
    description: str = "ACTS",
    spread: Spread | None = None,
) -> Iterator[ActsTracks]:
    """Find the tracks of events with ACTS: triplet seeds, combinatorial Kalman filter, ambiguity resolution.

    Score each event by `match_tracks(event, tracks.labels)`. For pixel hits alone, give `event.select(volumes=
    PIXEL_VOLUMES)`: `pixel_finding` then confines tracks to the pixel detector.

    Args:
        events: Events of the Generic detector (those of `simulate` with `generator="acts"`, or read from files of
            theirs). Truth is not read, and not even sent to the processes that work.
        config: Settings; None takes the defaults.
        description: Name of the progress bar.
        spread: Where it is done; None takes `config.workers` processes on this machine.

    Yields:
        The tracks of each event, in the order of the events; the same event gives the same tracks, whatever the number
        of workers.

    Raises:
        DataError: A hit is not on a module of the Generic detector.
        ToolError: pyacts is not installed, lacks what is needed, or failed.
    """
    settings = config or ActsReconstructionConfig()
    require_acts_reconstruction()
    tasks = [_Reconstruct(event=replace(event, particle_id=None, particles=None, detector=None)) for event in events]
    if not tasks:
        return
    place = spread or LocalSpread(jobs=settings.workers)
    with place.workers(_Reconstruction, settings, at_most=len(tasks), apart=True) as workers:
        found = in_order(tasks, workers)
        for _, tracks in progress(found, description=description, total=len(tasks)):
            yield tracks


def require_acts_reconstruction() -> None:
    """Check that ACTS can reconstruct here.

    Raises:
        ToolError: pyacts is not installed, or has not all the algorithms needed.
    """
    examples = import_acts()
    absent = [name for name in ALGORITHMS if not hasattr(examples, name)]
    if absent:
        raise ToolError(
            f"this pyacts has no {', '.join(absent)}",
            remedy="run: pip install 'hitfabric[simulate]', which takes ACTS 48",
        )


class _Reconstruction:
    """ACTS in a worker process."""

    def __init__(self, config: ActsReconstructionConfig) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="hitfabric-acts-")
        with self._quietly():
            try:
                from .acts_chain import ActsChain
            except ImportError as error:
                raise ToolError(
                    f"ACTS did not start: {error}", remedy="run: pip install 'hitfabric[simulate]'"
                ) from error
            self._chain = ActsChain(config)

    def reconstruct(self, event: Event) -> ActsTracks:
        """The tracks of an event."""
        with self._quietly():
            start = time.process_time()
            labels = self._chain.reconstruct(event)
            return ActsTracks(name=event.name, labels=labels, cpu_seconds=time.process_time() - start)

    def _quietly(self) -> AbstractContextManager[None]:
        log = Path(self._scratch.name) / "log.txt"
        return quietly(log, what="the reconstruction with ACTS", remedy="change its settings, or use fewer workers")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Reconstruct:
    """One event to be reconstructed."""

    event: Event

    @property
    def label(self) -> str:
        return self.event.name

    def run(self, context: _Reconstruction, /) -> ActsTracks:
        return context.reconstruct(self.event)
