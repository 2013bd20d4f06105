"""Models are replaced while requests go on: none fails, and each answer is of one of the versions that were served."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as grpc
from tritonclient.utils import InferenceServerException

from hitfabric.emulation import make_executor
from hitfabric.fpga_backend import TritonServer
from hitfabric.quantization import FixedPoint, GraphBuilder, TypedGraph
from support.processes import eventually, workers

CLIENTS = 3
ENOUGH = 30
"""Answers awaited after each change, so that it is made under load and seen to hold."""
MODEL = "embedding"
FEATURES = np.random.default_rng(4).normal(size=(25, 6)).astype(np.float32)


class ReloadingServer(TritonServer):
    """A server whose models are loaded and unloaded by request."""

    def _command(self, executable: Path, backends: Path) -> list[str]:
        return [*super()._command(executable, backends), "--model-control-mode=explicit", "--load-model=*"]


@pytest.fixture(scope="module")
def files(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of the model; the tests leave it as they found it, but for the number of its version."""
    target = tmp_path_factory.mktemp("rollout") / "models" / MODEL
    shutil.copytree(repository / MODEL, target)
    text = (target / "config.pbtxt").read_text()
    assert "version_policy { all { } }" in text
    (target / "config.pbtxt").write_text(text.replace("all { }", "latest { num_versions: 1 }"))
    return target


@pytest.fixture(scope="module")
def rolling(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    with ReloadingServer(repository=files.parent, log=tmp_path_factory.mktemp("log") / "log") as running:
        yield running


@pytest.fixture
def control(rolling: TritonServer) -> Iterator[grpc.InferenceServerClient]:
    with grpc.InferenceServerClient(rolling.url) as client:
        yield client


@dataclass(kw_only=True)
class Load:
    """What clients were answered so far."""

    answers: list[np.ndarray] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def goes_on(self) -> bool:
        """Whether many more are answered."""
        enough = len(self.answers) + ENOUGH
        return eventually(lambda: bool(self.failures) or len(self.answers) >= enough) and not self.failures


@contextmanager
def _load(server: TritonServer) -> Iterator[Load]:
    load, over = Load(), threading.Event()

    def ask() -> None:
        tensor = grpc.InferInput("features", list(FEATURES.shape), "FP32")
        tensor.set_data_from_numpy(FEATURES)
        with grpc.InferenceServerClient(server.url) as client:
            while not over.is_set():
                try:
                    answer = client.infer(MODEL, [tensor], client_timeout=60).as_numpy("embedding")
                except InferenceServerException as error:
                    load.failures.append(str(error))
                    return
                assert answer is not None
                load.answers.append(answer)

    clients = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        assert load.goes_on()
        yield load
        assert load.goes_on()
    finally:
        over.set()
        for client in clients:
            client.join()
    assert load.failures == []


def _last(files: Path) -> int:
    return max(int(path.name) for path in files.iterdir() if path.name.isdigit())


def _outputs(version: Path) -> np.ndarray:
    graph = TypedGraph.load(version / "model")
    return make_executor("golden", graph).run({"features": FEATURES})["embedding"]


def _another_network() -> TypedGraph:
    """A network of the same inputs and outputs with one layer."""
    rng, builder = np.random.default_rng(6), GraphBuilder()
    form = FixedPoint(signed=True, width=10, integer=3)
    weight_form = FixedPoint(signed=True, width=6, integer=1, overflow="SAT_SYM")
    source = builder.input("features", shape=("R", 6), format=form)
    layer = builder.dense("dense", source, weight=rng.integers(-31, 32, size=(8, 6)), weight_format=weight_form)
    builder.output("embedding", builder.requantize("last", layer, format=form))
    return TypedGraph.from_builder(builder, name=MODEL)


def test_reloads(rolling: TritonServer, control: grpc.InferenceServerClient, files: Path) -> None:
    right = _outputs(files / str(_last(files)))
    with _load(rolling) as load:
        for _ in range(3):
            before = workers(rolling.pid)[MODEL]
            # Of files whose times are the same the server keeps what it has.
            os.utime(files / str(_last(files)) / "signature.json")
            control.load_model(MODEL)
            assert load.goes_on()
            assert eventually(lambda before=before: not set(before) & set(workers(rolling.pid)[MODEL]))
    assert all(np.array_equal(answer, right) for answer in load.answers)


def test_a_new_version_takes_over(
    rolling: TritonServer,
    control: grpc.InferenceServerClient,
    files: Path,
) -> None:
    old = files / str(_last(files))
    new = files / str(_last(files) + 1)
    shutil.copytree(old, new)
    shutil.rmtree(new / "model")
    _another_network().save(new / "model")
    answers_of = {"old": _outputs(old), "new": _outputs(new)}
    assert not np.array_equal(answers_of["old"], answers_of["new"])
    with _load(rolling) as load:
        control.load_model(MODEL)
        assert control.is_model_ready(MODEL, new.name)
        ready = len(load.answers) + CLIENTS  # those under way may still be of the old version
        assert load.goes_on()
    kinds = ["old" if np.array_equal(answer, answers_of["old"]) else "new" for answer in load.answers]
    assert all(np.array_equal(load.answers[i], answers_of[kind]) for i, kind in enumerate(kinds))
    assert kinds[0] == "old"
    assert set(kinds[ready:]) == {"new"}
    assert eventually(lambda: not control.is_model_ready(MODEL, old.name))
    assert eventually(lambda: len(workers(rolling.pid)[MODEL]) == 1)
    shutil.rmtree(old)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("model/weights.npz", "differs from its manifest"),
        ("model/graph.json", "differs from its manifest"),
        ("signature.json", "signature.json: JSON"),
    ],
)
def test_damaged_firmware_is_refused_and_the_old_goes_on(
    rolling: TritonServer, control: grpc.InferenceServerClient, files: Path, file: str, reason: str
) -> None:
    old = files / str(_last(files))
    new = files / str(_last(files) + 1)
    right, before = _outputs(old), workers(rolling.pid)
    shutil.copytree(old, new)
    content = bytearray((new / file).read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4] = b"\xa5\x5a\xa5\x5a"
    (new / file).write_bytes(bytes(content))
    with _load(rolling) as load:
        with pytest.raises(InferenceServerException, match=reason) as refused:
            control.load_model(MODEL)
        assert f"version {new.name}" in str(refused.value)
        assert load.goes_on()
        assert control.is_model_ready(MODEL, old.name)
    assert all(np.array_equal(answer, right) for answer in load.answers)
    assert workers(rolling.pid) == before
    shutil.rmtree(new)
    control.load_model(MODEL)


