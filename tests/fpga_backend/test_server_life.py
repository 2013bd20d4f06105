"""How a server starts, completes configurations, and ends."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hitfabric.core import ServiceError
from hitfabric.fpga_backend import Chain, DirectClient, Ports, TritonClient, TritonServer, build_backend
from hitfabric.fpga_backend.ports import free_ports, port_holder
from support.processes import alive, eventually, workers

MINIMAL = """backend: "hitfabric"
instance_group [ {{ kind: KIND_CPU }} ]
parameters {{ key: "device" value {{ string_value: "golden" }} }}
parameters {{ key: "python" value {{ string_value: "{python}" }} }}
"""


@pytest.fixture
def one_model(repository: Path, tmp_path: Path) -> Path:
    """A repository of the embedding alone, to be changed by the test."""
    shutil.copytree(repository / "embedding", tmp_path / "models" / "embedding")
    return tmp_path / "models"


def _server(repository: Path, tmp_path: Path) -> TritonServer:
    return TritonServer(repository=repository, log=tmp_path / "server.log")


def test_it_ends_soon_with_idle_clients_and_leaves_nothing(one_model: Path, tmp_path: Path, chain: Chain) -> None:
    server = _server(one_model, tmp_path)
    with server:
        ports, pid = server.ports, server.pid
        assert f"process {pid}" in (port_holder(ports.grpc) or "")
        keep_alive = http.client.HTTPConnection("127.0.0.1", ports.http)
        keep_alive.request("GET", "/v2/health/live")
        keep_alive.getresponse().read()
        client = TritonClient(server.url)
        features = np.ones((3, 6), np.float32)
        served = client.infer("embedding", {"features": features})["embedding"]
        assert np.array_equal(served, DirectClient(chain).infer("embedding", {"features": features})["embedding"])
        children = [worker for group in workers(pid).values() for worker in group]
        assert len(children) == 1
    assert not any(alive(process) for process in (pid, *children))
    assert [port_holder(port) for port in (ports.grpc, ports.http, ports.metrics)] == [None] * 3
    keep_alive.close()
    client.close()


def test_workers_die_with_a_killed_server_even_while_hanging(one_model: Path, tmp_path: Path) -> None:
    server = _server(one_model, tmp_path)
    server.start()
    (child,) = workers(server.pid)["embedding"]
    os.kill(child, signal.SIGSTOP)
    os.kill(server.pid, signal.SIGKILL)
    server.stop()
    assert eventually(lambda: not alive(child))


def test_a_worker_stopped_at_its_first_step_dies_with_a_killed_server(one_model: Path, tmp_path: Path) -> None:
    slow, python = tmp_path / "stop at start", tmp_path / "python"
    python.write_text(f'#!/bin/sh\n[ -e "{slow}" ] && kill -STOP $$\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    config = one_model / "embedding" / "config.pbtxt"
    config.write_text(config.read_text().replace(sys.executable, str(python)))
    server = _server(one_model, tmp_path)
    server.start()
    (first,) = workers(server.pid)["embedding"]
    slow.touch()
    os.kill(first, signal.SIGKILL)
    client = TritonClient(server.url, timeout=1)
    with pytest.raises(ServiceError):
        client.infer("embedding", {"features": np.ones((3, 6), np.float32)})  # starts the next worker
    client.close()
    (second,) = workers(server.pid)["embedding"]
    assert eventually(lambda: _state(second) == "T")
    os.kill(server.pid, signal.SIGKILL)
    server.stop()
    assert eventually(lambda: not alive(second))


def _state(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]


def test_a_configuration_without_tensors_is_completed(one_model: Path, tmp_path: Path) -> None:
    (one_model / "embedding" / "config.pbtxt").write_text(MINIMAL.format(python=sys.executable))
    with _server(one_model, tmp_path) as server:
        client = TritonClient(server.url)
        assert client.infer("embedding", {"features": np.ones((3, 6), np.float32)})["embedding"].shape == (3, 8)
        client.close()


@pytest.mark.parametrize(
    ("file", "old", "new", "reason"),
    [
        (
            "config.pbtxt",
            "dims: [ 6 ]",
            "dims: [ 7 ]",
            r"input 'features' is TYPE_FP32 \[7\], the model has FP32 \[R, 6\]",
        ),
        ("config.pbtxt", "TYPE_FP32 dims: [ 8 ]", "TYPE_FP64 dims: [ 8 ]", "output 'embedding' is TYPE_FP64"),
        ("config.pbtxt", '"features"', '"hits"', "input lacks 'features'"),
        ("config.pbtxt", "max_batch_size: 1000000", "max_batch_size: 2000000", "max_batch_size 2000000"),
        ("config.pbtxt", '"3000"', '"soon"', "worker_timeout_ms is 'soon'"),
        ("config.pbtxt", '"golden"', '"fpga"', "worker cannot serve: unknown device 'fpga'"),
        ("1/signature.json", '"version": 1', '"version": 9', "signature: unknown version"),
        ("1/model/graph.json", "{", "", "worker cannot serve"),
    ],
)
def test_a_model_that_cannot_be_served_is_explained(
    one_model: Path, tmp_path: Path, file: str, old: str, new: str, reason: str
) -> None:
    path = one_model / "embedding" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    server = _server(one_model, tmp_path)
    with pytest.raises(ServiceError, match=reason):
        server.start()


def test_a_worker_that_cannot_start_is_explained(one_model: Path, tmp_path: Path) -> None:
    config = one_model / "embedding" / "config.pbtxt"
    config.write_text(config.read_text().replace(sys.executable, "/nowhere/python"))
    with pytest.raises(ServiceError, match="cannot start worker /nowhere/python"):
        _server(one_model, tmp_path).start()


def test_given_ports_are_used(one_model: Path, tmp_path: Path) -> None:
    grpc, web, metrics = free_ports(3)
    server = TritonServer(repository=one_model, log=tmp_path / "log", ports=Ports(grpc=grpc, http=web, metrics=metrics))
    with server:
        assert server.url == f"127.0.0.1:{grpc}"
        assert f"process {server.pid}" in (port_holder(web) or "")


def test_the_backend_is_compiled_once() -> None:
    library = build_backend() / "hitfabric" / "libtriton_hitfabric.so"
    before = library.stat().st_mtime_ns
    assert build_backend() == library.parents[1]
    assert library.stat().st_mtime_ns == before
    exported = subprocess.run(
        ["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True
    ).stdout
    names = {line.split()[-1] for line in exported.splitlines()}
    assert len(names) == 8
    assert all(name.startswith("TRITONBACKEND_") for name in names)


def test_serving_needs_no_torch() -> None:
    program = (
        "import sys, hitfabric.fpga_backend, hitfabric.fpga_backend.worker\n"
        "assert not {'torch', 'brevitas', 'hitfabric.models'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
