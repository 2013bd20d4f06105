"""Hits to labels in one design: cycles, and labels compared with those of the parts' integers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rtl_cases import Case, network
from rtl_rows import HIGTR, RtlRow, cycles_row, percentile95

from hitfabric.core import GraphError
from hitfabric.emulation.golden import GoldenExecutor
from hitfabric.hls_projects.rtl_components import label_components
from hitfabric.hls_projects.rtl_doublets import GRID, DoubletsConfig, integer_doublets
from hitfabric.hls_projects.rtl_project import cached_rtl_project
from hitfabric.hls_projects.rtl_tracking import TrackedHits, TrackingProject, TrackingSimulation, write_tracking

Integers = NDArray[np.int64]

NETWORK = "sector-in-8"
LARGE_EDGES, AROUND = 468, 25
"""Doublets of the sectors of which each is sent several times in a row: those of a 95th-percentile sector."""

REPEATED, SETTLED = 8, 4
"""Copies of each, and those that pass before intervals count."""

EQUAL = "about: hits to labels; the peer's graphs are those of its own builder"


def tracking_rows(case: Case, config: DoubletsConfig, sectors: Sequence[Integers]) -> Iterator[RtlRow]:
    """Latency and interval of hits to labels.

    Args:
        case: The engine; its update lanes are its node lanes here.
        config: The doublet builder.
        sectors: int64 [hits, 4] of each sector, within the sizes.

    Raises:
        GraphError: A label is not that of the parts.
    """
    engine = cached_rtl_project(network(NETWORK), config=case.engine(update_lanes=case.node_lanes))
    with tempfile.TemporaryDirectory() as folder:
        project = write_tracking(engine, config, Path(folder))
        simulation = TrackingSimulation(project)
        expected = [_labels(hits, project) for hits in sectors]
        alone = _checked(simulation, sectors, expected, window=1)
        streamed = _checked(simulation, sectors, expected)
        sizes = [len(integer_doublets(hits, config).edge_index) for hits in sectors]
        large = [n for n, size in enumerate(sizes) if abs(size - LARGE_EDGES) <= AROUND]
        repeated = [_checked(simulation, [sectors[n]] * REPEATED, [expected[n]] * REPEATED) for n in large]
    intervals = [np.diff([item.status for item in found])[SETTLED - 1 :].mean() for found in repeated]
    row = partial(cycles_row, reference=HIGTR, equal=EQUAL)
    workload = f"hits to labels: doublets, {NETWORK}, components, {case.node_lanes} lanes"
    every = f"{workload}, {len(sectors)} pi/4 sectors"
    yield row(every, "latency p95", percentile95([x.latency for x in alone]), 472)
    yield row(every, "interval p95", percentile95(np.diff([x.status for x in streamed])))
    workload += f", {len(large)} sectors of {LARGE_EDGES} ± {AROUND} edges, each repeated"
    yield row(workload, "latency, largest", max(alone[n].latency for n in large), 472)
    yield row(workload, "interval, mean", round(float(np.mean(intervals)), 1), 85)
    yield row(workload, "interval, largest", float(max(intervals)), 85)


def _labels(hits: Integers, project: TrackingProject) -> Integers:
    """Labels by the integer doublets, the golden network and the reference of the labelling."""
    doublets = integer_doublets(hits, project.doublets)
    inputs = {
        "nodes": (hits[:, :3] / GRID).astype(np.float32),
        "edges": (doublets.features / 4096).astype(np.float32),
        "edge_index": doublets.edge_index,
    }
    logits = GoldenExecutor(network(NETWORK)).run_integers(inputs)["logits"][:, 0]
    return label_components(doublets.edge_index, logits, len(hits), project.components).labels


def _checked(
    simulation: TrackingSimulation, sectors: Sequence[Integers], expected: Sequence[Integers], *, window: int = 0
) -> list[TrackedHits]:
    found = simulation.run(sectors, [True] * len(sectors), window=window)
    for number, (result, labels) in enumerate(zip(found, expected, strict=True)):
        if result.flags or not np.array_equal(result.labels, labels):
            raise GraphError(
                f"sector {number}: flags {result.flags}, or labels that are not those of the parts",
                remedy="report this design as a defect of hitfabric",
            )
    return found
