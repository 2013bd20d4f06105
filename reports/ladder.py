"""The bit-accuracy ladder as tables: node by executor, with totals and first divergences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .records import CoverageRow, Ladder, LadderRow, Mutations, Summary

State = Literal["equal", "different", "not compared"]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Comparison of one node, or of a whole network, in one executor."""

    compared: int
    mismatches: int

    @property
    def state(self) -> State:
        """`equal` only where something was compared and nothing differs."""
        if self.mismatches:
            return "different"
        return "equal" if self.compared else "not compared"


@dataclass(frozen=True, kw_only=True)
class NodeLine:
    """One node: proven range, range reached over all executors, saturated integers, one cell per executor."""

    node: str
    low: int
    high: int
    reached_low: int | None
    reached_high: int | None
    saturated: int
    cells: list[Cell | None]


@dataclass(frozen=True, kw_only=True)
class NetworkLadder:
    """One network: its nodes in graph order, totals and first divergence per executor, coverage of its tensors."""

    network: str
    nodes: list[NodeLine]
    totals: list[Cell | None]
    divergences: list[LadderRow]
    coverage: list[CoverageRow]


@dataclass(frozen=True, kw_only=True)
class LadderTable:
    """Every network against every executor; `total` sums all rows; `cases` are those of any tensor's coverage."""

    executors: list[str]
    networks: list[NetworkLadder]
    total: Cell
    cases: list[str]


@dataclass(frozen=True, kw_only=True)
class FaultCount:
    """Faults planted, and how many of them the comparison noticed."""

    tried: int
    caught: int


def count_faults(mutations: Mutations) -> FaultCount:
    """Count over all networks and executors."""
    faults = [fault for of_network in mutations.root.values() for fault in of_network]
    return FaultCount(tried=len(faults), caught=sum(fault.caught for fault in faults))


def fault_table(mutations: Mutations) -> tuple[list[str], list[tuple[str, str, list[FaultCount | None]]]]:
    """Executors that got faults, and for each network and kind of fault the count in each of them."""
    faults = [(network, fault) for network, items in mutations.root.items() for fault in items]
    executors = list(dict.fromkeys(fault.executor for _, fault in faults))
    outcomes: dict[tuple[str, str], dict[str, list[bool]]] = {}
    for network, fault in faults:
        outcomes.setdefault((network, fault.kind), {}).setdefault(fault.executor, []).append(fault.caught)
    rows = []
    for (network, kind), by_executor in outcomes.items():
        found = [by_executor.get(executor) for executor in executors]
        counts = [None if caught is None else FaultCount(tried=len(caught), caught=sum(caught)) for caught in found]
        rows.append((network, kind, counts))
    return executors, rows


def ladder_table(ladder: Ladder) -> LadderTable:
    """Arrange the rows of a ladder; a node that an executor does not show has no cell."""
    executors = list(dict.fromkeys(row.executor for row in ladder.rows))
    networks = dict.fromkeys(row.network for row in ladder.rows)
    return LadderTable(
        executors=executors,
        networks=[
            _network(
                [row for row in ladder.rows if row.network == network],
                network,
                executors,
                coverage=[row for row in ladder.coverage if row.network == network],
            )
            for network in networks
        ],
        total=_sum(ladder.rows),
        cases=list(dict.fromkeys(case for row in ladder.coverage for case in row.cases)),
    )


def disagreements(ladder: Ladder, summary: Summary) -> list[str]:
    """Where the mismatches of `summary.json` are not those of `ladder.json`, in words."""
    found = []
    for network, executors in summary.mismatches.items():
        for executor, count in executors.items():
            rows = [row for row in ladder.rows if row.network == network and row.executor == executor]
            counted = sum(row.mismatches for row in rows)
            if rows and counted != count:
                found.append(
                    f"summary.json gives {count} mismatches for {network} in {executor}, ladder.json gives {counted}"
                )
            if not rows:
                found.append(f"summary.json names {network} in {executor}, ladder.json does not")
    return found


def _network(
    rows: list[LadderRow], network: str, executors: list[str], *, coverage: list[CoverageRow]
) -> NetworkLadder:
    nodes = dict.fromkeys(row.node for row in rows)
    by_executor = {executor: [row for row in rows if row.executor == executor] for executor in executors}
    firsts = (next((row for row in of_one if row.mismatches), None) for of_one in by_executor.values())
    return NetworkLadder(
        network=network,
        nodes=[_node([row for row in rows if row.node == node], node, executors) for node in nodes],
        totals=[_sum(of_one) if of_one else None for of_one in by_executor.values()],
        divergences=[row for row in firsts if row is not None],
        coverage=coverage,
    )


def _node(rows: list[LadderRow], node: str, executors: list[str]) -> NodeLine:
    by_executor = {row.executor: row for row in rows}
    lows = [row.reached_low for row in rows if row.reached_low is not None]
    highs = [row.reached_high for row in rows if row.reached_high is not None]
    cells = [by_executor.get(executor) for executor in executors]
    return NodeLine(
        node=node,
        low=min(row.low for row in rows),
        high=max(row.high for row in rows),
        reached_low=min(lows, default=None),
        reached_high=max(highs, default=None),
        saturated=max(row.saturated for row in rows),
        cells=[None if row is None else _sum([row]) for row in cells],
    )


def _sum(rows: list[LadderRow] | tuple[LadderRow, ...]) -> Cell:
    return Cell(compared=sum(row.compared for row in rows), mismatches=sum(row.mismatches for row in rows))
