"""Load the real server by perf_analyzer, and compare it with direct calls, the Python backend and an ensemble of steps.

    python benchmarks/serving.py [--quick] [--events DIR] [--json FILE] [--figure FILE]

The comparison of "GNN tracking as a service" (2402.09633): direct calls, a custom backend and an ensemble, here also
the custom backend with tensors in shared memory, and the Python backend. `embedding` and `filter` with 1000 and 1e5
rows of an event, `tracking` of wedges of about 100 and 1000 hits and of the whole event; by requests under way and
instances.

Every side answers one request before it is timed: an answer that differs from direct's in a single bit ends the run.
Direct calls and every worker may use as many threads as there are cores.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from chosen_event import choose_event
from rich.console import Console
from serving_figure import draw
from serving_report import machine, print_report, versions
from serving_rows import Report
from serving_run import QUICK, WINDOWS, Plan, Sweep, make_groups
from serving_targets import find_targets
from serving_tools import find_perf_analyzer, find_python_backend

from hitfabric.core import HitfabricError, atomic_file
from hitfabric.detector import Event

PILE_UP = 380.0
"""Gives a simulated event of about 1e5 hits."""


def measure(plan: Plan, event: Event, console: Console) -> Report:
    """Measure everything.

    Raises:
        HitfabricError: A tool is missing, a server or perf_analyzer failed, or a side's answer differs from direct's.
    """
    program = find_perf_analyzer()
    find_python_backend()
    here = machine()
    with tempfile.TemporaryDirectory() as folder:
        sweep = Sweep(plan=plan, program=program, folder=Path(folder), console=console)
        sweep.run(make_groups(plan, event))
    settings = {
        **asdict(plan),
        "windows": WINDOWS,
        "event": event.name,
        "hits_of_event": len(event),
        "threads_of_direct": len(os.sched_getaffinity(0)),
        "threads_of_each_worker": len(os.sched_getaffinity(0)),
    }
    return Report(
        machine=here,
        versions=versions(),
        settings=settings,
        equal=sweep.equal,
        rows=sweep.rows,
        targets=find_targets(sweep.rows),
    )


def main(arguments: Sequence[str] | None = None, *, plan: Plan | None = None) -> int:
    """Measure, print, write; the exit status is 1 where a tool is missing, something failed or answers differ.

    Args:
        arguments: Of the command line.
        plan: What to measure instead of the full or the quick plan.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one instance, fewer sizes: some minutes on two cores")
    parser.add_argument("--events", type=Path, help="folder of events; the last one is taken")
    parser.add_argument("--pile-up", type=float, default=PILE_UP, help="of the simulated event")
    parser.add_argument("--json", type=Path, help="file to write")
    parser.add_argument("--figure", type=Path, help="figure to write, throughput by requests under way")
    options = parser.parse_args(arguments)
    console = Console(width=200)
    try:
        event = choose_event(options.events, pile_up=options.pile_up)
        report = measure(plan or (QUICK if options.quick else Plan()), event, console)
    except HitfabricError as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        with atomic_file(options.json) as temporary:
            temporary.write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    print_report(console, report)
    if options.figure:
        draw(report.rows, options.figure, title=str(report.machine["model"]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
