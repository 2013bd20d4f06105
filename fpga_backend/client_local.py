"""Clients that compute in this process: the firmware's numbers, or the float reference by ONNX Runtime."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from ..core import GraphError, ServiceError
from ..core.errors import MissingToolError
from .chain import Chain, load_config
from .client_config import DirectConfig, OnnxConfig
from .client_interface import Counts, InferenceClient, Outputs, pick_outputs
from .client_metadata import ModelMetadata
from .names import NETWORKS, TRACKING
from .served import NetworkModel, ServedModel, TrackingModel, load_model
from .signature import MAXIMAL_EDGES, MAXIMAL_NODES, MAXIMAL_ROWS, Arrays, Signature, Tensor

if TYPE_CHECKING:
    from ..emulation import Executor

ONNX_TYPES = {"tensor(float)": "TYPE_FP32", "tensor(int64)": "TYPE_INT64"}
LIMITS = {"R": MAXIMAL_ROWS, "N": MAXIMAL_NODES, "E": MAXIMAL_EDGES}
FLOAT_REFERENCE = "float reference (ONNX Runtime): not the firmware's numbers"


class LocalClient:
    """Computes in this process, one request at a time: each uses all the cores it may.

    Args:
        models: Models by name.
        description: What computes them, in words.
    """

    def __init__(self, models: Mapping[str, ServedModel], *, description: str) -> None:
        self.models = dict(models)
        self.description = description
        self.counts = Counts()
        self._lock = threading.Lock()

    def infer(self, model: str, inputs: Arrays, *, outputs: Sequence[str] | None = None) -> Outputs:
        """See `InferenceClient.infer`."""
        served = self._model(model)
        self.counts.add("requests")
        served.signature.check(inputs)
        with self._lock:  # executors keep their buffers
            return pick_outputs(model, served.run(inputs), outputs)

    def metadata(self, model: str) -> ModelMetadata:
        """See `InferenceClient.metadata`."""
        return ModelMetadata.of_signature(model, self._model(model).signature, platform=self.description)

    def close(self) -> None:
        """Nothing to give back."""

    def _model(self, name: str) -> ServedModel:
        if name not in self.models:
            raise ServiceError(f"there is no model {name}", remedy=f"use one of {sorted(self.models)}")
        return self.models[name]


class DirectClient(LocalClient):
    """Computes in this process, by the very code the server's workers run.

    Args:
        chain: Networks and configuration.
    """

    def __init__(self, chain: Chain) -> None:
        device = chain.executors[NETWORKS[0]].name
        super().__init__(_chain_models(chain), description=f"direct ({device})")

    @classmethod
    def load(cls, config: DirectConfig) -> LocalClient:
        """The client of a chain directory, or of the directory of a single network.

        Raises:
            GraphError: A file is missing or malformed.
            ToolError: The device's compiler is missing or failed.
        """
        served = load_model(config.model, config.device)
        if isinstance(served, TrackingModel):
            return cls(served.chain)
        network = cast("NetworkModel", served).executor
        return LocalClient({network.graph.name: served}, description=f"direct ({network.name})")


class OnnxExecutor:
    """Runs an ONNX file as executors run typed graphs, in float32.

    Args:
        path: The file; its symbolic sizes are R (rows), or N (nodes) and E (edges).
        threads: Threads; None lets ONNX Runtime choose.

    Attributes:
        name: `onnx`.
        maxima_limited: False: it takes a graph of any size.
        signature: What it takes and gives.

    Raises:
        MissingToolError: ONNX Runtime is not installed.
        GraphError: The file is missing, or no network of this kind.
    """

    name = "onnx"
    maxima_limited = False

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        try:
            import onnxruntime
        except ModuleNotFoundError as error:
            raise MissingToolError("onnxruntime is not installed", remedy="run: pip install onnxruntime") from error
        if not path.is_file():
            raise GraphError(f"{path} does not exist", remedy="write it with pipeline.float_onnx.export_float_chain")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads or 0
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            reason = " ".join(str(error).split())
            raise GraphError(f"ONNX Runtime cannot load {path}: {reason}", remedy="export it again") from error
        self.signature = _onnx_signature(self._session, path)

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.float32]]:
        """Outputs as float32 by output name."""
        names = [tensor.name for tensor in self.signature.outputs]
        given = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
        return dict(zip(names, (np.asarray(array) for array in self._session.run(names, given)), strict=True))


class OnnxClient(LocalClient):
    """The float reference: ONNX Runtime on exported float twins of the networks. Its numbers are not the firmware's.

    Args:
        config: Directory of `chain.json` and `<network>.onnx`, or one .onnx file, served under its name.

    Raises:
        MissingToolError: ONNX Runtime is not installed.
        GraphError: A file is missing or malformed; it is named.
    """

    def __init__(self, config: OnnxConfig) -> None:
        if config.model.suffix == ".onnx":
            executor = OnnxExecutor(config.model, threads=config.threads)
            models: dict[str, ServedModel] = {config.model.stem: _OnnxModel(executor)}
        else:
            models = _onnx_chain(config)
        super().__init__(models, description=FLOAT_REFERENCE)


class AsyncLocalClient:
    """Any blocking client for asyncio: each request runs in a thread.

    Args:
        client: What computes.
    """

    def __init__(self, client: InferenceClient) -> None:
        self.client = client
        self.description = client.description
        self.counts = client.counts

    async def infer(self, model: str, inputs: Arrays, *, outputs: Sequence[str] | None = None) -> Outputs:
        """See `InferenceClient.infer`."""
        return await asyncio.to_thread(self.client.infer, model, inputs, outputs=outputs)

    async def metadata(self, model: str) -> ModelMetadata:
        """See `InferenceClient.metadata`."""
        return await asyncio.to_thread(self.client.metadata, model)

    async def close(self) -> None:
        """See `InferenceClient.close`."""
        await asyncio.to_thread(self.client.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class _OnnxModel:
    """A network of its own."""

    def __init__(self, executor: OnnxExecutor) -> None:
        self.signature = executor.signature
        self.run = executor.run


def _chain_models(chain: Chain) -> dict[str, ServedModel]:
    models: dict[str, ServedModel] = {TRACKING: TrackingModel(chain=chain)}
    return models | {name: NetworkModel(executor=chain.executors[name]) for name in NETWORKS}


def _onnx_chain(config: OnnxConfig) -> dict[str, ServedModel]:
    executors = {name: OnnxExecutor(config.model / f"{name}.onnx", threads=config.threads) for name in NETWORKS}
    # The chain asks an executor for its typed graph only where that limits sizes, which here it does not.
    chain = Chain(config=load_config(config.model), executors=cast("Mapping[str, Executor]", executors))
    models: dict[str, ServedModel] = {TRACKING: TrackingModel(chain=chain)}
    return models | {name: _OnnxModel(executor) for name, executor in executors.items()}


def _onnx_signature(session: Any, path: Path) -> Signature:  # noqa: ANN401 - onnxruntime has no types
    inputs, outputs = (
        tuple(_onnx_tensor(tensor, path) for tensor in tensors)
        for tensors in (session.get_inputs(), session.get_outputs())
    )
    return Signature(max_batch_size=0, inputs=inputs, outputs=outputs, limits=LIMITS)


def _onnx_tensor(tensor: Any, path: Path) -> Tensor:  # noqa: ANN401 - onnxruntime has no types
    if tensor.type not in ONNX_TYPES:
        raise GraphError(f"{path}: tensor {tensor.name} is {tensor.type}", remedy="export it in float32")
    data_type = ONNX_TYPES[tensor.type]
    shape = tuple(size if isinstance(size, int) else str(size) for size in tensor.shape)
    index = "N" if data_type == "TYPE_INT64" else None
    return Tensor.model_validate({"name": tensor.name, "data_type": data_type, "shape": shape, "index_into": index})
