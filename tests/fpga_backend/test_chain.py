"""The chain: results, files and bad input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitfabric.core import DataError, GraphError
from hitfabric.detector import connected_components, edge_features, embedding_features, node_features, pair_features
from hitfabric.emulation import make_executor
from hitfabric.fpga_backend import NETWORKS, Chain, ChainConfig, save_chain
from hitfabric.fpga_backend.chain import load_config
from hitfabric.quantization import TypedGraph

MakeHits = Callable[..., np.ndarray]
COMMON = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class StaticExecutor:
    """The golden executor with the limits of the C simulation: what exceeds the static maxima is refused."""

    name = "static"
    maxima_limited = True

    def __init__(self, graph: TypedGraph) -> None:
        self.graph = graph
        self.calls = 0
        self._golden = make_executor("golden", graph)

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs; asserts the sizes the firmware has room for."""
        assert len(inputs["nodes"]) <= self.graph.maxima.nodes
        assert len(inputs["edges"]) <= self.graph.maxima.edges
        self.calls += 1
        return self._golden.run(inputs)

    def run_integers(self, inputs: Mapping[str, np.ndarray], nodes: object = None) -> dict[str, np.ndarray]:
        """Not used by the chain."""
        raise AssertionError


def _stages_by_hand(chain: Chain, features: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The chain written out, with the radius graph by brute force and no hit left out of the graph."""
    run = {name: executor.run for name, executor in chain.executors.items()}
    config = chain.config
    embedding = run["embedding"]({"features": embedding_features(features)})["embedding"].astype(np.float64)
    distance = np.sqrt(((embedding[:, None] - embedding[None]) ** 2).sum(axis=2))
    first, second = np.nonzero(np.triu(distance <= config.radius, k=1))
    pairs = np.stack([first, second], axis=1)
    logits = run["filter"]({"pairs": pair_features(features, pairs)})["logits"][:, 0]
    pairs = pairs[logits >= config.filter_threshold]
    inputs = {"nodes": node_features(features), "edges": edge_features(features, pairs), "edge_index": pairs}
    scores = run["interaction_network"](inputs)["logits"][:, 0] if len(pairs) else np.zeros(0, np.float32)
    labels = connected_components(pairs, scores >= config.interaction_threshold, len(features), config.minimum_hits)
    return labels, pairs, scores


def test_stages_by_hand_agree(chain: Chain, make_hits: MakeHits) -> None:
    # Hits in order of radius: inner to outer is then lower to higher index, whatever the rule for equal radii.
    features = make_hits(120, seed=4)
    features[:, 0] = np.linspace(30, 1000, 120)
    whole = replace(chain, config=chain.config.model_copy(update={"max_neighbours": None}))
    result = whole.track(features)
    labels, pairs, scores = _stages_by_hand(whole, features)
    assert len(pairs) > 20
    assert result.labels.max() >= 0
    assert np.array_equal(result.edge_index, pairs)
    assert np.array_equal(result.scores, scores)
    assert np.array_equal(result.labels, labels)


@COMMON
@given(st.integers(0, 300), st.integers(0, 1000))
def test_native_and_golden_give_the_same_tracks(
    chain: Chain, chain_directory: Path, make_hits: MakeHits, hits: int, seed: int
) -> None:
    features = make_hits(hits, seed)
    native = Chain.load(chain_directory)
    ours, reference = native.track(features), chain.track(features)
    assert np.array_equal(ours.labels, reference.labels)
    assert np.array_equal(ours.edge_index, reference.edge_index)
    assert np.array_equal(ours.scores, reference.scores)


def test_static_sizes_give_the_same_tracks(chain: Chain, make_hits: MakeHits) -> None:
    static = StaticExecutor(chain.executors["interaction_network"].graph)
    packed = replace(chain, executors={**chain.executors, "interaction_network": static})
    features = make_hits(400, seed=5)
    narrow = {"radius": 0.05}  # components that fit the maxima
    packed = replace(packed, config=chain.config.model_copy(update=narrow))
    whole = replace(chain, config=chain.config.model_copy(update=narrow))
    result, reference = packed.track(features), whole.track(features)
    assert static.calls > 1
    assert np.array_equal(result.scores, reference.scores)
    assert np.array_equal(result.labels, reference.labels)


@pytest.mark.slow
def test_the_c_simulation_gives_the_same_tracks(chain: Chain, chain_directory: Path, make_hits: MakeHits) -> None:
    pytest.importorskip("hls4ml")
    narrow = chain.config.model_copy(update={"radius": 0.05})
    simulated = replace(Chain.load(chain_directory, "csim"), config=narrow)
    features = make_hits(300, seed=6)
    result, reference = simulated.track(features), replace(chain, config=narrow).track(features)
    assert len(result.scores) > 64
    assert np.array_equal(result.scores, reference.scores)
    assert np.array_equal(result.labels, reference.labels)


@pytest.mark.parametrize("hits", [0, 1, 2])
def test_tiny_events(chain: Chain, make_hits: MakeHits, hits: int) -> None:
    result = chain.track(make_hits(hits))
    assert result.labels.tolist() == [-1] * hits
    assert result.labels.dtype == np.int64
    assert set(result.seconds) == {"embedding", "radius_graph", "filter", "interaction_network", "track_building"}


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_hit_that_is_not_finite_is_named(chain: Chain, make_hits: MakeHits, value: float) -> None:
    features = make_hits(10)
    features[7, 1] = value
    with pytest.raises(DataError, match="hit 7"):
        chain.track(features)


@pytest.mark.parametrize("array", [np.zeros((3, 3)), np.zeros((3, 4), np.float32), np.zeros(3, np.float32)])
def test_another_type_or_shape_is_refused(chain: Chain, array: np.ndarray) -> None:
    with pytest.raises(DataError, match="FEATURES"):
        chain.track(array)


def test_too_many_edges_are_refused(chain: Chain, make_hits: MakeHits) -> None:
    tight = replace(chain, config=chain.config.model_copy(update={"max_edges": 3}))
    with pytest.raises(GraphError, match="maximum is 3"):
        tight.track(make_hits(200))


def test_saving_and_loading_keeps_everything(chain: Chain, tmp_path: Path, make_hits: MakeHits) -> None:
    chain.save(tmp_path / "copy")
    again = Chain.load(tmp_path / "copy", device="golden")
    assert again.config == chain.config
    assert {n: again.executors[n].graph.digest for n in NETWORKS} == {
        n: chain.executors[n].graph.digest for n in NETWORKS
    }
    features = make_hits(150)
    assert np.array_equal(again.track(features).labels, chain.track(features).labels)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('"radius": 0.25', '"radius": -1', "radius"),
        ('"radius": 0.25', '"radios": 0.25', "radios"),
        ('"minimum_hits": 3', '"minimum_hits": 0', "minimum_hits"),
        ('"version": 1', '"version": 7', "version"),
        ("{", "", "file"),
    ],
)
def test_a_wrong_chain_file_names_the_key(
    chain_directory: Path, tmp_path: Path, old: str, new: str, named: str
) -> None:
    text = (chain_directory / "chain.json").read_text()
    assert old in text
    (tmp_path / "chain.json").write_text(text.replace(old, new, 1))
    with pytest.raises(GraphError, match=named):
        load_config(tmp_path)


def test_a_missing_chain_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=r"chain\.json"):
        Chain.load(tmp_path)


def test_networks_that_do_not_connect_are_refused(graphs: dict[str, TypedGraph], tmp_path: Path) -> None:
    config = ChainConfig(radius=1.0)
    with pytest.raises(GraphError, match=r"network filter has tensor pairs"):
        save_chain(tmp_path / "chain", config=config, graphs={**graphs, "filter": graphs["embedding"]})
    with pytest.raises(GraphError, match="no network embedding"):
        save_chain(tmp_path / "chain", config=config, graphs={"filter": graphs["filter"]})
    assert list(tmp_path.iterdir()) == []
