"""What the chain gives, and how long each stage took."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..emulation import Executor


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackingResult:
    """Tracks of one event.

    Attributes:
        labels: int64 [hits], 0, 1, ...; -1 is no track.
        edge_index: int64 [edges, 2] (sender, receiver) of the edges the filter kept.
        scores: float32 [edges], logit of the interaction network for each of them.
        seconds: Wall time of each stage.
        network_seconds: Of these, in the networks: conversions and transfers to a device included.
        candidate_edges: int64 [candidates, 2] edges before the filter; None unless asked for.
        candidate_logits: float32 [candidates], logit of the filter for each of them; None unless asked for.
    """

    labels: NDArray[np.int64]
    edge_index: NDArray[np.int64]
    scores: NDArray[np.float32]
    seconds: Mapping[str, float]
    network_seconds: float
    candidate_edges: NDArray[np.int64] | None = None
    candidate_logits: NDArray[np.float32] | None = None


@dataclass(kw_only=True)
class StageClock:
    """Wall time by stage, and in the networks.

    Attributes:
        seconds: By stage, so far.
        networks: In the networks, so far.
        last: When the last stage ended.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    networks: float = 0.0
    last: float = field(default_factory=time.perf_counter)

    def lap(self, stage: str) -> None:
        """End a stage."""
        now = time.perf_counter()
        self.seconds[stage] = now - self.last
        self.last = now

    def run(self, executor: Executor, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """Outputs of a network."""
        start = time.perf_counter()
        outputs = executor.run(inputs)
        self.networks += time.perf_counter() - start
        return outputs
