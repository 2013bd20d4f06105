"""Float references: round trip, equality with the network's own forward pass, bad files and bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hitfabric.core import DataError, GraphError
from hitfabric.models.checkpoints import NETWORKS, Trained
from hitfabric.models.float_networks import (
    NETWORK_FILE,
    WEIGHTS_FILE,
    FloatExecutor,
    load_float_network,
    save_float_network,
)
from hitfabric.models.inference import ROWS

KINDS = ("embedding", "filter", "interaction_network")


def make(kind: str, *, quantized: bool = False, **options: Any) -> Trained:
    torch.manual_seed(3)
    network, config = NETWORKS[kind]
    return network(config=config(**options), quantized=quantized)


def inputs_of(network: Trained, rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    sizes = {"R": rows, "N": rows, "E": 2 * rows}
    return {
        name: random.integers(0, rows, (sizes[size], width))
        if name == "edge_index"
        else random.normal(size=(sizes[size], width)).astype(np.float32)
        for name, (size, width) in network.input_shapes.items()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_float_network_comes_back_as_it_was(kind: str, tmp_path: Path) -> None:
    options = {"width": 5, "rounds": 2, "skip": "residual"} if kind == "interaction_network" else {"hidden": (7,)}
    network = make(kind, **options)
    save_float_network(network, tmp_path / "net")
    again = load_float_network(tmp_path / "net")
    assert not again.training and again.config == network.config
    assert {name: value.numpy().tobytes() for name, value in again.state_dict().items()} == {
        name: value.numpy().tobytes() for name, value in network.state_dict().items()
    }
    inputs = inputs_of(network, 50)
    (name,) = network.output_names
    with torch.no_grad():
        expected = network(*(torch.from_numpy(inputs[key]) for key in network.input_shapes)).numpy()
    found = FloatExecutor(again).run(inputs)
    assert list(found) == [name] and found[name].dtype == np.float32
    assert np.array_equal(found[name], expected)


def test_rows_are_computed_in_batches() -> None:
    network = make("embedding", hidden=(4,))
    sizes: list[int] = []
    network.layers.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    found = FloatExecutor(network).run(inputs_of(network, ROWS + 3))
    assert sizes == [ROWS, 3]
    assert found["embedding"].shape == (ROWS + 3, 8)


@pytest.mark.parametrize("kind", KINDS)
def test_a_quantized_network_is_refused(kind: str, tmp_path: Path) -> None:
    network = make(kind, quantized=True)
    with pytest.raises(DataError, match="it is no float"):
        save_float_network(network, tmp_path / "net")
    with pytest.raises(DataError, match="it is no float"):
        FloatExecutor(network)
    assert list(tmp_path.iterdir()) == []


def test_a_weight_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    network = make("filter")
    with torch.no_grad():
        network.layers.dense0.weight[0, 0] = torch.nan
    with pytest.raises(DataError, match=r"layers.dense0.weight is not finite"):
        save_float_network(network, tmp_path / "net")


def test_the_number_of_parameters() -> None:
    network = make("filter", inputs=12, hidden=(32, 32))
    assert sum(parameter.numel() for parameter in network.parameters()) == 12 * 32 + 32 + 32 * 32 + 32 + 32 + 1


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def _other_kind(directory: Path) -> None:
    change(directory / NETWORK_FILE, kind="embedding")


def _unknown_key(directory: Path) -> None:
    change(directory / NETWORK_FILE, code="print(1)")


def _not_json(directory: Path) -> None:
    (directory / NETWORK_FILE).write_text("{")


def _no_weights(directory: Path) -> None:
    (directory / WEIGHTS_FILE).unlink()


def _cut(directory: Path) -> None:
    path = directory / WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:100])


def _pickled(directory: Path) -> None:
    np.savez(directory / WEIGHTS_FILE, **{"layers.dense0.weight": np.array([{}], dtype=object)})


def _other_width(directory: Path) -> None:
    with np.load(directory / WEIGHTS_FILE) as archive:
        arrays = {name: archive[name][:1] for name in archive.files}
    np.savez(directory / WEIGHTS_FILE, **arrays)


def _other_type(directory: Path) -> None:
    with np.load(directory / WEIGHTS_FILE) as archive:
        arrays = {name: archive[name].astype(np.float64) for name in archive.files}
    np.savez(directory / WEIGHTS_FILE, **arrays)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (_other_kind, "hidden|float32|lacks|has "),
        (_unknown_key, "code: Extra inputs are not permitted"),
        (_not_json, "is not JSON"),
        (_no_weights, "cannot read .*weights.npz"),
        (_cut, "cannot read .*weights.npz"),
        (_pickled, "cannot read .*weights.npz"),
        (_other_width, r"expected float32 \[32"),
        (_other_type, "is float64"),
    ],
)
def test_a_harmed_directory_is_named(harm: Any, message: str, tmp_path: Path) -> None:
    save_float_network(make("filter"), tmp_path / "net")
    harm(tmp_path / "net")
    with pytest.raises(DataError, match=message):
        load_float_network(tmp_path / "net")


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*network\.json"):
        load_float_network(tmp_path / "nowhere")


def test_wrong_inputs_are_named() -> None:
    executor = FloatExecutor(make("interaction_network"))
    good = inputs_of(executor.network, 5)
    for name, values in (
        ("nodes", good["nodes"].astype(np.float64)),
        ("edges", good["edges"][:, :3]),
        ("edge_index", good["edge_index"].astype(np.int32)),
    ):
        with pytest.raises(DataError, match=f"input {name} is"):
            executor.run({**good, name: values})
    with pytest.raises(DataError, match="input edges is missing"):
        executor.run({"nodes": good["nodes"], "edge_index": good["edge_index"]})
    with pytest.raises(GraphError, match="no typed graph"):
        _ = executor.graph
    with pytest.raises(GraphError, match="no integers"):
        executor.run_integers(good)
