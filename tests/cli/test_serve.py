"""`hitfabric serve` as a program: how it ends, what it leaves, what it refuses; `hitfabric repository`."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import pytest

from hitfabric.fpga_backend.device_names import DEVICES
from hitfabric.fpga_backend.ports import port_holder
from hitfabric.fpga_backend.repository_versions import model_names, version_numbers
from hitfabric.pipeline.serve import ServedDevice
from support.processes import alive, eventually, workers
from support.tiny import Tiny

PROGRAM = [sys.executable, "-c", "from hitfabric.cli import main; main()"]


@pytest.fixture
def served(run, tiny: Tiny, tmp_path: Path) -> Path:  # noqa: ANN001
    """A repository of one model that loads soon."""
    assert run("repository", "--model", tiny.run, "--repository", tmp_path / "all", "--device", "golden").code == 0
    shutil.copytree(tmp_path / "all" / "embedding", tmp_path / "models" / "embedding")
    return tmp_path / "models"


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Function that starts the program."""
    started = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        call = [*PROGRAM, "serve", "--free-ports", "--out", str(tmp_path / "out"), *map(str, arguments)]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def _server_of(process: subprocess.Popen[str]) -> tuple[int, list[int]]:
    """Process number of tritonserver, and those of its workers, once it is ready."""
    assert process.stdout is not None
    named = re.search(r"at 127\.0\.0\.1:(\d+) \(gRPC\)", process.stdout.readline())
    assert named is not None
    held = re.search(r"process (\d+)", port_holder(int(named[1])) or "")
    assert held is not None
    server = int(held[1])
    return server, [worker for group in workers(server).values() for worker in group]


def _http_port(server: int) -> int:
    words = Path(f"/proc/{server}/cmdline").read_bytes().decode().split("\0")
    return next(int(word.split("=")[1]) for word in words if word.startswith("--http-port="))


def test_sigterm_ends_it_within_seconds_with_idle_clients(served: Path, serve) -> None:  # noqa: ANN001
    program = serve("--repository", served)
    server, children = _server_of(program)
    assert len(children) == 1
    idle = http.client.HTTPConnection("127.0.0.1", _http_port(server))
    idle.request("GET", "/v2/health/live")
    idle.getresponse().read()
    program.send_signal(signal.SIGTERM)
    _, told = program.communicate(timeout=20)
    assert program.returncode == 143
    assert not any(alive(process) for process in (server, *children))
    assert "info: embedding loaded" in told
    assert "Cuda" not in told
    assert sorted(path.name for path in served.parent.joinpath("out").iterdir()) == ["run.json", "tritonserver.log"]
    idle.close()


def test_a_killed_program_leaves_no_server(served: Path, serve) -> None:  # noqa: ANN001
    program = serve("--repository", served)
    server, children = _server_of(program)
    for child in children:
        os.kill(child, signal.SIGSTOP)  # a worker that hangs, too
    program.kill()
    assert eventually(lambda: not any(alive(process) for process in (server, *children)))


def test_a_killed_server_is_started_again(served: Path, serve) -> None:  # noqa: ANN001
    program = serve("--repository", served, "--restarts", 1)
    server, _ = _server_of(program)
    port = _http_port(server)
    os.kill(server, signal.SIGKILL)
    assert eventually(lambda: port_holder(port) not in (None, f"tritonserver (process {server})"))
    os.kill(int(re.findall(r"process (\d+)", port_holder(port) or "")[0]), signal.SIGKILL)
    _, told = program.communicate(timeout=30)
    assert program.returncode == 2
    assert "restart 1 of 1" in told
    assert "ended by itself after 1 restarts" in told


def test_a_foreign_folder_is_refused(run, tiny: Tiny, tmp_path: Path) -> None:  # noqa: ANN001
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").touch()
    ports = ("--free-ports", "--out", tmp_path / "out")
    for call in (("repository",), ("serve", *ports)):
        error = run(*call, "--model", tiny.run, "--repository", tmp_path / "thesis").error
        assert "not empty and no model repository" in error
    assert [path.name for path in tmp_path.rglob("*")] == ["thesis", "chapter1.tex"]


def test_repositories_grow(run, tiny: Tiny, tmp_path: Path) -> None:  # noqa: ANN001
    common = ("repository", "--model", tiny.run, "--repository", tmp_path / "models", "--name", "itk")
    outcome = run(*common, "--max-queue-size", 8, "--setting", "threads=3")
    written, following = outcome.out.splitlines()
    assert written == f"{tmp_path / 'models'}: itk_embedding, itk_filter, itk_interaction_network, itk_tracking"
    assert following == f"next: hitfabric serve --repository {tmp_path / 'models'}"
    assert run(*common, "--version", 2, "--versions", 2, "--instances", 2, "--threads", 1).code == 0
    assert run(*common[:-1], "odd", "--device", "shadow", "--setting", "check_share=0.5").code == 0
    assert len(model_names(tmp_path / "models")) == 8
    assert version_numbers(tmp_path / "models" / "itk_tracking") == (1, 2)
    assert "has version 2 already" in run(*common, "--version", 2).error
    assert run(*common, "--version", 2, "--replace").code == 0


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--device", "gpu"), "device"),
        (("--setting", "threads"), "is not NAME=VALUE"),
        (("--setting", "speed=3"), "speed"),
        (("--setting", "threads=0"), "threads"),
        (("--setting", "check_share=0.1"), "no setting check_share"),
        (("--name", "a b"), "no name of a detector"),
        (("--chain", "event-pixel"), "give one"),
        (("--set", "colour=red"), "colour"),
    ],
)
def test_wrong_options_write_nothing(run, tiny: Tiny, tmp_path: Path, options, reason) -> None:  # noqa: ANN001
    error = run("repository", "--model", tiny.run, "--repository", tmp_path / "models", *options).error
    assert reason in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--address", "0.0.0.0"), "without TLS"),
        (("--address", "farm"), "no IPv4 address"),
        (("--tls-certificate", "cert.pem"), "key"),
        (("--tls-certificate", "cert.pem", "--tls-key", "key.pem"), "cert.pem is no file"),
        (("--restrict", "trace"), "admin_token"),
        (("--admin-token-file", "none"), "cannot read the token"),
        (("--model-control", "poll"), "model_control"),
    ],
)
def test_unsafe_servers_are_not_started(run, tiny: Tiny, tmp_path: Path, options, reason) -> None:  # noqa: ANN001
    error = run("serve", "--model", tiny.run, "--free-ports", "--out", tmp_path / "out", *options).error
    assert reason in error
    assert list(tmp_path.iterdir()) == []


def test_every_device_can_be_named() -> None:
    assert get_args(ServedDevice) == DEVICES


def test_what_is_served_and_written_as_json(run, serve, tiny: Tiny, served: Path, tmp_path: Path) -> None:  # noqa: ANN001
    written = run("repository", "--model", tiny.run, "--repository", tmp_path / "again", "--device", "golden", "--json")
    assert json.loads(written.out)["models"] == list(model_names(tmp_path / "again"))
    process = serve("--repository", served, "--json")
    assert process.stdout is not None
    text = ""
    while not text.endswith("}\n"):
        line = process.stdout.readline()
        assert line, text
        text += line
    told = json.loads(text)
    assert told["models"] == ["embedding"]
    assert re.fullmatch(r"127\.0\.0\.1:\d+", told["grpc"])
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
