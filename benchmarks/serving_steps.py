"""The chain in the three steps of 2402.09633's ensemble, and models as wholes: what Triton's Python backend runs.

Embedding; radius graph and filter; interaction network and tracks. Together they compute what `Chain.track` does, of
the same functions; between steps the tensors travel through the server.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hitfabric.detector import (
    PairColumns,
    build_tracks,
    edge_features,
    embedding_features,
    node_features,
    radius_graph,
)
from hitfabric.fpga_backend import Chain
from hitfabric.fpga_backend.served import load_model

Arrays = Mapping[str, NDArray[Any]]


class Step(Protocol):
    """Named tensors in, named tensors out."""

    def __call__(self, inputs: Arrays, /) -> Mapping[str, NDArray[Any]]:
        """Compute the outputs."""
        ...


def open_step(name: str, directory: Path) -> Step:
    """What a model of the Python backend computes.

    Args:
        name: A key of `STEPS`, or `whole`: a served model, by the very code of our own backend's workers.
        directory: Chain directory, or that of a network (`whole` only).
    """
    if name == "whole":
        return load_model(directory, "native").run
    chain, function = Chain.load(directory), STEPS[name]
    return lambda inputs: function(chain, inputs)


def embed(chain: Chain, inputs: Arrays) -> Arrays:
    """FEATURES [hits, 3] to EMBEDDING [hits, dimensions]."""
    features = embedding_features(inputs["FEATURES"])
    return {"EMBEDDING": chain.executors["embedding"].run({"features": features})["embedding"]}


def select(chain: Chain, inputs: Arrays) -> Arrays:
    """FEATURES and EMBEDDING to EDGE_INDEX int64 [edges, 2], the candidates that the filter keeps."""
    features, config = inputs["FEATURES"], chain.config
    candidates = radius_graph(
        inputs["EMBEDDING"],
        config.radius,
        config.max_neighbours,
        features,
        max_edges=config.max_edges,
        window=config.window,
        threads=chain.threads,
    )
    kept = chain.filter_logits(features, candidates) >= config.filter_threshold
    return {"EDGE_INDEX": candidates[kept]}


def connect(chain: Chain, inputs: Arrays) -> Arrays:
    """FEATURES and EDGE_INDEX to SCORES float32 [edges] and LABELS int64 [hits]."""
    features, edge_index = inputs["FEATURES"], inputs["EDGE_INDEX"]
    joined = np.zeros(len(features), dtype=np.bool_)
    joined[edge_index.ravel()] = True
    places = (np.cumsum(joined) - 1)[edge_index]
    if chain.config.edge_inputs == "track":
        columns = PairColumns.of(features, chain.config.scales, threads=chain.threads)
        edges = columns.track_features(edge_index)
    else:
        edges = edge_features(features, edge_index)
    graph = {"nodes": node_features(features[joined]), "edges": edges, "edge_index": places}
    scores = chain.executors["interaction_network"].run(graph)["logits"][:, 0]
    labels = build_tracks(edge_index, scores, len(features), chain.config.builder())
    return {"SCORES": scores, "LABELS": labels}


STEPS = {"embed": embed, "select": select, "connect": connect}
