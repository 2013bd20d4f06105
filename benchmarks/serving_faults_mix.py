"""The requests of `serving_faults.py`: what is sent, and what must come back.

The right answers are those of the golden executor in this process; a malformed request must be refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitfabric.fpga_backend import Chain, DirectClient

Arrays = Mapping[str, NDArray[Any]]
LARGEST_ROWS = 3000
GRAPH_SIZES = ((0, 0), (1, 0), (1, 1), (40, 90), (256, 512), (700, 1900), (3000, 9000))
EVENT_SIZES = (0, 1, 30, 150, 600, 2000, 8000)
LAYERS_MM = (32.0, 72.0, 116.0, 172.0)
SHARES = {"embedding": 0.32, "filter": 0.27, "interaction_network": 0.13, "tracking": 0.13, "malformed": 0.15}


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One request.

    Attributes:
        model: Model asked.
        inputs: Its tensors.
        expected: Right outputs by name; empty for a malformed request.
        refused: For a malformed request: the tensor that the refusal must name.
    """

    model: str
    inputs: Arrays
    expected: Arrays = field(default_factory=dict)
    refused: str = ""


@dataclass(frozen=True, kw_only=True)
class Mix:
    """Requests by kind, and how they are drawn.

    Attributes:
        cases: Requests by kind, see `SHARES`.
    """

    cases: Mapping[str, tuple[Case, ...]]

    def draw(self, rng: np.random.Generator) -> Case:
        """One request by chance."""
        kind = rng.choice(list(SHARES), p=list(SHARES.values()))
        cases = self.cases[str(kind)]
        return cases[int(rng.integers(len(cases)))]


def make_mix(chain: Chain, *, seed: int = 0, of_each: int = 40) -> Mix:
    """Draw requests and compute their answers.

    Args:
        chain: Computes the right answers.
        seed: Of the random numbers.
        of_each: Requests of rows, each for embedding and filter; graphs and events come in some fixed sizes.
    """
    rng, direct = np.random.default_rng(seed), DirectClient(chain)
    edge_width = _width(chain, "interaction_network", "edges")

    def case(model: str, inputs: Arrays) -> Case:
        outputs = direct.infer(model, inputs)
        # The server's other outputs of tracking are derived from the same arrays.
        expected = {"LABELS": outputs["LABELS"]} if model == "tracking" else outputs
        return Case(model=model, inputs=inputs, expected=expected)

    def rows(model: str, name: str) -> tuple[Case, ...]:
        sizes = [1, LARGEST_ROWS, *np.exp(rng.uniform(0, np.log(LARGEST_ROWS), size=of_each)).astype(int)]
        width = _width(chain, model, name)
        return tuple(case(model, {name: _normal(rng, int(size), width)}) for size in sizes)

    graphs = [_graph(rng, nodes, edges, edge_width) for nodes, edges in GRAPH_SIZES for _ in range(3)]
    events = [{"FEATURES": _event(rng, hits)} for hits in EVENT_SIZES for _ in range(3)]
    return Mix(
        cases={
            "embedding": rows("embedding", "features"),
            "filter": rows("filter", "pairs"),
            "interaction_network": tuple(case("interaction_network", graph) for graph in graphs),
            "tracking": tuple(case("tracking", event) for event in events),
            "malformed": malformed(rng, edge_width),
        }
    )


def malformed(rng: np.random.Generator, edge_width: int) -> tuple[Case, ...]:
    """Requests that must be refused INVALID_ARGUMENT, with the tensor that is wrong."""

    def rows_of(model: str, name: str, array: NDArray[Any]) -> Case:
        return Case(model=model, inputs={name: array}, refused=name)

    def graph_with(name: str, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Case:
        graph = _graph(rng, 12, 30, edge_width)
        return Case(model="interaction_network", inputs={**graph, name: change(graph[name])}, refused=name)

    pairs, features = _normal(rng, 200, 12), _normal(rng, 50, 6)
    return (
        rows_of("filter", "pairs", _spoiled(pairs, np.nan)),
        rows_of("filter", "pairs", pairs[:, :11].copy()),
        rows_of("embedding", "features", _spoiled(features, np.inf)),
        rows_of("embedding", "features", features.astype(np.float64)),
        rows_of("embedding", "features", features[None]),
        rows_of("tracking", "FEATURES", _spoiled(_event(rng, 100), np.nan)),
        rows_of("tracking", "FEATURES", np.zeros((5, 4), dtype=np.float32)),
        graph_with("edge_index", lambda index: index + 12),
        graph_with("edge_index", lambda index: index - 12),
        graph_with("edge_index", lambda index: index[:-1]),
        graph_with("nodes", lambda nodes: _spoiled(nodes, -np.inf)),
    )


def _width(chain: Chain, network: str, tensor: str) -> int:
    return chain.executors[network].graph[tensor].tensor.width


def _normal(rng: np.random.Generator, rows: int, width: int) -> NDArray[np.float32]:
    return rng.normal(size=(rows, width)).astype(np.float32)


def _graph(rng: np.random.Generator, nodes: int, edges: int, edge_width: int) -> dict[str, NDArray[Any]]:
    return {
        "nodes": _normal(rng, nodes, 3),
        "edges": _normal(rng, edges, edge_width),
        "edge_index": rng.integers(0, max(nodes, 1), size=(edges, 2)),
    }


def _event(rng: np.random.Generator, hits: int) -> NDArray[np.float32]:
    """Hits of straight tracks from the origin, float32 [hits, 3]: r (mm), phi (rad), z (mm)."""
    track = rng.integers(0, max(hits // 4, 1), size=hits)
    phi, slope = rng.uniform(-3.1, 3.1, size=hits)[track], rng.uniform(-2, 2, size=hits)[track]
    r = np.array(LAYERS_MM)[rng.integers(0, len(LAYERS_MM), size=hits)]
    return np.stack([r, phi + rng.normal(0, 1e-3, hits), slope * r], axis=1).astype(np.float32)


def _spoiled(array: NDArray[np.float32], value: float) -> NDArray[np.float32]:
    changed = array.copy()
    changed[len(array) // 2, -1] = value
    return changed
