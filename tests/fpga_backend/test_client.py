"""What a client is: its configuration, its metadata, and what computes in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hitfabric.core import ConfigError, DataError, GraphError, ServiceError, load_config
from hitfabric.fpga_backend import (
    Chain,
    ClientConfig,
    DirectClient,
    DirectConfig,
    ModelClient,
    OnnxConfig,
    TensorMetadata,
    TritonClient,
    TritonConfig,
    open_client,
    open_inference_client,
)
from hitfabric.fpga_backend.client import differences, expected_metadata
from hitfabric.fpga_backend.client_config import TlsConfig, TokenConfig, split_address
from hitfabric.fpga_backend.ports import free_ports

MakeHits = Callable[..., np.ndarray]


def test_no_server_is_said() -> None:
    url = f"127.0.0.1:{free_ports(1)[0]}"
    with open_client("triton", url=url) as client, pytest.raises(ServiceError, match=f"no server answers at {url}"):
        client.track(np.zeros((1, 3), np.float32))


def test_something_else_on_the_port_is_no_server(busy: int) -> None:
    client = TritonClient(f"127.0.0.1:{busy}", connect_timeout=0.3)
    with pytest.raises(ServiceError, match=r"no server answers.*no answer within 0\.3 s"):
        client.infer("tracking", {"FEATURES": np.zeros((1, 3), np.float32)})
    client.close()


def test_engines_in_process_need_a_chain() -> None:
    with pytest.raises(ConfigError, match="chain"):
        open_client("direct")
    with pytest.raises(ConfigError, match="chain"):
        open_client("onnx")


def test_unknown_models_are_named(chain: Chain) -> None:
    with pytest.raises(ServiceError, match="no model nonsense"):
        DirectClient(chain).infer("nonsense", {})
    with pytest.raises(ServiceError, match="no model nonsense"):
        expected_metadata("nonsense")


def test_metadata_in_process_is_what_is_expected(chain: Chain) -> None:
    client = DirectClient(chain)
    for name in ("embedding", "filter", "interaction_network", "tracking"):
        assert differences(expected_metadata(name), client.metadata(name)) == []
    tracking = ModelClient(client=client, model="tracking").metadata
    assert tracking.inputs == {"FEATURES": ("FP32", (-1, 3)), "EVENT_ID": ("INT64", (1,))}
    assert tracking.optional == {"EVENT_ID"}
    assert sorted(tracking.outputs) == ["EDGE_INDEX", "EVENT_ID", "LABELS", "SCORES"]
    assert tracking.platform == "direct (golden)"


FEATURES = {"features": TensorMetadata("FP32", (-1, 6))}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "type": ({"inputs": {"features": TensorMetadata("FP64", (-1, 6))}}, "input features has type FP64, expected FP32"),
    "width": ({"inputs": {"features": TensorMetadata("FP32", (-1, 7))}}, r"input features is FP32 [-1, 7], expected"),
    "rank": ({"inputs": {"features": TensorMetadata("FP32", (6,))}}, "input features is FP32 [6], expected"),
    "name": ({"inputs": {"x": TensorMetadata("FP32", (-1, 6))}}, "input features is missing; there are ['x']"),
    "more": ({"inputs": {**FEATURES, "y": TensorMetadata("FP32", (-1,))}}, "input y is not known to this client"),
    "output": ({"outputs": {}}, "output embedding is missing; there are []"),
}


@pytest.mark.parametrize("case", WRONG)
def test_differing_metadata_is_named(case: str) -> None:
    changes, message = WRONG[case]
    expected = expected_metadata("embedding")
    served = replace(expected, outputs={"embedding": TensorMetadata("FP32", (-1, 12))})
    assert differences(expected, served) == []
    assert message in differences(expected, replace(served, **changes))[0]


def test_optional_inputs_and_further_outputs_do_no_harm() -> None:
    expected = expected_metadata("tracking")
    served = replace(
        expected,
        inputs={**expected.inputs, "EVENT_ID": TensorMetadata("INT64", (1,))},
        outputs={**expected.outputs, "SCORES": TensorMetadata("FP32", (-1,))},
        optional=frozenset({"EVENT_ID"}),
    )
    assert differences(expected, served) == []
    served.check_inputs({"FEATURES": np.zeros((2, 3), np.float32)})
    served.check_inputs({"FEATURES": np.zeros((2, 3), np.float32), "EVENT_ID": np.zeros(1, np.int64)})


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "lacks tensor FEATURES"),
        ({"FEATURES": np.zeros((2, 3), np.float32), "x": np.zeros(1)}, "has no tensor x"),
        ({"FEATURES": np.zeros((2, 3))}, r"tensor FEATURES is float64 \[2, 3\]; give FP32 \[-1, 3\]"),
        ({"FEATURES": np.zeros((2, 4), np.float32)}, r"tensor FEATURES is float32 \[2, 4\]"),
        ({"FEATURES": np.zeros(3, np.float32)}, r"tensor FEATURES is float32 \[3\]"),
        ({"FEATURES": np.zeros((2, 3), object)}, "tensor FEATURES is object"),
    ],
)
def test_wrong_requests_are_refused_before_they_travel(inputs: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(DataError, match=message):
        expected_metadata("tracking").check_inputs(inputs)


def test_an_output_that_is_not_there_is_named(chain: Chain, make_hits: MakeHits) -> None:
    client = DirectClient(chain)
    request = {"FEATURES": make_hits(20)}
    assert list(client.infer("tracking", request, outputs=["LABELS"])) == ["LABELS"]
    with pytest.raises(DataError, match="no output TRACKS"):
        client.infer("tracking", request, outputs=["TRACKS"])


def test_a_single_network_is_served_in_process(chain_directory: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(5, 12)).astype(np.float32)
    config = _config({"engine": "direct", "direct": {"model": chain_directory / "filter", "device": "golden"}})
    chain = _config({"engine": "direct", "direct": {"model": chain_directory, "device": "golden"}})
    one, all_of_it = open_inference_client(config), open_inference_client(chain)
    assert np.array_equal(
        one.infer("filter", {"pairs": rows})["logits"], all_of_it.infer("filter", {"pairs": rows})["logits"]
    )
    with pytest.raises(ServiceError, match="no model tracking"):
        one.metadata("tracking")
    assert one.counts.read()["requests"] == 1


def _config(values: dict[str, Any]) -> ClientConfig:
    return load_config(ClientConfig, overrides=values)


DIRECT = {"model": "chain"}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "unknown key": ({"engine": "triton", "server": "x:1"}, "server: Extra inputs"),
    "unknown key within": ({"engine": "triton", "triton": {"retry": {"tries": 3}}}, "triton.retry.tries: Extra"),
    "unknown engine": ({"engine": "tensorflow"}, "engine: Input should be"),
    "no engine": ({}, "engine: Field required"),
    "direct without a chain": ({"engine": "direct"}, "direct.model is missing"),
    "fallback without a chain": ({"engine": "triton", "fall_back_to_direct": True}, "direct.model is missing"),
    "fallback of direct": ({"engine": "direct", "direct": DIRECT, "fall_back_to_direct": True}, "no meaning"),
    "onnx without files": ({"engine": "onnx"}, "onnx.model"),
    "no port": ({"engine": "triton", "triton": {"servers": ["farm"]}}, "'farm' is not host:port"),
    "no server": ({"engine": "triton", "triton": {"servers": []}}, "triton.servers"),
    "list and name": ({"engine": "triton", "triton": {"servers": ["a:1"], "dns": "b:1"}}, "either servers or dns"),
    "key alone": ({"engine": "triton", "triton": {"tls": {"key": "k.pem"}}}, "belong together"),
    "token of nowhere": ({"engine": "triton", "triton": {"token": {}}}, "either file or environment"),
    "token in the clear": (
        {"engine": "triton", "triton": {"servers": ["farm:8001"], "token": {"environment": "T"}}},
        "readable to farm",
    ),
    "header that gRPC refuses": (
        {"engine": "triton", "triton": {"token": {"environment": "T", "header": "X-Token"}}},
        "triton.token.header",
    ),
    "deadline of nothing": ({"engine": "triton", "triton": {"timeout_s": 0}}, "triton.timeout_s"),
    "no event in flight": ({"engine": "triton", "in_flight": 0}, "in_flight"),
}


@pytest.mark.parametrize("case", BAD)
def test_wrong_configurations_are_named(case: str) -> None:
    values, message = BAD[case]
    with pytest.raises(ConfigError) as refused:
        _config(values)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("address", "found"),
    [("farm:1", ("farm", 1)), ("[::1]:8001", ("::1", 8001)), ("10.0.0.1:65535", ("10.0.0.1", 65535))],
)
def test_addresses_are_split(address: str, found: tuple[str, int]) -> None:
    assert split_address(address) == found


@pytest.mark.parametrize("address", ["", "farm", ":1", "farm:", "farm:0", "farm:65536", "farm:-1", "::1:8001", "[]:1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="not host:port"):
        split_address(address)


def test_missing_onnx_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=r"embedding\.onnx does not exist"):
        open_inference_client(_config({"engine": "onnx", "onnx": {"model": tmp_path}}))
    (tmp_path / "filter.onnx").write_bytes(b"no network")
    with pytest.raises(GraphError, match=r"cannot load .*filter\.onnx"):
        open_inference_client(_config({"engine": "onnx", "onnx": {"model": tmp_path / "filter.onnx"}}))


def test_the_example_has_every_setting_and_its_default() -> None:
    text = (Path(__file__).resolve().parents[2] / "examples" / "client.yaml").read_text(encoding="utf-8")
    example = yaml.safe_load(text)
    config = ClientConfig.model_validate(example)
    assert set(example) == set(ClientConfig.model_fields)
    assert set(example["direct"]) == set(DirectConfig.model_fields)
    assert set(example["onnx"]) == set(OnnxConfig.model_fields)
    assert set(example["triton"]) == set(TritonConfig.model_fields) - {"dns"}
    assert config.triton == TritonConfig()
    commented = yaml.safe_load(text.replace("  tls: null", "").replace("  token: null", "").replace("\n  # ", "\n  "))
    with_all = ClientConfig.model_validate(commented).triton
    assert with_all.tls is not None and with_all.tls.model_fields_set == set(TlsConfig.model_fields)
    assert with_all.token is not None and set(TokenConfig.model_fields) - with_all.token.model_fields_set == {
        "environment"
    }
