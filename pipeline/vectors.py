"""Vectors for validation: what the networks see in real events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import DataError
from ..detector import GraphSample, embedding_features, pair_features, phi_sectors, read_graphs
from ..fpga_backend import Chain
from ..quantization import Maxima
from .samples import ChainEvent, event_graph

Arrays = dict[str, NDArray[Any]]

# Ever finer divisions in phi and eta, until enough pieces are within the maxima.
DIVISIONS = ((16, 1), (32, 1), (32, 2), (64, 4), (128, 8), (256, 16), (512, 16), (1024, 32))


@dataclass(kw_only=True)
class EventVectors:
    """Inputs of each network of the chain, taken from events.

    Attributes:
        embedding: Batches of hits.
        filter: Batches of hit pairs of the radius graph.
        pieces: Graphs within the maxima.
        whole: Graphs of whole events.
        hits: Rows in `embedding`.
        pairs: Rows in `filter`.
        edges: Edges in `pieces`.
    """

    embedding: list[Arrays] = field(default_factory=list)
    filter: list[Arrays] = field(default_factory=list)
    pieces: list[Arrays] = field(default_factory=list)
    whole: list[Arrays] = field(default_factory=list)
    hits: int = 0
    pairs: int = 0
    edges: int = 0


def event_vectors(
    chain: Chain, events: Iterator[ChainEvent], *, hits: int, edges: int, graphs: int, seed: int
) -> EventVectors:
    """Take vectors from events until there are enough of every kind.

    Args:
        chain: Chain that turns hits into the networks' inputs.
        events: Events; read only as far as needed.
        hits: Rows for the embedding.
        edges: Rows for the filter, and edges for the interaction network.
        graphs: Graphs for the interaction network.
        seed: Seed of the choice of rows.

    Returns:
        The vectors.

    Raises:
        DataError: The events hold too few.
    """
    vectors, generator = EventVectors(), np.random.default_rng(seed)
    maxima = chain.executors["interaction_network"].graph.maxima
    for event in events:
        if vectors.hits >= hits and vectors.pairs >= edges and _enough_graphs(vectors, graphs, edges):
            break
        features = event.features
        pairs = chain.candidate_edges(features)
        _add_rows(vectors, features, pairs, hits=hits, edges=edges, generator=generator)
        logits = chain.executors["filter"].run({"pairs": pair_features(features, pairs)})["logits"][:, 0]
        kept = pairs[logits >= chain.config.filter_threshold]
        graph = event_graph(event.whole.name, features, kept)
        if not vectors.whole:
            vectors.whole.append(graph_inputs(graph))
        for piece in pieces_within(graph, maxima, wanted=graphs):
            if _enough_graphs(vectors, graphs, edges):
                break
            vectors.pieces.append(graph_inputs(piece))
            vectors.edges += len(piece.edges)
    have = {"hits": vectors.hits, "edges": min(vectors.pairs, vectors.edges), "graphs": len(vectors.pieces)}
    for name, wanted in (("hits", hits), ("edges", edges), ("graphs", graphs)):
        if have[name] < wanted:
            raise DataError(
                f"the events give {have[name]} {name} for validation, {wanted} are wanted",
                remedy=f"give more events or lower {name}",
            )
    return vectors


def sector_vectors(directory: Path, maxima: Maxima, *, graphs: int, limit: int) -> list[Arrays]:
    """Pieces of the sector workload's graphs that are within the maxima.

    Raises:
        DataError: There are no graphs, or too few pieces.
    """
    found: list[Arrays] = []
    for sample in read_graphs(directory, limit):
        found += [graph_inputs(piece) for piece in pieces_within(sample, maxima, wanted=graphs)]
        if len(found) >= graphs:
            return found[:graphs]
    raise DataError(f"{directory} gives {len(found)} graphs, {graphs} are wanted", remedy="give more graphs")


def pieces_within(sample: GraphSample, maxima: Maxima, *, wanted: int) -> list[GraphSample]:
    """Cut a graph into phi-eta pieces, as coarse as gives `wanted` pieces with edges within the maxima.

    Pieces beyond the maxima and edges between pieces are left out: these are vectors, not reconstruction.
    """
    fitting: list[GraphSample] = []
    for sectors, eta_sectors in DIVISIONS:
        parts: Sequence[GraphSample] = [
            part.sample for part in phi_sectors(sample, sectors, eta_sectors=eta_sectors).parts
        ]
        fitting = [part for part in parts if 0 < len(part.edges) <= maxima.edges and len(part.nodes) <= maxima.nodes]
        if len(fitting) >= min(wanted, sectors * eta_sectors):
            break
    return fitting


def graph_inputs(sample: GraphSample) -> Arrays:
    """Inputs of an interaction network."""
    return {"nodes": sample.nodes, "edges": sample.edges, "edge_index": sample.edge_index}


def _enough_graphs(vectors: EventVectors, graphs: int, edges: int) -> bool:
    return len(vectors.pieces) >= graphs and vectors.edges >= edges


def _add_rows(
    vectors: EventVectors,
    features: NDArray[np.float32],
    pairs: NDArray[np.int64],
    *,
    hits: int,
    edges: int,
    generator: np.random.Generator,
) -> None:
    rows = generator.permutation(len(features))[: max(hits - vectors.hits, 0)]
    chosen = pairs[generator.permutation(len(pairs))[: max(edges - vectors.pairs, 0)]]
    if len(rows):
        vectors.embedding.append({"features": embedding_features(features[rows])})
        vectors.hits += len(rows)
    if len(chosen):
        vectors.filter.append({"pairs": pair_features(features, chosen)})
        vectors.pairs += len(chosen)
