"""Float twins exported to ONNX compute what they compute in torch, and track as an engine of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hitfabric.core import ConfigError, DataError
from hitfabric.detector.simulation_helix import simulate_helix_event
from hitfabric.fpga_backend import NETWORKS, ChainConfig, ClientConfig, OnnxConfig, open_model
from hitfabric.models import checkpoints
from hitfabric.models.zoo import zoo_path
from hitfabric.pipeline.float_chain import load_float_chain, save_float_chain
from hitfabric.pipeline.float_onnx import EXPORT_PACKAGES, export_float_chain, find_float_chain
from hitfabric.pipeline.simulate import SimulateConfig, simulate
from hitfabric.pipeline.track import TrackConfig, track

for package in EXPORT_PACKAGES:
    pytest.importorskip(package)

CONFIG = ChainConfig(radius=0.2, filter_threshold=-10.0, interaction_threshold=-10.0)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A float chain, and its export."""
    torch.manual_seed(0)
    networks = {name: make(config=config(), quantized=False) for name, (make, config) in checkpoints.NETWORKS.items()}
    folder = tmp_path_factory.mktemp("onnx")
    save_float_chain(folder / "float", CONFIG, networks)
    return folder / "float", export_float_chain(folder / "float", folder / "onnx")


def make_events(folder: Path, *, count: int) -> Path:
    simulate(SimulateConfig(out=folder, events=count, pile_up=3.0, generator="helix"))
    return folder


def _inputs(network: str, sizes: tuple[int, int]) -> dict[str, np.ndarray]:
    rng, (first, second) = np.random.default_rng(1), sizes
    if network == "interaction_network":
        index = rng.integers(0, first, size=(second, 2))
        nodes, edges = rng.normal(size=(first, 3)), rng.normal(size=(second, 4))
        return {"nodes": nodes.astype(np.float32), "edges": edges.astype(np.float32), "edge_index": index}
    name, width = {"embedding": ("features", 6), "filter": ("pairs", 12)}[network]
    return {name: rng.normal(size=(first, width)).astype(np.float32)}


@pytest.mark.parametrize("sizes", [(1, 1), (2, 40), (300, 1000)])
@pytest.mark.parametrize("network", NETWORKS)
def test_onnx_runtime_computes_what_torch_computes(
    folders: tuple[Path, Path], network: str, sizes: tuple[int, int]
) -> None:
    twin, exported = folders
    inputs = _inputs(network, sizes)
    config = ClientConfig(engine="onnx", onnx=OnnxConfig(model=exported / f"{network}.onnx", threads=1))
    with open_model(config, network) as model:
        assert "float reference" in model.metadata.platform and "not the firmware" in model.metadata.platform
        found = model.infer(inputs)
        with pytest.raises(DataError, match="tensor"):
            model.infer({name: array[:, :1] for name, array in inputs.items()})
    wanted = load_float_chain(twin).executors[network].run(inputs)
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert found[name].dtype == np.float32 and found[name].shape == array.shape
        # Both are float32 sums, in different orders.
        np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=1e-5)


def test_the_exported_chain_tracks(folders: tuple[Path, Path]) -> None:
    twin, exported = folders
    features = simulate_helix_event("event", rng=np.random.default_rng(1), pile_up=2.0).features()[:400]
    with open_model(ClientConfig(engine="onnx", onnx=OnnxConfig(model=exported))) as model:
        labels = model.infer({"FEATURES": features})["LABELS"]
    # The thresholds let everything through, so that rounding moves no hit but at the very edge of the radius.
    assert np.mean(labels == load_float_chain(twin).track(features).labels) > 0.95
    assert labels.max() >= 0


def test_a_chain_without_a_twin_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no float twin"):
        find_float_chain(tmp_path / "chain")


@pytest.mark.slow
def test_track_with_the_float_reference_of_the_shipped_weights(tmp_path: Path) -> None:
    events = make_events(tmp_path / "events", count=2)
    tracked = {
        engine: track(TrackConfig.model_validate({"events": events, "out": tmp_path / engine, "engine": engine}))
        for engine in ("direct", "onnx")
    }
    for direct, onnx in zip(tracked["direct"], tracked["onnx"], strict=True):
        assert np.mean(direct.labels == onnx.labels) > 0.5 and onnx.tracks > 0
    assert '"engine": "onnx"' in (tmp_path / "onnx" / "latency.json").read_text()


def test_a_clients_file_replaces_the_options(tmp_path: Path) -> None:
    events = make_events(tmp_path / "events", count=3)
    file = tmp_path / "client.yaml"
    direct = track(TrackConfig(events=events, out=tmp_path / "direct"))
    text = "engine: {engine}\nin_flight: 3\nfall_back_to_direct: {fall_back}\ndirect: {{model: {model}}}\n"
    servers = "triton: {servers: ['127.0.0.1:9'], retry: {attempts: 1}}\n"
    for engine in ("direct", "triton"):
        fall_back = str(engine == "triton").lower()
        file.write_text(text.format(engine=engine, fall_back=fall_back, model=zoo_path("event-pixel")) + servers)
        out = tmp_path / f"client-{engine}"
        found = track(TrackConfig(events=events, out=out, client=file))
        assert [item.name for item in found] == [item.name for item in direct]
        assert all(np.array_equal(one.labels, other.labels) for one, other in zip(found, direct, strict=True))
        said = "3 of 3 computed in this process as no server answered" in (out / "latency.json").read_text()
        assert said == (engine == "triton")
    with pytest.raises(ValueError, match="client replaces url"):
        TrackConfig(events=events, client=file, url="127.0.0.1:1")
    file.write_text("engine: direct\nchain: x\n")
    with pytest.raises(ConfigError, match="chain: Extra inputs"):
        track(TrackConfig(events=events, client=file))
