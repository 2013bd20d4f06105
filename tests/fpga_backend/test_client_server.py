"""The clients on the real server: same answers by every road, and a worker that dies while clients ask."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hitfabric.core import DataError, load_config
from hitfabric.fpga_backend import (
    Chain,
    ClientConfig,
    DirectClient,
    TritonServer,
    open_async_client,
    open_model,
    stream_async,
)
from hitfabric.fpga_backend.client import expected_metadata
from hitfabric.fpga_backend.ports import free_ports
from support.processes import eventually, workers
from support.server_metrics import at_work

MakeHits = Callable[..., np.ndarray]
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def values(server: TritonServer, chain_directory: Path) -> dict[str, Any]:
    """A client's file; the first server of its list is gone."""
    servers = [f"127.0.0.1:{free_ports(1)[0]}", server.url]
    direct = {"model": str(chain_directory), "device": "golden"}
    return {"engine": "triton", "in_flight": 3, "triton": {"servers": servers, "timeout_s": 60}, "direct": direct}


@pytest.mark.parametrize("model", ["embedding", "filter", "interaction_network", "tracking"])
def test_metadata_is_the_same_in_process_and_served(values: dict[str, Any], model: str) -> None:
    served, direct = (
        open_model(ClientConfig.model_validate({**values, "engine": engine}), model) for engine in ("triton", "direct")
    )
    with served, direct:
        wanted = expected_metadata(model)
        for name, tensor in {**wanted.inputs, **wanted.outputs}.items():
            assert {**served.metadata.inputs, **served.metadata.outputs}[name] == {
                **direct.metadata.inputs,
                **direct.metadata.outputs,
            }[name]
            assert tensor.data_type == {**served.metadata.inputs, **served.metadata.outputs}[name].data_type
        assert "hitfabric" in served.metadata.platform or "triton" in served.metadata.platform


def test_one_key_of_the_file_swaps_the_client(values: dict[str, Any], tmp_path: Path, make_hits: MakeHits) -> None:
    events = [make_hits(200, seed=seed) for seed in range(8)]
    events[3] = np.full((5, 3), np.nan, np.float32)
    found: dict[str, list[Any]] = {}
    for engine in ("direct", "triton"):
        file = tmp_path / "client.yaml"
        file.write_text(yaml.safe_dump({**values, "engine": engine}))
        with open_model(load_config(ClientConfig, file)) as model:
            found[engine] = list(model.stream({"FEATURES": event} for event in events))
    for number, (direct, triton) in enumerate(zip(found["direct"], found["triton"], strict=True)):
        assert direct.index == triton.index == number
        if number == 3:
            assert isinstance(direct.error, DataError) and isinstance(triton.error, DataError)
        else:
            assert np.array_equal(direct.result()["LABELS"], triton.result()["LABELS"])


@pytest.mark.parametrize("engine", ["direct", "triton"])
def test_asyncio_gives_the_same(values: dict[str, Any], chain: Chain, make_hits: MakeHits, engine: str) -> None:
    events = [{"FEATURES": make_hits(150, seed=seed)} for seed in range(10)]

    async def run() -> list[np.ndarray]:
        client = open_async_client(ClientConfig.model_validate({**values, "engine": engine}))
        answers = [answer async for answer in stream_async(client, "tracking", events, in_flight=4)]
        empty = await client.infer("embedding", {"features": np.zeros((0, 6), np.float32)})
        assert empty["embedding"].shape == (0, 8)
        await client.close()
        return [answer.result()["LABELS"] for answer in answers]

    direct = DirectClient(chain)
    for event, labels in zip(events, asyncio.run(run()), strict=True):
        assert np.array_equal(labels, direct.infer("tracking", event)["LABELS"])


def test_no_request_is_lost_when_a_worker_dies(server: TritonServer, values: dict[str, Any], chain: Chain) -> None:
    rows = np.random.default_rng(0).normal(size=(300, 20, 12)).astype(np.float32)
    (victim,) = workers(server.pid)["filter"]
    os.kill(victim, signal.SIGSTOP)  # it holds requests when it dies

    def events() -> Iterator[dict[str, np.ndarray]]:
        for number, batch in enumerate(rows):
            if number == 2:
                assert eventually(lambda: at_work(server, "filter"))  # the worker will not answer
                os.kill(victim, signal.SIGKILL)
            yield {"pairs": batch}

    with open_model(ClientConfig.model_validate(values), "filter") as model:
        answers = list(model.stream(events()))
        assert model.client.counts.read()["retries"] > 0
    direct = DirectClient(chain)
    assert len(answers) == len(rows)
    for answer, batch in zip(answers, rows, strict=True):
        assert np.array_equal(answer.result()["logits"], direct.infer("filter", {"pairs": batch})["logits"])


