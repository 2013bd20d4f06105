"""The sides of the benchmark: direct calls, timed here, and single requests by which the served sides are checked."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tritonclient.grpc as grpc
import tritonclient.utils.shared_memory as memory
from numpy.typing import NDArray
from serving_models import ENSEMBLE, PYTHON
from serving_payloads import Payload
from serving_rows import Side
from tritonclient.utils import InferenceServerException

from hitfabric.core import DataError
from hitfabric.fpga_backend import InferenceClient

TYPES = {"float32": "FP32", "int64": "INT64"}
SUFFIXES: dict[Side, str] = {"python": f"_{PYTHON}", "ensemble": f"_{ENSEMBLE}"}
SHARED: tuple[Side, ...] = ("custom_shared",)
LARGEST_MESSAGE = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]

Outputs = dict[str, NDArray[Any]]


def served_name(payload: Payload, side: Side) -> str:
    """Name of the served model that a side asks."""
    return payload.model + SUFFIXES.get(side, "")


def time_direct(
    client: InferenceClient, payload: Payload, *, concurrency: int, seconds: float, requests: int
) -> dict[str, float]:
    """Call in this process from several threads, each as soon as its last call has returned.

    Args:
        client: The client; it computes one request at a time.
        payload: What to compute.
        concurrency: Threads that ask.
        seconds: Least time.
        requests: Least number of calls.

    Returns:
        Fields of `Row` by name.
    """
    client.infer(payload.model, payload.inputs)
    latencies: list[list[float]] = [[] for _ in range(concurrency)]
    start, busy = time.perf_counter(), time.process_time()
    least = -(-requests // concurrency)

    def ask(found: list[float]) -> None:
        before = time.perf_counter()
        while before < start + seconds or len(found) < least:
            client.infer(payload.model, payload.inputs)
            after = time.perf_counter()
            found.append(after - before)
            before = after

    threads = [threading.Thread(target=ask, args=(found,)) for found in latencies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    passed, busy = time.perf_counter() - start, time.process_time() - busy
    every = np.concatenate(latencies)
    shares = {f"p{share}_ms": 1e3 * float(np.percentile(every, share)) for share in (50, 90, 99)}
    return {
        "requests": len(every),
        "errors": 0,
        "requests_per_s": len(every) / passed,
        **shares,
        "cpu_ms": 1e3 * busy / len(every),
    }


def request(url: str, payload: Payload, side: Side, expected: Outputs) -> Outputs:
    """Answer of a served side to one request; it is asked for every output the model has.

    Args:
        url: `host:port` of gRPC.
        payload: What to send.
        side: A served side.
        expected: Outputs of `direct`, for their sizes.
    """
    name = served_name(payload, side)
    inputs = payload.inputs_of(side)
    with grpc.InferenceServerClient(url, channel_args=LARGEST_MESSAGE) as client:
        outputs = [tensor.name for tensor in client.get_model_metadata(name).outputs]
        if side in SHARED:
            return _request_shared(client, name, inputs, {each: expected[each] for each in outputs})
        tensors = [_tensor(each, array) for each, array in inputs.items()]
        for tensor, array in zip(tensors, inputs.values(), strict=True):
            tensor.set_data_from_numpy(array)
        found = client.infer(name, tensors, outputs=[grpc.InferRequestedOutput(each) for each in outputs])
        return {each: np.asarray(found.as_numpy(each)) for each in outputs}


def check_equal(payload: Payload, side: Side, found: Outputs, expected: Mapping[str, NDArray[Any]]) -> list[str]:
    """Compare an answer with that of `direct`, bit for bit.

    Returns:
        Names of the outputs compared.

    Raises:
        DataError: There is none, or one differs.
    """
    names = sorted(set(found) & set(expected))
    wrong = [name for name in names if not _same(found[name], expected[name])]
    if wrong or not names:
        raise DataError(
            f"{side} and direct differ on {payload.name}: {', '.join(wrong) or 'no output in common'}",
            remedy="do not time this; compare the executors with hitfabric validate",
        )
    return names


def _same(left: NDArray[Any], right: NDArray[Any]) -> bool:
    return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()


def _tensor(name: str, array: NDArray[Any]) -> grpc.InferInput:
    return grpc.InferInput(name, list(array.shape), TYPES[array.dtype.name])


def _request_shared(
    client: grpc.InferenceServerClient, name: str, inputs: Mapping[str, NDArray[Any]], outputs: Outputs
) -> Outputs:
    """The same with one region of shared memory for all tensors."""
    starts, size = _places([*inputs.values(), *outputs.values()])
    key = f"hitfabric_{uuid.uuid4().hex[:12]}"
    region = memory.create_shared_memory_region(key, f"/{key}", size)
    try:
        client.register_system_shared_memory(key, f"/{key}", size)
        tensors, wanted = [], []
        for (each, array), start in zip(inputs.items(), starts, strict=False):
            memory.set_shared_memory_region(region, [array], offset=start)
            tensors.append(_tensor(each, array))
            tensors[-1].set_shared_memory(key, array.nbytes, offset=start)
        for (each, array), start in zip(outputs.items(), starts[len(inputs) :], strict=True):
            wanted.append(grpc.InferRequestedOutput(each))
            wanted[-1].set_shared_memory(key, array.nbytes, offset=start)
        answer = client.infer(name, tensors, outputs=wanted)
        found = {}
        for (each, array), start in zip(outputs.items(), starts[len(inputs) :], strict=True):
            shape = list(answer.get_output(each).shape)
            found[each] = memory.get_contents_as_numpy(region, array.dtype, shape, offset=start).copy()
        return found
    finally:
        unregister_region(client, key)
        memory.destroy_shared_memory_region(region)


def unregister_region(client: grpc.InferenceServerClient, key: str, *, seconds: float = 10) -> None:
    """Take a region from the server.

    A server answers before it lets go of the request, and refuses to forget a region that a request still holds.

    Args:
        client: Of the server.
        key: Name of the region.
        seconds: How long to wait for the server to let go.

    Raises:
        InferenceServerException: The server refuses for another reason, or still after `seconds`.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            client.unregister_system_shared_memory(key)
        except InferenceServerException as error:
            if "in use" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.005)
        else:
            return


def _places(arrays: Sequence[NDArray[Any]]) -> tuple[list[int], int]:
    """Where each array starts, at multiples of 64 bytes, and the size of all."""
    starts, size = [], 0
    for array in arrays:
        starts.append(size)
        size += -(-max(array.nbytes, 1) // 64) * 64
    return starts, size
