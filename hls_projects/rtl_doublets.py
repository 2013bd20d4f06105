"""Geometric doublets in RTL: the configuration, and the integer arithmetic that defines every edge and feature.

Positions are integers: r and z in 2^-14 m, phi in 2^-14 of half a turn, the grid of the network's `nodes` input. The
cuts are those of `detector.geometric_doublets` on that grid; features are on the grid of the network's `edges` input.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from ..core import ConfigError, GraphError, StrictModel

GRID = 1 << 14
"""Steps of a metre, and of half a turn."""

HIT_WIDTHS = (16, 16, 16, 8)
"""Bits of r, phi, z and layer number, the fields of a hit."""

FEATURE_BITS = 16
SLOPE_BITS = 12
ANGLE_BITS = 18
TURN_BITS = 15
ETA_LOW, ETA_HIGH, ETA_STEP_BITS, LOG_BITS = -8, 6, 6, 10
MANTISSA_BITS = 8

TOO_MANY_NODES, TOO_MANY_EDGES, BAD_HIT, BAD_LENGTH = (1 << bit for bit in range(4))
"""Flags of the status, from bit 32 of its beat."""

Integers = NDArray[np.int64]


class BlockingCylinder(Protocol):
    """A barrel layer between two others; see `detector.Cylinder`."""

    @property
    def radius(self) -> float: ...  # noqa: D102
    @property
    def half_length(self) -> float: ...  # noqa: D102


class JoinedLayers(Protocol):
    """Two layers whose hits may be joined; see `detector.LayerPair`."""

    @property
    def inner(self) -> tuple[int, int]: ...  # noqa: D102
    @property
    def outer(self) -> tuple[int, int]: ...  # noqa: D102
    @property
    def blocked_by(self) -> BlockingCylinder | None: ...  # noqa: D102


class DoubletPair(StrictModel):
    """Two joined layers by number.

    Attributes:
        inner: Number of the sender's layer.
        outer: Number of the receiver's.
        radius: Radius of the cylinder that blocks them, steps; 0 for none.
        half_length: Its half length, steps.
    """

    inner: int = Field(ge=0, lt=255)
    outer: int = Field(ge=0, lt=255)
    radius: int = Field(default=0, ge=0, lt=1 << 15)
    half_length: int = Field(default=0, ge=0, lt=1 << 15)


class DoubletsConfig(StrictModel):
    """Parameters of the doublet builder.

    Attributes:
        pairs: Joined layers; layers are numbered from 0.
        slope: Largest |dphi / dr|, in 2^-12 steps of phi per step of r.
        z0: Largest |z| at which the line through both hits meets the beam, steps.
        max_nodes: Most hits of a graph, a power of two.
        max_edges: Most edges of a graph, a power of two.
        lanes: Hits of a beat, and edges of a beat; a power of two.
        sender_rows: Beats of hits that are compared with one beat in each cycle. With 4 of them each lane has two
            pipelines of cuts instead of one: fewer cycles, twice the cells.
        r_bits: Bits of r, without sign: hits further out are joined to nothing.
        fifo_bits: log2 of the pairs of rows that wait in each lane.
    """

    pairs: tuple[DoubletPair, ...] = Field(min_length=1)
    slope: int = Field(default=782, ge=1, lt=1 << 14)
    z0: int = Field(default=15 * GRID, ge=1, lt=1 << 20)
    max_nodes: int = Field(default=256, ge=4, le=1024)
    max_edges: int = Field(default=512, ge=4, le=1 << 14)
    lanes: int = Field(default=8, ge=2, le=16)
    sender_rows: Literal[2, 4] = 2
    r_bits: int = Field(default=13, ge=8, le=15)
    fifo_bits: int = Field(default=6, ge=3, le=10)

    @model_validator(mode="after")
    def _check(self) -> DoubletsConfig:
        for name in ("max_nodes", "max_edges", "lanes"):
            value = getattr(self, name)
            if value & (value - 1):
                raise ValueError(f"{name} {value} is no power of two")
        if self.max_nodes < 2 * self.sender_rows * self.lanes or self.max_edges < 2 * self.lanes:
            raise ValueError(f"{self.lanes} lanes are too many for {self.max_nodes} nodes and {self.max_edges} edges")
        joined = [(pair.inner, pair.outer) for pair in self.pairs]
        if len(set(joined)) < len(joined) or any(inner == outer for inner, outer in joined):
            raise ValueError("pairs join a layer with itself, or two layers twice")
        return self

    @property
    def layers(self) -> int:
        """Number of layers."""
        return max(max(pair.inner, pair.outer) for pair in self.pairs) + 1

    @property
    def index_bits(self) -> int:
        """Bits of a node index."""
        return self.max_nodes.bit_length()


@dataclass(frozen=True, kw_only=True, eq=False)
class Doublets:
    """Edges of one graph, as the module gives them up to their order.

    Attributes:
        edge_index: int64 [edges, 2], columns (sender, receiver), sorted lexicographically; empty if over-size.
        features: int64 [edges, 4], dr, dphi, dz and dR in 2^-12 m, half turns, m, and 1.
        flags: `TOO_MANY_NODES`, ... added up.
    """

    edge_index: Integers
    features: Integers
    flags: int


def number_layers(pairs: Iterable[JoinedLayers]) -> dict[tuple[int, int], int]:
    """Numbers of the layers that pairs name, in the order of their first mention."""
    return {layer: n for n, layer in enumerate(dict.fromkeys(x for pair in pairs for x in (pair.inner, pair.outer)))}


def doublets_config(
    pairs: Sequence[JoinedLayers],
    *,
    phi_slope_max: float,
    z0_max: float,
    max_nodes: int = 256,
    max_edges: int = 512,
    sender_rows: Literal[2, 4] = 2,
) -> DoubletsConfig:
    """The configuration for cuts in mm and rad, as those of `detector.DoubletCuts`.

    Args:
        pairs: Layer pairs; their layers are numbered by `number_layers`.
        phi_slope_max: Largest |dphi / dr|, rad/mm.
        z0_max: Largest |z0|, mm.
        max_nodes: Most hits.
        max_edges: Most edges.
        sender_rows: As of the configuration.

    Raises:
        ConfigError: A number does not fit.
    """
    number = number_layers(pairs)
    try:
        return DoubletsConfig(
            pairs=tuple(
                DoubletPair(
                    inner=number[pair.inner],
                    outer=number[pair.outer],
                    radius=0 if pair.blocked_by is None else round(pair.blocked_by.radius / 1000 * GRID),
                    half_length=0 if pair.blocked_by is None else round(pair.blocked_by.half_length / 1000 * GRID),
                )
                for pair in pairs
            ),
            slope=round(phi_slope_max * 1000 / np.pi * (1 << SLOPE_BITS)),
            z0=round(z0_max / 1000 * GRID),
            max_nodes=max_nodes,
            max_edges=max_edges,
            sender_rows=sender_rows,
        )
    except ValueError as error:
        raise ConfigError(f"cuts do not fit the doublet builder: {error}", remedy="give other cuts or sizes") from error


def log2_table() -> Integers:
    """log2(1 + m) in 2^-10 for the middle of each of 256 steps of m in [0, 1)."""
    middle = (np.arange(1 << MANTISSA_BITS) + 0.5) / (1 << MANTISSA_BITS)
    return np.round(np.log2(1 + middle) * (1 << LOG_BITS)).astype(np.int64)


def eta_table() -> Integers:
    """asinh(2^a) in 2^-12 for the middle of each step of 2^-6 of a from -8 to 6."""
    steps = (ETA_HIGH - ETA_LOW) << ETA_STEP_BITS
    middle = ETA_LOW + (np.arange(steps) + 0.5) / (1 << ETA_STEP_BITS)
    return np.round(np.arcsinh(2.0**middle) * 4096).astype(np.int64)


def integer_eta(r: Integers, z: Integers) -> Integers:
    """Pseudorapidity in 2^-12 of hits at integer positions, from the two tables."""
    ratio = _log2(np.clip(np.abs(z), 1, (1 << 15) - 1)) - _log2(np.maximum(r, 1))
    table = eta_table()
    place = np.clip((ratio - (ETA_LOW << LOG_BITS)) >> (LOG_BITS - ETA_STEP_BITS), 0, len(table) - 1)
    return np.where(z < 0, -table[place], table[place])


def _log2(value: Integers) -> Integers:
    exponent = np.floor(np.log2(value)).astype(np.int64)  # exact: the values are far below 2^53
    mantissa = ((value << 16) >> exponent) - (1 << 16) >> (16 - MANTISSA_BITS)
    return (exponent << LOG_BITS) + log2_table()[mantissa]


def integer_doublets(hits: Integers, config: DoubletsConfig) -> Doublets:
    """The edges that the module gives: its integer reference.

    Args:
        hits: int64 [hits, 4], columns r, phi, z (16 bits, signed) and layer number (8 bits).
        config: Cuts and sizes.

    Returns:
        Edges, features and flags.

    Raises:
        GraphError: A value does not fit its field.
    """
    if hits.ndim != 2 or hits.shape[1] != len(HIT_WIDTHS):
        raise GraphError(f"hits have shape {hits.shape}, expected (hits, 4)", remedy="give r, phi, z and layer")
    low, high = np.array([-(1 << 15)] * 3 + [0]), np.array([(1 << 15) - 1] * 3 + [255])
    if ((hits < low) | (hits > high)).any():
        raise GraphError("a hit does not fit its 16, 16, 16 and 8 bits", remedy="give integers on the module's grid")
    empty = Doublets(
        edge_index=np.zeros((0, 2), dtype=np.int64), features=np.zeros((0, 4), dtype=np.int64), flags=TOO_MANY_NODES
    )
    if len(hits) > config.max_nodes:
        return empty
    r, _, _, layer = hits.T
    usable = (layer < config.layers) & (r >= 0) & (r < 1 << config.r_bits)
    senders, receivers = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for pair in config.pairs:
        inner, outer = (np.flatnonzero(usable & (layer == number)) for number in (pair.inner, pair.outer))
        i, j = (part.ravel() for part in np.meshgrid(inner, outer, indexing="ij"))
        passed = _passes(hits, i, j, pair, config)
        senders.append(i[passed])
        receivers.append(j[passed])
    sender, receiver = np.concatenate(senders), np.concatenate(receivers)
    order = np.lexsort((receiver, sender))
    sender, receiver = sender[order], receiver[order]
    flags = 0 if usable.all() else BAD_HIT
    if len(sender) > config.max_edges:
        return Doublets(edge_index=empty.edge_index, features=empty.features, flags=flags + TOO_MANY_EDGES)
    index = np.stack([sender, receiver], axis=1)
    return Doublets(edge_index=index, features=_features(hits, sender, receiver), flags=flags)


def wrap(value: Integers, bits: int) -> Integers:
    """The lowest bits as a signed number."""
    half = 1 << (bits - 1)
    return ((value + half) & ((1 << bits) - 1)) - half


def _passes(hits: Integers, i: Integers, j: Integers, pair: DoubletPair, config: DoubletsConfig) -> NDArray[np.bool_]:
    r, phi, z, _ = hits.T
    drop = TURN_BITS + SLOPE_BITS - ANGLE_BITS
    turns = 1 << (TURN_BITS + SLOPE_BITS)
    below = ((phi << SLOPE_BITS) - config.slope * r) % turns >> drop
    above = ((phi << SLOPE_BITS) + config.slope * r) % turns >> drop
    crossed = (wrap(below[j] - below[i], ANGLE_BITS) < 0) != (wrap(above[j] - above[i], ANGLE_BITS) < 0)
    dphi = wrap(phi[j] - phi[i], TURN_BITS)
    near = (dphi >= -GRID // 2) & (dphi < GRID // 2)
    step = np.abs(r[j] - r[i])
    cross = z[i] * r[j] - r[i] * z[j]
    passed = crossed & near & (np.abs(cross) < config.z0 * step)
    if pair.radius:
        passed &= np.abs(cross + pair.radius * (z[j] - z[i])) >= pair.half_length * step
    return passed


def _features(hits: Integers, i: Integers, j: Integers) -> Integers:
    r, phi, z, _ = hits.T
    dr, dphi, dz = r[j] - r[i], wrap(phi[j] - phi[i], TURN_BITS), z[j] - z[i]
    eta = integer_eta(r, z)
    deta, radians = np.abs(eta[j] - eta[i]), np.abs(dphi) * 201 >> 8  # pi / 4
    larger, smaller = np.maximum(deta, radians), np.minimum(deta, radians)
    distance = np.maximum(larger, larger - (larger >> 3) + (smaller >> 1))
    return np.stack([dr >> 2, dphi >> 2, dz >> 2, np.minimum(distance, (1 << 15) - 1)], axis=1)
