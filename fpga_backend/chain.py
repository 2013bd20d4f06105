"""The chain from hits to tracks: three networks on the device, graph and track building on the host."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from ..core import DataError, GraphError, StrictModel, atomic_directory
from ..detector import (
    GraphSample,
    connected_components,
    edge_features,
    embedding_features,
    node_features,
    pack_components,
    pair_features,
    radius_graph,
)
from ..emulation import Executor, make_executor
from ..quantization import TypedGraph
from .names import CHAIN_FILE, NETWORKS

# Inputs and outputs each network must have; None is a width the chain does not depend on.
INTERFACES: dict[str, dict[str, tuple[int | str | None, ...]]] = {
    "embedding": {"features": ("R", 6), "embedding": ("R", None)},
    "filter": {"pairs": ("R", 12), "logits": ("R", 1)},
    "interaction_network": {
        "nodes": ("N", 3),
        "edges": ("E", 4),
        "edge_index": ("E", 2),
        "logits": ("E", 1),
    },
}


class ChainConfig(StrictModel):
    """What the chain needs besides its networks; stored as `chain.json`.

    Attributes:
        version: Version of the file.
        radius: Largest distance of neighbours in embedding space.
        max_neighbours: Neighbours kept per hit, nearest first; None keeps all.
        max_edges: Most edges of the radius graph; an event beyond it is refused.
        filter_threshold: Smallest logit of an edge kept by the filter.
        interaction_threshold: Smallest logit of an edge kept by the interaction network.
        minimum_hits: Fewest hits of a track.
        detector: Name of the detector the networks were trained on.
        volumes: Detector volumes whose hits they were trained on; empty means all.
    """

    version: Literal[1] = 1
    radius: float = Field(gt=0, allow_inf_nan=False)
    max_neighbours: int | None = Field(default=None, ge=1)
    max_edges: int = Field(default=2_000_000, ge=1)
    filter_threshold: float = Field(default=0.0, allow_inf_nan=False)
    interaction_threshold: float = Field(default=0.0, allow_inf_nan=False)
    minimum_hits: int = Field(default=3, ge=1)
    detector: str = "generic"
    volumes: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackingResult:
    """Tracks of one event.

    Attributes:
        labels: int64 [hits], 0, 1, ...; -1 is no track.
        edge_index: int64 [edges, 2] (sender, receiver) of the edges the filter kept.
        scores: float32 [edges], logit of the interaction network for each of them.
        seconds: Wall time of each stage.
    """

    labels: NDArray[np.int64]
    edge_index: NDArray[np.int64]
    scores: NDArray[np.float32]
    seconds: Mapping[str, float]


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
        check_interfaces(graphs)
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

    def track(self, features: NDArray[np.float32]) -> TrackingResult:
        """Find the tracks of one event.

        Args:
            features: float32 [hits, 3]: r (mm), phi (rad), z (mm).

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
        edge_index = self._connect(embedding, features)
        clock.lap("radius_graph")
        logits = self.filter_logits(features, edge_index)
        edge_index = edge_index[logits >= config.filter_threshold]
        clock.lap("filter")
        scores = self._score_edges(features, edge_index)
        clock.lap("interaction_network")
        keep = scores >= config.interaction_threshold
        labels = connected_components(edge_index, keep, len(features), config.minimum_hits)
        clock.lap("connected_components")
        return TrackingResult(labels=labels, edge_index=edge_index, scores=scores, seconds=clock.seconds)

    def candidate_edges(self, features: NDArray[np.float32]) -> NDArray[np.int64]:
        """Edges of the radius graph of one event, before the filter.

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
        return self._run("filter", {"pairs": pair_features(features, edge_index)})["logits"][:, 0]

    def _embed(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._run("embedding", {"features": embedding_features(features)})["embedding"]

    def _connect(self, embedding: NDArray[np.float32], features: NDArray[np.float32]) -> NDArray[np.int64]:
        config = self.config
        return radius_graph(embedding, config.radius, config.max_neighbours, features, max_edges=config.max_edges)

    def _run(self, network: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        return self.executors[network].run(inputs)

    def _score_edges(self, features: NDArray[np.float32], edge_index: NDArray[np.int64]) -> NDArray[np.float32]:
        """Logits of the edges; hits without edges are left out, as no edge depends on them."""
        if len(edge_index) == 0:
            return np.zeros(0, dtype=np.float32)
        used, compact = np.unique(edge_index, return_inverse=True)
        compact = compact.reshape(edge_index.shape).astype(np.int64)
        nodes, edges = node_features(features)[used], edge_features(features, edge_index)
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


def save_chain(
    directory: Path,
    *,
    config: ChainConfig,
    graphs: Mapping[str, TypedGraph],
    provenance: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Write a chain directory, whole or not at all.

    Args:
        directory: Directory to write; an existing one is replaced.
        config: Radius, thresholds and limits.
        graphs: The networks `embedding`, `filter` and `interaction_network`.
        provenance: What made each network, by its name.

    Raises:
        GraphError: A network is missing, or lacks a tensor the chain needs.
    """
    check_interfaces(graphs)
    with atomic_directory(directory) as temporary:
        (temporary / CHAIN_FILE).write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")
        for name in NETWORKS:
            graphs[name].save(temporary / name, provenance=(provenance or {}).get(name))


def load_config(directory: Path) -> ChainConfig:
    """Read `chain.json`.

    Raises:
        GraphError: It is missing or malformed.
    """
    path = directory / CHAIN_FILE
    remedy = "give a chain directory as written by hitfabric build"
    try:
        return ChainConfig.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise GraphError(f"cannot read {path}", remedy=remedy) from error
    except ValidationError as error:
        details = ", ".join(f"{'.'.join(map(str, item['loc'])) or 'file'}: {item['msg']}" for item in error.errors())
        raise GraphError(f"{path}: {details}", remedy=remedy) from error


def load_graphs(directory: Path) -> dict[str, TypedGraph]:
    """Read the networks of a chain directory by name."""
    return {name: TypedGraph.load(directory / name) for name in NETWORKS}


def check_interfaces(graphs: Mapping[str, TypedGraph]) -> None:
    """Check that the networks have the tensors the chain connects.

    Raises:
        GraphError: Names the network and the tensor.
    """
    for network, interface in INTERFACES.items():
        if network not in graphs:
            raise GraphError(f"the chain has no network {network}", remedy=f"give {', '.join(NETWORKS)}")
        graph = graphs[network]
        shapes = {node.name: node.tensor.shape for node in (*graph.inputs, *graph.outputs)}
        for name, wanted in interface.items():
            found = shapes.get(name)
            if (
                found is None
                or len(found) != len(wanted)
                or any(want not in (None, have) for want, have in zip(wanted, found, strict=True))
            ):
                raise GraphError(
                    f"network {network} has tensor {name} of shape {found}", remedy=f"build it with shape {wanted}"
                )
        if extra := set(shapes) - set(interface):
            raise GraphError(f"network {network} has tensors {sorted(extra)}", remedy=f"use {sorted(interface)}")


def _check_features(features: NDArray[np.float32]) -> None:
    remedy = "give r (mm), phi (rad), z (mm) of every hit as float32 [hits, 3]"
    if features.dtype != np.float32 or features.ndim != 2 or features.shape[1] != 3:
        raise DataError(f"FEATURES is {features.dtype} {list(features.shape)}", remedy=remedy)
    if not np.isfinite(features).all():
        row = int(np.argwhere(~np.isfinite(features))[0][0])
        raise DataError(f"FEATURES of hit {row} are not finite", remedy=remedy)
