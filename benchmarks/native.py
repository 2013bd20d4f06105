"""Time the native executor beside what a user would otherwise run, and count the integers that differ from golden.

    python benchmarks/native.py [--quick] [--graphs DIR] --json FILE [--figure FILE]

Perceptrons 12-64-64-8 and 12-256-256-8, dense and at 80 % sparsity, and the shipped interaction networks, by size and
threads, against ONNX Runtime (float32 and int8), torch (float32, eager and compiled), an exact emulator of float32
matrix products in torch, hls4ml's C simulation and the golden executor, all in the same run and in turn.

The exit status is 1 where an exact side differs from golden in any integer.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from native_figure import Curve, curves, draw
from native_measure import Bench
from native_report import make_ratios, print_ratios, print_skips, print_times, processor, versions
from native_run import QUICK, Plan, measure_graph_network, measure_row_network
from rich.console import Console

from hitfabric.core import atomic_file


def run(plan: Plan, console: Console) -> Bench:
    """Measure everything, saying what is done."""
    bench = Bench(plan.settings)
    start = time.perf_counter()
    for spec in plan.row_networks:
        console.print(f"{time.perf_counter() - start:6.1f} s  {spec.name}", highlight=False)
        measure_row_network(bench, plan, spec)
    for name in plan.graph_networks:
        console.print(f"{time.perf_counter() - start:6.1f} s  {name}", highlight=False)
        measure_graph_network(bench, plan, name)
    console.print(f"{time.perf_counter() - start:6.1f} s  done", highlight=False)
    return bench


def report(plan: Plan, bench: Bench, found: Sequence[Curve]) -> dict[str, Any]:
    """Content of the JSON file."""
    ratios, by_network = make_ratios(plan, bench.measurements)
    comparison = bench.comparison
    return {
        "processor": processor(),
        "versions": versions(),
        "load_average": os.getloadavg(),
        "plan": {**asdict(plan), "graphs": None if plan.graphs is None else plan.graphs.name},
        "ratios": ratios,
        "ratios_by_network": by_network,
        "mismatches": comparison.mismatches.get("native", 0),
        "mismatches_by_side": comparison.mismatches,
        "integers_compared": comparison.compared,
        "largest_difference_of_float_sides": comparison.largest_difference,
        "measurements": [asdict(each) for each in bench.measurements],
        "skipped": [asdict(each) for each in bench.skipped],
        "fits": [asdict(curve) for curve in found],
    }


def main(arguments: Sequence[str] | None = None, *, plan: Plan | None = None) -> int:
    """Measure, print, write; the exit status.

    Args:
        arguments: Of the command line.
        plan: What to measure instead of the full or the quick plan.

    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer sizes and repeats: some minutes on two cores")
    parser.add_argument("--graphs", type=Path, help="folder of graphs (.npz), e.g. TrackML plus_1GeV; else simulated")
    parser.add_argument("--json", type=Path, required=True, help="file to write")
    parser.add_argument("--figure", type=Path, help="figure to write, cost against size")
    options = parser.parse_args(arguments)
    plan = replace(plan or (QUICK if options.quick else Plan()), graphs=options.graphs)
    console = Console(width=200)
    bench = run(plan, console)
    found = curves(bench.measurements)
    content = {"quick": options.quick, **report(plan, bench, found)}
    with atomic_file(options.json) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print_times(console, bench.measurements)
    print_skips(console, bench.skipped)
    print_ratios(console, content["ratios"], content["ratios_by_network"])
    for side, count in content["mismatches_by_side"].items():
        console.print(f"{side}: {count:,} of {content['integers_compared'][side]:,} integers differ from golden")
    if options.figure:
        machine = content["processor"]
        draw(found, options.figure, title=f"{machine['model']}, {', '.join(machine['instruction_sets'])}")
    return int(any(content["mismatches_by_side"].values()))


if __name__ == "__main__":
    raise SystemExit(main())
