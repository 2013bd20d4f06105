"""Reconstruction with ACTS itself, as the reference that our networks are compared with.

Hits are given to the seeding and the combinatorial Kalman filter of ACTS as measurements on the modules of the Generic
detector, with the resolution that the simulation smeared them by. docs/acts_reference.md says what is compared.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..core import HitfabricError, ToolError, progress
from .acts_settings import ActsReconstructionConfig
from .event import Event
from .simulation_acts import import_acts

if TYPE_CHECKING:
    from .acts_chain import ActsChain


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
    events: Sequence[Event], config: ActsReconstructionConfig | None = None, *, description: str = "ACTS"
) -> Iterator[ActsTracks]:
    """Find the tracks of events with ACTS: triplet seeds, combinatorial Kalman filter, ambiguity resolution.

    Score each event by `match_tracks(event, tracks.labels)`. For pixel hits alone, give `event.select(volumes=
    PIXEL_VOLUMES)`: `pixel_finding` then confines tracks to the pixel detector.

    Args:
        events: Events of the Generic detector (those of `simulate` with `generator="acts"`, or read from files of
            theirs). Truth is not read, and not even sent to the processes that work.
        config: Settings; None takes the defaults.
        description: Name of the progress bar.

    Yields:
        The tracks of each event, in the order of the events; the same event gives the same tracks, whatever the number
        of workers.

    Raises:
        DataError: A hit is not on a module of the Generic detector.
        ToolError: pyacts is not installed, lacks what is needed, or failed.
    """
    settings = config or ActsReconstructionConfig()
    require_acts_reconstruction()
    blind = [replace(event, particle_id=None, particles=None, detector=None) for event in events]
    if blind:
        yield from progress(_in_processes(blind, settings), description=description, total=len(blind))


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


def _in_processes(events: Sequence[Event], config: ActsReconstructionConfig) -> Iterator[ActsTracks]:
    workers = min(config.workers or os.cpu_count() or 1, len(events))
    with tempfile.TemporaryDirectory(prefix="hitfabric-acts-") as scratch:
        log = Path(scratch) / "log.txt"
        # Processes are spawned, not forked: ACTS starts threads of its own.
        pool = ProcessPoolExecutor(
            workers, multiprocessing.get_context("spawn"), initializer=_start_worker, initargs=(config, str(log))
        )
        try:
            yield from pool.map(_reconstruct_one, events)
        except HitfabricError:
            raise
        except (BrokenProcessPool, RuntimeError, OSError, ValueError) as error:
            last = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
            reason = "; ".join([" ".join(str(error).split()), *last])
            raise ToolError(
                f"the reconstruction with ACTS failed: {reason}", remedy="change its settings, or use fewer workers"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


_worker: ActsChain | HitfabricError | None = None


def _start_worker(config: ActsReconstructionConfig, log: str) -> None:
    """Start ACTS in this process, with what its C++ prints sent to the log."""
    global _worker
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, sys.__stdout__.fileno() if sys.__stdout__ else 1)
    os.dup2(descriptor, sys.__stderr__.fileno() if sys.__stderr__ else 2)
    try:
        from .acts_chain import ActsChain

        _worker = ActsChain(config)
    except (ImportError, AttributeError, RuntimeError) as error:
        # An error in an initializer would only say that the pool is broken; the first task reports it instead.
        _worker = ToolError(f"ACTS did not start: {error}", remedy="run: pip install 'hitfabric[simulate]'")


def _reconstruct_one(event: Event) -> ActsTracks:
    if _worker is None:
        raise RuntimeError("the worker was not started")
    if isinstance(_worker, HitfabricError):
        raise _worker
    start = time.process_time()
    labels = _worker.reconstruct(event)
    return ActsTracks(name=event.name, labels=labels, cpu_seconds=time.process_time() - start)
