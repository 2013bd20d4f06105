"""Clients that are slow, never read, or vanish: the others are served meanwhile, and nothing of them stays behind."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest
import tritonclient.grpc as grpc

from hitfabric.fpga_backend import Chain, DirectClient, TritonServer
from support.processes import eventually, workers

LOOPBACK = "127.0.0.1"
Ask = Callable[[], None]


@pytest.fixture
def ask(server: TritonServer, chain: Chain) -> Ask:
    """Function that asks over a connection of its own: the answer must be right, and come soon."""
    features = np.random.default_rng(5).normal(size=(40, 6)).astype(np.float32)
    right = DirectClient(chain).infer("embedding", {"features": features})["embedding"]

    def asked() -> None:
        tensor = grpc.InferInput("features", [40, 6], "FP32")
        tensor.set_data_from_numpy(features)
        with grpc.InferenceServerClient(server.url) as client:
            assert np.array_equal(client.infer("embedding", [tensor], client_timeout=10).as_numpy("embedding"), right)

    return asked


def _request(rows: int) -> bytes:
    tensor = {"name": "features", "shape": [rows, 6], "datatype": "FP32", "data": [0.25] * (6 * rows)}
    body = json.dumps({"inputs": [tensor]}).encode()
    head = f"POST /v2/models/embedding/infer HTTP/1.1\r\nHost: {LOOPBACK}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _descriptors(server: TritonServer) -> int:
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def test_a_body_that_drips_in_is_waited_for_and_holds_nobody_up(server: TritonServer, ask: Ask) -> None:
    head, end, body = _request(3).partition(b"\r\n\r\n")
    with socket.create_connection((LOOPBACK, server.ports.http), timeout=20) as slow:
        slow.sendall(head + end)
        for start in range(0, len(body), 10):
            slow.sendall(body[start : start + 10])
            ask()
        assert slow.recv(1 << 16).startswith(b"HTTP/1.1 200")


def test_many_clients_that_never_finish_their_requests_hold_nobody_up(server: TritonServer, ask: Ask) -> None:
    before, request = _descriptors(server), _request(100)
    halves = []
    for _ in range(100):
        halves.append(connection := socket.create_connection((LOOPBACK, server.ports.http), timeout=20))
        connection.sendall(request[: len(request) // 2])
    for _ in range(10):
        ask()
    for connection in halves:
        connection.close()
    assert eventually(lambda: _descriptors(server) <= before + 10)


def test_answers_that_nobody_reads_hold_nobody_up(server: TritonServer, ask: Ask) -> None:
    request = _request(20_000)  # its answer is larger than the buffers of a connection
    deaf = []
    for _ in range(4):
        deaf.append(connection := socket.socket())
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((LOOPBACK, server.ports.http))
        connection.sendall(request)
    for _ in range(10):
        ask()
    for connection in deaf:
        connection.close()
    ask()


def test_a_stream_that_nobody_reads_holds_nobody_up(server: TritonServer, ask: Ask) -> None:
    blocked, answered = threading.Event(), threading.Semaphore(0)

    def read(result: grpc.InferResult | None, error: object) -> None:
        assert error is None and result is not None
        answered.release()
        blocked.wait(30)

    tensor = grpc.InferInput("features", [20_000, 6], "FP32")
    tensor.set_data_from_numpy(np.full((20_000, 6), 0.25, np.float32))
    with grpc.InferenceServerClient(server.url) as client:
        client.start_stream(read)
        for _ in range(12):
            client.async_stream_infer("embedding", [tensor])
        assert answered.acquire(timeout=20)
        for _ in range(10):
            ask()
        blocked.set()  # it reads at last: nothing is lost
        for _ in range(11):
            assert answered.acquire(timeout=20)
        client.stop_stream()


def test_a_client_that_vanishes_between_question_and_answer(server: TritonServer, ask: Ask) -> None:
    before, request = workers(server.pid), _request(5000)
    for part in (request, request[:-1], request[: len(request) // 2], request[:10]) * 5:
        with socket.create_connection((LOOPBACK, server.ports.http), timeout=20) as connection:
            connection.sendall(part)
    ask()
    assert workers(server.pid) == before


KILLED_CLIENT = """
import sys, numpy as np, tritonclient.grpc as grpc
tensor = grpc.InferInput("features", [5000, 6], "FP32")
tensor.set_data_from_numpy(np.zeros((5000, 6), np.float32))
with grpc.InferenceServerClient(sys.argv[1]) as client:
    while True:
        client.infer("embedding", [tensor])
        print("answered", flush=True)
"""


def test_a_client_that_is_killed_while_it_asks(server: TritonServer, ask: Ask) -> None:
    before = workers(server.pid)
    with subprocess.Popen([sys.executable, "-c", KILLED_CLIENT, server.url], stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"answered\n"
        client.kill()  # while it asks again
    ask()
    assert workers(server.pid) == before
