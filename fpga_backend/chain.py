"""The chain from hits to tracks: three networks on the device, graph and track building on the host."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import DataError
from ..detector import (
    GraphSample,
    build_tracks,
    embedding_features,
    interaction_features,
    pack_components,
    pair_features,
    radius_graph,
)
from ..emulation import Executor, make_executor
from ..quantization import TypedGraph
from .chain_files import INTERFACES, ChainConfig, check_interfaces, load_config, load_graphs, save_chain
from .names import NETWORKS

__all__ = [
    "INTERFACES",
    "Chain",
    "ChainConfig",
    "TrackingResult",
    "check_interfaces",
    "load_config",
    "load_graphs",
    "save_chain",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackingResult:
    """Tracks of one event.

    Attributes:
        labels: int64 [hits], 0, 1, ...; -1 is no track.
        edge_index: int64 [edges, 2] (sender, receiver) of the edges the filter kept.
        scores: float32 [edges], logit of the interaction network for each of them.
        seconds: Wall time of each stage.
        candidate_edges: int64 [candidates, 2] edges before the filter; None unless asked for.
        candidate_logits: float32 [candidates], logit of the filter for each of them; None unless asked for.
    """

    labels: NDArray[np.int64]
    edge_index: NDArray[np.int64]
    scores: NDArray[np.float32]
    seconds: Mapping[str, float]
    candidate_edges: NDArray[np.int64] | None = None
    candidate_logits: NDArray[np.float32] | None = None


@dataclass(kw_only=True)
class _Clock:
    """Wall time by stage."""

    seconds: dict[str, float] = field(default_factory=dict)
    last: float = field(default_factory=time.perf_counter)

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = now - self.last
        self.last = now


@dataclass(frozen=True, kw_only=True)
class Chain:
    """Networks and configuration, ready to run.

    Attributes:
        config: Radius, thresholds and limits.
        executors: One executor per network, by its name.
    """

    config: ChainConfig
    executors: Mapping[str, Executor]

    @classmethod
    def from_graphs(cls, config: ChainConfig, graphs: Mapping[str, TypedGraph], *, device: str = "native") -> Chain:
        """Build executors for the three networks.

        Args:
            config: Radius, thresholds and limits.
            graphs: The networks `embedding`, `filter` and `interaction_network`.
            device: Executor (native, csim or golden).

        Raises:
            GraphError: A network is missing, or lacks a tensor the chain needs.
        """
        check_interfaces(graphs, config)
        return cls(config=config, executors={name: make_executor(device, graphs[name]) for name in NETWORKS})

    @classmethod
    def load(cls, directory: Path, device: str = "native") -> Chain:
        """Load a chain directory.

        Args:
            directory: Directory with `chain.json` and one typed graph per network.
            device: Executor (native, csim or golden).

        Raises:
            GraphError: A file is missing or malformed; it is named.
        """
        return cls.from_graphs(load_config(directory), load_graphs(directory), device=device)

    def save(self, directory: Path) -> None:
        """Write configuration and networks as a chain directory, whole or not at all."""
        save_chain(directory, config=self.config, graphs={name: self.executors[name].graph for name in NETWORKS})

    def track(self, features: NDArray[np.float32], *, keep_candidates: bool = False) -> TrackingResult:
        """Find the tracks of one event.

        Args:
            features: float32 [hits, 3]: r (mm), phi (rad), z (mm).
            keep_candidates: Also give the edges before the filter and its logits, for those who measure the stages.

        Returns:
            Labels, kept edges with their scores, and seconds per stage.

        Raises:
            DataError: The array has another type or shape, or a value is not finite.
            GraphError: The radius graph has more than `max_edges` edges, or a component exceeds the device's maxima.
        """
        _check_features(features)
        config, clock = self.config, _Clock()
        embedding = self._embed(features)
        clock.lap("embedding")
        candidates = self._connect(embedding, features)
        clock.lap("radius_graph")
        logits = self.filter_logits(features, candidates)
        edge_index = candidates[logits >= config.filter_threshold]
        clock.lap("filter")
        scores = self._score_edges(features, edge_index)
        clock.lap("interaction_network")
        labels = build_tracks(edge_index, scores, len(features), config.builder())
        clock.lap("track_building")
        return TrackingResult(
            labels=labels,
            edge_index=edge_index,
            scores=scores,
            seconds=clock.seconds,
            candidate_edges=candidates if keep_candidates else None,
            candidate_logits=logits if keep_candidates else None,
        )

    def candidate_edges(self, features: NDArray[np.float32]) -> NDArray[np.int64]:
        """Edges of the radius graph of one event that lie within the window, before the filter.

        Args:
            features: As `track` takes them.

        Returns:
            int64 [edges, 2] (sender, receiver).

        Raises:
            DataError: As `track`.
            GraphError: There are more than `max_edges` edges.
        """
        _check_features(features)
        return self._connect(self._embed(features), features)

    def filter_logits(self, features: NDArray[np.float32], edge_index: NDArray[np.int64]) -> NDArray[np.float32]:
        """Logits of the filter for edges of one event, float32 [edges].

        Args:
            features: As `track` takes them.
            edge_index: int64 [edges, 2] (sender, receiver), as `candidate_edges` gives them.
        """
        pairs = pair_features(features, edge_index, self.config.scales)
        return self._run("filter", {"pairs": pairs})["logits"][:, 0]

    def _embed(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._run("embedding", {"features": embedding_features(features)})["embedding"]

    def _connect(self, embedding: NDArray[np.float32], features: NDArray[np.float32]) -> NDArray[np.int64]:
        config = self.config
        pairs = radius_graph(embedding, config.radius, config.max_neighbours, features, max_edges=config.max_edges)
        return pairs if config.window is None else pairs[config.window.keeps(features, pairs)]

    def _run(self, network: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        return self.executors[network].run(inputs)

    def _score_edges(self, features: NDArray[np.float32], edge_index: NDArray[np.int64]) -> NDArray[np.float32]:
        """Logits of the edges; hits without edges are left out, as no edge depends on them."""
        if len(edge_index) == 0:
            return np.zeros(0, dtype=np.float32)
        used, compact = np.unique(edge_index, return_inverse=True)
        compact = compact.reshape(edge_index.shape).astype(np.int64)
        config = self.config
        nodes, edges = interaction_features(features[used], compact, kind=config.edge_inputs, scales=config.scales)
        executor = self.executors["interaction_network"]
        if not executor.maxima_limited:
            return self._score_graph(nodes, edges, compact)
        maxima = executor.graph.maxima
        sample = GraphSample(
            name="event",
            nodes=nodes,
            edges=edges,
            edge_index=compact,
            labels=np.zeros(len(edges), dtype=np.bool_),
            particle_id=np.zeros(len(nodes), dtype=np.int64),
        )
        scores = np.empty(len(edges), dtype=np.float32)
        for part in pack_components(sample, maxima.nodes, maxima.edges):
            piece = part.sample
            scores[part.edge_rows] = self._score_graph(piece.nodes, piece.edges, piece.edge_index)
        return scores

    def _score_graph(
        self, nodes: NDArray[np.float32], edges: NDArray[np.float32], edge_index: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        if len(edges) == 0:
            return np.zeros(0, dtype=np.float32)
        inputs = {"nodes": nodes, "edges": edges, "edge_index": edge_index}
        return self._run("interaction_network", inputs)["logits"][:, 0]


def _check_features(features: NDArray[np.float32]) -> None:
    remedy = "give r (mm), phi (rad), z (mm) of every hit as float32 [hits, 3]"
    if features.dtype != np.float32 or features.ndim != 2 or features.shape[1] != 3:
        raise DataError(f"FEATURES is {features.dtype} {list(features.shape)}", remedy=remedy)
    if not np.isfinite(features).all():
        row = int(np.argwhere(~np.isfinite(features))[0][0])
        raise DataError(f"FEATURES of hit {row} are not finite", remedy=remedy)
