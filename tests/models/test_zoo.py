"""Shipped weights: complete, small, described, and as good as their cards say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hitfabric.core import ConfigError
from hitfabric.detector import PIXEL_VOLUMES, read_events, read_graphs
from hitfabric.emulation import make_executor
from hitfabric.fpga_backend.chain import Chain
from hitfabric.models import zoo_names, zoo_path
from hitfabric.models.float_networks import FloatExecutor, load_float_network
from hitfabric.models.metrics import combine, match_tracks, roc_auc
from hitfabric.models.training_cost import float_cost
from hitfabric.quantization import TypedGraph
from hitfabric.quantization.cost import graph_cost
from hitfabric.quantization.nodes import Dense


def test_every_shipped_network_is_described_and_small() -> None:
    assert {"event-pixel", "sector-in-40", "sector-in-4bit", "sector-in-8"} <= set(zoo_names())
    files = [path for name in zoo_names() for path in zoo_path(name).rglob("*") if path.is_file()]
    assert max(path.stat().st_size for path in files) < 1_000_000
    assert sum(path.stat().st_size for path in files) < 3_000_000
    for name in zoo_names():
        assert (zoo_path(name) / "README.md").read_text(encoding="utf-8").startswith(f"# {name}\n")


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"choose one of event-.*sector-in-8"):
        zoo_path("../zoo")


def test_the_shipped_chain_tracks_hits() -> None:
    chain = Chain.load(zoo_path("event-pixel"), "golden")
    assert chain.config.volumes == PIXEL_VOLUMES
    # Four straight tracks from the origin through the barrel layers.
    phi = np.repeat([0.1, 1.3, 2.5, -1.0], 4) + np.tile([0.0, 1e-4, 2e-4, 3e-4], 4)
    radius = np.tile([32.0, 72.0, 116.0, 172.0], 4)
    features = np.stack([radius, phi, radius * 0.3], axis=1).astype(np.float32)
    labels = chain.track(features).labels.reshape(4, 4)
    assert (labels == labels[:, :1]).all() and sorted(labels[:, 0].tolist()) == [0, 1, 2, 3]


@pytest.mark.parametrize(("name", "loss"), [("sector-in-8", 0.001), ("sector-in-40", 0.001), ("sector-in-4bit", 0.003)])
def test_a_sector_network_does_what_its_card_says(name: str, loss: float, shared_data: Path) -> None:
    runners = (
        make_executor("golden", TypedGraph.load(zoo_path(name))),
        FloatExecutor(load_float_network(zoo_path(name) / "float")),
    )
    samples = [sample for sample in read_graphs(shared_data / "trackml_graphs" / "plus_2GeV")][-20:]
    labels = np.concatenate([item.labels for item in samples])
    figures = []
    for runner in runners:
        scores = [
            runner.run({"nodes": item.nodes, "edges": item.edges, "edge_index": item.edge_index})["logits"][:, 0]
            for item in samples
        ]
        figures.append(roc_auc(np.concatenate(scores), labels))
    assert figures[0] > 0.9985 and figures[0] > figures[1] - loss


def test_the_pruned_network_needs_a_hundredth_of_the_bit_operations() -> None:
    graph = TypedGraph.load(zoo_path("sector-in-4bit"))
    hidden = [node for node in graph.nodes if isinstance(node, Dense) and "scaling" not in node.name]
    assert all(node.weight_format.width == 4 for node in hidden)
    weights = np.concatenate([node.weight.ravel() for node in hidden])
    assert np.mean(weights == 0) >= 0.5
    twin = float_cost(load_float_network(zoo_path("sector-in-4bit") / "float"))
    assert 100 * graph_cost(graph).bops < twin["bops"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "volumes", "efficiency", "fake_rate"),
    [("event-pixel", PIXEL_VOLUMES, 0.95, 0.05), ("event-full", None, 0.93, 0.10)],
)
def test_a_chain_does_what_its_card_says(
    name: str, volumes: tuple[int, ...] | None, efficiency: float, fake_rate: float, shared_data: Path
) -> None:
    chain = Chain.load(zoo_path(name))
    outcomes = []
    for event in read_events(shared_data / "acts_ttbar_pu200", names=["event000009030", "event000009031"]):
        selected = event if volumes is None else event.select(volumes=volumes)
        outcomes.append(match_tracks(selected, chain.track(selected.features()).labels))
    matching = combine(outcomes)
    assert matching.efficiency > efficiency and matching.fake_rate < fake_rate
