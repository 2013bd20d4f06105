"""Clock cycles of `hitfabric validate`: latency and interval of the RTL on the sector workload, simulated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import progress
from ..core.spread import Workers
from ..emulation.inputs import check_inputs
from ..emulation.rtl_cycles import CycleFigures, GraphCycles
from ..quantization import TypedGraph
from ..reports.cycles_record import NetworkCycles
from .bench import Arrays, Bench, rtl_config_of
from .graph_sizes import network_limit
from .networks import Network
from .sector_workload import sector_workload
from .vectors import random_batch

if TYPE_CHECKING:
    from .validate import ValidateConfig

EXECUTOR = "rtl"
DRAWN = 200


@dataclass(frozen=True, kw_only=True)
class CycleCount:
    """Cycles of one network on one workload.

    Attributes:
        network: Name of the network.
        workload: What was measured, in words.
        sector: Whether it is the network of the sector workload.
        left_out: Graphs of the workload that are larger than the maxima.
        mismatches: Integers of the outputs that differ from the golden executor's.
        figures: The cycles.
        by_graph: The cycles graph by graph.
    """

    network: str
    workload: str
    sector: bool
    left_out: int
    mismatches: int
    figures: CycleFigures
    by_graph: NetworkCycles

    def record(self) -> dict[str, Any]:
        """JSON value; the kind of figure stands in it."""
        values = {key: getattr(self, key) for key in ("network", "workload", "left_out", "mismatches")}
        return {**asdict(self.figures), **values, "kind": self.by_graph.kind}


@dataclass(frozen=True, kw_only=True, eq=False)
class MeasureCycles:
    """Streams a workload through the RTL of a network and counts."""

    network: str
    batches: Sequence[Arrays]
    workload: str
    sector: bool
    left_out: int

    @property
    def label(self) -> str:
        """What it is."""
        return f"cycles of {self.network}"

    def run(self, bench: Bench) -> CycleCount:
        """The count."""
        executor, golden = bench.rtl(self.network), bench.golden(self.network)
        alone, streamed = executor.time_graphs(self.batches)
        found = executor.run_many(self.batches)
        mismatches = 0
        for inputs, outputs in zip(self.batches, found, strict=True):
            expected = golden.run_integers(inputs, list(outputs))
            mismatches += sum(int(np.count_nonzero(expected[name] != outputs[name])) for name in outputs)
        return CycleCount(
            network=self.network,
            workload=self.workload,
            sector=self.sector,
            left_out=self.left_out,
            mismatches=mismatches,
            figures=CycleFigures.of(alone, streamed),
            by_graph=self._by_graph(executor.graph, alone, streamed, mismatches=mismatches),
        )

    def _by_graph(
        self, graph: TypedGraph, alone: GraphCycles, streamed: GraphCycles, *, mismatches: int
    ) -> NetworkCycles:
        sizes = [check_inputs(graph, inputs) for inputs in self.batches]
        of_graphs = graph.is_graph_network
        return NetworkCycles(
            network=self.network,
            workload=self.workload,
            size="edges" if of_graphs else "rows",
            sizes=tuple(size.edges if of_graphs else size.rows for size in sizes),
            latency=tuple(alone.latency.tolist()),
            interval=tuple(streamed.interval.tolist()),
            result_interval=tuple(streamed.result_interval.tolist()),
            limit=network_limit(graph.maxima, self.network) if of_graphs else None,
            left_out=self.left_out,
            mismatches=mismatches,
        )


def count_cycles(
    config: ValidateConfig,
    networks: Sequence[Network],
    graphs: Mapping[str, TypedGraph],
    format_vectors: Mapping[str, Sequence[Arrays]],
    workers: Workers[Bench],
) -> dict[str, CycleCount]:
    """Cycles of every network, by name.

    The network of the sector workload is measured on pi/4 sectors (`sector_workload`); any other on the vectors at the
    extremes of its formats and the random ones.

    Args:
        config: Where the graphs are, how many of them.
        networks: The networks.
        graphs: Typed graphs by name.
        format_vectors: Batches by name that were compared.
        workers: Who does it.

    Raises:
        DataError: A graph is malformed.
        GraphError: The workload has fewer than two graphs within the maxima.
    """
    tasks = []
    for network in networks:
        graph = rtl_config_of(network, config.rtl).sized(graphs[network.name])
        if network.feed == "sector":
            drawn = config.graph_count or DRAWN
            workload, batches = sector_workload(graph, config.graphs, drawn=drawn, seed=config.seed)
        else:
            workload = "format extremes and random batches"
            extra = [random_batch(graph, seed=config.seed, number=k) for k in range(config.random_batches)]
            batches = iter([*format_vectors[network.name], *extra])
        fitting, left_out = _within(graph, batches, None if config.everything else config.graph_count)
        task = MeasureCycles(
            network=network.name,
            batches=fitting,
            workload=workload,
            sector=network.feed == "sector",
            left_out=left_out,
        )
        tasks.append(task)
    found = progress(workers.run(tasks), description="count cycles", total=len(tasks))
    counts = {task.network: count for task, count in found}
    return {network.name: counts[network.name] for network in networks}


def cycles_summary(counts: Mapping[str, CycleCount]) -> dict[str, Any]:
    """{executor: figures} of the network that was measured on the sector workload, or else of the first one."""
    chosen = next((count for count in counts.values() if count.sector), next(iter(counts.values()), None))
    return {} if chosen is None else {EXECUTOR: chosen.record()}


def _within(graph: TypedGraph, batches: Iterator[Arrays], wanted: int | None) -> tuple[list[Arrays], int]:
    """The first graphs within the maxima, and how many before the last of them were not."""
    fitting: list[Arrays] = []
    left_out = 0
    for inputs in batches:
        if len(fitting) == wanted:
            break
        size = check_inputs(graph, inputs)
        if size.nodes <= graph.maxima.nodes and size.edges <= graph.maxima.edges:
            fitting.append(inputs)
        else:
            left_out += 1
    return fitting, left_out
