"""One real server with two detectors, versions side by side, versions that come while it serves, and full queues."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton

from hitfabric.core import HitfabricError
from hitfabric.fpga_backend import (
    Chain,
    ChainConfig,
    DirectClient,
    TritonClient,
    TritonConfig,
    TritonServer,
    UnavailableError,
    save_chain,
    write_repository,
)
from hitfabric.fpga_backend.repository import ModelOptions
from hitfabric.quantization import TypedGraph
from support.processes import eventually, workers

OPTIONS = ModelOptions(device="golden", max_queue_size=2)
SEEDS = (11, 12, 13)
Numbers = dict[str, np.ndarray[Any, Any]]


@pytest.fixture(scope="module")
def chains(
    tmp_path_factory: pytest.TempPathFactory,
    config: ChainConfig,
    graphs: dict[str, TypedGraph],
    make_interaction_network: Callable[..., TypedGraph],
) -> list[Path]:
    """Chains that differ in their interaction network."""
    folder = tmp_path_factory.mktemp("chains")
    for seed in SEEDS:
        changed = {**graphs, "interaction_network": make_interaction_network(seed)}
        save_chain(folder / str(seed), config=config, graphs=changed)
    return [folder / str(seed) for seed in SEEDS]


@pytest.fixture(scope="module")
def growing(tmp_path_factory: pytest.TempPathFactory, chains: list[Path]) -> Iterator[TritonServer]:
    """A server with explicit control over two versions of one detector and one of another."""
    folder = tmp_path_factory.mktemp("growing")
    repository = write_repository(folder / "models", chains[0], name="itk", options=OPTIONS)
    write_repository(repository, chains[1], name="itk", version=2, options=OPTIONS)
    write_repository(repository, chains[2], name="odd", options=OPTIONS)
    server = TritonServer(repository=repository, log=folder / "server.log", model_control="explicit")
    with server:
        yield server


def _graph() -> Numbers:
    rng = np.random.default_rng(0)
    return {
        "nodes": rng.normal(size=(40, 3)).astype(np.float32),
        "edges": rng.normal(size=(90, 4)).astype(np.float32),
        "edge_index": rng.integers(0, 40, size=(90, 2)),
    }


def _expected(chain: Path) -> bytes:
    return DirectClient(Chain.load(chain, device="golden")).infer("interaction_network", _graph())["logits"].tobytes()


def _served(server: TritonServer, detector: str, version: int | None = None) -> bytes:
    names = {"interaction_network": f"{detector}_interaction_network"}
    client = TritonClient(config=TritonConfig(servers=(server.url,), names=names, version=version))
    try:
        return client.infer("interaction_network", _graph())["logits"].tobytes()
    finally:
        client.close()


def test_versions_and_detectors_answer_for_themselves(growing: TritonServer, chains: list[Path]) -> None:
    first, second, third = map(_expected, chains)
    assert len({first, second, third}) == 3
    assert _served(growing, "itk", 1) == first
    assert _served(growing, "itk", 2) == second
    assert _served(growing, "odd", 1) == third
    assert _served(growing, "itk") == second  # the newest


def test_a_version_comes_while_it_serves(growing: TritonServer, chains: list[Path]) -> None:
    stop, answers, errors = threading.Event(), [], []

    def ask() -> None:
        while not stop.is_set():
            try:
                answers.append(_served(growing, "itk"))
            except HitfabricError as error:
                errors.append(error)

    with ThreadPoolExecutor(1) as pool, triton.InferenceServerClient(growing.url) as control:
        asking = pool.submit(ask)
        try:
            assert eventually(lambda: len(answers) > 2)
            write_repository(growing.repository, chains[2], name="itk", version=3, options=OPTIONS)
            assert _served(growing, "itk") == _expected(chains[1])  # not before it is told
            control.load_model("itk_interaction_network")
            assert eventually(lambda: answers[-1] == _expected(chains[2]))
        finally:
            stop.set()
            asking.result()
    assert errors == []
    assert set(answers) == {_expected(chains[1]), _expected(chains[2])}
    assert _served(growing, "itk", 1) == _expected(chains[0])


@pytest.mark.parametrize(
    ("model", "tensors"),
    [
        ("odd_embedding", {"features": np.ones((2, 6), np.float32)}),
        ("odd_tracking", {"FEATURES": np.ones((2, 3), np.float32)}),  # max_batch_size 0
    ],
)
def test_a_full_queue_says_unavailable_and_loses_nobody(growing: TritonServer, model: str, tensors: Numbers) -> None:
    (worker,) = workers(growing.pid)[model]
    name = model.removeprefix("odd_")
    config = TritonConfig.model_validate(
        {"servers": [growing.url], "names": {name: model}, "retry": {"attempts": 1}, "timeout_s": 30}
    )

    def ask(client: TritonClient) -> str:
        try:
            return str(sorted(client.infer(name, tensors)))
        except UnavailableError as error:
            return str(error)

    clients = [TritonClient(config=config) for _ in range(10)]
    try:
        right = ask(clients[0])
        os.kill(worker, signal.SIGSTOP)
        try:
            with ThreadPoolExecutor(len(clients)) as pool:
                asked = [pool.submit(ask, client) for client in clients]
                refused = eventually(lambda: sum(each.done() for each in asked) >= 5)
                os.kill(worker, signal.SIGCONT)
                answers = [each.result() for each in asked]
        finally:
            os.kill(worker, signal.SIGCONT)
    finally:
        for client in clients:
            client.close()
    assert refused
    assert answers.count(right) >= 2
    full = [answer for answer in answers if answer != right]
    assert len(full) >= 5
    assert all("queue" in answer for answer in full), full
