"""The chain from hits to tracks: three networks on the device, graph and track building on the host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core import DataError
from ..detector import (
    GraphSample,
    PairColumns,
    TrackBuilderConfig,
    build_tracks,
    edge_features,
    embedding_features,
    node_features,
    pack_components,
    radius_graph,
)
from ..detector.compiled import compiled_stages
from ..emulation import Executor, make_executor
from ..quantization import TypedGraph
from .chain_files import INTERFACES, ChainConfig, check_interfaces, load_config, load_graphs, save_chain
from .chain_result import StageClock, TrackingResult
from .compiled_chain import CompiledChain, open_compiled
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


FILTER_ROWS = 1 << 16
"""Candidate edges whose features are in memory at a time: 3 MB, which a cache holds."""


@dataclass(frozen=True, kw_only=True)
class Chain:
    """Networks and configuration, ready to run.

    Attributes:
        config: Radius, thresholds and limits.
        executors: One executor per network, by its name.
        threads: Threads of the host stages; None takes all cores this process may use. No result depends on it.
    """

    config: ChainConfig
    executors: Mapping[str, Executor]
    threads: int | None = None

    @classmethod
    def from_graphs(
        cls,
        config: ChainConfig,
        graphs: Mapping[str, TypedGraph],
        *,
        device: str = "native",
        threads: int | None = None,
    ) -> Chain:
        """Build executors for the three networks.

        Args:
            config: Radius, thresholds and limits.
            graphs: The networks `embedding`, `filter` and `interaction_network`.
            device: Executor (native, numpy, csim or golden).
            threads: Threads of the host stages and of the native executors; None takes all cores this process may use.

        Raises:
            GraphError: A network is missing, or lacks a tensor the chain needs.
        """
        check_interfaces(graphs, config)
        options = {"threads": threads} if device == "native" else {}
        executors = {name: make_executor(device, graphs[name], **options) for name in NETWORKS}
        chain = cls(config=config, executors=executors, threads=threads)
        chain.compile_host()
        return chain

    @classmethod
    def load(cls, directory: Path, device: str = "native", *, threads: int | None = None) -> Chain:
        """Load a chain directory.

        Args:
            directory: Directory with `chain.json` and one typed graph per network.
            device: Executor (native, numpy, csim or golden).
            threads: As for `from_graphs`.

        Raises:
            GraphError: A file is missing or malformed; it is named.
        """
        return cls.from_graphs(load_config(directory), load_graphs(directory), device=device, threads=threads)

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
        if not keep_candidates and self._compiled is not None and self._compiled.takes(len(features)):
            found = self._compiled.run(features)
            if found is not None:
                clock = StageClock(seconds=found.seconds, networks=found.network_seconds)
                return self._build(found.edge_index, found.scores, len(features), clock)
        config, clock = self.config, StageClock()
        embedding = self._embed(features, clock)
        clock.lap("embedding")
        candidates = self._connect(embedding, features)
        clock.lap("radius_graph")
        columns = PairColumns.of(features, config.scales, threads=self.threads)
        logits = self._filter(columns, candidates, clock)
        edge_index = candidates[logits >= config.filter_threshold]
        clock.lap("filter")
        scores = self._score_edges(features, columns, edge_index, clock)
        clock.lap("interaction_network")
        result = self._build(edge_index, scores, len(features), clock)
        return replace(result, candidate_edges=candidates, candidate_logits=logits) if keep_candidates else result

    def compile_host(self) -> None:
        """Compile what the host computes, so that no event waits for the compiler.

        Raises:
            ToolError: The compiler failed.
        """
        compiled_stages()
        _ = self._compiled

    @cached_property
    def _compiled(self) -> CompiledChain | None:
        return open_compiled(self.config, self.executors, threads=self.threads, filter_rows=FILTER_ROWS)

    @cached_property
    def _builder(self) -> TrackBuilderConfig:
        return self.config.builder()

    def _build(
        self, edge_index: NDArray[np.int64], scores: NDArray[np.float32], hits: int, clock: StageClock
    ) -> TrackingResult:
        labels = build_tracks(edge_index, scores, hits, self._builder)
        clock.lap("track_building")
        return TrackingResult(
            labels=labels, edge_index=edge_index, scores=scores, seconds=clock.seconds, network_seconds=clock.networks
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
        return self._connect(self._embed(features, StageClock()), features)

    def filter_logits(self, features: NDArray[np.float32], edge_index: NDArray[np.int64]) -> NDArray[np.float32]:
        """Logits of the filter for edges of one event, float32 [edges].

        Args:
            features: As `track` takes them.
            edge_index: int64 [edges, 2] (sender, receiver), as `candidate_edges` gives them.
        """
        columns = PairColumns.of(features, self.config.scales, threads=self.threads)
        return self._filter(columns, edge_index, StageClock())

    def _embed(self, features: NDArray[np.float32], clock: StageClock) -> NDArray[np.float32]:
        inputs = {"features": embedding_features(features)}
        return clock.run(self.executors["embedding"], inputs)["embedding"]

    def _connect(self, embedding: NDArray[np.float32], features: NDArray[np.float32]) -> NDArray[np.int64]:
        config = self.config
        return radius_graph(
            embedding,
            config.radius,
            config.max_neighbours,
            features,
            max_edges=config.max_edges,
            window=config.window,
            threads=self.threads,
        )

    def _filter(self, columns: PairColumns, edge_index: NDArray[np.int64], clock: StageClock) -> NDArray[np.float32]:
        """Logits of the filter; a part of the edges at a time, so that never all of their features are in memory."""
        logits = np.empty(len(edge_index), dtype=np.float32)
        for start in range(0, len(edge_index), FILTER_ROWS):
            part = slice(start, start + FILTER_ROWS)
            pairs = columns.pair_features(edge_index[part])
            logits[part] = clock.run(self.executors["filter"], {"pairs": pairs})["logits"][:, 0]
        return logits

    def _score_edges(
        self, features: NDArray[np.float32], columns: PairColumns, edge_index: NDArray[np.int64], clock: StageClock
    ) -> NDArray[np.float32]:
        """Logits of the edges; hits without edges are left out, as no edge depends on them."""
        if len(edge_index) == 0:
            return np.zeros(0, dtype=np.float32)
        used, compact = _compacted(edge_index, len(features))
        nodes = node_features(features[used])
        if self.config.edge_inputs == "track":
            edges = columns.track_features(edge_index)
        else:
            edges = edge_features(features, edge_index)
        executor = self.executors["interaction_network"]
        if not executor.maxima_limited:
            return self._score_graph(nodes, edges, compact, clock)
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
            scores[part.edge_rows] = self._score_graph(piece.nodes, piece.edges, piece.edge_index, clock)
        return scores

    def _score_graph(
        self, nodes: NDArray[np.float32], edges: NDArray[np.float32], edge_index: NDArray[np.int64], clock: StageClock
    ) -> NDArray[np.float32]:
        if len(edges) == 0:
            return np.zeros(0, dtype=np.float32)
        inputs = {"nodes": nodes, "edges": edges, "edge_index": edge_index}
        return clock.run(self.executors["interaction_network"], inputs)["logits"][:, 0]


def _compacted(edge_index: NDArray[np.int64], hits: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hits that have an edge, ascending, and the edges between their places in that list."""
    joined = np.zeros(hits, dtype=np.bool_)
    joined[edge_index.ravel()] = True
    place = np.cumsum(joined) - 1
    return np.flatnonzero(joined), place[edge_index]


def _check_features(features: NDArray[np.float32]) -> None:
    remedy = "give r (mm), phi (rad), z (mm) of every hit as float32 [hits, 3]"
    if features.dtype != np.float32 or features.ndim != 2 or features.shape[1] != 3:
        raise DataError(f"FEATURES is {features.dtype} {list(features.shape)}", remedy=remedy)
    if not np.isfinite(features).all():
        row = int(np.argwhere(~np.isfinite(features))[0][0])
        raise DataError(f"FEATURES of hit {row} are not finite", remedy=remedy)
