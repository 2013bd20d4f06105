"""`hitfabric train` on tiny graphs: recipes, float-only networks, resuming, TensorBoard."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from hitfabric.cli.app import app
from hitfabric.core import ConfigError, DataError, load_config
from hitfabric.models.checkpoints import is_quantized, load_checkpoint
from hitfabric.models.float_networks import load_float_network
from hitfabric.pipeline.train import TrainConfig, train
from hitfabric.quantization import TypedGraph
from support.graph_files import write_random_graphs

SHORT = {"float_epochs": 1, "quantized_epochs": 1, "steps": 3}


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graphs")
    write_random_graphs(folder, 4)
    return folder


def config(graphs: Path, out: Path, **schedule: object) -> TrainConfig:
    sector = {
        "training_graphs": 3,
        "validation_graphs": 1,
        "interaction_network": {"network": {"width": 3}, "schedule": {**SHORT, **schedule}},
    }
    return load_config(TrainConfig, None, {"graphs": graphs, "out": out, "sector": sector})


def test_a_sector_network_needs_no_events(graphs: Path, tmp_path: Path) -> None:
    result = train(config(graphs, tmp_path))
    assert result.chain is None and result.sector is not None and result.sector_auc is not None
    assert TypedGraph.load(result.sector).name == "sector_interaction_network"
    assert not (tmp_path / "chain").exists()
    twin = load_float_network(tmp_path / "float" / "sector_interaction_network")
    assert twin.config.width == 3 and not is_quantized(twin)


def test_zero_quantized_epochs_leave_a_float_network(graphs: Path, tmp_path: Path) -> None:
    result = train(config(graphs, tmp_path, quantized_epochs=0))
    assert result.sector == tmp_path / "float" / "sector_interaction_network"
    assert not is_quantized(load_checkpoint(tmp_path / "checkpoints" / "sector_interaction_network.pt"))


def test_resuming_is_asked_for(graphs: Path, tmp_path: Path) -> None:
    settings = config(graphs, tmp_path)
    train(settings)
    state = tmp_path / "checkpoints" / "sector_interaction_network.state"
    finished = state.read_bytes()
    other = config(graphs, tmp_path, steps=2)
    with pytest.raises(DataError, match="train without --resume"):
        train(other.model_copy(update={"resume": True}))
    assert state.read_bytes() == finished
    weights = tmp_path / "sector_interaction_network" / "weights.npz"
    first = weights.read_bytes()
    train(settings.model_copy(update={"resume": True}))
    assert weights.read_bytes() == first
    train(other)  # removes the state and starts anew
    assert state.read_bytes() != finished


def test_the_command_takes_recipes_and_tensorboard(graphs: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    settings = ["sector.training_graphs=3", "sector.validation_graphs=1", "sector.interaction_network.network.width=3"]
    settings += [f"sector.interaction_network.schedule.{name}={value}" for name, value in SHORT.items()]
    arguments = ["train", "--graphs", str(graphs), "--out", str(tmp_path), "--tensorboard", "--json"]
    chosen = [part for item in settings for part in ("--set", item)]
    done = CliRunner().invoke(app, [*arguments, "--recipe", "sector-in-8", *chosen])
    assert done.exit_code == 0, done.output
    assert "sector_auc" in done.stdout
    assert len(list((tmp_path / "tensorboard" / "sector_interaction_network").glob("events.out.tfevents.*"))) == 2
    told = CliRunner().invoke(app, [*arguments[:-2], "--resume", "--recipe", "sector-in-8", *chosen]).stdout.split()
    folder = str(tmp_path / "sector_interaction_network")
    assert {"curves", "describe", "validate", "build"} <= set(told) and told.count(folder) >= 3
    refused = CliRunner().invoke(app, [*arguments, "--recipe", "sector-in-8", "--config", "train.yaml"])
    assert isinstance(refused.exception, ConfigError) and "--recipe and --config" in str(refused.exception)
    unknown = CliRunner().invoke(app, [*arguments, "--recipe", "sector"])
    assert isinstance(unknown.exception, ConfigError) and "sector-in-40" in str(unknown.exception)
