"""One way to ask for inference, in process or through a server: named tensors in, named tensors out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ..core import ConfigError, DataError, ServiceError
from .chain import INTERFACES, Chain
from .names import NETWORKS, TRACKING
from .served import NetworkModel, ServedModel, TrackingModel
from .signature import Arrays

Engine = Literal["direct", "triton"]
ENGINES: tuple[Engine, ...] = ("direct", "triton")
DEFAULT_URL = "127.0.0.1:8001"
REQUEST_ID = re.compile(r"^\[request id: [^]]*\] ")
BATCHED_NETWORKS = ("embedding", "filter")

TensorMetadata = Mapping[str, tuple[str, tuple[int, ...]]]
"""Data type and shape of tensors by name; -1 is a size that varies."""

ExpectedMetadata = Mapping[str, tuple[str, tuple[int | None, ...]]]
"""The same, where None accepts any size."""


class InferenceClient(Protocol):
    """Named tensors in, named tensors out."""

    def infer(self, model: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Compute the outputs of a model.

        Args:
            model: embedding, filter, interaction_network or tracking.
            inputs: Tensors by name.

        Returns:
            Output tensors by name.

        Raises:
            DataError: The inputs are not what the model takes; the tensor is named.
            ServiceError: The server is not there, serves something else, or failed.
        """
        ...

    def close(self) -> None:
        """Give back connections and processes."""
        ...


