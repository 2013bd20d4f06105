"""What the benchmark prints: a table of each payload, where the time goes, the targets; and the machine it ran on."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from serving_rows import SIDES, Report, Row, Target
from serving_tools import CLIENT_WHEEL

from hitfabric.fpga_backend.triton_install import WHEEL

PACKAGES = ("hitfabric", "numpy", "tritonclient", "grpcio")
IDLE = 0.1
"""Busy share of the cores before the first measurement above which the times are doubtful."""
PARTS = {
    "client_send_us": "client sends",
    "network_us": "gRPC, both ways",
    "queue_us": "queue",
    "compute_input_us": "inputs",
    "compute_infer_us": "infer",
    "compute_output_us": "outputs",
    "client_receive_us": "client receives",
}


def machine() -> dict[str, Any]:
    """Processor, cores this process may use, and how busy they are before the measurements.

    That of `native_report` would bring torch and its threads into the process whose direct calls are timed.
    """
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    return {
        "model": next(iter(names), platform.machine()),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "load_average": os.getloadavg(),
        "busy_share": busy_share(),
    }


def versions() -> dict[str, str]:
    """Versions of what was measured and of what measured it."""
    tools = {"tritonserver": f"2.51.0 ({WHEEL})", "perf_analyzer": f"2.51.0 ({CLIENT_WHEEL})"}
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}, **tools}


def busy_share(seconds: float = 0.5) -> float:
    """Share of the time of all cores that is not idle."""

    def read() -> list[int]:
        line = Path("/proc/stat").read_text(encoding="utf-8").splitlines()[0]
        return [int(field) for field in line.split()[1:]]

    before = read()
    time.sleep(seconds)
    passed = [after - start for start, after in zip(before, read(), strict=True)]
    return 1 - (passed[3] + passed[4]) / max(sum(passed[:8]), 1)


def print_report(console: Console, report: Report) -> None:
    """Everything."""
    for payload in dict.fromkeys(row.payload for row in report.rows):
        rows = [row for row in report.rows if row.payload == payload]
        console.print(rate_table(payload, rows))
        if any(row.instances == row.concurrency == 1 for row in rows):
            console.print(parts_table(payload, rows))
    errors = sum(row.errors for row in report.rows)
    requests = sum(row.requests for row in report.rows)
    console.print(f"{errors:,} of {requests + errors:,} requests were answered with an error", highlight=False)
    busy = report.machine.get("busy_share", 0.0)
    if busy > IDLE:
        console.print(f"[yellow]{busy:.0%} of the cores were busy before the first measurement: the times are doubtful")
    for target in report.targets:
        console.print(describe(target), highlight=False)


def rate_table(payload: str, rows: Sequence[Row]) -> Table:
    """Sides by concurrency: requests per second, median and 99th percentile of the latency in ms."""
    counts = sorted({row.concurrency for row in rows})
    table = Table("side", title=f"{payload}: requests/s, p50 and p99 in ms", title_justify="left")
    for count in counts:
        table.add_column(f"{count} at a time", justify="right")
    for side, instances in dict.fromkeys((row.side, row.instances) for row in _sorted(rows)):
        name = SIDES[side]
        if side != "direct" and len({row.instances for row in rows}) > 1:
            name += f", {instances} {'instance' if instances == 1 else 'instances'}"
        chosen = [row for row in rows if (row.side, row.instances) == (side, instances)]
        table.add_row(name, *(_cell([row for row in chosen if row.concurrency == count]) for count in counts))
    return table


def parts_table(payload: str, rows: Sequence[Row]) -> Table:
    """Where the time of a request goes, one at a time: means in us, and processor time in ms."""
    table = Table("side", title=f"{payload}, one at a time: where the time goes, us", title_justify="left")
    for name in (*PARTS.values(), "processor time, ms"):
        table.add_column(name, justify="right")
    alone = [row for row in rows if row.instances == row.concurrency == 1]
    for side in dict.fromkeys(row.side for row in _sorted(alone)):
        chosen = [row for row in alone if row.side == side]
        parts = [statistics.median(getattr(row, part) or 0.0 for row in chosen) for part in PARTS]
        cells = ["-" if side == "direct" else f"{part:,.0f}" for part in parts]
        table.add_row(SIDES[side], *cells, f"{statistics.median(row.cpu_ms for row in chosen):.3g}")
    return table


def describe(target: Target) -> str:
    """A target in one line."""
    limit = f"{'at most' if target.at_most else 'at least'} {target.limit:g} {target.unit}"
    answer = "yes" if target.met else "no"
    return f"{target.payload}: {target.name}: {target.measured:.3g} {target.unit}; {limit}: {answer}"


def _sorted(rows: Sequence[Row]) -> list[Row]:
    order = list(SIDES)
    return sorted(rows, key=lambda row: (order.index(row.side), row.instances))


def _cell(rows: Sequence[Row]) -> str:
    """Medians over the turns."""
    if not rows:
        return "-"
    rate, middle, late = (
        statistics.median(getattr(row, name) for row in rows) for name in ("requests_per_s", "p50_ms", "p99_ms")
    )
    return f"{rate:,.0f}  {middle:.3g}  {late:.3g}" if rate >= 100 else f"{rate:.3g}  {middle:.3g}  {late:.3g}"
