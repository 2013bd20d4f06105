"""Sectors of the detector in phi and eta, with margins: who owns a hit, who sees it, which edges are lost at borders.

Every hit has one core sector. A sector sees its core and the margin around it, so that hits near a border are seen by
several sectors. An edge belongs to the core sector of its sender if that sector sees the receiver, otherwise to the
core sector of its receiver if that one sees the sender; otherwise it is lost. So each edge belongs to one sector or to
none, and every sector can tell from coordinates alone which edges are its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ..core import DataError, StrictModel
from .event import Event
from .geometry import pseudorapidity, wrap_angle

NO_SECTOR = -1
"""Owner of an edge that no sector sees whole."""


class SectorGrid(StrictModel):
    """A regular grid of sectors.

    Attributes:
        phi: Number of sectors in azimuth, of equal width.
        eta: Number of sectors in pseudorapidity, of equal width in [-eta_max, eta_max]; the outermost are open.
        eta_max: See `eta`.
        phi_overlap: Width of the margin on each side of a sector, rad.
        eta_overlap: Width of the margin on each side of a sector, units of eta (of the hit, seen from the origin).
    """

    phi: int = Field(default=16, ge=1, le=4096)
    eta: int = Field(default=1, ge=1, le=4096)
    eta_max: float = Field(default=4.0, gt=0, allow_inf_nan=False)
    phi_overlap: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    eta_overlap: float = Field(default=0.0, ge=0, allow_inf_nan=False)

    @property
    def sectors(self) -> int:
        """Number of sectors; azimuth runs fastest."""
        return self.phi * self.eta


@dataclass(frozen=True, kw_only=True, eq=False)
class EventSector:
    """What one sector sees of an event.

    Attributes:
        event: Its hits.
        rows: int64, row of each of them in the whole event, ascending.
        core: bool, whether the hit lies in the sector itself and not in its margin.
    """

    event: Event
    rows: NDArray[np.int64]
    core: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class BorderLoss:
    """What a grid costs, counted on events; results of several events add up.

    Attributes:
        true_edges: True edges of the events.
        lost: How many of them belong to no sector.
        hits: Hits of the events.
        seen: The same, a hit counted once for every sector that sees it.
        largest: Most hits that one sector of one event sees.
    """

    true_edges: int
    lost: int
    hits: int
    seen: int
    largest: int

    @property
    def fraction(self) -> float:
        """Share of the true edges that is lost; NaN where there are none."""
        return self.lost / self.true_edges if self.true_edges else float("nan")

    @property
    def copies(self) -> float:
        """Mean number of sectors that see a hit; NaN where there are no hits."""
        return self.seen / self.hits if self.hits else float("nan")

    def __add__(self, other: BorderLoss) -> BorderLoss:
        return BorderLoss(
            true_edges=self.true_edges + other.true_edges,
            lost=self.lost + other.lost,
            hits=self.hits + other.hits,
            seen=self.seen + other.seen,
            largest=max(self.largest, other.largest),
        )


def core_sectors(features: NDArray[np.floating], grid: SectorGrid) -> NDArray[np.int64]:
    """Sector in which each hit lies.

    Args:
        features: [hits, 3] r (mm), phi (rad), z (mm), finite.
        grid: The sectors.

    Returns:
        int64 [hits], 0 to `grid.sectors` - 1.

    Raises:
        DataError: A coordinate is not finite.
    """
    return _core(_coordinates(features), grid)


def sector_rows(features: NDArray[np.floating], grid: SectorGrid) -> list[NDArray[np.int64]]:
    """Hits that each sector sees, margins included.

    Args:
        features: [hits, 3] r (mm), phi (rad), z (mm), finite.
        grid: The sectors.

    Returns:
        int64 rows of each sector, ascending; every hit is in at least one.

    Raises:
        DataError: A coordinate is not finite.
    """
    place = _coordinates(features)
    core = _core(place, grid)
    return [np.flatnonzero(_sees(place, core, np.int64(sector), grid)) for sector in range(grid.sectors)]


def edge_owners(features: NDArray[np.floating], edge_index: NDArray[np.int64], grid: SectorGrid) -> NDArray[np.int64]:
    """Sector to which each edge belongs (see the head of this module).

    Args:
        features: [hits, 3] r (mm), phi (rad), z (mm), finite.
        edge_index: int64 [edges, 2], columns (sender, receiver).
        grid: The sectors.

    Returns:
        int64 [edges], `NO_SECTOR` (-1) where no sector that owns an end sees the other.

    Raises:
        DataError: A coordinate is not finite.
    """
    place = _coordinates(features)
    core = _core(place, grid)
    sender, receiver = edge_index.T
    by_sender = _sees(place[:, receiver], core[receiver], core[sender], grid)
    by_receiver = _sees(place[:, sender], core[sender], core[receiver], grid)
    return np.where(by_sender, core[sender], np.where(by_receiver, core[receiver], NO_SECTOR))


def split_event(event: Event, grid: SectorGrid) -> tuple[EventSector, ...]:
    """Cut an event into sectors before graphs are made.

    A graph whose edges depend on their two hits alone (`geometric_doublets`, `radius_graph` without a limit of
    neighbours), made in every sector and reduced there to the sector's own edges (`edge_owners`), is the graph of the
    whole event without the edges lost at borders.

    Args:
        event: The event.
        grid: The sectors.

    Returns:
        What each sector sees, empty ones included.

    Raises:
        DataError: A coordinate is not finite.
    """
    features = event.features()
    core = core_sectors(features, grid)
    return tuple(
        EventSector(event=event.take(rows), rows=rows, core=core[rows] == sector)
        for sector, rows in enumerate(sector_rows(features, grid))
    )


def border_loss(features: NDArray[np.floating], truth: NDArray[np.int64], grid: SectorGrid) -> BorderLoss:
    """Count the true edges of an event that a grid loses at its borders, and the hits it makes sectors share.

    Args:
        features: [hits, 3] r (mm), phi (rad), z (mm), finite.
        truth: int64 [true edges, 2] hit indices, as of `truth_edges`.
        grid: The sectors.

    Returns:
        The counts.

    Raises:
        DataError: A coordinate is not finite.
    """
    seen = [len(rows) for rows in sector_rows(features, grid)]
    lost = int((edge_owners(features, truth, grid) == NO_SECTOR).sum())
    return BorderLoss(true_edges=len(truth), lost=lost, hits=len(features), seen=sum(seen), largest=max(seen))


def _coordinates(features: NDArray[np.floating]) -> NDArray[np.float64]:
    """Azimuth (rad) and pseudorapidity of each hit [2, hits]."""
    r, phi, z = np.asarray(features, dtype=np.float64).T
    place = np.stack([wrap_angle(phi), pseudorapidity(r, z)])
    if not np.isfinite(place).all():
        hit = int(np.flatnonzero(~np.isfinite(place).all(axis=0))[0])
        raise DataError(f"the position of hit {hit} is not finite", remedy="correct the event or leave it out")
    return place


def _core(place: NDArray[np.float64], grid: SectorGrid) -> NDArray[np.int64]:
    phi, eta = place
    phi_bin = _bin((phi / np.pi + 1) / 2, grid.phi)
    return _bin((eta / grid.eta_max + 1) / 2, grid.eta) * grid.phi + phi_bin


def _bin(fraction: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    return np.clip(np.floor(fraction * bins), 0, bins - 1).astype(np.int64)


def _sees(
    place: NDArray[np.float64], core: NDArray[np.int64], sector: NDArray[np.int64] | np.int64, grid: SectorGrid
) -> NDArray[np.bool_]:
    """Whether sectors see hits: hit by hit, or one sector all hits."""
    phi, eta = place
    eta_bin, phi_bin = np.divmod(sector, grid.phi)
    core_eta, core_phi = np.divmod(core, grid.phi)
    in_phi, in_eta = core_phi == phi_bin, core_eta == eta_bin
    # A hit's own sector sees it whatever rounding says; a margin of zero must see nothing else.
    if grid.phi_overlap > 0:
        width = 2 * np.pi / grid.phi
        in_phi |= np.abs(wrap_angle(phi - (phi_bin + 0.5) * width + np.pi)) <= width / 2 + grid.phi_overlap
    if grid.eta_overlap > 0:
        width = 2 * grid.eta_max / grid.eta
        bottom = eta_bin * width - grid.eta_max
        above = (eta_bin == 0) | (eta >= bottom - grid.eta_overlap)  # the outermost sectors are open
        in_eta |= above & ((eta_bin == grid.eta - 1) | (eta <= bottom + width + grid.eta_overlap))
    return in_phi & in_eta
