"""What the old server does not survive: it ends, answers nothing wrong, and leaves neither workers nor ports behind.

A server that survives one of these is a newer one: then the entry in `support.rough_requests` can go.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as grpc
from tritonclient.utils import InferenceServerException, shared_memory

from hitfabric.core import ServiceError
from hitfabric.fpga_backend import TritonClient, TritonServer
from hitfabric.fpga_backend.ports import port_holder
from support.processes import alive, eventually, workers
from support.rough_requests import CRASHES, parse, post

REGION_BYTES = 1 << 20


@pytest.fixture
def one_model(repository: Path, tmp_path: Path) -> Path:
    """A repository of the embedding alone."""
    shutil.copytree(repository / "embedding", tmp_path / "models" / "embedding")
    return tmp_path / "models"


def _deep(server: TritonServer, body: bytes) -> None:
    received = post(server.ports.http, "/v2/models/embedding/infer", body)
    answer = parse(received)
    assert answer is None or answer.status >= 400


def _deep_data(server: TritonServer) -> None:
    nested = b"[" * 200_000 + b"0,0,0,0,0,0" + b"]" * 200_000
    _deep(server, b'{"inputs":[{"name":"features","shape":[1,6],"datatype":"FP32","data":' + nested + b"}]}")


def _deep_body(server: TritonServer) -> None:
    _deep(server, b"[" * 1_000_000 + b"]" * 1_000_000)


def _shrunk_region(server: TritonServer) -> None:
    name = f"shrunk_{os.getpid()}"
    handle = shared_memory.create_shared_memory_region(name, f"/{name}", REGION_BYTES)
    try:
        with grpc.InferenceServerClient(server.url) as client:
            client.register_system_shared_memory(name, f"/{name}", REGION_BYTES)
            os.truncate(f"/dev/shm/{name}", 0)
            tensor = grpc.InferInput("features", [1, 6], "FP32")
            tensor.set_shared_memory(name, 24, offset=REGION_BYTES // 2)
            with pytest.raises(InferenceServerException):
                client.infer("embedding", [tensor], client_timeout=20)
    finally:
        shared_memory.destroy_shared_memory_region(handle)


WAYS: dict[str, Callable[[TritonServer], None]] = {
    "deep JSON data": _deep_data,
    "deep JSON": _deep_body,
    "shrunk region": _shrunk_region,
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_crashed_server_leaves_nothing_and_can_be_started_again(one_model: Path, tmp_path: Path, way: str) -> None:
    assert way in CRASHES
    server = TritonServer(repository=one_model, log=tmp_path / "server.log")
    with server:
        pid, ports, (worker,) = server.pid, server.ports, workers(server.pid)["embedding"]
        WAYS[way](server)
        assert eventually(lambda: not alive(pid)), f"the server survives: {CRASHES[way]}"
        assert eventually(lambda: not alive(worker))
    assert [port_holder(port) for port in (ports.grpc, ports.http, ports.metrics)] == [None] * 3
    with server:
        client = TritonClient(server.url)
        assert client.infer("embedding", {"features": np.ones((3, 6), np.float32)})["embedding"].shape == (3, 8)
        client.close()


def test_a_server_that_is_gone_is_reported(one_model: Path, tmp_path: Path) -> None:
    with TritonServer(repository=one_model, log=tmp_path / "server.log") as server:
        client = TritonClient(server.url, timeout=5)
        os.kill(server.pid, 9)
        assert eventually(lambda: not alive(server.pid))
        with pytest.raises(ServiceError, match="no server answers"):
            client.infer("embedding", {"features": np.ones((3, 6), np.float32)})
        client.close()
