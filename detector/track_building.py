"""The track builders behind one function and one configuration model."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from ..core import GraphError, StrictModel
from .track_builder import connected_components
from .walkthrough import WalkthroughSettings, check_walk, walk_tracks

TrackBuilderKind = Literal["connected_components", "walkthrough"]


class TrackBuilderConfig(StrictModel):
    """Which track builder, and its thresholds in logits.

    Attributes:
        kind: `connected_components` or `walkthrough`.
        threshold: Smallest logit of an edge that counts (for the walkthrough: its `component_threshold`).
        walk_min: See `WalkthroughSettings`; connected components have no use for it.
        walk_add: See `WalkthroughSettings`; connected components have no use for it.
        absorb: See `WalkthroughSettings`; connected components have no use for it.
        minimum_hits: Fewest hits of a track.
    """

    kind: TrackBuilderKind = "connected_components"
    threshold: float = Field(default=0.0, allow_inf_nan=False)
    walk_min: float = Field(default=-2.2, allow_inf_nan=False)
    walk_add: float = Field(default=0.4, allow_inf_nan=False)
    absorb: bool = True
    minimum_hits: int = Field(default=3, ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.kind == "walkthrough":
            check_walk(self.walk_min, self.walk_add, self.minimum_hits)
        return self

    def walkthrough(self) -> WalkthroughSettings:
        """The settings of `walk_tracks`."""
        return WalkthroughSettings(
            component_threshold=self.threshold,
            walk_min=self.walk_min,
            walk_add=self.walk_add,
            absorb=self.absorb,
            minimum_hits=self.minimum_hits,
        )


def build_tracks(
    edge_index: NDArray[np.int64], logits: NDArray[np.floating], hits: int, settings: TrackBuilderConfig
) -> NDArray[np.int64]:
    """Build the tracks of one event from scored edges.

    Args:
        edge_index: int64 [edges, 2] hit indices, directed from inner to outer hit (see `inside_out`).
        logits: float [edges], finite.
        hits: Number of hits.
        settings: Which builder, and its thresholds.

    Returns:
        int64 [hits]: label 0, 1, ... in the order of each track's lowest hit index, `NO_TRACK` (-1) elsewhere.

    Raises:
        GraphError: Not one finite logit per edge, an edge that leads out of the event, or a cycle (walkthrough).
    """
    if settings.kind == "walkthrough":
        return walk_tracks(edge_index, logits, hits, settings=settings.walkthrough())
    if not np.isfinite(logits).all():
        raise GraphError("an edge's logit is not finite", remedy="check the network that scored the edges")
    return connected_components(edge_index, logits >= settings.threshold, hits, settings.minimum_hits)
