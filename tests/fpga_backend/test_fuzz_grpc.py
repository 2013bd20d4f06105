"""Malformed requests over gRPC, as raw protobuf messages: each is refused or answered rightly, and all goes on.

What the old server does not survive is listed in `support.rough_requests`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import shared_memory

from hitfabric.fpga_backend import Chain, DirectClient, TritonServer
from support.processes import workers
from support.regions import unregistered

WIDTH = 6
ROW = 4 * WIDTH
REGION_BYTES = 4096
BOUNDED = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
REFUSED = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNIMPLEMENTED,
}
SIZES = st.one_of(
    st.integers(0, 4),
    st.just(WIDTH),
    st.sampled_from([-(2**63), -6, -1, 2**31, 2**32, 2**32 + 1, 2**62, 2**62 + 1, 2**63 - 1]),
)
SHAPES = st.one_of(st.lists(SIZES, max_size=4), st.tuples(SIZES, st.just(WIDTH)).map(list))
DATATYPES = st.sampled_from(["FP32", "FP32", "FP32", "FP64", "INT64", "BYTES", "BOOL", "BF16", "", "FP33"])
RAW = st.one_of(st.binary(max_size=80), st.integers(0, 3).map(lambda rows: bytes(rows * ROW)))
NAMES = st.sampled_from(["features", "features", "features", "", "pairs", "features\0", "é" * 100])
PARAMETERS = st.dictionaries(
    st.sampled_from(["sequence_id", "sequence_start", "priority", "timeout", "triton_x", "mine", ""]),
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(max_size=5)),
    max_size=3,
)
Message = Any
"""A message of the protocol, whose classes are made at run time."""
Answer: Any = service_pb2.ModelInferResponse  # type: ignore[attr-defined]
Request: Any = service_pb2.ModelInferRequest  # type: ignore[attr-defined]
Send = Callable[[bytes], Message]


@pytest.fixture(scope="module")
def channel(server: TritonServer) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.url) as opened:
        yield opened


@pytest.fixture
def send(server: TritonServer, channel: grpc.Channel, chain: Chain) -> Send:
    """Function that sends bytes as a request, checks that all is well afterwards, and gives the answer or None."""
    before = workers(server.pid)
    features = np.linspace(-1, 1, 3 * WIDTH, dtype=np.float32).reshape(3, WIDTH)
    right = DirectClient(chain).infer("embedding", {"features": features})["embedding"]
    call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    good = _request(shape=[3, WIDTH], raw=[features.tobytes()]).SerializeToString()

    def sent(message: bytes) -> Message:
        try:
            answer = Answer.FromString(call(message, timeout=20))
        except grpc.RpcError as error:
            assert error.code() in REFUSED  # type: ignore[attr-defined]
            assert error.details()  # type: ignore[attr-defined]
            answer = None
        healthy = Answer.FromString(call(good, timeout=20))
        assert healthy.raw_output_contents[0] == right.tobytes()
        assert workers(server.pid) == before
        return answer

    return sent


@given(
    shape=SHAPES,
    raw=st.lists(RAW, max_size=3),
    datatype=DATATYPES,
    names=st.lists(NAMES, max_size=2),
    parameters=PARAMETERS,
)
@BOUNDED
def test_tensors_in_the_message(
    send: Send,
    chain: Chain,
    shape: list[int],
    raw: list[bytes],
    datatype: str,
    names: list[str],
    parameters: dict[str, object],
) -> None:
    request = _request(shape=shape, raw=raw, datatype=datatype, names=names)
    _set(request.parameters, parameters)
    answer = send(request.SerializeToString())
    if answer is not None:
        # Numbers came back: then they must be those of the bytes that were sent.
        _check(answer, np.frombuffer(raw[0], np.float32).reshape(-1, WIDTH), chain)


@given(
    shape=SHAPES,
    field=st.sampled_from(["fp32_contents", "fp64_contents", "int64_contents", "bool_contents", "bytes_contents"]),
    count=st.integers(0, 20),
    raw=st.lists(RAW, max_size=2),
    datatype=DATATYPES,
)
@BOUNDED
def test_typed_contents_and_mixtures_with_raw_ones(
    send: Send, chain: Chain, shape: list[int], field: str, count: int, raw: list[bytes], datatype: str
) -> None:
    request = _request(shape=shape, raw=raw, datatype=datatype)
    value = b"ab" if field == "bytes_contents" else field == "bool_contents" or 1
    getattr(request.inputs[0].contents, field).extend([value] * count)
    answer = send(request.SerializeToString())
    if answer is not None:
        given_data = np.ones(count, np.float32) if count else np.frombuffer(raw[0], np.float32)
        _check(answer, given_data.reshape(-1, WIDTH), chain)


@given(data=st.data())
@BOUNDED
def test_messages_that_end_early_or_are_changed(send: Send, data: st.DataObject) -> None:
    message = bytearray(_request(shape=[2, WIDTH], raw=[bytes(2 * ROW)]).SerializeToString())
    for place in data.draw(st.lists(st.integers(0, len(message) - 1), max_size=3)):
        message[place] = data.draw(st.integers(0, 255))
    send(bytes(message[: data.draw(st.integers(0, len(message)))]))


@given(
    outputs=st.lists(st.sampled_from(["embedding", "logits", "", "embedding\0"]), max_size=3),
    parameters=st.dictionaries(
        st.sampled_from(["classification", "shared_memory_region", "shared_memory_byte_size", "shared_memory_offset"]),
        st.one_of(st.integers(-5, 100), st.text(max_size=3), st.booleans()),
        max_size=3,
    ),
    version=st.sampled_from(["", "", "1", "0", "-1", "2", "x", "9" * 30]),
)
@BOUNDED
def test_outputs_and_versions(send: Send, outputs: list[str], parameters: dict[str, object], version: str) -> None:
    request = _request(shape=[1, WIDTH], raw=[bytes(ROW)])
    request.model_version = version
    for name in outputs:
        output = request.outputs.add(name=name)
        _set(output.parameters, parameters)
    send(request.SerializeToString())


@pytest.fixture(scope="module")
def region(channel: grpc.Channel) -> Iterator[str]:
    """A registered region of shared memory, all zero."""
    name = f"fuzz_{os.getpid()}"
    service = service_pb2_grpc.GRPCInferenceServiceStub(channel)
    handle = shared_memory.create_shared_memory_region(name, f"/{name}", REGION_BYTES)
    register = service_pb2.SystemSharedMemoryRegisterRequest  # type: ignore[attr-defined]
    unregister = service_pb2.SystemSharedMemoryUnregisterRequest  # type: ignore[attr-defined]
    service.SystemSharedMemoryRegister(
        register(name=name, key=f"/{name}", offset=0, byte_size=REGION_BYTES), timeout=10
    )
    yield name
    assert unregistered(lambda: service.SystemSharedMemoryUnregister(unregister(name=name), timeout=10))
    shared_memory.destroy_shared_memory_region(handle)


PLACES = st.one_of(
    st.sampled_from([0, 1, 64, REGION_BYTES - ROW, REGION_BYTES - ROW + 1, REGION_BYTES, REGION_BYTES + 1]),
    st.sampled_from([-(2**63), -ROW, -1, 2**62, 2**63 - 1]),
)


@given(
    rows=st.integers(1, 3),
    known=st.booleans(),
    offset=PLACES,
    size=st.one_of(PLACES, st.integers(0, 4).map(lambda rows: rows * ROW)),
    output=st.one_of(st.none(), st.tuples(PLACES, st.one_of(PLACES, st.sampled_from([31, 32, 64, 96])))),
)
@BOUNDED
def test_shared_memory_that_is_not_there_or_too_small(
    send: Send,
    region: str,
    rows: int,
    known: bool,
    offset: int,
    size: int,
    output: tuple[int, int] | None,
) -> None:
    def place(where: int, length: int) -> dict[str, object]:
        name = region if known else "nobody's"
        return {"shared_memory_region": name, "shared_memory_offset": where, "shared_memory_byte_size": length}

    request = _request(shape=[rows, WIDTH], raw=[])
    _set(request.inputs[0].parameters, place(offset, size))
    if output is not None:
        _set(request.outputs.add(name="embedding").parameters, place(*output))
    answer = send(request.SerializeToString())
    fits = known and 0 <= offset <= REGION_BYTES - rows * ROW and size == rows * ROW
    if output is not None:
        fits &= 0 <= output[0] <= REGION_BYTES - output[1] and output[1] >= rows * 32
    assert (answer is not None) == fits
    if answer is not None:
        assert list(answer.outputs[0].shape) == [rows, 8]


def _request(*, shape: list[int], raw: list[bytes], datatype: str = "FP32", names: list[str] | None = None) -> Message:
    request = Request(model_name="embedding", raw_input_contents=raw)
    for name in ["features"] if names is None else names:
        request.inputs.add(name=name, datatype=datatype, shape=shape)
    return request


def _set(parameters: Message, values: dict[str, object]) -> None:
    kinds = {bool: "bool_param", int: "int64_param", float: "double_param", str: "string_param"}
    for name, value in values.items():
        parameter = parameters[name]
        if value is not None:
            setattr(parameter, kinds[type(value)], value)


def _check(answer: Message, features: np.ndarray, chain: Chain) -> None:
    right = DirectClient(chain).infer("embedding", {"features": features})["embedding"]
    assert answer.raw_output_contents[0] == right.tobytes()
    assert list(answer.outputs[0].shape) == list(right.shape)
