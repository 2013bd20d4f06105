"""Malformed requests over HTTP: each is refused or answered rightly, and server and workers go on.

What the old server does not survive is listed in `support.rough_requests`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitfabric.fpga_backend import Chain, DirectClient, TritonServer
from support.processes import workers
from support.rough_requests import MAXIMAL_DECLARED_BYTES, MAXIMAL_DEPTH, HttpAnswer, exchange, parse, post

PATH = "/v2/models/embedding/infer"
WIDTH, OUTPUTS = 6, 8
BOUNDED = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
REFUSED = {400, 404, 500, 501}
ODD_INTEGERS = st.sampled_from([-(2**63), -1, 0, 1, 2, 5, 7, 2**31, 2**32, 2**32 + 1, 2**62, 2**63, 2**64])
ODD_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    ODD_INTEGERS,
    st.floats(allow_nan=False),
    st.text(max_size=8),
    st.lists(st.one_of(st.none(), st.integers(-3, 3), st.text(max_size=3)), max_size=8),
    st.dictionaries(st.text(max_size=4), st.integers(-3, 3), max_size=3),
)
Check = Callable[[], None]


@pytest.fixture
def unharmed(server: TritonServer, chain: Chain) -> Check:
    """Function that asks every worker's health: a good request is answered rightly, and no worker is another."""
    before = workers(server.pid)
    features = np.linspace(-1, 1, 3 * WIDTH, dtype=np.float32).reshape(3, WIDTH)
    right = DirectClient(chain).infer("embedding", {"features": features})["embedding"]

    def check() -> None:
        answer = parse(post(server.ports.http, PATH, _body(features)))
        assert answer is not None and answer.status == 200
        assert np.array_equal(_embedding(answer), right)
        assert workers(server.pid) == before

    return check


@given(field=st.sampled_from(["name", "shape", "datatype", "data", "parameters"]), value=ODD_VALUES)
@BOUNDED
def test_fields_of_an_input(server: TritonServer, unharmed: Check, field: str, value: object) -> None:
    tensor = {"name": "features", "shape": [1, WIDTH], "datatype": "FP32", "data": [0.0] * WIDTH, field: value}
    _send(server, unharmed, json.dumps({"inputs": [tensor]}).encode())


@given(field=st.sampled_from(["inputs", "outputs", "parameters", "id"]), value=ODD_VALUES)
@BOUNDED
def test_fields_of_a_request(server: TritonServer, unharmed: Check, field: str, value: object) -> None:
    request = {**json.loads(_body(np.zeros((1, WIDTH), np.float32))), field: value}
    _send(server, unharmed, json.dumps(request).encode())


@given(shape=st.lists(st.one_of(ODD_INTEGERS, st.integers(0, 9)), max_size=5), count=st.integers(0, 20))
@BOUNDED
def test_shapes_that_the_data_do_not_have(server: TritonServer, unharmed: Check, shape: list[int], count: int) -> None:
    if _declared_bytes(shape) > MAXIMAL_DECLARED_BYTES:
        shape = [min(size, 9) for size in shape]
    tensor = {"name": "features", "shape": shape, "datatype": "FP32", "data": [0.5] * count}
    _send(server, unharmed, json.dumps({"inputs": [tensor]}).encode())


@given(depth=st.integers(1, MAXIMAL_DEPTH), place=st.sampled_from(["data", "parameters", "body"]))
@BOUNDED
def test_deep_nesting(server: TritonServer, unharmed: Check, depth: int, place: str) -> None:
    inside = "0,0,0,0,0,0" if place == "data" else ""
    nested = "[" * depth + inside + "]" * depth
    tensor = f'{{"name":"features","shape":[1,6],"datatype":"FP32","data":{nested if place == "data" else [0] * 6}}}'
    extra = f',"parameters":{{"deep":{nested}}}' if place == "parameters" else ""
    _send(server, unharmed, (nested if place == "body" else f'{{"inputs":[{tensor}]{extra}}}').encode())


