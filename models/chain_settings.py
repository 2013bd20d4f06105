"""Cuts between the trained networks of a chain: radius, thresholds, track builder, chosen on validation events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core import progress
from ..detector import TrackBuilderConfig, build_tracks, interaction_features
from .inference import forward_graph, forward_rows
from .metrics import Fiducial, TrackMatching, combine, edge_efficiency_purity, match_tracks
from .networks import EmbeddingNetwork, FilterNetwork, InteractionNetwork
from .training_config import BuilderChoice, ChainTraining
from .training_data import TrainingEvent
from .training_embedding import choose_radius
from .training_filter import PairTable, choose_filter_threshold, make_pairs
from .training_interaction import LabelledGraph, edge_auc

COMPONENT_QUANTILES = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12)
"""Where a threshold below which edges are dropped may lie among the scores of signal edges."""

WALK_QUANTILES = (0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.3)
"""Where the threshold of a walk's best edge may lie."""

ADD_QUANTILES = (0.05, 0.1, 0.2, 0.35, 0.5)
"""Where the threshold of a walk's further edges may lie."""


@dataclass(frozen=True, kw_only=True)
class ChainSettings:
    """Cuts between the networks of a chain.

    Attributes:
        radius: Radius of the graph, in units of the embedding.
        filter_threshold: Edges with a filter logit at or above it go on.
        builder: Track builder and its thresholds.
    """

    radius: float
    filter_threshold: float
    builder: TrackBuilderConfig


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
        hits, places = np.unique(table.edge_index[keep], return_inverse=True)
        places = places.reshape(-1, 2).astype(np.int64)
        data = table.source.data
        nodes, edges = interaction_features(
            table.source.features[hits], places, kind=data.edge_inputs, scales=data.scales
        )
        graph = LabelledGraph(
            nodes=nodes, edges=edges, edge_index=places, labels=table.labels[keep], used=table.used[keep]
        )
        return cls(source=table.source, hits=hits, graph=graph)

    @property
    def edge_index(self) -> NDArray[np.int64]:
        """int64 [E, 2], hits of each edge."""
        return self.hits[self.graph.edge_index]

    def match(
        self, logits: NDArray[np.float32], builder: TrackBuilderConfig, fiducial: Fiducial | None
    ) -> TrackMatching:
        """Build the tracks of the event from the edges' logits [E] and match them."""
        labels = build_tracks(self.edge_index, logits, len(self.source.features), builder)
        return match_tracks(self.source.event, labels, fiducial=fiducial)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The filter and its threshold.

    Attributes:
        network: Edge filter.
        threshold: Edges with a logit at or above it go on.
    """

    network: FilterNetwork
    threshold: float

    @classmethod
    def choose(cls, network: FilterNetwork, tables: Sequence[PairTable], efficiency: float) -> Stage:
        """Choose the threshold that keeps the given fraction of the signal edges of `tables`."""
        logits = [forward_rows(network, table.inputs)[:, 0] for table in tables]
        return cls(network=network, threshold=choose_filter_threshold(logits, tables, efficiency))

    def graphs(self, tables: Iterable[PairTable]) -> list[CandidateGraph]:
        """Apply the filter to the candidate edges of each event."""
        return [
            CandidateGraph.select(table, forward_rows(self.network, table.inputs)[:, 0] >= self.threshold)
            for table in tables
        ]


def settle(
    embedding: EmbeddingNetwork,
    edge_filter: FilterNetwork,
    network: InteractionNetwork,
    validation: Sequence[TrainingEvent],
    config: ChainTraining,
) -> tuple[ChainSettings, dict[str, float]]:
    """Choose the cuts of a chain, one after the other, and measure it.

    Args:
        embedding: Embedding network.
        edge_filter: Edge filter.
        network: Interaction network.
        validation: Events to choose on.
        config: Efficiencies to keep, and how to choose the track builder's thresholds.

    Returns:
        The cuts, and figures on `validation`.

    Raises:
        DataError: The window loses more true edges than the embedding may.
    """
    radius = choose_radius(embedding, validation, config.embedding.efficiency)
    tables = make_pairs(embedding, validation, radius)
    stage = Stage.choose(edge_filter, tables, config.filter.efficiency)
    graphs = stage.graphs(tables)
    builder, matching = choose_builder(network, graphs, config.builder)
    metrics = {
        **_edge_metrics(tables, graphs),
        "interaction_auc": edge_auc(network, [item.graph for item in graphs]),
        **{f"track_{name}": float(value) for name, value in matching.summary().items()},
    }
    return ChainSettings(radius=radius, filter_threshold=stage.threshold, builder=builder), metrics


def choose_builder(
    network: InteractionNetwork,
    graphs: Sequence[CandidateGraph],
    choice: BuilderChoice,
    *,
    fiducial: Fiducial | None = None,
) -> tuple[TrackBuilderConfig, TrackMatching]:
    """Find the track builder's thresholds: the most efficient at the fake rate allowed.

    Args:
        network: Interaction network.
        graphs: Graphs to choose on.
        choice: Kind of builder, fake rate allowed.
        fiducial: Cuts of the track metrics.

    Returns:
        The settings, and the matching they give.
    """
    scores = [forward_graph(network, item.graph.nodes, item.graph.edges, item.graph.edge_index) for item in graphs]
    signal = np.concatenate([score[item.graph.labels] for score, item in zip(scores, graphs, strict=True)])
    tried: list[tuple[TrackBuilderConfig, TrackMatching]] = []
    for builder in progress(_candidates(signal, choice), description="choosing the thresholds of the track builder"):
        found = (item.match(score, builder, fiducial) for score, item in zip(scores, graphs, strict=True))
        tried.append((builder, combine(found)))
    return max(tried, key=lambda item: _merit(item[1], choice.max_fake_rate))


def _candidates(signal: NDArray[np.float32], choice: BuilderChoice) -> list[TrackBuilderConfig]:
    """Settings to try: thresholds lie where signal edges end, at quantiles of their scores."""

    def quantiles(places: Sequence[float]) -> list[float]:
        return [float(value) for value in np.unique(np.quantile(signal, places))]

    if choice.kind == "connected_components":
        return [
            TrackBuilderConfig(threshold=value, minimum_hits=choice.minimum_hits)
            for value in quantiles(np.linspace(0.005, 0.35, 40).tolist())
        ]
    return [
        TrackBuilderConfig(
            kind="walkthrough", threshold=low, walk_min=walk, walk_add=add, minimum_hits=choice.minimum_hits
        )
        for low in quantiles(COMPONENT_QUANTILES)
        for walk in quantiles(WALK_QUANTILES)
        for add in quantiles(ADD_QUANTILES)
        if low <= walk <= add
    ]


def _merit(matching: TrackMatching, max_fake_rate: float) -> tuple[bool, float]:
    efficiency = float(np.nan_to_num(matching.efficiency))
    fake_rate = float(np.nan_to_num(matching.fake_rate, nan=1.0))
    allowed = fake_rate <= max_fake_rate
    return allowed, efficiency if allowed else efficiency - fake_rate


def _edge_metrics(tables: Sequence[PairTable], graphs: Sequence[CandidateGraph]) -> dict[str, float]:
    """Efficiency and purity of true edges, consecutive hits of signal particles, after each stage."""
    hits = sum(len(table.source.features) for table in tables)
    true_edges = sum(len(table.source.signal) for table in tables)
    stages = {
        "radius_graph": [table.source.labels(table.edge_index) for table in tables],
        "filter": [item.source.labels(item.edge_index) for item in graphs],
    }
    metrics: dict[str, float] = {}
    for stage, labels in stages.items():
        found = np.concatenate(labels)
        efficiency, purity = edge_efficiency_purity(np.ones_like(found), found, true_edges=true_edges)
        metrics |= {f"{stage}_efficiency": efficiency, f"{stage}_purity": purity}
        metrics[f"{stage}_edges_per_hit"] = len(found) / hits
    return metrics
