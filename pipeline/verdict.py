"""What `hitfabric validate` leaves and prints: records of the ladder, of coverage and of planted faults."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core import RunDirectory
from ..emulation import Rung
from ..reports import records, write_report
from ..reports.junit import phrase, write_junit
from .cycles import cycles_summary

if TYPE_CHECKING:
    from .validate import ValidateConfig, ValidateResult


def write_results(config: ValidateConfig, result: ValidateResult, *, inputs: Sequence[Path]) -> None:
    """Write the files of a validation into its run directory.

    Args:
        config: What was asked for.
        result: What came of it.
        inputs: Directories of the networks.
    """
    run = RunDirectory(path=config.out)
    ladder = ladder_record(result)
    run.write_json("ladder.json", ladder.model_dump(mode="json"))
    faults = None
    if config.mutate:
        faults = records.Mutations.model_validate(
            {name: [asdict(item) for item in items] for name, items in result.mutations.items()}
        )
        run.write_json("mutations.json", faults.model_dump(mode="json"))
    else:
        (config.out / "mutations.json").unlink(missing_ok=True)  # of an earlier run: not of these vectors
    if result.cycles:
        run.write_json("cycles.json", [count.by_graph.model_dump(mode="json") for count in result.cycles.values()])
    else:
        (config.out / "cycles.json").unlink(missing_ok=True)
    run.write_json("validation.json", summary(result))
    write_junit(config.out / "junit.xml", ladder=ladder, mutations=faults)
    run.record(command="validate", config=config, inputs=inputs, seed=config.seed)
    write_report(config.out)


def ladder_record(result: ValidateResult) -> records.Ladder:
    """Content of `ladder.json`."""
    return records.Ladder(
        reference=result.reference,
        sample=result.sample,
        rows=tuple(_row(rung) for rung in result.ladder.rungs),
        coverage=tuple(_coverage(result)),
        warnings=tuple(warnings(result)),
        seconds=result.seconds,
        graphs=tuple(result.graph_sizes),
    )


def summary(result: ValidateResult) -> dict[str, Any]:
    """The one object that `hitfabric validate --json` prints.

    Args:
        result: Outcome of a validation.

    Returns:
        `mismatches` {network: {executor: int}}, `outputs_compared`, `mutations` {tried, caught, share, not_exercised,
        by_network}, `cycles` {executor: {latency_p50, latency_p95, interval_p50, interval_p95, graphs, ...}} of the
        sector network (or else the first one) and `cycles_by_network`, both empty without rtl, `warnings`, `coverage`
        {network: {node: ...}}, and what was compared with what.
    """
    coverage: dict[str, dict[str, Any]] = {}
    for row in _coverage(result):
        coverage.setdefault(row.network, {})[row.node] = row.model_dump(mode="json", exclude={"network", "node"})
    by_network: dict[str, dict[str, dict[str, int]]] = {}
    for network, items in result.mutations.items():
        for item in items:
            counts = by_network.setdefault(network, {}).setdefault(item.executor, {"tried": 0, "caught": 0})
            counts["tried"] += 1
            counts["caught"] += item.caught
    return {
        "mismatches": result.ladder.mismatches,
        "outputs_compared": result.ladder.compared,
        "mutations": {
            "tried": result.tried,
            "caught": result.caught,
            "share": result.caught / result.tried if result.tried else None,
            "not_exercised": {
                network: [f"{kind} at {node}" for kind, node in faults]
                for network, faults in result.unexercised.items()
                if faults
            },
            "by_network": by_network,
        },
        "cycles": cycles_summary(result.cycles),
        "cycles_by_network": {name: cycles_summary({name: count}) for name, count in result.cycles.items()},
        "warnings": list(warnings(result)),
        "coverage": coverage,
        "reference": result.reference,
        "sample": result.sample,
        "resumed": result.resumed,
        "seconds": result.seconds,
        "passed": result.passed,
    }


def warnings(result: ValidateResult) -> Iterator[str]:
    """What the vectors never exercised: saturation and rounding cases, and faults that no vector can show."""
    for network, coverage in result.coverage.items():
        for node, case in coverage.missing():
            yield f"{network}: node {node}: no vector {phrase(case)}"
    for network, faults in result.unexercised.items():
        for kind, node in faults:
            yield f"{network}: node {node}: no vector shows a fault of its {kind}"


def _coverage(result: ValidateResult) -> Iterator[records.CoverageRow]:
    for network, coverage in result.coverage.items():
        for node in coverage.nodes.values():
            yield records.CoverageRow(
                network=network,
                node=node.node,
                low=node.low,
                high=node.high,
                integers=node.integers,
                reached_low=node.reached_low,
                reached_high=node.reached_high,
                range_share=node.range_share,
                distinct=node.distinct,
                cases=node.cases,
                admitted=node.admitted,
                missing=node.missing,
            )


def _row(rung: Rung) -> records.LadderRow:
    first = None
    if rung.first is not None:
        first = records.FirstMismatch(**asdict(rung.first))
    values = {key: value for key, value in asdict(rung).items() if key != "first"}
    return records.LadderRow(**values, first=first)
