"""Tables of the validation and of the demo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from .printing import print_pairs, print_table

if TYPE_CHECKING:
    from ..pipeline.demo import DemoResult
    from ..pipeline.validate import ValidateResult


def print_ladder(result: ValidateResult) -> None:
    """Print mismatches by network and executor, and what became of planted faults."""
    compared: dict[tuple[str, str], int] = {}
    for rung in result.ladder.rungs:
        key = (rung.network, rung.executor)
        compared[key] = compared.get(key, 0) + rung.compared
    rows = [
        (network, executor, compared[network, executor], count)
        for network, executors in result.ladder.mismatches.items()
        for executor, count in executors.items()
    ]
    print_table("bit accuracy against golden", ("network", "executor", "integers compared", "mismatches"), rows)
    if result.mutations:
        print_table("planted faults: first caught at", *_faults(result))
    typer.echo(f"compared on {result.sample}")


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


def _faults(result: ValidateResult) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: one row per network and kind of fault, one column per executor."""
    items = [(network, item) for network, results in result.mutations.items() for item in results]
    executors = list(dict.fromkeys(item.executor for _, item in items))
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for network, item in items:
        outcome = (item.node or "") if item.caught else "NOT CAUGHT"
        cells.setdefault((network, item.kind), {})[item.executor] = outcome
    rows = [
        [f"{network}: {kind}", *(row.get(name, "-") for name in executors)] for (network, kind), row in cells.items()
    ]
    return ["fault", *executors], rows
