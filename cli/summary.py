"""Tables of the validation and of the demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .printing import print_pairs, print_table

if TYPE_CHECKING:
    from ..pipeline.demo import DemoResult
    from ..pipeline.train import TrainResult
    from ..pipeline.validate import ValidateResult


def print_ladder(result: ValidateResult) -> None:
    """Print mismatches by network and executor, and what became of planted faults."""
    from ..pipeline.verdict import warnings

    compared: dict[tuple[str, str], int] = {}
    for rung in result.ladder.rungs:
        key = (rung.network, rung.executor)
        compared[key] = compared.get(key, 0) + rung.compared
    rows = [
        (network, executor, compared[network, executor], count)
        for network, executors in result.ladder.mismatches.items()
        for executor, count in executors.items()
    ]
    print_table(
        f"bit accuracy against {result.reference}", ("network", "executor", "integers compared", "mismatches"), rows
    )
    print_table("coverage of formats", *_coverage(result))
    if result.mutations:
        print_table("planted faults: caught of tried", *_faults(result))
        typer.echo(f"planted faults caught: {result.caught} of {result.tried} ({_share(result)})")
    if result.cycles:
        print_table("clock cycles of the RTL, simulated", *_cycles(result))
    typer.echo(f"compared on {result.sample}")
    for line in warnings(result):
        typer.echo(f"warning: {line}")


def print_trained(result: TrainResult, out: Path) -> None:
    """Print where a training left what, and the commands that take it from there."""
    typer.echo(
        f"curves in {out / 'training'}, float references in {out / 'float'}, checkpoints in {out / 'checkpoints'}"
    )
    if result.chain is not None and (result.chain / "filter" / "graph.json").is_file():
        typer.echo(f"next: hitfabric track --model {out} --events DIR")
        typer.echo(f"next: hitfabric validate --model {out}")
    if result.sector is not None and (result.sector / "graph.json").is_file():
        typer.echo(f"next: hitfabric describe {result.sector}")
        typer.echo(f"next: hitfabric validate {result.sector} --executors golden,native")
        typer.echo(f"next: hitfabric build {result.sector}")


def print_demo(result: DemoResult) -> None:
    """Print the figures of record and the path of the report."""
    print_ladder(result.validation)
    summary = result.summary
    figures: dict[str, object] = {
        "integers compared": summary.outputs_compared,
        "mismatches": sum(sum(executors.values()) for executors in summary.mismatches.values()),
    }
    if summary.tracking is not None:
        figures |= {
            "events / hits": f"{summary.tracking.events} / {summary.tracking.hits:,}",
            "track efficiency": summary.tracking.efficiency,
            "fake rate": summary.tracking.fake_rate,
            "duplicate rate": summary.tracking.duplicate_rate,
        }
    if summary.serving is not None:
        figures |= {
            "server": summary.serving.server,
            "requests": summary.serving.requests,
            "labels equal to direct": summary.serving.labels_equal,
            "median latency": f"{summary.serving.p50_ms:.0f} ms",
        }
    figures["seconds"] = ", ".join(f"{stage} {seconds:.0f}" for stage, seconds in summary.seconds.items())
    print_pairs("summary", figures)
    typer.echo(f"report: {result.page}")


def _share(result: ValidateResult) -> str:
    """The share of planted faults caught; 100 % only where it is all of them."""
    if not result.tried:
        return "none planted"
    return "100 %" if result.caught == result.tried else f"{1000 * result.caught // result.tried / 10:.1f} %"


def _coverage(result: ValidateResult) -> tuple[list[str], list[list[object]]]:
    """Columns and rows: one row per network."""
    columns = ["network", "tensors", "whole range", "least share of a range", "cases met", "cases allowed"]
    rows: list[list[object]] = []
    for network, coverage in result.coverage.items():
        nodes = list(coverage.nodes.values())
        shares = {node.node: node.range_share for node in nodes}
        least = min(shares, key=lambda node: shares[node])
        allowed = sum(len(node.admitted) for node in nodes)
        rows.append(
            [
                network,
                len(nodes),
                sum(share == 1 for share in shares.values()),
                f"{100 * shares[least]:.1f} % ({least})",
                allowed - sum(len(node.missing) for node in nodes),
                allowed,
            ]
        )
    return columns, rows


def _faults(result: ValidateResult) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: one row per network and kind of fault, one column per executor."""
    items = [(network, item) for network, results in result.mutations.items() for item in results]
    executors = list(dict.fromkeys(item.executor for _, item in items))
    cells: dict[tuple[str, str], dict[str, list[bool]]] = {}
    for network, item in items:
        cells.setdefault((network, item.kind), {}).setdefault(item.executor, []).append(item.caught)
    rows = []
    for (network, kind), outcomes in cells.items():
        counts = [outcomes.get(name) for name in executors]
        shown = ["-" if found is None else f"{sum(found)} of {len(found)}" for found in counts]
        rows.append([f"{network}: {kind}", *shown])
    return ["fault", *executors], rows


def _cycles(result: ValidateResult) -> tuple[list[str], list[list[object]]]:
    """Columns and rows: one row per network."""
    columns = ["network", "workload", "graphs", "latency p50 / p95", "interval p50 / p95", "mismatches"]
    rows: list[list[object]] = []
    for network, count in result.cycles.items():
        found = count.figures
        latency, interval = (
            f"{found.latency_p50} / {found.latency_p95}",
            f"{found.interval_p50} / {found.interval_p95}",
        )
        rows.append([network, count.workload, found.graphs, latency, interval, count.mismatches])
    return columns, rows
