"""A small gRPC server that speaks Triton's protocol and answers what a test tells it to."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import grpc
import numpy as np
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc

TENSORS = {
    "tracking": ({"FEATURES": ("FP32", [-1, 3])}, {"LABELS": ("INT64", [-1])}),
    "filter": ({"pairs": ("FP32", [-1, 12])}, {"logits": ("FP32", [-1, 1])}),
}


class FakeTriton(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Serves `tracking`: the label of a hit is its first feature, rounded; a context manager.

    Args:
        script: Status names, answered to inference requests in turn; `ok` computes, `hang` waits until `release`.
        then: What follows the script.
        tensors: Inputs and outputs by model: name -> (type, shape).
        optional: Inputs that are optional.
        token: Value that the header `authorization` must have.
        port: Port to listen on; 0 lets the kernel choose.
        credentials: TLS of the server.
    """

    def __init__(
        self,
        script: Sequence[str] = (),
        *,
        then: str = "ok",
        tensors: dict[str, Any] | None = None,
        optional: Sequence[str] = (),
        token: str | None = None,
        port: int = 0,
        host: str = "127.0.0.1",
        credentials: Any = None,
    ) -> None:
        self.script = list(script)
        self.then = then
        self.tensors = TENSORS if tensors is None else tensors
        self.optional = optional
        self.token = token
        self.live = True
        self.silent = False
        self.release = threading.Event()
        self.requests: list[Any] = []
        self.descriptions = 0
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self._server = grpc.server(ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(self, self._server)
        address = f"{host}:{port}"
        if credentials:
            self.port = self._server.add_secure_port(address, credentials)
        else:
            self.port = self._server.add_insecure_port(address)
        self.url = f"{host}:{self.port}"
        self._server.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End at once, as a process that is killed does."""
        self.release.set()
        self._server.stop(None).wait()

    def ServerLive(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self._check_token(context)
        return service_pb2.ServerLiveResponse(live=self.live)

    def ModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self.descriptions += 1
        self._check_token(context)
        if self.silent:
            self.release.wait(30)
        if request.name not in self.tensors:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Request for unknown model: '{request.name}' is not found")
        inputs, outputs = self.tensors[request.name]
        answer = service_pb2.ModelMetadataResponse(name=request.name, platform="fake")
        for kind, tensors in (("inputs", inputs), ("outputs", outputs)):
            for name, (data_type, shape) in tensors.items():
                getattr(answer, kind).add(name=name, datatype=data_type, shape=shape)
        return answer

    def ModelConfig(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        config = model_config_pb2.ModelConfig(name=request.name)
        for name in self.tensors[request.name][0]:
            config.input.add(name=name, optional=name in self.optional)
        return service_pb2.ModelConfigResponse(config=config)

    def ModelInfer(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self._check_token(context)
        with self._lock:
            self.requests.append(request)
            step = self.script.pop(0) if self.script else self.then
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            if step == "hang":
                self.release.wait(30)
            elif step != "ok":
                context.abort(getattr(grpc.StatusCode, step), f"[request id: <id_unknown>] said {step}")
            return self._answer(request)
        finally:
            with self._lock:
                self._at_once -= 1

    def _answer(self, request: Any) -> Any:
        answer = service_pb2.ModelInferResponse(model_name=request.model_name)
        shape = list(request.inputs[0].shape)
        values = np.frombuffer(request.raw_input_contents[0], dtype=np.float32).reshape(shape)
        labels = np.rint(values[:, 0]).astype(np.int64)
        answer.outputs.add(name="LABELS", datatype="INT64", shape=labels.shape)
        answer.raw_output_contents.append(labels.tobytes())
        return answer

    def _check_token(self, context: grpc.ServicerContext) -> None:
        found = dict(context.invocation_metadata()).get("authorization")
        if self.token is not None and found != self.token:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "no such token")
