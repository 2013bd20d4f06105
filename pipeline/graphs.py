"""`hitfabric graphs`: labelled graphs from events, whole or cut into sectors."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ..core import DataError, RunDirectory, StrictModel, progress
from ..detector import (
    UNLABELLED,
    DoubletCuts,
    Event,
    GraphSample,
    SectorGrid,
    cut_graph,
    edge_features,
    geometric_graph,
    label_edges,
    node_features,
    read_event,
    selected_hits,
    truth_edges,
    write_graph,
)
from ..detector.graph_sample import UNFINISHED
from ..fpga_backend.chain import Chain
from ..reports.size_record import GRAPHS_FILE, GraphSizes
from .graph_sizes import SizeCounts
from .layout import Device, find_model
from .samples import ChainEvent, choose_events

SUMMARY = "graphs.json"


class GraphsConfig(StrictModel):
    """Configuration of `hitfabric graphs`.

    Attributes:
        events: Folder of events with truth and particles.
        out: Folder of the graphs: new, empty, or of an earlier `hitfabric graphs`, whose graphs it replaces.
        kind: `geometric`: doublets by `cuts`. `learned`: the radius graph of a chain's embedding, on all hits that the
            chain takes, labelled by consecutive hits of any particle.
        cuts: Hits and pairs of `geometric`.
        model: Chain of `learned`: run directory of `train`, or a chain directory; None takes the shipped weights.
        device: Executor of the embedding of `learned`.
        sectors: Cut each graph into these sectors, one file each; None writes whole events.
        limit: At most this many events.
        event_names: Only these events.
    """

    events: Path
    out: Path = Path("runs/graphs")
    kind: Literal["geometric", "learned"] = "geometric"
    cuts: DoubletCuts = DoubletCuts()
    model: Path | None = None
    device: Device = "native"
    sectors: SectorGrid | None = None
    limit: int | None = Field(default=None, ge=1)
    event_names: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class GraphsResult:
    """What was written, summed over events.

    Attributes:
        events: Events read.
        files: Graphs written.
        nodes: Nodes of the whole graphs.
        edges: Edges of the whole graphs.
        true_edges: How many of these are true.
        truth: Pairs of consecutive hits of a particle among the nodes, whether the graph joins them or not.
        found: How many of these the graph joins.
        empty_sectors: Sectors without edges, which are not written.
        lost_edges: Edges across borders that belong to no sector.
        lost_true_edges: How many of these are true.
        seconds: Time of graph construction, without reading and writing.
    """

    events: int = 0
    files: int = 0
    nodes: int = 0
    edges: int = 0
    true_edges: int = 0
    truth: int = 0
    found: int = 0
    empty_sectors: int = 0
    lost_edges: int = 0
    lost_true_edges: int = 0
    seconds: float = 0.0

    def __add__(self, other: GraphsResult) -> GraphsResult:
        mine, more = asdict(self), asdict(other)
        return GraphsResult(**{name: mine[name] + more[name] for name in mine})

    def summary(self) -> dict[str, Any]:
        """The counts, and what follows from them: per-event means and ratios, None for 0 / 0."""
        ratios = {
            "nodes_per_event": (self.nodes, self.events),
            "edges_per_event": (self.edges, self.events),
            "edges_per_node": (self.edges, self.nodes),
            "true_share": (self.true_edges, self.edges),
            "efficiency": (self.found, self.truth),
            "border_loss": (self.lost_true_edges, self.true_edges),
        }
        return asdict(self) | {name: part / whole if whole else None for name, (part, whole) in ratios.items()}


def make_graphs(config: GraphsConfig) -> GraphsResult:
    """Write the graphs of every event in the layout `hitfabric train --graphs` reads, and the files of a run.

    These are `graphs.json`, `graph_sizes.json` (the sizes of the files, for `hitfabric report`) and `run.json`.

    Files are named after the event, with sectors `<event>_s000.npz` and so on; the array `owned` in these marks the
    edges that belong to the sector (all of them without overlap).

    Args:
        config: Events and cuts.

    Returns:
        What was written.

    Raises:
        DataError: No events, a malformed file (file, line and column named), no or partial truth, or the folder holds
            graphs that this command did not write.
        GraphError: More edges than the limit.
    """
    prefixes = choose_events(config.events, limit=config.limit, names=config.event_names)
    _clear(config.out)
    config.out.mkdir(parents=True, exist_ok=True)
    unfinished = config.out / UNFINISHED
    unfinished.touch()
    construct = _learned(config) if config.kind == "learned" else _geometric(config.cuts)
    total, sizes = GraphsResult(), SizeCounts()
    for prefix in progress(prefixes, description=f"{config.kind} graphs", total=len(prefixes)):
        total += _write(config, construct(read_event(prefix, require_truth=True)), sizes)
    run = RunDirectory(path=config.out)
    run.write_json(SUMMARY, total.summary())
    what = "event" if config.sectors is None else f"sector, 1 of {config.sectors.sectors}"
    sample = f"{total.events} events of {config.events.name}"
    record = GraphSizes.of(sizes, kind=f"{what}, {config.kind} graph", sample=sample)
    run.write_json(GRAPHS_FILE, [record.model_dump(mode="json")])
    run.record(command="graphs", config=config)
    unfinished.unlink()
    return total


@dataclass(frozen=True, kw_only=True, eq=False)
class _Made:
    """A graph, the true pairs among its nodes, and the time it took."""

    graph: GraphSample
    truth: NDArray[np.int64]
    seconds: float


def _clear(folder: Path) -> None:
    """Remove the graphs of an earlier run; those of others are not touched."""
    old = sorted(folder.glob("*.npz")) if folder.is_dir() else []
    if old and not any((folder / name).is_file() for name in (SUMMARY, UNFINISHED)):
        raise DataError(f"{folder} holds graphs of another origin ({old[0].name})", remedy="give another --out")
    for path in old:
        path.unlink()


def _geometric(cuts: DoubletCuts) -> Callable[[Event], _Made]:
    def construct(event: Event) -> _Made:
        start = time.perf_counter()
        graph = geometric_graph(event, cuts)
        seconds = time.perf_counter() - start
        return _Made(graph=graph, truth=truth_edges(event.take(selected_hits(event, cuts))), seconds=seconds)

    return construct


def _learned(config: GraphsConfig) -> Callable[[Event], _Made]:
    chain = Chain.load(find_model(config.model).chain, config.device)

    def construct(whole: Event) -> _Made:
        part = ChainEvent.select(whole, chain.config)
        event = part.selected
        particle = event.particle_id
        if particle is None or (particle == UNLABELLED).any():
            raise DataError(f"event {whole.name}: not every hit has a label", remedy="give events with whole truth")
        start = time.perf_counter()
        edge_index = chain.candidate_edges(part.features)
        seconds = time.perf_counter() - start
        truth = truth_edges(event)
        graph = GraphSample(
            name=whole.name,
            nodes=node_features(part.features),
            edges=edge_features(part.features, edge_index),
            edge_index=edge_index,
            labels=label_edges(edge_index, truth),
            particle_id=particle,
        )
        return _Made(graph=graph, truth=truth, seconds=seconds)

    return construct


def _write(config: GraphsConfig, made: _Made, sizes: SizeCounts) -> GraphsResult:
    graph = made.graph
    result = GraphsResult(
        events=1,
        nodes=len(graph.nodes),
        edges=len(graph.edges),
        true_edges=int(graph.labels.sum()),
        truth=len(made.truth),
        found=int(label_edges(made.truth, graph.edge_index).sum()),
        seconds=made.seconds,
    )
    if config.sectors is None:
        write_graph(graph, config.out)
        sizes[len(graph.nodes), len(graph.edges)] += 1
        return replace(result, files=1)
    cut = cut_graph(graph, config.sectors)
    written = 0
    for number, part in enumerate(cut.parts):
        if len(part.sample.edges):
            piece = replace(part.sample, name=f"{graph.name}_s{number:03d}")
            write_graph(piece, config.out, owned=part.owned)
            sizes[len(piece.nodes), len(piece.edges)] += 1
            written += 1
    return replace(
        result,
        files=written,
        empty_sectors=len(cut.parts) - written,
        lost_edges=cut.lost_edges,
        lost_true_edges=cut.lost_true_edges,
    )
