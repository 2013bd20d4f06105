"""What efficiencies are shown against: variables of particles and of tracks, and the one configuration of bins."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, FiniteFloat

from ..core import DataError, StrictModel
from ..detector import Event, track_pt
from .metrics_intervals import Floats

Variable = Literal["pt", "eta", "phi", "z0", "vertex_radius", "pile_up"]
VARIABLES: tuple[Variable, ...] = get_args(Variable)
BEAM_SPOT_RADIUS = 0.1
VERTEX_PARTICLES = 3


def _ascending(edges: tuple[float, ...]) -> tuple[float, ...]:
    if len(edges) < 2 or any(low >= high for low, high in pairwise(edges)):
        raise ValueError("bin edges must ascend, two at least")
    return edges


Edges = Annotated[tuple[FiniteFloat, ...], AfterValidator(_ascending)]


def _even(low: float, high: float, bins: int) -> tuple[float, ...]:
    return tuple(float(edge) for edge in np.round(np.linspace(low, high, bins + 1), 6))


class Binning(StrictModel):
    """Bin edges of every figure of physics; a bin holds `low <= value < high`, the last one its upper edge too.

    Attributes:
        pt: Transverse momentum, GeV.
        eta: Pseudorapidity.
        phi: Azimuth of the momentum, rad, -pi to pi.
        z0: Position of the production vertex along the beam, mm; of a track, where it meets the beam line.
        vertex_radius: Distance of the production vertex from the beam line, mm.
        pile_up: Number of primary vertices of the event (see `primary_vertices`).
    """

    pt: Edges = (0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 50.0)
    eta: Edges = _even(-4.0, 4.0, 16)
    phi: Edges = _even(-np.pi, np.pi, 16)
    z0: Edges = (-200.0, -50.0, -20.0, -15.0, -10.0, -5.0, 0.0, 5.0, 10.0, 15.0, 20.0, 50.0, 200.0)
    vertex_radius: Edges = (0.0, 0.1, 1.0, 5.0, 20.0, 50.0, 100.0, 200.0, 300.0)
    pile_up: Edges = (0.0, 25.0, 50.0, 75.0, 100.0, 125.0, 150.0, 175.0, 200.0, 225.0, 250.0, 300.0)


DEFAULT_BINS = Binning()
DEFAULT_PT_BINS = DEFAULT_BINS.pt
DEFAULT_ETA_BINS = DEFAULT_BINS.eta


def primary_vertices(event: Event) -> tuple[int, bool]:
    """Number of primary vertices of an event.

    Where the event does not say (`Event.pile_up`), the vertices that can be seen in the particle table are counted:
    distinct production vertices within 0.1 mm of the beam line from which at least three particles come (decays of
    heavy quarks make vertices of one or two particles there). Collisions that leave fewer than three particles in the
    acceptance are not in it: of 200 collisions on average some 140 are counted.

    Args:
        event: Event with a particle table, or with `pile_up`.

    Returns:
        The number, and whether it was given by the event.

    Raises:
        DataError: The event says nothing and has no particle table.
    """
    if event.pile_up is not None:
        return event.pile_up, True
    if event.particles is None:
        raise DataError(f"event {event.name} has no particle table", remedy="give events with -particles.csv")
    table = event.particles
    near = np.hypot(table.vx, table.vy) < BEAM_SPOT_RADIUS
    places = np.stack([table.vx[near], table.vy[near], table.vz[near]], axis=1)
    order = np.lexsort(places.T)
    starts = np.append(True, (np.diff(places[order], axis=0) != 0).any(axis=1))[: len(places)]
    sizes = np.diff(np.append(np.flatnonzero(starts), len(places)))
    return int(np.count_nonzero(sizes >= VERTEX_PARTICLES)), False


def particle_values(event: Event) -> dict[Variable, Floats]:
    """Variables of every row of the particle table, float64 [particles] each.

    Raises:
        DataError: The event has no particle table.
    """
    table = event.particles
    if table is None:
        raise DataError(f"event {event.name} has no particle table", remedy="give events with -particles.csv")
    values: Mapping[Variable, NDArray] = {
        "pt": table.pt,
        "eta": table.eta,
        "phi": table.phi,
        "z0": table.vz,
        "vertex_radius": np.hypot(table.vx, table.vy),
        "pile_up": np.full(len(table), primary_vertices(event)[0]),
    }
    return {name: column.astype(np.float64) for name, column in values.items()}


def track_values(event: Event, track: NDArray[np.int64], *, tracks: int) -> dict[Variable, Floats]:
    """Variables of found tracks from their hits alone, good enough to bin by, not to measure with.

    Args:
        event: Hits that are on a track.
        track: int64 [hits], track of each hit, 0 to `tracks` - 1; every track has a hit.
        tracks: Number of tracks.

    Returns:
        float64 [tracks] each: pT of a circle through the beam axis (GeV), mean eta of the hits, azimuth of their mean
        direction (rad), z (mm) at which a straight line fitted to z(r) meets the beam line (NaN where all hits have one
        r), pile-up of the event. A track has no vertex radius.
    """

    def mean(values: NDArray) -> Floats:
        return np.bincount(track, weights=values.astype(np.float64), minlength=tracks) / hits

    hits = np.bincount(track, minlength=tracks)
    r, z = event.r.astype(np.float64), event.z.astype(np.float64)
    scale = np.maximum(r, 1e-12)
    along, height = mean(r), mean(z)
    offset = r - along[track]
    spread = mean(offset * offset)
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = np.where(spread > 1e-9, mean(offset * (z - height[track])) / spread, np.nan)
    return {
        "pt": track_pt(event, track, tracks=tracks),
        "eta": mean(event.eta),
        "phi": np.arctan2(mean(event.y / scale), mean(event.x / scale)),
        "z0": height - slope * along,
        "pile_up": np.full(tracks, float(primary_vertices(event)[0])),
    }
