"""A chain of float networks runs as a chain of typed graphs does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hitfabric.core import DataError, GraphError
from hitfabric.detector.simulation_helix import simulate_helix_event
from hitfabric.fpga_backend import NETWORKS, ChainConfig
from hitfabric.models import checkpoints
from hitfabric.models.checkpoints import Trained
from hitfabric.models.inference import forward_rows
from hitfabric.pipeline.float_chain import load_float_chain, save_float_chain

CONFIG = ChainConfig(radius=0.2, filter_threshold=-10.0, interaction_threshold=-10.0)


def make_networks() -> dict[str, Trained]:
    torch.manual_seed(0)
    return {name: make(config=config(), quantized=False) for name, (make, config) in checkpoints.NETWORKS.items()}


def hits() -> np.ndarray:
    return simulate_helix_event("event", rng=np.random.default_rng(1), pile_up=2.0).features()[:400]


def test_the_chain_comes_back_and_tracks(tmp_path: Path) -> None:
    networks = make_networks()
    save_float_chain(tmp_path / "float", CONFIG, networks)
    chain = load_float_chain(tmp_path / "float")
    assert chain.config == CONFIG and set(chain.executors) == set(NETWORKS)
    features = hits()
    result = chain.track(features)
    candidates = chain.candidate_edges(features)
    assert len(candidates) > 0
    # Thresholds far below every logit let everything through: edges and components are those of the radius graph.
    assert np.array_equal(result.edge_index, candidates)
    assert len(result.scores) == len(candidates) and result.labels.max() >= 0


def test_thresholds_are_those_of_the_float_chain(tmp_path: Path) -> None:
    networks = make_networks()
    save_float_chain(tmp_path / "float", CONFIG.model_copy(update={"filter_threshold": 1e9}), networks)
    assert len(load_float_chain(tmp_path / "float").track(hits()).edge_index) == 0


def test_the_executor_computes_what_training_computed(tmp_path: Path) -> None:
    networks = make_networks()
    save_float_chain(tmp_path / "float", CONFIG, networks)
    chain = load_float_chain(tmp_path / "float")
    rows = np.random.default_rng(0).normal(size=(100, 12)).astype(np.float32)
    found = chain.executors["filter"].run({"pairs": rows})["logits"]
    assert np.array_equal(found, forward_rows(networks["filter"], rows))


def test_a_network_is_missing(tmp_path: Path) -> None:
    networks = make_networks()
    with pytest.raises(GraphError, match="has no network filter"):
        save_float_chain(
            tmp_path / "a", CONFIG, {name: networks[name] for name in ("embedding", "interaction_network")}
        )
    assert not (tmp_path / "a").exists()


def test_networks_in_each_others_place_are_named(tmp_path: Path) -> None:
    networks = make_networks()
    save_float_chain(tmp_path / "a", CONFIG, {**networks, "filter": networks["embedding"]})
    with pytest.raises(GraphError, match="filter holds a float embedding"):
        load_float_chain(tmp_path / "a")


def test_a_chain_without_its_files(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=r"cannot read .*chain.json"):
        load_float_chain(tmp_path)
    save_float_chain(tmp_path / "a", CONFIG, make_networks())
    (tmp_path / "a" / "filter" / "weights.npz").unlink()
    with pytest.raises(DataError, match=r"cannot read .*weights.npz"):
        load_float_chain(tmp_path / "a")


def test_a_float_chain_is_not_saved_as_typed_graphs(tmp_path: Path) -> None:
    save_float_chain(tmp_path / "a", CONFIG, make_networks())
    with pytest.raises(GraphError, match="no typed graph"):
        load_float_chain(tmp_path / "a").save(tmp_path / "b")
