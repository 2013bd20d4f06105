"""What the requests of the benchmark carry: rows and hits of one event, as arrays and as a file of perf_analyzer."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitfabric.core import DataError
from hitfabric.detector import Event, PairColumns, embedding_features
from hitfabric.fpga_backend import Chain
from hitfabric.pipeline.samples import ChainEvent

PREPARED_ROWS = 1_000_000
"""Rows that perf_analyzer may have to prepare: entries of a file times rows of a request."""
NUMBER = "EVENT_ID"
"""Optional input of `tracking`, an event's number."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Payload:
    """Content of one request; all requests of a payload are alike.

    Attributes:
        model: Name of the model.
        items: Rows or hits.
        inputs: Tensors by name, as the server gets them.
        batched: Whether the rows are a batch of Triton.
    """

    model: str
    items: int
    inputs: Mapping[str, NDArray[Any]]
    batched: bool

    @property
    def name(self) -> str:
        """The model and how much of it."""
        return f"{self.model}, {self.items:,} {'rows' if self.batched else 'hits'}"

    def inputs_of(self, side: str) -> dict[str, NDArray[Any]]:
        """Inputs as a side takes them: an ensemble has no optional inputs, hence no number of the event."""
        dropped = {NUMBER} if side == "ensemble" else set()
        return {name: array for name, array in self.inputs.items() if name not in dropped}

    def write(self, path: Path, side: str) -> None:
        """Write the file that perf_analyzer reads; of a batch every row is an entry of its own.

        It prepares a request that begins at each entry, so that of large batches only the first rows are given, and
        repeated: no executor's time depends on the values.
        """
        inputs = self.inputs_of(side)
        if self.batched:
            ((name, rows),) = inputs.items()
            entries = [{name: {"b64": _text(row)}} for row in rows[: max(PREPARED_ROWS // len(rows), 1)]]
        else:
            entries = [{name: {"b64": _text(array), "shape": array.shape} for name, array in inputs.items()}]
        path.write_text(json.dumps({"data": entries}), encoding="utf-8")


def row_inputs(chain: Chain, event: Event, model: str, rows: int) -> dict[str, NDArray[np.float32]]:
    """Rows of `embedding` or `filter` that an event of this chain gives; repeated where it has too few."""
    features = ChainEvent.select(event, chain.config).features
    if model == "embedding":
        found, name = embedding_features(features), "features"
    else:
        edges = chain.candidate_edges(features)[:rows]
        found = PairColumns.of(features, chain.config.scales, threads=chain.threads).pair_features(edges)
        name = "pairs"
    if len(found) == 0:
        raise DataError(f"event {event.name} gives no row for {model}", remedy="give a larger event")
    return {name: np.ascontiguousarray(np.resize(found, (rows, found.shape[1])), dtype=np.float32)}


def hit_inputs(chain: Chain, event: Event, hits: int | None, *, names: set[str]) -> dict[str, NDArray[Any]]:
    """Hits of an event as `tracking` takes them; a wedge in phi of about so many hits, or all of them.

    Args:
        chain: The chain.
        event: The event.
        hits: How many hits; None takes all.
        names: Inputs the model has; an event's number is sent where it has one.
    """
    features = ChainEvent.select(event, chain.config).features
    if hits is not None:
        share = min(hits / len(features), 1.0)
        features = features[np.mod(features[:, 1], 2 * np.pi) <= 2 * np.pi * share]
    numbers = {NUMBER: np.array([1], dtype=np.int64)} if NUMBER in names else {}
    return {"FEATURES": np.ascontiguousarray(features, dtype=np.float32), **numbers}


def _text(array: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