def test_a_changed_number_of_instances(rolling: TritonServer, control: grpc.InferenceServerClient, files: Path) -> None:
    right, config = _outputs(files / str(_last(files))), files / "config.pbtxt"
    with _load(rolling) as load:
        for old, new in ((1, 3), (3, 1)):
            text = config.read_text()
            assert f"count: {old}" in text
            config.write_text(text.replace(f"count: {old}", f"count: {new}"))
            control.load_model(MODEL)
            assert load.goes_on()
            assert eventually(lambda new=new: len(workers(rolling.pid)[MODEL]) == new)
    assert all(np.array_equal(answer, right) for answer in load.answers)


def test_an_unloaded_model_is_refused_clearly_and_comes_back(
    rolling: TritonServer, control: grpc.InferenceServerClient, files: Path
) -> None:
    tensor = grpc.InferInput("features", list(FEATURES.shape), "FP32")
    tensor.set_data_from_numpy(FEATURES)
    control.unload_model(MODEL)
    assert eventually(lambda: not workers(rolling.pid))
    with pytest.raises(InferenceServerException, match=MODEL) as refused:
        control.infer(MODEL, [tensor], client_timeout=60)
    assert refused.value.status() in ("StatusCode.UNAVAILABLE", "StatusCode.NOT_FOUND")
    control.load_model(MODEL)
    answer = control.infer(MODEL, [tensor], client_timeout=60).as_numpy("embedding")
    assert np.array_equal(answer, _outputs(files / str(_last(files))))
