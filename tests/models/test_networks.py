"""Networks: shapes, the QAT contract, bit equality with the typed graph, checkpoints, lazy imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hitfabric.core import ConfigError, DataError, load_config
from hitfabric.emulation import make_executor
from hitfabric.models import checkpoints, networks
from hitfabric.models.config import EmbeddingConfig, FilterConfig, InteractionConfig
from hitfabric.models.training_loop import calibrate
from hitfabric.quantization import Maxima
from hitfabric.quantization.linter import lint
from hitfabric.quantization.tracer import trace

NODES, EDGES = 30, 60


def make_inputs(seed: int = 0) -> dict[str, tuple[Tensor, ...]]:
    generator = torch.Generator().manual_seed(seed)
    index = torch.randint(0, NODES, (EDGES, 2), generator=generator)
    return {
        "embedding": (torch.randn(40, 6, generator=generator),),
        "filter": (torch.randn(40, 12, generator=generator),),
        "interaction_network": (
            torch.randn(NODES, 3, generator=generator),
            0.01 * torch.randn(EDGES, 4, generator=generator),
            index,
        ),
    }


def make_network(kind: str, *, quantized: bool = True, **options: Any) -> checkpoints.Trained:
    torch.manual_seed(1)
    make, config = checkpoints.NETWORKS[kind]
    return make(config=config(**options), quantized=quantized)


def settled(kind: str, **options: Any) -> checkpoints.Trained:
    """A quantized network whose scales are calibrated."""
    network = make_network(kind, **options)
    inputs = make_inputs()[kind]
    if isinstance(network, networks.InteractionNetwork):
        network.node_scaling.standardise(inputs[0])
        network.edge_scaling.standardise(inputs[1])
    calibrate(network, lambda model: model(*inputs).sum())
    return network.eval()


CASES = [
    ("embedding", {}),
    ("filter", {"weight_bits": 4, "activation_bits": 5, "per_channel": True}),
    ("interaction_network", {"rounds": 1}),
    ("interaction_network", {"rounds": 2, "aggregate_senders": True, "width": 5, "input_bits": 16}),
]


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_networks_keep_the_contract_and_equal_their_typed_graph(kind: str, options: dict[str, object]) -> None:
    network = settled(kind, **options)
    assert lint(network).violations == ()
    graph = trace(network, name=kind, maxima=Maxima(nodes=NODES, edges=EDGES))
    inputs = make_inputs(seed=5)[kind]
    names = [node.name for node in graph.inputs]
    with torch.no_grad():
        expected = network.double()(*(x.double() if x.is_floating_point() else x for x in inputs)).numpy()
    found = make_executor("golden", graph).run(dict(zip(names, (x.numpy() for x in inputs), strict=True)))
    assert np.array_equal(found[graph.outputs[0].name], expected.astype(np.float32))


@pytest.mark.parametrize("kind", list(checkpoints.NETWORKS))
def test_the_float_twin_shares_every_parameter(kind: str) -> None:
    twin = make_network(kind, quantized=False)
    result = make_network(kind).load_state_dict(twin.state_dict(), strict=False)
    assert not result.unexpected_keys
    assert all(name.endswith("scaling_impl.value") for name in result.missing_keys)


def test_padding_edges_change_no_other_edge() -> None:
    network = settled("interaction_network", aggregate_senders=True)
    nodes, edges, index = make_inputs()["interaction_network"]
    padded_index = torch.cat([index, torch.full((5, 2), NODES)])
    padded_edges = torch.cat([edges, torch.ones(5, 4)])
    with torch.no_grad():
        assert torch.equal(network(nodes, padded_edges, padded_index)[:EDGES], network(nodes, edges, index))


def test_input_scaling_standardises() -> None:
    network = make_network("interaction_network", quantized=False)
    assert isinstance(network, networks.InteractionNetwork)
    rows = torch.randn(500, 4) * torch.tensor([1e-3, 1.0, 30.0, 0.2]) + torch.tensor([0.0, 5.0, -3.0, 1.0])
    network.edge_scaling.standardise(rows)
    spread, mean = torch.std_mean(network.edge_scaling(rows), dim=0, correction=0)
    assert torch.allclose(spread, torch.ones(4), atol=1e-4) and torch.allclose(mean, torch.zeros(4), atol=1e-4)


@pytest.mark.parametrize("kind", list(checkpoints.NETWORKS))
def test_checkpoints_come_back_equal(kind: str, tmp_path: Path) -> None:
    network = settled(kind, weight_bits=6)
    checkpoints.save_checkpoint(network, tmp_path / "network.pt")
    loaded = checkpoints.load_checkpoint(tmp_path / "network.pt")
    assert loaded.config == network.config
    inputs = make_inputs(seed=3)[kind]
    with torch.no_grad():
        assert torch.equal(loaded(*inputs), network(*inputs))


def test_wrong_checkpoints_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        checkpoints.load_checkpoint(tmp_path / "none.pt")
    text = tmp_path / "text.pt"
    text.write_text("no checkpoint")
    with pytest.raises(DataError, match="is no checkpoint"):
        checkpoints.load_checkpoint(text)
    torch.save({"kind": "embedding", "config": EmbeddingConfig().model_dump_json(), "state": {}}, text)
    with pytest.raises(DataError, match="of this version"):
        checkpoints.load_checkpoint(text)
    network = make_network("filter")
    content = {"kind": "filter", "config": FilterConfig(hidden=(3,)).model_dump_json(), "state": network.state_dict()}
    torch.save(content, text)
    with pytest.raises(DataError, match="of this version"):
        checkpoints.load_checkpoint(text)


def test_configuration_is_strict() -> None:
    with pytest.raises(ConfigError, match="weight_bits"):
        load_config(InteractionConfig, overrides={"weight_bits": 1})
    with pytest.raises(ConfigError, match="widht"):
        load_config(InteractionConfig, overrides={"widht": 8})


def test_metrics_and_zoo_import_without_torch() -> None:
    code = (
        "import sys; import hitfabric.models, hitfabric.models.metrics, hitfabric.models.training_config; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'brevitas')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
