"""The whole benchmark: which networks, sizes and sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from native_compare import compare_nodes, golden_outputs
from native_graph_sides import onnx_graph_sides, torch_graph_sides
from native_measure import Bench, Settings
from native_networks import (
    Inputs,
    RowNetwork,
    Workload,
    graph_inputs,
    load_interaction_network,
    make_row_network,
    mean_sizes,
    read_inputs,
    row_inputs,
    simulated_graph,
)
from native_onnx import onnx_row_sides
from native_sides import Side, executor_side, torch_row_sides

from hitfabric.quantization import TypedGraph

DISTINCT_ROWS = 100_000
"""Larger inputs repeat these rows, so that the golden executor need not compute more of them."""

NODE_ROWS = 1_000
"""Rows compared at every visible node."""


FULL_SETTINGS = Settings(
    repeats=9, sample_seconds=0.005, side_seconds=2.0, longest_seconds=10.0, longest_reference_seconds=4.0
)
QUICK_SETTINGS = Settings(
    repeats=5, sample_seconds=0.002, side_seconds=0.5, longest_seconds=5.0, longest_reference_seconds=0.5
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to measure.

    Attributes:
        rows: Numbers of rows.
        headline_rows: The one the ratios are taken at.
        graph_sizes: Nodes and edges of the simulated graphs.
        headline_graph: Nodes and edges of the simulated graph that the ratios are taken at where `graphs` is None.
        graphs: Folder of graphs that the ratios are taken at instead.
        graph_count: How many of them.
        threads: Numbers of threads, growing; the last is that of the headline ratios.
        row_networks: Perceptrons.
        graph_networks: Shipped interaction networks.
        compiled: Whether torch.compile joins (for networks with all their weights).
        settings: How long to measure.

    """

    rows: tuple[int, ...] = (1, 100, 1_000, 10_000, 100_000, 1_000_000)
    headline_rows: int = 100_000
    graph_sizes: tuple[tuple[int, int], ...] = (
        (64, 128),
        (256, 512),
        (1_000, 6_000),
        (5_000, 30_000),
        (20_000, 150_000),
        (100_000, 1_000_000),
    )
    headline_graph: tuple[int, int] = (5_000, 30_000)
    graphs: Path | None = None
    graph_count: int = 10
    threads: tuple[int, ...] = (1, 2)
    row_networks: tuple[RowNetwork, ...] = (
        RowNetwork(hidden=(64, 64)),
        RowNetwork(hidden=(256, 256)),
        RowNetwork(hidden=(64, 64), sparsity=0.8),
        RowNetwork(hidden=(256, 256), sparsity=0.8),
    )
    graph_networks: tuple[str, ...] = ("sector-in-40", "event-full")
    compiled: bool = True
    settings: Settings = FULL_SETTINGS


QUICK = Plan(
    rows=(1, 100, 1_000, 10_000, 100_000),
    graph_sizes=((64, 128), (256, 512), (1_000, 6_000), (5_000, 30_000)),
    graph_count=4,
    graph_networks=("sector-in-40",),  # the smaller, where native gains least
    settings=QUICK_SETTINGS,
)


def measure_row_network(bench: Bench, plan: Plan, spec: RowNetwork) -> None:
    """Measure one perceptron with every number of rows and threads."""
    graph = make_row_network(spec)
    (name,) = (node.name for node in graph.inputs)
    rows = row_inputs(min(max(plan.rows), DISTINCT_ROWS))
    golden = golden_outputs(graph, {name: rows})
    compare_nodes(bench.comparison, graph, {name: rows[:NODE_ROWS]}, threads=plan.threads[-1])
    for threads in plan.threads:
        # Float sides do not know of zeros: what is compiled for them is measured once.
        sides = [
            executor_side("native", graph, threads=threads),
            *torch_row_sides(graph, threads=threads, compiled=plan.compiled and not spec.sparsity),
            *onnx_row_sides(graph, rows, threads=threads),
            *_unthreaded(graph, last=threads == plan.threads[-1], csim=not spec.sparsity),
        ]
        for size in sorted(plan.rows):
            repeated = np.arange(size) % len(rows)
            workload = Workload(network=spec.name, items=size, batches=({name: rows[repeated]},))
            bench.measure(workload, sides, threads=threads, golden=[golden[repeated]])
        torch.compiler.reset()


def measure_graph_network(bench: Bench, plan: Plan, name: str) -> None:
    """Measure one shipped interaction network with every size of graph and number of threads."""
    graph, twin = load_interaction_network(name)
    workloads = graph_workloads(plan, name)
    golden = [[golden_outputs(graph, batch) for batch in workload.batches] for workload in workloads]
    compare_nodes(bench.comparison, graph, workloads[0].batches[0], threads=plan.threads[-1])
    for threads in plan.threads:
        sides = [
            executor_side("native", graph, threads=threads),
            *torch_graph_sides(twin, threads=threads, compiled=plan.compiled),
            *onnx_graph_sides(twin, workloads[0].batches[0], threads=threads),
            *_unthreaded(graph, last=threads == plan.threads[-1], csim=True),
        ]
        for workload, outputs in zip(workloads, golden, strict=True):
            bench.measure(workload, sides, threads=threads, golden=outputs)
        torch.compiler.reset()


def graph_workloads(plan: Plan, network: str) -> list[Workload]:
    """Simulated graphs and those of a folder, by size."""
    given: list[Sequence[Inputs]] = [
        (graph_inputs(network, *simulated_graph(nodes, edges)),) for nodes, edges in plan.graph_sizes
    ]
    if plan.graphs is not None:
        given.append(read_inputs(network, plan.graphs, plan.graph_count))
    found = []
    for batches in given:
        nodes, edges = mean_sizes(batches)
        found.append(Workload(network=network, items=edges, nodes=nodes, batches=tuple(batches)))
    return sorted(found, key=lambda workload: workload.items)


def headline_edges(plan: Plan) -> int:
    """Mean number of edges of the graphs that the ratios are taken at."""
    if plan.graphs is None or not plan.graph_networks:
        return plan.headline_graph[1]
    return mean_sizes(read_inputs(plan.graph_networks[0], plan.graphs, plan.graph_count))[1]


def _unthreaded(graph: TypedGraph, *, last: bool, csim: bool) -> list[Side]:
    """Sides that use one thread whatever is asked for: measured beside those with most threads only."""
    names = (("golden", "csim") if csim else ("golden",)) if last else ()
    return [executor_side(name, graph) for name in names]
