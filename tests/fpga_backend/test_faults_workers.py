"""Workers that are killed under load, or hang while they start: what is answered is right or a clear UNAVAILABLE."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable
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
RIGHT_BETWEEN_KILLS = 10
"""A kill costs at most what the clients ask at that time, so that more than half of the answers are right."""
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
    result = client.infer(model, tensors, client_timeout=60)
    assert result is not None
    answer = result.as_numpy(output)
    assert answer is not None
    return answer


def test_every_answer_under_kills_is_right_or_unavailable(
    server: TritonServer, questions: list[tuple[str, Inputs, str, np.ndarray]]
) -> None:
    counts: Counter[str] = Counter()
    rng, lock = np.random.default_rng(2), threading.Lock()
    killed: list[int] = []

    def kill_one() -> None:
        if victims := sorted(pid for model in workers(server.pid).values() for pid in model):
            killed.append(int(rng.choice(victims)))
            os.kill(killed[-1], signal.SIGKILL)

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
        return "right"

    def ask_and_kill(number: int) -> None:
        verdict = ask(number)
        with lock:
            counts[verdict] += 1
            if verdict == "right" and counts["right"] % RIGHT_BETWEEN_KILLS == 0:
                kill_one()

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(ask_and_kill, range(REQUESTS)))
    assert counts["right"] + counts["unavailable"] == REQUESTS
    assert len(killed) >= 2
    assert counts["right"] > REQUESTS // 2
    assert eventually(lambda: not any(map(alive, killed)))  # one that is still dying can take a request along
    for number in range(len(questions)):
        # Nobody kills any more; what died while idle is started again without a failure.
        assert ask(number) == "right"


@pytest.fixture
def hang(tmp_path: Path) -> Path:
    """While this file is there, the workers of `moody` hang at their start."""
    return tmp_path / "hang"


@pytest.fixture
def moody(repository: Path, tmp_path: Path, hang: Path) -> Callable[[int], Path]:
    """Function making a repository of the embedding whose workers do so, of a start timeout in ms.

    Requests wait 300 ms for a worker that is started again.
    """
    shutil.copytree(repository / "embedding", tmp_path / "models" / "embedding")
    python = tmp_path / "python"
    hanging = f"if [ -e {shlex.quote(str(hang))} ]; then exec sleep 600; fi"
    python.write_text(f'#!/bin/sh\n{hanging}\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)

    def make(start_timeout_ms: int) -> Path:
        config = tmp_path / "models" / "embedding" / "config.pbtxt"
        text = config.read_text().replace(sys.executable, str(python)).replace('"300000"', f'"{start_timeout_ms}"')
        assert str(python) in text and f'"{start_timeout_ms}"' in text
        config.write_text(text + 'parameters { key: "worker_restart_wait_ms" value { string_value: "300" } }\n')
        return tmp_path / "models"

    return make


def test_a_model_whose_worker_hangs_at_its_start_is_not_served(
    moody: Callable[[int], Path], hang: Path, tmp_path: Path
) -> None:
    hang.touch()
    with pytest.raises(ServiceError, match=r"embedding.*worker did not start.*start timeout exceeded"):
        TritonServer(repository=moody(1000), log=tmp_path / "log").start()


def test_nobody_waits_long_for_a_worker_that_hangs_when_it_is_started_again(
    moody: Callable[[int], Path], hang: Path, chain: Chain, tmp_path: Path
) -> None:
    inputs = {"features": np.random.default_rng(1).normal(size=(20, 6)).astype(np.float32)}
    right = DirectClient(chain).infer("embedding", inputs)["embedding"]
    with (
        # Long enough for a start on a busy machine.
        TritonServer(repository=moody(6000), log=tmp_path / "log") as server,
        grpc.InferenceServerClient(server.url) as client,
    ):
        (victim,) = workers(server.pid)["embedding"]
        hang.touch()
        os.kill(victim, signal.SIGKILL)
        assert eventually(lambda: not alive(victim))
        for _ in range(3):
            assert "still starting after 300 ms" in _refusal(client, inputs)
        assert eventually(lambda: "start timeout exceeded" in _refusal(client, inputs))
        hang.unlink()  # whatever it was is over: the next request starts a worker, for which some requests do not wait
        assert eventually(lambda: _answers(client, inputs, right))


def test_a_worker_that_is_gone_for_good_does_not_take_the_server_along(
    moody: Callable[[int], Path], chain: Chain, tmp_path: Path
) -> None:
    inputs = {"features": np.ones((2, 6), np.float32)}
    right = DirectClient(chain).infer("embedding", inputs)["embedding"]
    with (
        TritonServer(repository=moody(300_000), log=tmp_path / "log") as server,
        grpc.InferenceServerClient(server.url) as client,
    ):
        (tmp_path / "python").rename(tmp_path / "no python")
        (victim,) = workers(server.pid)["embedding"]
        os.kill(victim, signal.SIGKILL)
        assert eventually(lambda: not alive(victim))
        for _ in range(3):
            assert "cannot start worker" in _refusal(client, inputs)
        (tmp_path / "no python").rename(tmp_path / "python")
        assert eventually(lambda: _answers(client, inputs, right))


def _refusal(client: grpc.InferenceServerClient, inputs: Inputs) -> str:
    """Why the model is not served now."""
    with pytest.raises(InferenceServerException) as refused:
        _ask(client, "embedding", inputs, "embedding")
    assert refused.value.status() == "StatusCode.UNAVAILABLE"
    return str(refused.value.message())


def _answers(client: grpc.InferenceServerClient, inputs: Inputs, right: np.ndarray) -> bool:
    """Whether the model is served again; an answer must be right."""
    try:
        answer = _ask(client, "embedding", inputs, "embedding")
    except InferenceServerException as error:
        assert "still starting" in str(error.message()), error
        return False
    assert np.array_equal(answer, right)
    return True
