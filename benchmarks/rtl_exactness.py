"""Stream many graphs through the RTL of a network under Verilator, with random stalls, and compare with golden.

    python benchmarks/rtl_exactness.py [--graphs 10000] [--folder DIR] [--network NAME] [--set KEY=VALUE] [--json FILE]

Real graphs (phi sectors of pi/4, pi/8 and pi/16 of those of --folder), random ones of any size with padding, extremes
of the formats, empty ones, and graphs larger than the maxima, which the engine has to refuse without harm to the next.
They go through one engine that is never reset, in runs of different stalls. Exit status 1 on any mismatch.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from rich.console import Console

from hitfabric.core import load_config, progress
from hitfabric.detector import phi_sectors, read_graphs
from hitfabric.emulation import extreme_vectors, make_executor
from hitfabric.emulation.inputs import check_inputs
from hitfabric.emulation.rtl import RtlExecutor
from hitfabric.emulation.vectors import random_vectors
from hitfabric.hls_projects.rtl_config import RtlConfig
from hitfabric.hls_projects.rtl_verilator import find_verilator
from hitfabric.models.zoo import zoo_path
from hitfabric.quantization import Maxima, TypedGraph

Arrays = dict[str, NDArray[Any]]

STALLS = (0.0, 0.05, 0.2, 0.5, 0.8)  # of successive runs
SECTORS = (8, 16, 32)
OVERSIZE_EVERY = 50
PER_RUN = 250


@dataclass(kw_only=True)
class Outcome:
    """What came of it."""

    graphs: int = 0
    refused: int = 0
    with_padding: int = 0
    nodes: int = 0
    edges: int = 0
    compared: int = 0
    mismatches: int = 0
    cycles: int = 0
    seconds: float = 0.0
    sources: dict[str, int] = field(default_factory=dict)


def real_graphs(folder: Path) -> Iterator[Arrays]:
    """Sectors of real graphs, without end."""
    for sectors in itertools.cycle(SECTORS):
        for sample in read_graphs(folder):
            for part in phi_sectors(sample, sectors).parts:
                cut = part.sample
                yield {"nodes": cut.nodes, "edges": cut.edges, "edge_index": cut.edge_index}


def random_graphs(graph: TypedGraph, generator: np.random.Generator) -> Iterator[Arrays]:
    """Random graphs of any size, without end."""
    while True:
        largest = graph.maxima
        part = 2.0 ** -generator.integers(0, 6)
        maxima = Maxima(nodes=max(1, int(largest.nodes * part)), edges=max(1, int(largest.edges * part)))
        yield dict(random_vectors(graph.with_maxima(maxima), generator))


def oversize_graphs(graph: TypedGraph, generator: np.random.Generator) -> Iterator[Arrays]:
    """Graphs of more nodes, more edges, or more of both than the maxima, without end."""
    for more_nodes, more_edges in itertools.cycle([(1, 0), (0, 1), (1, 1), (300, 0), (0, 700)]):
        sizes = {"N": graph.maxima.nodes + more_nodes, "E": graph.maxima.edges + more_edges}
        yield {
            node.name: generator.integers(0, sizes["N"], (sizes["E"], 2))
            if node.tensor.is_index
            else generator.uniform(-9, 9, (sizes[str(node.tensor.shape[0])], node.tensor.width)).astype(np.float32)
            for node in graph.inputs
        }


def mixed(graph: TypedGraph, folder: Path | None, *, seed: int) -> Iterator[tuple[str, Arrays]]:
    """Graphs of every kind and where each comes from, without end."""
    generator = np.random.default_rng(seed)
    sources: dict[str, Iterator[Arrays]] = {"random": random_graphs(graph, generator)}
    if folder is not None:
        sources["real"] = real_graphs(folder)
    oversize = oversize_graphs(graph, generator)
    extremes = [dict(inputs) for inputs in extreme_vectors(graph, seed=seed)]
    yield from (("extreme", inputs) for inputs in extremes)
    for number in itertools.count(1):
        if number % OVERSIZE_EVERY == 0:
            yield "oversize", next(oversize)
        for name, source in sources.items():
            yield name, next(source)


def compare(executor: RtlExecutor, batches: Sequence[Arrays], outcome: Outcome) -> None:
    """Run graphs and add what came of them."""
    golden = make_executor("golden", executor.graph)
    for inputs, result in zip(batches, executor.stream_graphs(batches, check_maxima=False), strict=True):
        outcome.graphs += 1
        outcome.refused += result.flags.refused
        outcome.with_padding += result.flags.index_out_of_range
        if result.flags.refused:
            continue
        size = check_inputs(executor.graph, inputs)
        outcome.nodes, outcome.edges = outcome.nodes + size.nodes, outcome.edges + size.edges
        for name, expected in golden.run_integers(inputs, [node.name for node in executor.graph.outputs]).items():
            outcome.compared += expected.size
            outcome.mismatches += int(np.count_nonzero(expected != result.outputs[name]))
    assert executor.cycles is not None
    outcome.cycles += int(executor.cycles.finished.max() - executor.cycles.entered.min())


def run(executor: RtlExecutor, graphs: int, folder: Path | None, *, seed: int) -> Outcome:
    """Stream so many graphs."""
    outcome, start = Outcome(), time.monotonic()
    source = itertools.islice(mixed(executor.project.graph, folder, seed=seed), graphs)
    stalls = itertools.cycle(STALLS)
    for _ in progress(range(-(-graphs // PER_RUN)), description="stream graphs", total=-(-graphs // PER_RUN)):
        part = list(itertools.islice(source, PER_RUN))
        executor.stalls = next(stalls)
        compare(executor, [inputs for _, inputs in part], outcome)
        for name, _ in part:
            outcome.sources[name] = outcome.sources.get(name, 0) + 1
    outcome.seconds = round(time.monotonic() - start, 1)
    return outcome


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, stream, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graphs", type=int, default=10_000, help="how many (default: 10000)")
    parser.add_argument("--folder", type=Path, help="folder of real graphs")
    parser.add_argument("--network", default="sector-in-8", help="shipped network, or a typed graph's directory")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="parameter of the RTL")
    parser.add_argument("--verilator", type=Path, help="program to use instead of the one found")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    place = Path(options.network)
    graph = TypedGraph.load(place if place.is_dir() else zoo_path(options.network))
    config = load_config(
        RtlConfig, None, {key: yaml.safe_load(value) for key, value in (item.split("=", 1) for item in options.set)}
    )
    start = time.monotonic()
    executor = RtlExecutor(graph, config=config, seed=options.seed, verilator=options.verilator)
    built = round(time.monotonic() - start, 1)
    outcome = run(executor, options.graphs, options.folder, seed=options.seed)
    executor.close()
    record = {
        "network": graph.name,
        "config": config.model_dump(mode="json"),
        "verilator": find_verilator(options.verilator).version,
        "stalls": STALLS,
        "build_seconds": built,
        **asdict(outcome),
        "cycles_per_second": round(outcome.cycles / max(outcome.seconds, 1e-9)),
    }
    Console().print_json(data=record)
    if options.json:
        options.json.write_text(json.dumps(record, indent=2) + "\n")
    return int(outcome.mismatches > 0 or outcome.compared == 0)


if __name__ == "__main__":
    sys.exit(main())
