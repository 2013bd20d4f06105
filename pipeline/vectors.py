"""Vectors for validation: what the networks see in real events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import DataError
from ..detector import GraphSample, embedding_features, pair_features, phi_sectors, read_graphs
from ..emulation.vectors import random_vectors
from ..fpga_backend import Chain
from ..quantization import Maxima, TypedGraph
from .graph_sizes import SizeCounts
from .networks import Feed
from .samples import ChainEvent, event_graph

Arrays = dict[str, NDArray[Any]]

# Ever finer divisions in phi and eta, until enough pieces are within the maxima.
DIVISIONS = ((16, 1), (32, 1), (32, 2), (64, 4), (128, 8), (256, 16), (512, 16), (1024, 32))


ROWS_PER_BATCH = 4096  # of hits or pairs: what one worker holds at a time


@dataclass(kw_only=True)
class Wanted:
    """How much of the events to take.

    Attributes:
        hits: Rows for the embedding.
        edges: Rows for the filter, and edges for the interaction network.
        graphs: Graphs for the interaction network, and of the sector workload.
        everything: Take all there is, whatever the numbers say.
    """

    hits: int
    edges: int
    graphs: int
    everything: bool = False


@dataclass(kw_only=True)
class Taken:
    """What was taken so far.

    Attributes:
        hits: Rows for the embedding.
        pairs: Rows for the filter.
        graphs: Graphs within the maxima.
        edges: Edges in them.
        events: Events read.
        sectors: Graphs of the sector workload.
        sizes: Graphs taken, by feed.
        beyond: Pieces of graphs left out as larger than the maxima, by feed.
    """

    hits: int = 0
    pairs: int = 0
    graphs: int = 0
    edges: int = 0
    events: int = 0
    sectors: int = 0
    sizes: dict[Feed, SizeCounts] = field(default_factory=dict)
    beyond: dict[Feed, SizeCounts] = field(default_factory=dict)

    def count(self, feed: Feed, sample: GraphSample) -> None:
        """Count a graph taken."""
        self.sizes.setdefault(feed, SizeCounts())[len(sample.nodes), len(sample.edges)] += 1

    def leave_out(self, feed: Feed, samples: Iterable[GraphSample]) -> None:
        """Count graphs that are too large."""
        counts = self.beyond.setdefault(feed, SizeCounts())
        counts.update((len(sample.nodes), len(sample.edges)) for sample in samples)


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Inputs of one network.

    Attributes:
        feed: Whose inputs.
        inputs: By name.
        whole: Whether it is the graph of a whole event, which may exceed the maxima.
    """

    feed: Feed
    inputs: Arrays
    whole: bool = False


def event_batches(
    chain: Chain, events: Iterable[ChainEvent], wanted: Wanted, taken: Taken, *, seed: int, whole_events: bool
) -> Iterator[Batch]:
    """Inputs of the networks of the chain, event by event; no more than one event is held at a time.

    Args:
        chain: Chain that turns hits into the networks' inputs.
        events: Events; read only as far as needed.
        wanted: How much to take.
        taken: Counts what was taken.
        seed: Seed of the choice of rows.
        whole_events: Also give the graph of the first event as a whole.

    Yields:
        Batches of at most `ROWS_PER_BATCH` rows, or one graph.

    Raises:
        DataError: The events hold too few; raised at their end.
    """
    generator = np.random.default_rng(seed)
    maxima = chain.executors["interaction_network"].graph.maxima
    for event in events:
        if not wanted.everything and _enough(taken, wanted):
            break
        taken.events += 1
        features = event.features
        pairs = chain.candidate_edges(features)
        rows = generator.permutation(len(features))[: _left(wanted, wanted.hits, taken.hits)]
        taken.hits += len(rows)
        for part in _chunks(rows):
            yield Batch(feed="embedding", inputs={"features": embedding_features(features[part])})
        rows = generator.permutation(len(pairs))[: _left(wanted, wanted.edges, taken.pairs)]
        taken.pairs += len(rows)
        for part in _chunks(rows):
            yield Batch(feed="filter", inputs={"pairs": pair_features(features, pairs[part], chain.config.scales)})
        kept = chain.filter_logits(features, pairs) >= chain.config.filter_threshold
        graph = event_graph(event.whole.name, features, pairs[kept], chain.config)
        if whole_events and taken.events == 1:
            taken.count("interaction_network", graph)
            yield Batch(feed="interaction_network", inputs=graph_inputs(graph), whole=True)
        pieces = pieces_within(graph, maxima, wanted=wanted.graphs)
        taken.leave_out("interaction_network", pieces.beyond)
        for piece in pieces.within:
            if not wanted.everything and _enough_graphs(taken, wanted):
                break
            taken.graphs += 1
            taken.edges += len(piece.edges)
            taken.count("interaction_network", piece)
            yield Batch(feed="interaction_network", inputs=graph_inputs(piece))
    have = {"hits": taken.hits, "edges": min(taken.pairs, taken.edges), "graphs": taken.graphs}
    for name in have:
        number = getattr(wanted, name)
        if not wanted.everything and have[name] < number:
            raise DataError(
                f"the events give {have[name]} {name} for validation, {number} are wanted",
                remedy=f"give more events or lower {name}",
            )