def _hits_file(path: Path, features: np.ndarray, volume: int = 8) -> Path:
    r, phi, z = features.astype(np.float64).T
    lines = [
        f"{n},{x!r},{y!r},{z!r},{volume},2,1"
        for n, (x, y, z) in enumerate(
            zip((r * np.cos(phi)).tolist(), (r * np.sin(phi)).tolist(), z.tolist(), strict=True), 1
        )
    ]
    path.write_text(
        "\n".join(["hit_id,x,y,z,volume_id,layer_id,module_id", *lines, "999999,1.0,2.0,3.0,13,2,1"]) + "\n"
    )
    return path


def _features(path: Path) -> np.ndarray:
    """What the examples make of the file."""
    x, y, z, volume = np.loadtxt(path, delimiter=",", skiprows=1, usecols=(1, 2, 3, 4), unpack=True)
    return np.stack([np.hypot(x, y), np.arctan2(y, x), z], axis=1)[volume == 8].astype(np.float32)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C++ example, compiled as its head says."""
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    target = tmp_path_factory.mktemp("cpp_client") / "track_event"
    source = EXAMPLES / "cpp_client" / "track_event.cpp"
    options = ["-std=c++17", "-O1", "-fsanitize=address,undefined", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(["g++", *options, "-o", str(target), str(source)], check=True, timeout=300)
    return target


@pytest.mark.parametrize("hits", [1, 800])
def test_the_cpp_example_needs_only_the_wire(
    server: TritonServer, program: Path, chain: Chain, make_hits: MakeHits, tmp_path: Path, hits: int
) -> None:
    file = _hits_file(tmp_path / "event-hits.csv", make_hits(hits, seed=3))
    call = [program, file, "--server", f"127.0.0.1:{server.ports.http}", "--labels", tmp_path / "labels"]
    done = subprocess.run(list(map(str, call)), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    wanted = DirectClient(chain).infer("tracking", {"FEATURES": _features(file)})["LABELS"]
    assert np.array_equal(np.loadtxt(tmp_path / "labels", dtype=np.int64, ndmin=1), wanted)
    assert done.stdout.startswith(f"{hits} hits, {wanted.max() + 1} tracks, ")


def test_the_cpp_example_says_what_is_wrong(server: TritonServer, program: Path, tmp_path: Path) -> None:
    file = _hits_file(tmp_path / "event-hits.csv", np.array([[1, 0, np.inf]], np.float32))
    port = free_ports(1)[0]
    cases = [
        ([file, "--server", f"127.0.0.1:{server.ports.http}"], "the server answers 400: .*FEATURES"),
        ([file, "--server", f"127.0.0.1:{port}"], f"no server answers at 127.0.0.1:{port}"),
        ([tmp_path / "nothing"], "cannot read .*nothing"),
        ([file, "--server", f"127.0.0.1:{server.ports.http}", "--model", "itk"], "404: .*unknown model: 'itk'"),
        (["--help"], "cannot use argument --help; track_event HITS.csv"),
        ([], "give a hits file"),
    ]
    for arguments, message in cases:
        done = subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 2
        assert done.stderr.startswith("error: ")
        assert re.search(message, done.stderr), done.stderr


def test_the_plain_example_needs_only_tritonclient(
    server: TritonServer, chain: Chain, make_hits: MakeHits, tmp_path: Path
) -> None:
    file = _hits_file(tmp_path / "event-hits.csv", make_hits(800, seed=3))
    call = [sys.executable, str(EXAMPLES / "plain_tritonclient.py"), str(file), "--url", server.url]
    done = subprocess.run(call, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    labels = DirectClient(chain).infer("tracking", {"FEATURES": _features(file)})["LABELS"]
    share = f"{np.mean(labels >= 0):.0%}"
    assert done.stdout == f"800 hits, {labels.max() + 1} tracks, {share} of the hits on a track\n"
    assert "hitfabric" not in (EXAMPLES / "plain_tritonclient.py").read_text().split('"""')[2]
