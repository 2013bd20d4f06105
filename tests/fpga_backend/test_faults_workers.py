"""Workers that are killed under load, or hang while they start: what is answered is right or a clear UNAVAILABLE."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as grpc
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from hitfabric.core import ServiceError
from hitfabric.fpga_backend import Chain, DirectClient, TritonServer
from support.processes import alive, eventually, workers

REQUESTS = 150
CLIENTS = 6
Inputs = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def questions(chain: Chain, make_hits: Callable[..., np.ndarray]) -> list[tuple[str, Inputs, str, np.ndarray]]:
    """Model, inputs, output and its right value, for requests of several models and sizes."""
    rng, direct = np.random.default_rng(8), DirectClient(chain)
    asked: list[tuple[str, Inputs, str]] = []
    for rows in (1, 30, 900):
        asked.append(("embedding", {"features": rng.normal(size=(rows, 6)).astype(np.float32)}, "embedding"))
        asked.append(("filter", {"pairs": rng.normal(size=(rows, 12)).astype(np.float32)}, "logits"))
        asked.append(("tracking", {"FEATURES": make_hits(rows, seed=rows)}, "LABELS"))
    graph = {"nodes": np.ones((5, 3), np.float32), "edges": np.ones((7, 4), np.float32)}
    asked.append(("interaction_network", {**graph, "edge_index": rng.integers(0, 5, size=(7, 2))}, "logits"))
    return [(model, inputs, output, direct.infer(model, inputs)[output]) for model, inputs, output in asked]


def _ask(client: grpc.InferenceServerClient, model: str, inputs: Inputs, output: str) -> np.ndarray:
    tensors = []
    for name, array in inputs.items():
        tensor = grpc.InferInput(name, list(array.shape), str(np_to_triton_dtype(array.dtype)))
        tensor.set_data_from_numpy(array)
        tensors.append(tensor)
    answer = client.infer(model, tensors, client_timeout=60).as_numpy(output)
    assert answer is not None
    return answer


def test_every_answer_under_kills_is_right_or_unavailable(
    server: TritonServer, questions: list[tuple[str, Inputs, str, np.ndarray]]
) -> None:
    counts: Counter[str] = Counter()
    over = threading.Event()

    def kill() -> None:
        rng = np.random.default_rng(2)
        while not over.wait(0.4):
            victims = sorted(pid for model in workers(server.pid).values() for pid in model)
            if victims:
                os.kill(int(rng.choice(victims)), signal.SIGKILL)
                counts["kills"] += 1

    def ask(number: int) -> str:
        model, inputs, output, right = questions[number % len(questions)]
        with grpc.InferenceServerClient(server.url) as client:
            try:
                answer = _ask(client, model, inputs, output)
            except InferenceServerException as error:
                assert error.status() == "StatusCode.UNAVAILABLE", error
                assert "worker" in str(error.message()), error
                return "unavailable"
        assert np.array_equal(answer, right)
        time.sleep(0.03)  # so that the kills come between the requests too
        return "right"

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with ThreadPoolExecutor(CLIENTS) as pool:
            counts.update(pool.map(ask, range(REQUESTS)))
    finally:
        over.set()
        killer.join()
    assert counts["right"] + counts["unavailable"] == REQUESTS
    assert counts["kills"] >= 2
    assert counts["right"] > REQUESTS // 2
    for number in range(len(questions)):
        # Nobody kills any more; what died while idle is started again without a failure.
        assert ask(number) == "right"


@pytest.fixture
def hang(tmp_path: Path) -> Path:
    """While this file is there, the workers of `moody` hang at their start."""
    return tmp_path / "hang"


@pytest.fixture
def moody(repository: Path, tmp_path: Path, hang: Path) -> Path:
    """A repository of the embedding whose workers do so."""
    shutil.copytree(repository / "embedding", tmp_path / "models" / "embedding")
    python = tmp_path / "python"
    hanging = f"if [ -e {shlex.quote(str(hang))} ]; then exec sleep 600; fi"
    python.write_text(f'#!/bin/sh\n{hanging}\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    config = tmp_path / "models" / "embedding" / "config.pbtxt"
    text = config.read_text().replace(sys.executable, str(python)).replace('"300000"', '"2500"')
    assert str(python) in text and '"2500"' in text
    config.write_text(text)
    return tmp_path / "models"


def test_a_model_whose_worker_hangs_at_its_start_is_not_served(moody: Path, hang: Path, tmp_path: Path) -> None:
    hang.touch()
    with pytest.raises(ServiceError, match=r"embedding.*worker did not start.*start timeout exceeded"):
        TritonServer(repository=moody, log=tmp_path / "log").start()


@pytest.fixture
def moody_server(moody: Path, tmp_path: Path) -> Iterator[TritonServer]:
    with TritonServer(repository=moody, log=tmp_path / "log") as running:
        yield running


def test_a_worker_that_hangs_when_it_is_started_again(moody_server: TritonServer, hang: Path, chain: Chain) -> None:
    inputs = {"features": np.random.default_rng(1).normal(size=(20, 6)).astype(np.float32)}
    right = DirectClient(chain).infer("embedding", inputs)["embedding"]
    with grpc.InferenceServerClient(moody_server.url) as client:
        assert np.array_equal(_ask(client, "embedding", inputs, "embedding"), right)
        (victim,) = workers(moody_server.pid)["embedding"]
        hang.touch()
        os.kill(victim, signal.SIGKILL)
        assert eventually(lambda: not alive(victim))
        with pytest.raises(InferenceServerException, match="start timeout exceeded") as refused:
            _ask(client, "embedding", inputs, "embedding")
        assert refused.value.status() == "StatusCode.UNAVAILABLE"
        hang.unlink()  # whatever it was is over: the next request brings the model back
        assert np.array_equal(_ask(client, "embedding", inputs, "embedding"), right)


def test_a_worker_that_is_gone_for_good_does_not_take_the_server_along(
    moody_server: TritonServer, hang: Path, chain: Chain, tmp_path: Path
) -> None:
    (tmp_path / "python").rename(tmp_path / "no python")
    (victim,) = workers(moody_server.pid)["embedding"]
    os.kill(victim, signal.SIGKILL)
    assert eventually(lambda: not alive(victim))
    inputs = {"features": np.ones((2, 6), np.float32)}
    with grpc.InferenceServerClient(moody_server.url) as client:
        for _ in range(3):
            with pytest.raises(InferenceServerException, match="cannot start worker") as refused:
                _ask(client, "embedding", inputs, "embedding")
            assert refused.value.status() == "StatusCode.UNAVAILABLE"
        (tmp_path / "no python").rename(tmp_path / "python")
        right = DirectClient(chain).infer("embedding", inputs)["embedding"]
        assert np.array_equal(_ask(client, "embedding", inputs, "embedding"), right)
    assert not hang.exists()
