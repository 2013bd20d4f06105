"""Geometric doublets: pairs of hits on neighbouring layers that a straight line from the beam could join.

The published FPGA designs build their graphs like this instead of learning where hits lie. Defaults are those of the
TrackML graphs of DeZoort et al. (arXiv:2103.16701), used by Elabd et al. (arXiv:2112.02048): pixel barrel and endcaps,
pT > 2 GeV, one hit per particle and layer, |dphi / dr| < 0.0006 rad/mm, |z0| < 15 m, and no edge from the barrel to an
endcap whose line passes through a barrel layer in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from ..core import DataError, GraphError, StrictModel
from .event import NOISE, UNLABELLED, Event
from .geometry import wrap_angle
from .graph_sample import GraphSample
from .truth import sort_edges

Layer = tuple[int, int]
"""Volume id and layer id."""

Coordinates = NDArray[np.float64]
"""[3, hits]: r (mm), phi (rad), z (mm)."""

BLOCK = 4_000_000
"""Pairs in the phi window that are looked at together: about 200 MB."""

WINDOW_SLACK = 1e-9
"""Added to a phi window (rad), more than its rounding; the exact cut follows."""


class Cylinder(StrictModel):
    """An ideal barrel layer about the beam.

    Attributes:
        radius: mm.
        half_length: mm.
    """

    radius: float = Field(gt=0, allow_inf_nan=False)
    half_length: float = Field(gt=0, allow_inf_nan=False)


class LayerPair(StrictModel):
    """Two layers whose hits may be joined.

    Attributes:
        inner: Volume and layer id of the sender.
        outer: Volume and layer id of the receiver.
        blocked_by: Pairs whose straight line crosses this cylinder are left out: the particle would have hit it.
    """

    inner: Layer
    outer: Layer
    blocked_by: Cylinder | None = None


def pixel_layer_pairs() -> tuple[LayerPair, ...]:
    """The 23 pairs of the pixel detector of the TrackML / Generic detector: 4 barrel layers, 7 discs on each side.

    Returns:
        Neighbouring barrel layers; neighbouring discs; every barrel layer with the first disc of each side, blocked by
        the next barrel layer for the inner two. Radii and length are those of the published code.
    """
    barrel: list[Layer] = [(8, layer) for layer in (2, 4, 6, 8)]
    sides: list[list[Layer]] = [[(7, layer) for layer in range(14, 0, -2)], [(9, layer) for layer in range(2, 16, 2)]]
    blocks = (
        Cylinder(radius=71.56298065185547, half_length=490.975),
        Cylinder(radius=115.37811279296875, half_length=490.975),
        None,
        None,
    )
    neighbours = [LayerPair(inner=a, outer=b) for row in (barrel, *sides) for a, b in pairwise(row)]
    across = [
        LayerPair(inner=layer, outer=side[0], blocked_by=block)
        for side in sides
        for layer, block in zip(barrel, blocks, strict=True)
    ]
    return (*neighbours, *across)


class DoubletCuts(StrictModel):
    """Which hits are taken, and which pairs of them are joined.

    Attributes:
        layer_pairs: Layers whose hits may be joined.
        phi_slope_max: Largest |dphi / dr|, rad/mm (a track of pT GeV in 2 T has about 0.0003 / pT).
        z0_max: Largest |z| at which the line through both hits meets the beam, mm.
        min_pt: Only hits of particles with more than this true transverse momentum, GeV; None takes all hits.
            A hit without a known particle is left out where a number is given.
        one_hit_per_layer: Of the hits of one particle on one layer (overlapping modules) keep the innermost.
        max_edges: Refuse to make more edges than this.
    """

    layer_pairs: tuple[LayerPair, ...] = Field(default_factory=pixel_layer_pairs, min_length=1)
    phi_slope_max: float = Field(default=6e-4, gt=0, allow_inf_nan=False)
    z0_max: float = Field(default=15_000.0, gt=0, allow_inf_nan=False)
    min_pt: float | None = Field(default=2.0, ge=0, allow_inf_nan=False)
    one_hit_per_layer: bool = True
    max_edges: int = Field(default=20_000_000, ge=1)

    @model_validator(mode="after")
    def _check(self) -> DoubletCuts:
        joined = [(pair.inner, pair.outer) for pair in self.layer_pairs]
        if any(inner == outer for inner, outer in joined) or len({frozenset(pair) for pair in joined}) < len(joined):
            raise ValueError("layer_pairs joins a layer with itself, or two layers twice")
        return self


def geometric_graph(event: Event, cuts: DoubletCuts) -> GraphSample:
    """Build the labelled doublet graph of an event, in the layout of the TrackML graphs of DeZoort et al.

    An edge is true if both hits are of one particle; of several true edges into one hit only the one from the nearest
    sender is, so that true edges join consecutive layers.

    Args:
        event: Event with truth and particle table; every hit is finite.
        cuts: Which hits and pairs.

    Returns:
        The graph; node i is the hit `selected_hits(event, cuts)[i]`, edges are sorted and lead from the inner to the
        outer layer of their pair. It is empty where no hit passes.

    Raises:
        DataError: No truth; a position is not finite; or labels would be unknown: hits without a label are selected.
        GraphError: More edges than `max_edges`.
    """
    if event.particle_id is None or event.particles is None:
        raise DataError(f"event {event.name} has no truth", remedy="give events with -truth.csv and -particles.csv")
    chosen = event.take(selected_hits(event, cuts))
    particle = chosen.particle_id
    assert particle is not None
    unknown = int((particle == UNLABELLED).sum())
    if unknown:
        raise DataError(
            f"event {event.name}: {unknown} of {len(particle)} hits have no label", remedy="give min_pt, or whole truth"
        )
    edge_index = geometric_doublets(chosen, cuts)
    labels = _labels(chosen, particle, edge_index)
    return GraphSample.from_event(chosen, edge_index, labels=labels, particle_id=particle)


def selected_hits(event: Event, cuts: DoubletCuts) -> NDArray[np.int64]:
    """Rows of the hits of an event that become nodes, ascending.

    Raises:
        DataError: `min_pt` or `one_hit_per_layer` is asked of an event without truth.
    """
    layer = _layer_numbers(event, cuts)
    taken = layer >= 0
    if cuts.min_pt is not None:
        if event.particles is None or event.particle_id is None:
            raise DataError(f"event {event.name} has no truth to cut on pT", remedy="set min_pt to null")
        taken &= event.pt > cuts.min_pt
    rows = np.flatnonzero(taken)
    if not cuts.one_hit_per_layer:
        return rows
    if event.particle_id is None:
        raise DataError(f"event {event.name} has no truth", remedy="set one_hit_per_layer to false")
    particle = event.particle_id[rows]
    known = (particle != NOISE) & (particle != UNLABELLED)
    mine = rows[known]
    order = mine[np.lexsort((mine, event.r[mine], layer[mine], event.particle_id[mine]))]
    same = (event.particle_id[order[1:]] == event.particle_id[order[:-1]]) & (layer[order[1:]] == layer[order[:-1]])
    first = order[np.append(True, ~same)[: len(order)]]
    return np.sort(np.concatenate([first, rows[~known]]))


def geometric_doublets(event: Event, cuts: DoubletCuts) -> NDArray[np.int64]:
    """Join the hits of an event that pass the cuts on pairs; no truth is needed, cuts on hits are not applied.

    A pair passes if |dphi| < phi_slope_max |dr|, |z0| < z0_max (both in float64, in forms without a division), and its
    line does not cross the cylinder that blocks its layers.

    Args:
        event: Hits.
        cuts: Cuts on pairs.

    Returns:
        int64 [edges, 2], columns (sender, receiver) from the inner to the outer layer, sorted lexicographically.

    Raises:
        DataError: A position is not finite.
        GraphError: More edges than `max_edges`.
    """
    coordinates = np.ascontiguousarray(event.features().T, dtype=np.float64)
    if not np.isfinite(coordinates).all():
        hit = int(np.flatnonzero(~np.isfinite(coordinates).all(axis=0))[0])
        raise DataError(
            f"event {event.name}: the position of hit {event.hit_id[hit]} is not finite", remedy="correct the event"
        )
    coordinates[1] = wrap_angle(coordinates[1])
    layer = _layer_numbers(event, cuts)
    numbers = _numbers(cuts)
    hits = {number: np.flatnonzero(layer == number) for number in numbers.values()}
    found: list[NDArray[np.int64]] = []
    edges = 0
    for pair in cuts.layer_pairs:
        inner, outer = hits[numbers[pair.inner]], hits[numbers[pair.outer]]
        for senders, receivers in _in_window(coordinates, inner, outer, cuts.phi_slope_max):
            passed = np.flatnonzero(_passes(coordinates[:, senders], coordinates[:, receivers], pair, cuts))
            edges += len(passed)
            if edges > cuts.max_edges:
                raise GraphError(
                    f"event {event.name} has more than {cuts.max_edges} doublets",
                    remedy="tighten the cuts, or raise max_edges",
                )
            found.append(np.stack([senders[passed], receivers[passed]], axis=1))
    joined = np.concatenate([np.zeros((0, 2), dtype=np.int64), *found])
    return sort_edges(joined[:, 0], joined[:, 1])


def _numbers(cuts: DoubletCuts) -> dict[Layer, int]:
    layers = dict.fromkeys(layer for pair in cuts.layer_pairs for layer in (pair.inner, pair.outer))
    return {layer: number for number, layer in enumerate(layers)}


def _layer_numbers(event: Event, cuts: DoubletCuts) -> NDArray[np.int64]:
    """Number of each hit's layer in `_numbers`, -1 where no pair names it."""
    numbers = np.full(len(event), -1, dtype=np.int64)
    for (volume, layer), number in _numbers(cuts).items():
        numbers[(event.volume_id == volume) & (event.layer_id == layer)] = number
    return numbers


