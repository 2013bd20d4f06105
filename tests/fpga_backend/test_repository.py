"""The model repository, read back by Triton's own configuration schema."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup

from hitfabric.core import ConfigError, GraphError
from hitfabric.fpga_backend import MODELS, Chain, write_repository
from hitfabric.fpga_backend.repository import ModelOptions
from hitfabric.fpga_backend.repository_config import model_config
from hitfabric.fpga_backend.signature import Signature, tracking_signature
from hitfabric.quantization import TypedGraph


def _config(directory: Path, model: str) -> ModelConfig:
    return text_format.Parse((directory / model / "config.pbtxt").read_text(), ModelConfig())


def _tensors(tensors: Iterable[Any]) -> dict[str, list[int]]:
    return {tensor.name: list(tensor.dims) for tensor in tensors}


def test_configurations_say_what_the_networks_take(chain_directory: Path, tmp_path: Path) -> None:
    repository = write_repository(
        tmp_path / "models", chain_directory, device="golden", instances=3, python="/a b/py\"'", worker_timeout_ms=7
    )
    assert sorted(path.name for path in repository.iterdir()) == sorted(MODELS)
    filters, network, tracking = (_config(repository, name) for name in ("filter", "interaction_network", "tracking"))
    assert (_tensors(filters.input), _tensors(filters.output)) == ({"pairs": [12]}, {"logits": [1]})
    assert filters.max_batch_size == 1_000_000
    assert filters.HasField("dynamic_batching")
    assert _tensors(network.input) == {"nodes": [-1, 3], "edges": [-1, 4], "edge_index": [-1, 2]}
    assert _tensors(tracking.input) == {"FEATURES": [-1, 3], "EVENT_ID": [1]}
    assert [tensor.optional for tensor in tracking.input] == [False, True]
    assert _tensors(tracking.output) == {"LABELS": [-1], "EVENT_ID": [1], "EDGE_INDEX": [-1, 2], "SCORES": [-1]}
    assert tracking.max_batch_size == network.max_batch_size == 0
    for config in (filters, network, tracking):
        assert config.backend == "hitfabric"
        assert [(group.kind, group.count) for group in config.instance_group] == [(ModelInstanceGroup.KIND_CPU, 3)]
        assert config.parameters["python"].string_value == "/a b/py\"'"
        assert config.parameters["worker_timeout_ms"].string_value == "7"


def test_the_repository_holds_all_the_workers_need(
    chain_directory: Path, graphs: dict[str, TypedGraph], tmp_path: Path
) -> None:
    repository = write_repository(tmp_path / "models", chain_directory, device="golden")
    moved = repository.rename(tmp_path / "moved")
    assert (
        Chain.load(moved / "tracking" / "1" / "model", "golden").config == Chain.load(chain_directory, "golden").config
    )
    assert TypedGraph.load(moved / "filter" / "1" / "model").digest == graphs["filter"].digest
    assert Signature.load(moved / "tracking" / "1") == tracking_signature()


@pytest.mark.parametrize(
    ("device", "settings", "static"),
    [
        ("csim", (), True),
        ("xrt", ("xclbin=a.xclbin",), True),
        ("shadow", ("answers=xrt", "xclbin=a.xclbin"), True),
        ("shadow", (), False),
    ],
)
def test_static_sizes_are_the_limits_of_firmware(
    chain_directory: Path, tmp_path: Path, device: str, settings: tuple[str, ...], static: bool
) -> None:
    options = ModelOptions(device=device, settings=settings)
    repository = write_repository(tmp_path / "models", chain_directory, options=options)
    limits = Signature.load(repository / "interaction_network" / "1").limits
    assert (limits == {"N": 64, "E": 128}) == static


def test_nothing_is_left_when_it_fails(chain_directory: Path, tmp_path: Path) -> None:
    broken = tmp_path / "chain"
    Chain.load(chain_directory, "golden").save(broken)
    (broken / "filter" / "weights.npz").write_bytes(b"no archive")
    with pytest.raises(GraphError):
        write_repository(tmp_path / "models", broken)
    assert [path.name for path in tmp_path.iterdir()] == ["chain"]


def test_models_that_exist_are_replaced_whole_and_others_stay(chain_directory: Path, tmp_path: Path) -> None:
    repository = write_repository(tmp_path / "models", chain_directory, version=7)
    (repository / "embedding" / "stale").mkdir()
    (repository / "ensemble" / "1").mkdir(parents=True)
    write_repository(tmp_path / "models", chain_directory)
    assert sorted(path.name for path in repository.iterdir()) == sorted([*MODELS, "ensemble"])
    assert sorted(path.name for path in (repository / "embedding").iterdir()) == ["1", "config.pbtxt"]
    assert [path.name for path in tmp_path.iterdir()] == ["models"]


@pytest.mark.parametrize(
    "options",
    [
        {"device": "gpu"},
        {"instances": 0},
        {"worker_timeout_ms": 0},
        {"version": 0},
        {"name": "../itk"},
        {"name": ""},
        {"options": ModelOptions(threads=0)},
        {"options": ModelOptions(max_queue_size=0)},
        {"options": ModelOptions(max_queue_delay_us=-1)},
        {"options": ModelOptions(versions=0)},
        {"options": ModelOptions(settings=["speed=9"])},
        {"options": ModelOptions(settings=["check_share=0.1"])},  # a setting of shadow
        {"options": ModelOptions(settings=["threads=1"], threads=1)},
    ],
)
def test_wrong_options_are_refused(chain_directory: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        write_repository(tmp_path / "models", chain_directory, **options)
    assert list(tmp_path.iterdir()) == []


def test_text_is_quoted() -> None:
    text = model_config("a", tracking_signature(), instances=1, parameters={"k": 'a\\b"c\nd'})
    assert text_format.Parse(text, ModelConfig()).parameters["k"].string_value == 'a\\b"c\nd'


def test_queues_versions_and_threads(chain_directory: Path, tmp_path: Path) -> None:
    options = ModelOptions(
        device="shadow",
        instances=10_000,
        settings=["check_share=0.5"],
        max_queue_size=9,
        max_queue_delay_us=70,
        versions=2,
    )
    repository = write_repository(tmp_path / "models", chain_directory, options=options)
    rows, tracking = _config(repository, "filter"), _config(repository, "tracking")
    assert rows.dynamic_batching.max_queue_delay_microseconds == 70
    assert tracking.dynamic_batching.max_queue_delay_microseconds == 0  # there is nothing to join
    for config in (rows, tracking):
        assert config.dynamic_batching.default_queue_policy.max_queue_size == 9
        assert config.version_policy.latest.num_versions == 2
        assert config.parameters["threads"].string_value == "1"  # more workers than cores
        assert config.parameters["check_share"].string_value == "0.5"


def test_a_single_worker_takes_the_cores_of_the_machine_that_serves(chain_directory: Path, tmp_path: Path) -> None:
    config = _config(write_repository(tmp_path / "models", chain_directory), "tracking")
    assert "threads" not in config.parameters
    assert config.version_policy.HasField("all")
    assert not config.HasField("dynamic_batching")
