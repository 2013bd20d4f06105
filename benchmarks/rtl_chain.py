"""Doublet builder and component labelling: cycles and cells of each alone, and cycles of hits to labels."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rtl_cases import SECTOR, Case, network
from rtl_rows import RtlRow, cycles_row, percentile95
from rtl_tracked import tracking_rows

from hitfabric.core import ToolError
from hitfabric.detector import DoubletCuts
from hitfabric.emulation.golden import GoldenExecutor
from hitfabric.hls_projects.rtl_components import SOURCES, ComponentsConfig
from hitfabric.hls_projects.rtl_components_simulation import ComponentsSimulation, ScoredEdges
from hitfabric.hls_projects.rtl_doublets import GRID, DoubletsConfig, doublets_config, integer_doublets, number_layers
from hitfabric.hls_projects.rtl_doublets_simulation import DoubletsSimulation
from hitfabric.hls_projects.rtl_doublets_verilog import parameters, write_doublets
from hitfabric.hls_projects.rtl_estimates import path_figures
from hitfabric.hls_projects.rtl_synthesis import synthesise

Integers = NDArray[np.int64]

CUTS = DoubletCuts()
WANTED = ("LUT", "LUT in pairs", "LUT as memory", "FF", "BRAM18", "DSP", "frequency")
GRAPHS = 160
"""Sectors simulated with each part."""


def chain_rows(case: Case) -> Iterator[RtlRow]:
    """Hits to labels: doublet builder and labelling alone with their cells, then the design of all three."""
    config = doublets_config(
        CUTS.layer_pairs,
        phi_slope_max=CUTS.phi_slope_max,
        z0_max=CUTS.z0_max,
        max_nodes=SECTOR.nodes,
        max_edges=SECTOR.edges,
        sender_rows=4,
    )
    sectors = [item for item in (_hits(graph["nodes"]) for graph in case.graphs) if _fits(item, config)]
    with tempfile.TemporaryDirectory() as folder:
        sources = write_doublets(config, Path(folder))
        workload = f"doublet builder, {config.sender_rows} rows of senders, {len(sectors[:GRAPHS])} pi/4 sectors"
        yield from _built(workload, DoubletsSimulation(config, sources=sources), sectors[:GRAPHS])
        yield from _cells("doublet_builder", sources, parameters(config), seconds=case.seconds)
    scores = ComponentsConfig(max_nodes=SECTOR.nodes, max_edges=SECTOR.edges, logit_bits=_logit_bits())
    back, back_interval = _labelled(scores, case)
    workload = f"component labels, {GRAPHS} pi/4 sectors"
    yield cycles_row(workload, "cycles after the last edge, p95", back)
    yield cycles_row(workload, "interval p95", back_interval, target=85)
    yield from _cells("component_labels", SOURCES, scores.parameters, seconds=case.seconds)
    yield from tracking_rows(case, config, sectors)


def _fits(hits: Integers, config: DoubletsConfig) -> bool:
    return not integer_doublets(hits, config).flags


def _hits(nodes: NDArray[np.float32]) -> Integers:
    """Hits of a published graph on the builder's grid, by layer; what layer a hit is on follows from its position."""
    r, _, z = nodes.astype(np.float64).T * 1000
    barrel = np.abs(z) < 500
    ring = 1 + np.abs(r[:, None] - [32, 72, 116, 172]).argmin(axis=1)
    disc = np.abs(np.abs(z)[:, None] - [600, 700, 820, 960, 1100, 1300, 1500]).argmin(axis=1)
    volume = np.where(barrel, 8, np.where(z < 0, 7, 9))
    layer = np.where(barrel, 2 * ring, np.where(z < 0, 14 - 2 * disc, 2 + 2 * disc))
    numbers = number_layers(CUTS.layer_pairs)
    names = [numbers[int(v), int(n)] for v, n in zip(volume, layer, strict=True)]
    grid = np.floor(nodes.astype(np.float64) * GRID).astype(np.int64)
    hits = np.column_stack([grid, np.array(names, dtype=np.int64)])
    return hits[np.argsort(hits[:, 3], kind="stable")]


def _built(workload: str, simulation: DoubletsSimulation, sectors: Sequence[Integers]) -> Iterator[RtlRow]:
    """95th percentiles of header to status of a graph alone, and of the interval of graphs back to back."""
    alone = simulation.run(sectors, window=1)
    streamed = simulation.run(sectors)
    yield cycles_row(workload, "latency p95", percentile95([item.status - item.header + 1 for item in alone]))
    yield cycles_row(workload, "interval p95", percentile95(np.diff([item.status for item in streamed])), target=85)


def _labelled(config: ComponentsConfig, case: Case) -> tuple[int, int]:
    """95th percentiles of the cycles from the last edge to the status, and of the interval."""
    golden = GoldenExecutor(network("sector-in-8"))
    graphs = [
        ScoredEdges(
            edge_index=graph["edge_index"],
            logits=golden.run_integers(graph)["logits"][:, 0],
            nodes=len(graph["nodes"]),
        )
        for graph in case.graphs[:GRAPHS]
    ]
    simulation = ComponentsSimulation(config)
    alone = simulation.run(graphs, window=1)
    streamed = simulation.run(graphs)
    after = percentile95([item.status - item.last_edge for item in alone])
    return after, percentile95(np.diff([item.status for item in streamed]))


def _logit_bits() -> int:
    graph = network("sector-in-8")
    return next(graph[node.inputs[0]].tensor.format.width for node in graph.outputs)


def _cells(top: str, sources: Sequence[Path], values: Mapping[str, int], *, seconds: float) -> Iterator[RtlRow]:
    try:
        found = synthesise(sources, top, parameters=values, seconds=seconds)
    except ToolError as error:
        yield RtlRow(workload=top, quantity="LUT", value=None, kind=f"not measured: {error.message}")
        return
    for figure in (*found.figures(), *path_figures(found.path)):
        if figure.name in WANTED:
            yield RtlRow(workload=top, quantity=figure.name, value=figure.value, unit=figure.unit, kind=figure.kind)
