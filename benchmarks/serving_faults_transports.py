"""Ways to send a request, without a retry and without a check on the client's side."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
from collections.abc import Mapping
from typing import Any, Protocol, Self

import numpy as np
import tritonclient.grpc as grpc
from numpy.typing import NDArray
from serving_faults_answers import Refusal, Reply
from serving_faults_mix import Case
from serving_sides import unregister_region
from tritonclient.utils import InferenceServerException, np_to_triton_dtype, shared_memory, triton_to_np_dtype

LOOPBACK = "127.0.0.1"
HTTP_STATUS = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 503: "UNAVAILABLE"}
REGION_BYTES = 1 << 20
_numbers = itertools.count()


class Transport(Protocol):
    """One connection of one client.

    Attributes:
        name: Of the kind of transport.
    """

    name: str

    def ask(self, case: Case) -> Reply:
        """Send a request and wait for the reply, at most the bound given at the start."""
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...


class GrpcTransport:
    """gRPC with tensors in the message.

    Args:
        url: `host:port`.
        bound: Seconds until a request without answer counts as hung.
    """

    name = "grpc"

    def __init__(self, *, url: str, bound: float) -> None:
        self.client = grpc.InferenceServerClient(url)
        self.bound = bound

    def ask(self, case: Case) -> Reply:
        """Send a request and wait."""
        outputs = [grpc.InferRequestedOutput(name) for name in case.expected]
        try:
            result = self.client.infer(case.model, tensors_of(case), outputs=outputs or None, client_timeout=self.bound)
        except InferenceServerException as error:
            return grpc_refusal(error)
        return {name: array for name in case.expected if (array := result.as_numpy(name)) is not None}

    def close(self) -> None:
        """Close the channel."""
        self.client.close()


class SharedMemoryTransport(GrpcTransport):
    """gRPC with inputs and outputs in system shared memory; what does not fit goes in the message.

    Args:
        url: `host:port`.
        bound: Seconds until a request without answer counts as hung.
    """

    name = "shared_memory"

    def __init__(self, *, url: str, bound: float) -> None:
        super().__init__(url=url, bound=bound)
        self.region = f"faults_{os.getpid()}_{next(_numbers)}"
        self.handle: Any = shared_memory.create_shared_memory_region(self.region, f"/{self.region}", REGION_BYTES)
        self.client.register_system_shared_memory(self.region, f"/{self.region}", REGION_BYTES)

    def ask(self, case: Case) -> Reply:
        """Send a request and wait; its outputs must be where they were asked to be."""
        arrays = [*case.inputs.values(), *case.expected.values()]
        if sum(array.nbytes for array in arrays) > REGION_BYTES or any(array.nbytes == 0 for array in arrays):
            return super().ask(case)
        tensors, end = tensors_of(case, data=False), 0
        for tensor, array in zip(tensors, case.inputs.values(), strict=True):
            shared_memory.set_shared_memory_region(self.handle, [array], offset=end)
            tensor.set_shared_memory(self.region, array.nbytes, offset=end)
            end += array.nbytes
        outputs, places = [], {}
        for name, array in case.expected.items():
            shared_memory.set_shared_memory_region(self.handle, [np.full(array.nbytes, 0xA5, np.uint8)], offset=end)
            outputs.append(output := grpc.InferRequestedOutput(name))
            output.set_shared_memory(self.region, array.nbytes, offset=end)
            places[name], end = end, end + array.nbytes
        try:
            result = self.client.infer(case.model, tensors, outputs=outputs or None, client_timeout=self.bound)
        except InferenceServerException as error:
            return grpc_refusal(error)
        return {name: self._output(result, name, place) for name, place in places.items()}

    def _output(self, result: grpc.InferResult, name: str, place: int) -> NDArray[Any]:
        described = result.get_output(name)
        dtype = np.dtype(triton_to_np_dtype(described.datatype))  # type: ignore[arg-type,union-attr]
        shape = list(described.shape)  # type: ignore[union-attr]
        return np.array(shared_memory.get_contents_as_numpy(self.handle, dtype, shape, offset=place))

    def close(self) -> None:
        """Take the region from the server and remove it."""
        with contextlib.suppress(InferenceServerException):  # a server that is gone holds nothing
            unregister_region(self.client, self.region)
        shared_memory.destroy_shared_memory_region(self.handle)
        super().close()


class HttpTransport:
    """HTTP with the binary tensor extension; tritonclient's own HTTP client needs gevent, which nothing else here does.

    Args:
        port: Of the HTTP protocol.
        bound: Seconds until a request without answer counts as hung.
    """

    name = "http"

    def __init__(self, *, port: int, bound: float) -> None:
        self.connection = http.client.HTTPConnection(LOOPBACK, port, timeout=bound)

    def ask(self, case: Case) -> Reply:
        """Send a request and wait."""
        header, body = http_body(case)
        try:
            self.connection.request(
                "POST",
                f"/v2/models/{case.model}/infer",
                header + body,
                {"Inference-Header-Content-Length": str(len(header))},
            )
            response = self.connection.getresponse()
            content = response.read()
        except TimeoutError:
            self.connection.close()
            return Refusal(status="SILENCE", message="no answer over HTTP")
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            return Refusal(status="CONNECTION", message=repr(error))
        if response.status != 200:
            status = HTTP_STATUS.get(response.status, f"HTTP {response.status}")
            return Refusal(status=status, message=content.decode(errors="replace"))
        return http_outputs(response, content)

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def tensors_of(case: Case, *, data: bool = True) -> list[grpc.InferInput]:
    """The inputs for tritonclient, in the order of the case."""
    tensors = []
    for name, array in case.inputs.items():
        tensor = grpc.InferInput(name, list(array.shape), str(np_to_triton_dtype(array.dtype)))
        if data:
            tensor.set_data_from_numpy(array)
        tensors.append(tensor)
    return tensors


def grpc_refusal(error: InferenceServerException) -> Refusal:
    """The error of tritonclient as a refusal."""
    status = str(error.status()).rpartition(".")[2]
    return Refusal(status="SILENCE" if status == "DEADLINE_EXCEEDED" else status, message=str(error.message()))


def http_body(case: Case) -> tuple[bytes, bytes]:
    """JSON header and binary tensors of a request."""
    inputs = [
        {
            "name": name,
            "shape": list(array.shape),
            "datatype": np_to_triton_dtype(array.dtype),
            "parameters": {"binary_data_size": array.nbytes},
        }
        for name, array in case.inputs.items()
    ]
    outputs = [{"name": name, "parameters": {"binary_data": True}} for name in case.expected]
    header: Mapping[str, Any] = {"inputs": inputs, **({"outputs": outputs} if outputs else {})}
    return json.dumps(header).encode(), b"".join(array.tobytes() for array in case.inputs.values())


def http_outputs(response: http.client.HTTPResponse, content: bytes) -> dict[str, NDArray[Any]]:
    """Tensors of an answer in the binary extension."""
    length = int(response.headers.get("Inference-Header-Content-Length", len(content)))
    found, end = {}, length
    for output in json.loads(content[:length])["outputs"]:
        dtype = np.dtype(triton_to_np_dtype(output["datatype"]))  # type: ignore[arg-type]
        size = output["parameters"]["binary_data_size"]
        found[output["name"]] = np.frombuffer(content[end : end + size], dtype).reshape(output["shape"])
        end += size
    return found
