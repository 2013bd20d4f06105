"""A recipe is how a shipped network came to be: trained again, it is as good as its card says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hitfabric.core import load_config
from hitfabric.detector import GraphSample, read_graphs
from hitfabric.emulation import Executor, make_executor
from hitfabric.models.float_networks import FloatExecutor, load_float_network
from hitfabric.models.metrics_edges import roc_auc, roc_auc_error
from hitfabric.models.zoo import recipe_path, zoo_path
from hitfabric.pipeline.layout import SECTOR_NETWORK
from hitfabric.pipeline.train import TrainConfig, train
from hitfabric.quantization import TypedGraph


def scores(executor: Executor, samples: list[GraphSample]) -> np.ndarray:
    found = [
        executor.run({"nodes": item.nodes, "edges": item.edges, "edge_index": item.edge_index})["logits"][:, 0]
        for item in samples
    ]
    return np.concatenate(found)


@pytest.mark.slow
def test_retraining_gives_the_accuracy_of_the_shipped_weights_within_its_error(
    shared_data: Path, tmp_path: Path
) -> None:
    graphs = shared_data / "trackml_graphs" / "plus_2GeV"
    config = load_config(TrainConfig, recipe_path("sector-in-8"), {"graphs": graphs, "out": tmp_path})
    result = train(config)
    assert result.sector is not None
    first = config.sector.training_graphs
    samples = list(read_graphs(graphs))[first : first + config.sector.validation_graphs]
    labels = np.concatenate([item.labels for item in samples])
    shipped = zoo_path("sector-in-8")
    pairs = [
        (make_executor("golden", TypedGraph.load(path)) for path in (result.sector, shipped)),
        (FloatExecutor(load_float_network(path)) for path in (tmp_path / "float" / SECTOR_NETWORK, shipped / "float")),
    ]
    for retrained, committed in pairs:
        ours, theirs = scores(retrained, samples), scores(committed, samples)
        assert abs(roc_auc(ours, labels) - roc_auc(theirs, labels)) < 3 * roc_auc_error(theirs, labels)
