"""The numbers to reach, and whether they were: each from measurements of the same turn, and their median over turns."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence

from serving_rows import Row, Side, Target

from hitfabric.fpga_backend.names import TRACKING

ADDED_MS = 0.35
"""Most that gRPC and the server may add to the median latency of 1000 rows."""
OVER_ENSEMBLE = 2.0
"""Least throughput of the custom backend over that of the ensemble, one request at a time."""
OVER_DIRECT = 1.05
"""Most that a request of a whole event may take over a direct call."""
WHOLE_EVENT = 50_000
SMALL_ROWS = 1000


def find_targets(rows: Sequence[Row]) -> list[Target]:
    """Targets that these measurements can tell about: those with one instance and one request at a time."""
    return [*_added(rows), *_over_ensemble(rows), *_over_direct(rows)]


def per_turn(rows: Sequence[Row], payload: str, sides: tuple[Side, Side], of: Callable[[Row, Row], float]) -> float:
    """Median over turns of something of two sides measured in the same turn.

    Raises:
        ValueError: There is no turn in which both were measured.
    """
    chosen = [each for each in rows if each.payload == payload and each.instances == each.concurrency == 1]
    first, second = ({each.turn: each for each in chosen if each.side == side} for side in sides)
    turns = sorted(first.keys() & second.keys())
    if not turns:
        raise ValueError(f"{payload}: {' and '.join(sides)} were not measured in one turn")
    return statistics.median(of(first[turn], second[turn]) for turn in turns)


def _payloads(rows: Sequence[Row], wanted: Callable[[Row], bool], sides: tuple[Side, Side]) -> Iterator[str]:
    """Payloads of which both sides were measured with one instance and one request at a time."""
    alone = [each for each in rows if wanted(each) and each.instances == each.concurrency == 1]
    for payload in dict.fromkeys(each.payload for each in alone):
        if {each.side for each in alone if each.payload == payload} >= set(sides):
            yield payload


def _added(rows: Sequence[Row]) -> Iterator[Target]:
    sides: tuple[Side, Side] = ("custom", "direct")
    for payload in _payloads(rows, lambda row: row.model != TRACKING and row.items == SMALL_ROWS, sides):
        measured = per_turn(rows, payload, sides, lambda custom, direct: custom.p50_ms - direct.p50_ms)
        name = "median latency of the custom backend over gRPC, above that of a direct call"
        yield _target(name, payload, measured, limit=ADDED_MS, unit="ms", at_most=True)


def _over_ensemble(rows: Sequence[Row]) -> Iterator[Target]:
    sides: tuple[Side, Side] = ("custom", "ensemble")
    for payload in _payloads(rows, lambda row: row.model == TRACKING, sides):
        measured = per_turn(rows, payload, sides, lambda custom, other: custom.requests_per_s / other.requests_per_s)
        name = "throughput of the custom backend over that of the ensemble"
        yield _target(name, payload, measured, limit=OVER_ENSEMBLE, unit="times", at_most=False)


def _over_direct(rows: Sequence[Row]) -> Iterator[Target]:
    names: dict[Side, str] = {"custom": "over gRPC", "custom_shared": "with shared memory"}
    for side, words in names.items():
        sides: tuple[Side, Side] = (side, "direct")
        for payload in _payloads(rows, lambda row: row.model == TRACKING and row.items >= WHOLE_EVENT, sides):
            measured = per_turn(rows, payload, sides, lambda custom, direct: custom.p50_ms / direct.p50_ms)
            name = f"median latency of the custom backend {words}, over that of a direct call"
            yield _target(name, payload, measured, limit=OVER_DIRECT, unit="times", at_most=True)


def _target(name: str, payload: str, measured: float, *, limit: float, unit: str, at_most: bool) -> Target:
    met = measured <= limit if at_most else measured >= limit
    return Target(name=name, payload=payload, measured=measured, limit=limit, unit=unit, at_most=at_most, met=met)