class TrackingClient:
    """Hits in, track labels out, through any inference client; a context manager.

    Args:
        client: What computes.
    """

    def __init__(self, client: InferenceClient) -> None:
        self.client = client

    def track(self, features: NDArray[np.float32]) -> NDArray[np.int64]:
        """Find the tracks of one event.

        Args:
            features: float32 [hits, 3]: r (mm), phi (rad), z (mm).

        Returns:
            int64 [hits]: 0, 1, ...; -1 is no track.
        """
        return self.client.infer(TRACKING, {"FEATURES": features})["LABELS"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.client.close()


class DirectClient:
    """Computes in this process, by the very code the server's workers run.

    Args:
        chain: Networks and configuration.
    """

    def __init__(self, chain: Chain) -> None:
        self.models: dict[str, ServedModel] = {TRACKING: TrackingModel(chain=chain)}
        self.models.update({name: NetworkModel(executor=chain.executors[name]) for name in NETWORKS})

    def infer(self, model: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """See `InferenceClient.infer`."""
        if model not in self.models:
            raise ServiceError(f"there is no model {model}", remedy=f"use one of {sorted(self.models)}")
        served = self.models[model]
        served.signature.check(inputs)
        return served.run(inputs)

    def close(self) -> None:
        """Nothing to give back."""


class TritonClient:
    """Asks a Triton server over gRPC.

    Args:
        url: `host:port` of the server's gRPC protocol.
        timeout: Longest time for an answer in seconds.
        connect_timeout: Longest time to find the server in seconds.
    """

    def __init__(self, url: str = DEFAULT_URL, *, timeout: float = 120.0, connect_timeout: float = 5.0) -> None:
        import tritonclient.grpc as grpc  # slow to import, and not needed by `--engine direct`

        self.url = url
        self.timeout = timeout
        self.connect_timeout = connect_timeout
        self._grpc = grpc
        # The library raises the message limit from 4 MB to 2 GB, enough for any event.
        self._client = grpc.InferenceServerClient(url)
        self._outputs: dict[str, TensorMetadata] = {}

    def infer(self, model: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """See `InferenceClient.infer`."""
        outputs = self._outputs.get(model)
        if outputs is None:
            outputs = self._outputs[model] = self._check_metadata(model)
        if model in BATCHED_NETWORKS and all(len(array) == 0 for array in inputs.values()):
            # The server takes an empty batch for one row with its bytes missing, and refuses it.
            return {name: np.zeros((0, *shape[1:]), dtype=np.float32) for name, (_, shape) in outputs.items()}
        tensors = [self._tensor(name, array) for name, array in inputs.items()]
        answer = self._call(
            lambda: self._client.infer(model, tensors, client_timeout=self.timeout), doing=f"model {model}"
        )
        arrays = {name: answer.as_numpy(name) for name in outputs}
        missing = sorted(name for name, array in arrays.items() if array is None)
        if missing:
            raise ServiceError(f"model {model} at {self.url} gave no {missing}", remedy="update server and client")
        return {name: array for name, array in arrays.items() if array is not None}

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _tensor(self, name: str, array: NDArray[Any]) -> Any:  # noqa: ANN401 - tritonclient has no types
        from tritonclient.utils import np_to_triton_dtype

        tensor = self._grpc.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
        tensor.set_data_from_numpy(np.ascontiguousarray(array))
        return tensor

    def _check_metadata(self, model: str) -> TensorMetadata:
        """Compare the served model with what is expected of its name; returns its outputs."""
        metadata = self._call(
            lambda: self._client.get_model_metadata(model, client_timeout=self.connect_timeout), doing=f"model {model}"
        )
        served = {
            kind: {tensor.name: (str(tensor.datatype), tuple(tensor.shape)) for tensor in tensors}
            for kind, tensors in (("input", metadata.inputs), ("output", metadata.outputs))
        }
        for kind, tensors in expected_metadata(model).items():
            for difference in _differences(tensors, served[kind]):
                raise ServiceError(
                    f"model {model} at {self.url}: {kind} {difference}", remedy="serve the chain this client expects"
                )
        return served["output"]

    def _call(self, call: Callable[[], Any], *, doing: str) -> Any:  # noqa: ANN401 - tritonclient has no types
        from tritonclient.utils import InferenceServerException

        try:
            return call()
        except InferenceServerException as error:
            status, reason = str(error.status()), REQUEST_ID.sub("", " ".join(str(error.message()).split()))
            if status.endswith("INVALID_ARGUMENT"):
                raise DataError(f"{doing}: {reason}", remedy="correct the tensor named") from error
            if not self._is_live():
                raise ServiceError(
                    f"no server answers at {self.url}", remedy="start one with hitfabric serve, or give its --url"
                ) from error
            if status.endswith(("NOT_FOUND", "UNIMPLEMENTED")):
                raise ServiceError(f"{self.url} does not serve {doing}: {reason}", remedy="check the server") from error
            raise ServiceError(f"{doing} at {self.url} failed: {reason}", remedy="try again, or see its log") from error

    def _is_live(self) -> bool:
        from tritonclient.utils import InferenceServerException

        try:
            return bool(self._client.is_server_live(client_timeout=self.connect_timeout))
        except InferenceServerException:
            return False


def open_client(
    engine: Engine, *, chain_directory: Path | None = None, device: str = "native", url: str = DEFAULT_URL
) -> TrackingClient:
    """Open a tracking client.

    Args:
        engine: `direct` (in this process) or `triton` (a server).
        chain_directory: Chain to run; `direct` only.
        device: Executor; `direct` only.
        url: `host:port` of the server; `triton` only.

    Raises:
        ConfigError: Unknown engine, or a direct client without a chain.
    """
    if engine == "triton":
        return TrackingClient(TritonClient(url))
    if engine == "direct" and chain_directory is not None:
        return TrackingClient(DirectClient(Chain.load(chain_directory, device)))
    raise ConfigError(f"engine {engine!r} needs a chain directory", remedy=f"use one of {ENGINES}, and give a chain")


def expected_metadata(model: str) -> dict[str, ExpectedMetadata]:
    """Data type and shape (-1 varies, None is any) each tensor of a model must have, by `input` and `output`.

    Raises:
        ServiceError: There is no such model.
    """
    if model == TRACKING:
        return {"input": {"FEATURES": ("FP32", (-1, 3))}, "output": {"LABELS": ("INT64", (-1,))}}
    if model not in INTERFACES:
        raise ServiceError(f"there is no model {model}", remedy=f"use one of {[*INTERFACES, TRACKING]}")
    found: dict[str, dict[str, tuple[str, tuple[int | None, ...]]]] = {"input": {}, "output": {}}
    for name, shape in INTERFACES[model].items():
        kind = "output" if name in ("embedding", "logits") else "input"
        dims = tuple(-1 if isinstance(size, str) else size for size in shape)
        found[kind][name] = ("INT64" if name == "edge_index" else "FP32", dims)
    return dict(found)


def _differences(expected: ExpectedMetadata, served: TensorMetadata) -> list[str]:
    found = []
    for name in sorted(expected.keys() | served.keys()):
        if name not in served or name not in expected:
            found.append(f"names are {sorted(served)}, expected {sorted(expected)}")
            continue
        (data_type, shape), (served_type, served_shape) = expected[name], served[name]
        if data_type != served_type:
            found.append(f"{name} has type {served_type}, expected {data_type}")
        same = len(shape) == len(served_shape) and all(
            want in (None, have) for want, have in zip(shape, served_shape, strict=True)
        )
        if not same:
            wanted = ["any" if size is None else size for size in shape]
            found.append(f"{name} has shape {list(served_shape)}, expected {wanted}")
    return found