def _in_window(
    coordinates: Coordinates, inner: NDArray[np.int64], outer: NDArray[np.int64], phi_slope_max: float
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Senders and receivers whose phi could be close enough, block by block: a superset of those that are."""
    if len(inner) == 0 or len(outer) == 0:
        return
    r, phi, _ = coordinates
    outer = outer[np.argsort(phi[outer], kind="stable")]
    # The circle three times, so that no window has to be cut at +-pi.
    turned = (phi[outer] + np.array([[-2 * np.pi], [0], [2 * np.pi]])).ravel()
    largest_step = np.maximum(np.abs(r[outer].max() - r[inner]), np.abs(r[outer].min() - r[inner]))
    reach = np.minimum(phi_slope_max * largest_step * (1 + WINDOW_SLACK) + WINDOW_SLACK, np.pi)
    start = np.searchsorted(turned, phi[inner] - reach, side="left")
    # A window of a whole turn meets the hit opposite twice: no more than every hit once.
    counts = np.minimum(np.searchsorted(turned, phi[inner] + reach, side="right") - start, len(outer))
    ends = np.cumsum(counts)
    low = 0
    while low < len(inner):
        before = ends[low] - counts[low]
        high = max(int(np.searchsorted(ends, before + BLOCK, side="right")), low + 1)
        sender = np.repeat(np.arange(low, high), counts[low:high])
        place = np.arange(len(sender)) + before - (ends - counts)[sender] + start[sender]
        yield inner[sender], outer[place % len(outer)]
        low = high


def _passes(sender: Coordinates, receiver: Coordinates, pair: LayerPair, cuts: DoubletCuts) -> NDArray[np.bool_]:
    (r_i, phi_i, z_i), (r_j, phi_j, z_j) = sender, receiver
    dr, dz = r_j - r_i, z_j - z_i
    step = np.abs(dr)
    passed = np.abs(wrap_angle(phi_j - phi_i)) < cuts.phi_slope_max * step
    passed &= np.abs(z_i * dr - r_i * dz) < cuts.z0_max * step
    if pair.blocked_by is not None:
        cylinder = pair.blocked_by
        passed &= np.abs(z_i * dr + (cylinder.radius - r_i) * dz) >= cylinder.half_length * step
    return passed


def _labels(event: Event, particle: NDArray[np.int64], edge_index: NDArray[np.int64]) -> NDArray[np.bool_]:
    sender, receiver = edge_index.T
    same = np.flatnonzero((particle[sender] == particle[receiver]) & (particle[sender] != NOISE))
    position = np.stack([event.x, event.y, event.z], axis=1).astype(np.float64)
    distance = np.square(position[sender[same]] - position[receiver[same]]).sum(axis=1)
    ordered = same[np.lexsort((distance, receiver[same]))]
    nearest = ordered[np.append(True, receiver[ordered[1:]] != receiver[ordered[:-1]])[: len(ordered)]]
    labels = np.zeros(len(edge_index), dtype=np.bool_)
    labels[nearest] = True
    return labels
