"""Time the executors of a row network beside torch float32 of the same shape.

    python benchmarks/executors.py [--network embedding] [--json FILE]

All sides run the same rows in the same process; the median of several runs is shown with its spread.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import nn

from hitfabric.emulation import make_executor
from hitfabric.models.zoo import zoo_path
from hitfabric.quantization import Dense, Requantize, TypedGraph

ROWS = (1, 1_000, 100_000)
SLOWEST_SECONDS = 20.0
"""A side whose first run suggests a longer time is left out at that size."""


def float_network(graph: TypedGraph) -> nn.Sequential:
    """Float layers of the same widths."""
    layers: list[nn.Module] = []
    for node in graph.nodes:
        if isinstance(node, Dense):
            layers.append(nn.Linear(node.weight.shape[1], node.weight.shape[0]))
        elif isinstance(node, Requantize):
            layers.append(nn.ReLU())
    return nn.Sequential(*layers).eval()


def sides(graph: TypedGraph, threads: int) -> dict[str, Callable[[NDArray[np.float32]], object]]:
    """What is timed, by name."""
    name = graph.inputs[0].name
    golden, csim = make_executor("golden", graph), make_executor("csim", graph)
    native = make_executor("native", graph, threads=threads)
    network = float_network(graph)
    torch.set_num_threads(threads)
    return {
        "native": lambda rows: native.run({name: rows}),
        "torch float32": lambda rows: network(torch.from_numpy(rows)),
        "golden": lambda rows: golden.run({name: rows}),
        "csim": lambda rows: csim.run({name: rows}),
    }


def seconds_of(work: Callable[[], object], repeats: int = 7) -> list[float] | None:
    """Wall times after one warm-up; None if the warm-up says it would take too long."""
    start = time.perf_counter()
    work()
    if (time.perf_counter() - start) * repeats > SLOWEST_SECONDS:
        return None
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return times


def measure(graph: TypedGraph, threads: int) -> list[dict[str, object]]:
    """Median and spread of each side at each size."""
    generator = np.random.default_rng(0)
    found: list[dict[str, object]] = []
    with torch.no_grad():
        for rows in ROWS:
            data = generator.normal(size=(rows, graph.inputs[0].tensor.width)).astype(np.float32)
            for side, run in sides(graph, threads).items():
                times = seconds_of(lambda run=run, data=data: run(data))
                if times is None:
                    continue
                median = statistics.median(times)
                spread = (max(times) - min(times)) / median
                found.append({"side": side, "rows": rows, "threads": threads, "seconds": median, "spread": spread})
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="embedding", choices=("embedding", "filter"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    graph = TypedGraph.load(zoo_path("event-pixel") / options.network)
    results = [row for threads in (1, 2) for row in measure(graph, threads)]
    table = Table(
        "side", "threads", "rows", "us per call", "rows/s", "spread", title=f"{options.network}, shipped weights"
    )
    for row in sorted(results, key=lambda row: (row["rows"], row["seconds"])):
        seconds = float(str(row["seconds"]))
        rate = f"{int(str(row['rows'])) / seconds:,.0f}"
        spread = f"{float(str(row['spread'])):.0%}"
        table.add_row(str(row["side"]), str(row["threads"]), str(row["rows"]), f"{seconds * 1e6:,.1f}", rate, spread)
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps({"network": options.network, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