@given(
    shape=st.lists(st.one_of(ODD_INTEGERS, st.integers(0, 4), st.just(WIDTH)), max_size=3),
    declared=st.one_of(ODD_INTEGERS, st.integers(0, 60), ODD_VALUES),
    tail=st.binary(max_size=60),
    datatype=st.sampled_from(["FP32", "FP64", "FP16", "BF16", "INT64", "BOOL", "BYTES", "", "FP33"]),
    slip=st.sampled_from([0, 0, 0, -1, 1, -20, 1000, -(2**70)]),
)
@BOUNDED
def test_the_binary_extension(
    server: TritonServer,
    unharmed: Check,
    shape: list[int],
    declared: object,
    tail: bytes,
    datatype: str,
    slip: int,
) -> None:
    parameters = {"binary_data_size": declared}
    tensor = {"name": "features", "shape": shape, "datatype": datatype, "parameters": parameters}
    header = json.dumps({"inputs": [tensor]}).encode()
    length = {"Inference-Header-Content-Length": str(len(header) + slip)}
    _send(server, unharmed, header + tail, length, data=tail)


@given(data=st.data())
@BOUNDED
def test_bodies_that_end_early_or_are_changed(server: TritonServer, unharmed: Check, data: st.DataObject) -> None:
    body = bytearray(_body(np.ones((2, WIDTH), np.float32)))
    for place in data.draw(st.lists(st.integers(0, len(body) - 1), max_size=4)):
        body[place] = data.draw(st.sampled_from(b'{}[]",:0-e \x00\xff'))
    body = body[: data.draw(st.integers(0, len(body)))]
    _send(server, unharmed, bytes(body))


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Length": "-1"},
        {"Content-Length": "abc"},
        {"Content-Length": "18446744073709551616"},
        {"Content-Length": "7"},
        {"Content-Encoding": "gzip"},
        {"Content-Encoding": "deflate"},
        {"Content-Encoding": "unheard of"},
        {"Transfer-Encoding": "chunked"},
        {"X-Long": "a" * 100_000},
        {"Inference-Header-Content-Length": "abc"},
        {"Inference-Header-Content-Length": "-1"},
    ],
)
def test_headers(server: TritonServer, unharmed: Check, headers: dict[str, str]) -> None:
    answer = parse(post(server.ports.http, PATH, _body(np.zeros((1, WIDTH), np.float32)), headers, seconds=0.5))
    assert answer is None or answer.status in REFUSED
    unharmed()


@pytest.mark.parametrize("data", [b"\0" * 4000, bytes(range(256)) * 16, b"nonsense\r\n\r\n", b"\r\n\r\n"])
def test_what_is_no_http_at_all(server: TritonServer, unharmed: Check, data: bytes) -> None:
    for port in (server.ports.http, server.ports.grpc, server.ports.metrics):
        answer = parse(exchange(port, data, seconds=0.5))
        assert answer is None or answer.status >= 400
    unharmed()


def _send(
    server: TritonServer, unharmed: Check, body: bytes, headers: dict[str, str] | None = None, *, data: bytes = b""
) -> None:
    answer = parse(post(server.ports.http, PATH, body, headers))
    assert answer is not None, "the server closed the connection"
    if answer.status == 200:
        _check_embedding(answer, data)
    else:
        assert answer.status in REFUSED
        assert answer.body, "a refusal says why"
    unharmed()


def _check_embedding(answer: HttpAnswer, data: bytes) -> None:
    """What is answered fits what was sent: as many rows as there are bytes for, all of them numbers."""
    content = json.loads(answer.body[: answer.header_length])
    (output,) = content["outputs"]
    if data:
        assert output["shape"] == [len(data) // (4 * WIDTH), OUTPUTS]
    if "data" in output and output["datatype"] == "FP32":
        assert len(output["data"]) == math.prod(output["shape"])
        assert np.isfinite(np.array(output["data"], np.float64)).all()


def _body(features: np.ndarray) -> bytes:
    tensor: dict[str, Any] = {"name": "features", "shape": list(features.shape), "datatype": "FP32"}
    return json.dumps({"inputs": [{**tensor, "data": [float(value) for value in features.ravel()]}]}).encode()


def _embedding(answer: HttpAnswer) -> np.ndarray:
    (output,) = json.loads(answer.body)["outputs"]
    return np.array(output["data"], np.float32).reshape(output["shape"])


def _declared_bytes(shape: list[int]) -> int:
    return 4 * math.prod(abs(size) for size in shape)
