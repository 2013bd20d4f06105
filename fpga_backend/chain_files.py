"""What a chain directory holds: `chain.json` and one typed graph per network, which must fit each other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from ..core import GraphError, StrictModel, atomic_directory
from ..detector import PIXEL, EdgeInputs, PairScales, PairWindow, TrackBuilderConfig
from ..detector.features import EDGE_INPUT_WIDTHS
from ..detector.track_building import TrackBuilderKind
from ..detector.walkthrough import check_walk
from ..quantization import TypedGraph
from .names import CHAIN_FILE, NETWORKS

Shape = tuple[int | str | None, ...]

# Inputs and outputs each network must have; None is a width that the configuration or the network decides.
INTERFACES: dict[str, dict[str, Shape]] = {
    "embedding": {"features": ("R", 6), "embedding": ("R", None)},
    "filter": {"pairs": ("R", 12), "logits": ("R", 1)},
    "interaction_network": {
        "nodes": ("N", 3),
        "edges": ("E", None),
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
        window: Cuts on the geometry of the radius graph's pairs; None keeps all.
        scales: Divisors of the pair features (filter, and interaction network where `edge_inputs` is `track`).
        filter_threshold: Smallest logit of an edge kept by the filter.
        edge_inputs: Edge features of the interaction network.
        interaction_threshold: Smallest logit of an edge that the track builder takes into account.
        track_builder: `connected_components` or `walkthrough`.
        walk_min: Walkthrough: smallest logit of a hit's best edge that is followed.
        walk_add: Walkthrough: smallest logit of further edges that are followed.
        absorb: Walkthrough: whether tracks absorb the hits and shorter tracks beside them.
        minimum_hits: Fewest hits of a track.
        detector: Name of the detector the networks were trained on.
        volumes: Detector volumes whose hits they were trained on; empty means all.
    """

    version: Literal[1] = 1
    radius: float = Field(gt=0, allow_inf_nan=False)
    max_neighbours: int | None = Field(default=None, ge=1)
    max_edges: int = Field(default=6_000_000, ge=1)
    window: PairWindow | None = None
    scales: PairScales = PIXEL
    filter_threshold: float = Field(default=0.0, allow_inf_nan=False)
    edge_inputs: EdgeInputs = "graph"
    interaction_threshold: float = Field(default=0.0, allow_inf_nan=False)
    track_builder: TrackBuilderKind = "connected_components"
    walk_min: float = Field(default=-2.2, allow_inf_nan=False)
    walk_add: float = Field(default=0.4, allow_inf_nan=False)
    absorb: bool = True
    minimum_hits: int = Field(default=3, ge=1)
    detector: str = "generic"
    volumes: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _builds_tracks(self) -> Self:
        if self.track_builder == "walkthrough":
            check_walk(self.walk_min, self.walk_add, self.minimum_hits)
        return self

    def builder(self) -> TrackBuilderConfig:
        """The settings of `detector.build_tracks`."""
        return TrackBuilderConfig(
            kind=self.track_builder,
            threshold=self.interaction_threshold,
            walk_min=self.walk_min,
            walk_add=self.walk_add,
            absorb=self.absorb,
            minimum_hits=self.minimum_hits,
        )


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
    check_interfaces(graphs, config)
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


def check_interfaces(graphs: Mapping[str, TypedGraph], config: ChainConfig) -> None:
    """Check that the networks have the tensors the chain connects.

    Args:
        graphs: The networks.
        config: Says which edge features the interaction network takes.

    Raises:
        GraphError: Names the network and the tensor.
    """
    edges: dict[str, Shape] = {"edges": ("E", EDGE_INPUT_WIDTHS[config.edge_inputs])}
    for network, interface in INTERFACES.items():
        if network not in graphs:
            raise GraphError(f"the chain has no network {network}", remedy=f"give {', '.join(NETWORKS)}")
        graph = graphs[network]
        shapes = {node.name: node.tensor.shape for node in (*graph.inputs, *graph.outputs)}
        for name, width in interface.items():
            wanted = edges.get(name, width)
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
