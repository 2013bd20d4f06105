"""Training of the whole chain, each network on what the one before it lets through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core import RunDirectory, progress
from ..detector import connected_components, edge_features, list_events, node_features
from .checkpoints import Trained, save_checkpoint
from .inference import forward_graph, forward_rows
from .metrics import Fiducial, TrackMatching, combine, edge_efficiency_purity, match_tracks
from .networks import EmbeddingNetwork, FilterNetwork, InteractionNetwork
from .training_config import ChainTraining
from .training_data import TrainingEvent, load_events
from .training_embedding import choose_radius, train_embedding
from .training_filter import PairTable, choose_filter_threshold, make_pairs, train_filter
from .training_interaction import LabelledGraph, edge_auc, train_interaction
from .training_loop import History


@dataclass(frozen=True, kw_only=True)
class TrainedChain:
    """The networks of the chain and the cuts between them.

    Attributes:
        embedding: Embedding network.
        filter: Edge filter.
        interaction_network: Interaction network.
        radius: Radius of the graph, in units of the embedding.
        filter_threshold: Edges with a filter logit at or above it go on.
        interaction_threshold: Edges with an interaction network logit at or above it are followed.
        minimum_hits: Connected components with fewer hits are no tracks.
        metrics: Figures on the validation events, float32 forward passes.
        history: Training curves by network.
    """

    embedding: EmbeddingNetwork
    filter: FilterNetwork
    interaction_network: InteractionNetwork
    radius: float
    filter_threshold: float
    interaction_threshold: float
    minimum_hits: int
    metrics: Mapping[str, float]
    history: Mapping[str, History]

    @property
    def networks(self) -> dict[str, Trained]:
        """The networks by the names of the chain directory."""
        return {
            "embedding": self.embedding,
            "filter": self.filter,
            "interaction_network": self.interaction_network,
        }

    def settings(self) -> dict[str, float | int]:
        """Radius, thresholds (logits) and minimum hits."""
        return {
            "radius": self.radius,
            "filter_threshold": self.filter_threshold,
            "interaction_threshold": self.interaction_threshold,
            "minimum_hits": self.minimum_hits,
        }

    def save(self, directory: Path) -> None:
        """Write checkpoints `<network>.pt`, curves `<network>.csv`, and `trained.json` (settings and metrics)."""
        for name, network in self.networks.items():
            save_checkpoint(network, directory / f"{name}.pt")
            self.history[name].write(directory / f"{name}.csv")
        RunDirectory(path=directory).write_json(
            "trained.json", {"settings": self.settings(), "metrics": dict(self.metrics)}
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class CandidateGraph:
    """What the filter lets through of one event.

    Attributes:
        source: The event.
        hits: int64 [N], hit of each node; hits without an edge are no nodes.
        graph: Graph over these nodes.
    """

    source: TrainingEvent
    hits: NDArray[np.int64]
    graph: LabelledGraph

    @classmethod
    def select(cls, table: PairTable, keep: NDArray[np.bool_]) -> CandidateGraph:
        """Build the graph of the candidate edges where `keep` (bool [E]) is true."""
        edge_index = table.edge_index[keep]
        hits, places = np.unique(edge_index, return_inverse=True)
        graph = LabelledGraph(
            nodes=node_features(table.source.features[hits]),
            edges=edge_features(table.source.features, edge_index),
            edge_index=places.reshape(-1, 2).astype(np.int64),
            labels=table.labels[keep],
            used=table.used[keep],
        )
        return cls(source=table.source, hits=hits, graph=graph)

    def tracks(self, logits: NDArray[np.float32], threshold: float, minimum_hits: int) -> NDArray[np.int64]:
        """Track label of every hit of the event, int64, from edge logits [E]."""
        labels = np.full(len(self.source.features), -1, dtype=np.int64)
        labels[self.hits] = connected_components(
            self.graph.edge_index, logits >= threshold, hits=len(self.hits), minimum_hits=minimum_hits
        )
        return labels


def train_chain(
    events_directory: Path, out_directory: Path | None = None, config: ChainTraining | None = None
) -> TrainedChain:
    """Train the three networks and choose radius and thresholds.

    Args:
        events_directory: Events in TrackML CSV layout, with truth and particles.
        out_directory: Where checkpoints, curves and `trained.json` go; None writes nothing.
        config: Everything else; None takes the defaults.

    Returns:
        The trained chain.

    Raises:
        DataError: Too few events, events without truth, or nothing to learn from.
    """
    config = config or ChainTraining()
    training, validation = load_events(events_directory, config.data)
    chain = _train(training, validation, config)
    if out_directory is not None:
        chain.save(out_directory)
        used = list_events(events_directory)[: len(training) + len(validation)]
        files = [file for prefix in used for file in sorted(prefix.parent.glob(f"{prefix.name}-*.csv*"))]
        RunDirectory(path=out_directory).record(command="train", config=config, inputs=files, seed=config.seed)
    return chain


def _train(
    training: Sequence[TrainingEvent], validation: Sequence[TrainingEvent], config: ChainTraining
) -> TrainedChain:
    history = {name: History() for name in ("embedding", "filter", "interaction_network")}
    embedding = train_embedding(
        training, validation, config.embedding, seed=config.seed, history=history["embedding"]
    ).network
    radius = choose_radius(embedding, validation, config.embedding.efficiency)
    tables = make_pairs(embedding, training, radius)
    checks = make_pairs(embedding, validation, radius)
    edge_filter = train_filter(tables, checks, config.filter, seed=config.seed, history=history["filter"]).network
    logits = [forward_rows(edge_filter, table.inputs)[:, 0] for table in checks]
    filter_threshold = choose_filter_threshold(logits, checks, config.filter.efficiency)

    graphs = candidate_graphs(edge_filter, tables, filter_threshold)
    check_graphs = candidate_graphs(edge_filter, checks, filter_threshold)
    network = train_interaction(
        [item.graph for item in graphs],
        [item.graph for item in check_graphs],
        config.interaction_network,
        seed=config.seed,
        history=history["interaction_network"],
    ).network
    threshold, matching = choose_interaction_threshold(network, check_graphs, minimum_hits=config.minimum_hits)
    metrics = {
        **_edge_metrics(checks, check_graphs),
        "interaction_auc": edge_auc(network, [item.graph for item in check_graphs]),
        **{f"track_{name}": float(value) for name, value in matching.summary().items()},
    }
    return TrainedChain(
        embedding=embedding,
        filter=edge_filter,
        interaction_network=network,
        radius=radius,
        filter_threshold=filter_threshold,
        interaction_threshold=threshold,
        minimum_hits=config.minimum_hits,
        metrics=metrics,
        history=history,
    )


def candidate_graphs(network: FilterNetwork, tables: Sequence[PairTable], threshold: float) -> list[CandidateGraph]:
    """Apply the filter to the candidate edges of each event."""
    return [CandidateGraph.select(table, forward_rows(network, table.inputs)[:, 0] >= threshold) for table in tables]


def choose_interaction_threshold(
    network: InteractionNetwork,
    graphs: Sequence[CandidateGraph],
    *,
    minimum_hits: int = 3,
    fiducial: Fiducial | None = None,
) -> tuple[float, TrackMatching]:
    """Find the logit threshold whose connected components give the best tracks: efficiency minus fake rate.

    Args:
        network: Interaction network.
        graphs: Graphs to choose on.
        minimum_hits: Connected components with fewer hits are no tracks.
        fiducial: Cuts of the track metrics.

    Returns:
        The threshold, and the matching it gives.
    """
    scores = [forward_graph(network, item.graph.nodes, item.graph.edges, item.graph.edge_index) for item in graphs]
    signal = np.concatenate([score[item.graph.labels] for score, item in zip(scores, graphs, strict=True)])
    # The threshold lies where signal edges end: candidates are quantiles of their scores.
    candidates = np.unique(np.quantile(signal, np.linspace(0.005, 0.35, 40)))
    best: tuple[float, float, TrackMatching] | None = None
    for candidate in progress(candidates, description="choosing the interaction threshold"):
        matching = combine(
            match_tracks(item.source.event, item.tracks(score, float(candidate), minimum_hits), fiducial=fiducial)
            for score, item in zip(scores, graphs, strict=True)
        )
        figure = float(np.nan_to_num(matching.efficiency)) - float(np.nan_to_num(matching.fake_rate, nan=1.0))
        if best is None or figure > best[0]:
            best = (figure, float(candidate), matching)
    assert best is not None
    return best[1], best[2]


def _edge_metrics(tables: Sequence[PairTable], graphs: Sequence[CandidateGraph]) -> dict[str, float]:
    """Efficiency and purity of true edges, consecutive hits of signal particles, after each stage."""
    hits = sum(len(table.source.features) for table in tables)
    true_edges = sum(len(table.source.signal) for table in tables)
    stages = {
        "radius_graph": [table.source.labels(table.edge_index) for table in tables],
        "filter": [item.source.labels(item.hits[item.graph.edge_index]) for item in graphs],
    }
    metrics: dict[str, float] = {}
    for stage, labels in stages.items():
        found = np.concatenate(labels)
        efficiency, purity = edge_efficiency_purity(np.ones_like(found), found, true_edges=true_edges)
        metrics |= {f"{stage}_efficiency": efficiency, f"{stage}_purity": purity}
        metrics[f"{stage}_edges_per_hit"] = len(found) / hits
    return metrics