def sector_batches(directory: Path, maxima: Maxima, wanted: Wanted, taken: Taken, *, limit: int) -> Iterator[Batch]:
    """Pieces of the sector workload's graphs that are within the maxima, graph by graph.

    Raises:
        DataError: There are no graphs, or too few pieces; the latter is raised at their end.
    """
    for sample in read_graphs(directory, None if wanted.everything else limit):
        pieces = pieces_within(sample, maxima, wanted=wanted.graphs)
        taken.leave_out("sector", pieces.beyond)
        for piece in pieces.within:
            if not wanted.everything and taken.sectors == wanted.graphs:
                return
            taken.sectors += 1
            taken.count("sector", piece)
            yield Batch(feed="sector", inputs=graph_inputs(piece))
    if not wanted.everything and taken.sectors < wanted.graphs:
        raise DataError(
            f"{directory} gives {taken.sectors} graphs, {wanted.graphs} are wanted", remedy="give more graphs"
        )


def random_batch(graph: TypedGraph, *, seed: int, number: int) -> Arrays:
    """One batch of random vectors: features over one and a half times each format's range, edges with some padding."""
    generator = np.random.default_rng([seed, number])
    return dict(random_vectors(graph, generator))


@dataclass(frozen=True, kw_only=True, eq=False)
class Pieces:
    """Pieces of a graph: those within the maxima, and those beyond."""

    within: list[GraphSample]
    beyond: list[GraphSample]


def pieces_within(sample: GraphSample, maxima: Maxima, *, wanted: int) -> Pieces:
    """Cut a graph into phi-eta pieces, as coarse as gives `wanted` pieces with edges within the maxima.

    Edges between pieces are left out, as are pieces without edges: these are vectors, not reconstruction.
    """
    pieces = Pieces(within=[], beyond=[])
    for sectors, eta_sectors in DIVISIONS:
        pieces = Pieces(within=[], beyond=[])
        for part in phi_sectors(sample, sectors, eta_sectors=eta_sectors).parts:
            piece = part.sample
            if len(piece.edges):
                fits = len(piece.edges) <= maxima.edges and len(piece.nodes) <= maxima.nodes
                (pieces.within if fits else pieces.beyond).append(piece)
        # More sectors than nodes leave pieces of one node, which have no edges.
        if len(pieces.within) >= min(wanted, sectors * eta_sectors) or sectors * eta_sectors >= len(sample.nodes):
            break
    return pieces


def graph_inputs(sample: GraphSample) -> Arrays:
    """Inputs of an interaction network."""
    return {"nodes": sample.nodes, "edges": sample.edges, "edge_index": sample.edge_index}


def _enough(taken: Taken, wanted: Wanted) -> bool:
    return taken.hits >= wanted.hits and taken.pairs >= wanted.edges and _enough_graphs(taken, wanted)


def _enough_graphs(taken: Taken, wanted: Wanted) -> bool:
    return taken.graphs >= wanted.graphs and taken.edges >= wanted.edges


def _left(wanted: Wanted, number: int, have: int) -> int | None:
    return None if wanted.everything else max(number - have, 0)


def _chunks(rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(rows), ROWS_PER_BATCH):
        yield rows[start : start + ROWS_PER_BATCH]
