"""The chain's settings: track builder, window, scales and edge features, and their files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hitfabric.core import GraphError
from hitfabric.detector import (
    ALL_LAYERS,
    PairWindow,
    TrackBuilderConfig,
    WalkthroughSettings,
    node_features,
    pair_features,
    track_features,
    walk_tracks,
)
from hitfabric.fpga_backend import Chain, ChainConfig, save_chain
from hitfabric.fpga_backend.chain import load_config
from hitfabric.quantization import TypedGraph

MakeHits = Callable[..., np.ndarray]
MakeNetwork = Callable[..., TypedGraph]


@pytest.fixture(scope="session")
def walking(chain: Chain) -> Chain:
    """The chain with the walkthrough."""
    changed = {"track_builder": "walkthrough", "interaction_threshold": -2.0, "walk_min": -1.0, "walk_add": 0.5}
    return replace(chain, config=ChainConfig(**{**chain.config.model_dump(), **changed}))


def test_the_walkthrough_runs_on_the_scores_of_the_chain(chain: Chain, walking: Chain, make_hits: MakeHits) -> None:
    features = make_hits(300, seed=8)
    result = walking.track(features)
    settings = WalkthroughSettings(component_threshold=-2.0, walk_min=-1.0, walk_add=0.5, minimum_hits=3)
    assert result.labels.max() >= 1
    assert np.array_equal(result.labels, walk_tracks(result.edge_index, result.scores, 300, settings=settings))
    assert not np.array_equal(result.labels, chain.track(features).labels)


def test_candidates_are_given_when_asked_for(chain: Chain, make_hits: MakeHits) -> None:
    features = make_hits(200, seed=9)
    result = chain.track(features, keep_candidates=True)
    assert result.candidate_edges is not None
    assert result.candidate_logits is not None
    assert np.array_equal(result.candidate_edges, chain.candidate_edges(features))
    assert np.array_equal(result.candidate_logits, chain.filter_logits(features, result.candidate_edges))
    kept = result.candidate_logits >= chain.config.filter_threshold
    assert np.array_equal(result.candidate_edges[kept], result.edge_index)
    assert chain.track(features).candidate_edges is None


def test_the_window_cuts_the_candidates(chain: Chain, make_hits: MakeHits) -> None:
    features = make_hits(300, seed=10)
    window = PairWindow(max_phi_slope=0.05, max_z0=1000.0)  # wide: the random embedding joins any hits
    narrow = replace(chain, config=chain.config.model_copy(update={"window": window}))
    pairs = chain.candidate_edges(features)
    inside = window.keeps(features, pairs)
    assert 0 < inside.sum() < len(pairs)
    assert np.array_equal(narrow.candidate_edges(features), pairs[inside])


def test_other_scales_and_edge_features_reach_the_networks(
    graphs: dict[str, TypedGraph], config: ChainConfig, make_hits: MakeHits, make_interaction_network: MakeNetwork
) -> None:
    network = make_interaction_network(seed=4, edge_features=6)
    wide = config.model_copy(update={"edge_inputs": "track", "scales": ALL_LAYERS})
    chain = Chain.from_graphs(wide, {**graphs, "interaction_network": network}, device="golden")
    features = make_hits(200, seed=11)
    result = chain.track(features)
    pairs = chain.candidate_edges(features)
    logits = chain.executors["filter"].run({"pairs": pair_features(features, pairs, ALL_LAYERS)})["logits"][:, 0]
    assert np.array_equal(result.edge_index, pairs[logits >= wide.filter_threshold])
    inputs = {
        "nodes": node_features(features),
        "edges": track_features(features, result.edge_index, ALL_LAYERS),
        "edge_index": result.edge_index,
    }
    assert len(result.scores) > 20
    assert np.array_equal(result.scores, chain.executors["interaction_network"].run(inputs)["logits"][:, 0])


def test_edge_features_of_another_width_are_refused(graphs: dict[str, TypedGraph], tmp_path: Path) -> None:
    config = ChainConfig(radius=1.0, edge_inputs="track")
    with pytest.raises(GraphError, match=r"interaction_network has tensor edges of shape \('E', 4\); .*\('E', 6\)"):
        save_chain(tmp_path / "chain", config=config, graphs=graphs)


def test_a_chain_file_of_before_the_walkthrough_reads_as_it_did(tmp_path: Path) -> None:
    (tmp_path / "chain.json").write_text('{"version": 1, "radius": 0.1, "interaction_threshold": 0.5}')
    config = load_config(tmp_path)
    assert config.builder() == TrackBuilderConfig(kind="connected_components", threshold=0.5, minimum_hits=3)
    assert config.window is None
    assert config.edge_inputs == "graph"


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ('"track_builder": "kalman"', "track_builder"),
        ('"track_builder": "walkthrough", "walk_min": 1, "walk_add": 0', "walk_add 0.0 is below walk_min 1.0"),
        ('"track_builder": "walkthrough", "minimum_hits": 1', "two hits or more"),
        ('"window": {"max_z0": -1}', "window.max_z0"),
    ],
)
def test_wrong_settings_of_the_builder_are_named(tmp_path: Path, changed: str, named: str) -> None:
    (tmp_path / "chain.json").write_text(f'{{"radius": 0.1, {changed}}}')
    with pytest.raises(GraphError, match=named):
        load_config(tmp_path)
