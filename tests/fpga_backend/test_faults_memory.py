"""Memory of server and workers stays flat under load, with killed workers and refused requests among it."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as grpc
from tritonclient.utils import InferenceServerException

from hitfabric.fpga_backend import TritonServer
from support.processes import workers

ROUNDS = 8
"""Of requests, some 40 MB; in every other one a worker is killed."""
LARGEST_ROWS = 4000
ALLOWED_BYTES = 6 << 20
"""What the allocators of server and Python may keep; if requests leaked, it would be many times more."""


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


@pytest.mark.slow
def test_memory_is_flat_in_a_short_soak(server: TritonServer) -> None:
    rng = np.random.default_rng(0)
    batches = [rng.normal(size=(int(rows), 12)).astype(np.float32) for rows in rng.integers(1, LARGEST_ROWS, size=50)]
    batches.append(np.full((LARGEST_ROWS, 12), np.nan, np.float32))
    assert ROUNDS * sum(batch.nbytes for batch in batches) > 5 * ALLOWED_BYTES

    def load(client: grpc.InferenceServerClient) -> int:
        for number in range(ROUNDS):
            for batch in batches:
                tensor = grpc.InferInput("pairs", list(batch.shape), "FP32")
                tensor.set_data_from_numpy(batch)
                try:
                    client.infer("filter", [tensor], client_timeout=60)
                except InferenceServerException as error:
                    assert error.status() in ("StatusCode.INVALID_ARGUMENT", "StatusCode.UNAVAILABLE")
            for pid in workers(server.pid).get("interaction_network", []) if number % 2 else []:
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(InferenceServerException):  # when it dies only after it was asked
                client.infer("interaction_network", _graph(), client_timeout=60)
        return _resident(server.pid) + _resident(workers(server.pid)["filter"][0])

    with grpc.InferenceServerClient(server.url) as client:
        settled, files = load(client), _descriptors(server.pid)
        assert load(client) - settled < ALLOWED_BYTES
        assert _descriptors(server.pid) <= files + 5


def _graph() -> list[grpc.InferInput]:
    arrays = {"nodes": np.zeros((3, 3), np.float32), "edges": np.zeros((2, 4), np.float32)}
    tensors = []
    for name, array in {**arrays, "edge_index": np.zeros((2, 2), np.int64)}.items():
        tensors.append(tensor := grpc.InferInput(name, list(array.shape), "INT64" if name == "edge_index" else "FP32"))
        tensor.set_data_from_numpy(array)
    return tensors
