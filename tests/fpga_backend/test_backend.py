"""What the backend does for the models of the real server: native workers, optional tensors, limits, cancellation."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as grpc
from tritonclient.utils import InferenceServerException, np_to_triton_dtype
from tritonclient.utils import shared_memory as shm

from hitfabric.core import ServiceError
from hitfabric.fpga_backend import Chain, DirectClient, TritonServer, write_repository
from support.processes import alive, eventually, workers
from support.regions import unregistered
from support.server_metrics import metrics

MakeHits = Callable[..., np.ndarray]
INSTANCES = 2


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory, chain_directory: Path) -> Iterator[TritonServer]:
    """Two native workers for each model; the embedding takes at most 500 rows a request and is warmed up by Triton."""
    repository = write_repository(
        tmp_path_factory.mktemp("native") / "repository",
        chain_directory,
        device="native",
        instances=INSTANCES,
        worker_timeout_ms=20_000,
    )
    with (repository / "embedding" / "config.pbtxt").open("a") as config:
        config.write('parameters { key: "maximal_rows" value { string_value: "500" } }\n')
        config.write(
            'model_warmup [ { name: "zeros" batch_size: 3 inputs { key: "features" value'
            " { data_type: TYPE_FP32 dims: [ 6 ] zero_data: true } } } ]\n"
        )
    with TritonServer(repository=repository, log=tmp_path_factory.mktemp("log") / "server.log") as running:
        yield running


@pytest.fixture
def connection(native: TritonServer) -> Iterator[grpc.InferenceServerClient]:
    """A plain client, without any check of ours."""
    with grpc.InferenceServerClient(native.url) as client:
        yield client


@pytest.fixture
def direct(chain: Chain) -> DirectClient:
    """The golden executor in this process."""
    return DirectClient(chain)


def _rows(count: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def _tensors(inputs: dict[str, np.ndarray]) -> list[grpc.InferInput]:
    tensors = []
    for name, array in inputs.items():
        tensor = grpc.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
        tensor.set_data_from_numpy(array)
        tensors.append(tensor)
    return tensors


def _names(result: grpc.InferResult) -> list[str]:
    return [output.name for output in result.get_response().outputs]


@pytest.mark.parametrize("rows", [1, 3, 500])
def test_native_workers_give_the_golden_numbers(
    connection: grpc.InferenceServerClient, direct: DirectClient, rows: int
) -> None:
    for seed in range(4):
        inputs = {"features": _rows(rows, 6, seed)}
        served = connection.infer("embedding", _tensors(inputs)).as_numpy("embedding")
        assert np.array_equal(served, direct.infer("embedding", inputs)["embedding"])


def test_large_batches_outgrow_the_memory_and_are_right(
    connection: grpc.InferenceServerClient, direct: DirectClient
) -> None:
    for rows in (10, 100_000, 20, 200_000, 30):
        inputs = {"pairs": _rows(rows, 12, rows)}
        served = connection.infer("filter", _tensors(inputs)).as_numpy("logits")
        assert np.array_equal(served, direct.infer("filter", inputs)["logits"])


@pytest.mark.parametrize(("nodes", "edges"), [(1, 0), (5, 9), (3000, 9000)])
def test_native_graphs_give_the_golden_numbers(
    connection: grpc.InferenceServerClient, direct: DirectClient, nodes: int, edges: int
) -> None:
    index = np.random.default_rng(1).integers(0, nodes, size=(edges, 2))
    inputs = {"nodes": _rows(nodes, 3), "edges": _rows(edges, 4), "edge_index": index}
    served = connection.infer("interaction_network", _tensors(inputs)).as_numpy("logits")
    assert np.array_equal(served, direct.infer("interaction_network", inputs)["logits"])


def test_tracking_gives_the_outputs_asked_for(
    connection: grpc.InferenceServerClient, chain: Chain, make_hits: MakeHits
) -> None:
    features = make_hits(300, seed=4)
    wanted = chain.track(features)
    inputs = {"FEATURES": features, "EVENT_ID": np.array([2**40 + 1])}
    everything = connection.infer("tracking", _tensors(inputs))
    assert sorted(_names(everything)) == ["EDGE_INDEX", "EVENT_ID", "LABELS", "SCORES"]
    assert np.array_equal(everything.as_numpy("LABELS"), wanted.labels)
    assert np.array_equal(everything.as_numpy("EDGE_INDEX"), wanted.edge_index) and len(wanted.edge_index) > 50
    assert np.array_equal(everything.as_numpy("SCORES"), wanted.scores)
    assert everything.as_numpy("EVENT_ID").tolist() == [2**40 + 1]
    del inputs["EVENT_ID"]
    outputs = [grpc.InferRequestedOutput(name) for name in ("SCORES", "LABELS", "EVENT_ID")]
    some = connection.infer("tracking", _tensors(inputs), outputs=outputs)
    assert sorted(_names(some)) == ["LABELS", "SCORES"]  # there is no number to give back
    assert np.array_equal(some.as_numpy("SCORES"), wanted.scores)


@pytest.mark.parametrize(
    "event_id", [np.array([1, 2]), np.array([[1]]), np.array([1.0], np.float32)], ids=["two", "matrix", "float"]
)
def test_a_wrong_event_number_is_refused(
    connection: grpc.InferenceServerClient, make_hits: MakeHits, event_id: np.ndarray
) -> None:
    with pytest.raises(InferenceServerException, match="EVENT_ID") as refused:
        connection.infer("tracking", _tensors({"FEATURES": make_hits(9), "EVENT_ID": event_id}))
    assert refused.value.status() == "StatusCode.INVALID_ARGUMENT"


def test_limits_of_the_configuration_are_kept(connection: grpc.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match=r"'features' is FP32 \[501, 6\], above the limit R <= 500"):
        connection.infer("embedding", _tensors({"features": _rows(501, 6)}))


def test_every_instance_has_a_worker_and_metrics_of_its_own(
    native: TritonServer, connection: grpc.InferenceServerClient
) -> None:
    assert {model: len(found) for model, found in workers(native.pid).items()} == {
        "embedding": INSTANCES,
        "filter": INSTANCES,
        "interaction_network": INSTANCES,
        "tracking": INSTANCES,
    }
    names = ("hitfabric_device_seconds_total", "hitfabric_queue_depth", "hitfabric_shadow_checks_total")
    for name in names:
        assert len(metrics(native, name, "filter")) == INSTANCES
    before = sum(metrics(native, names[0], "filter"))
    connection.infer("filter", _tensors({"pairs": _rows(50, 12)}))
    assert before < sum(metrics(native, names[0], "filter")) < before + 10


def test_the_depth_of_the_queue_is_seen_while_requests_wait(
    native: TritonServer, connection: grpc.InferenceServerClient
) -> None:
    stopped = workers(native.pid)["filter"]
    for worker in stopped:
        os.kill(worker, signal.SIGSTOP)
    done: list[object] = []
    tensors = _tensors({"pairs": _rows(50, 12)})
    try:
        for _ in range(12):
            connection.async_infer("filter", tensors, lambda result, error: done.append(error or result))

        def waiting() -> float:
            handed = sum(metrics(native, "hitfabric_queue_depth", "filter"))
            return handed + sum(metrics(native, "nv_inference_pending_request_count", "filter"))

        assert eventually(lambda: waiting() == 12)
        assert sum(metrics(native, "hitfabric_queue_depth", "filter")) >= 1
    finally:
        for worker in stopped:
            os.kill(worker, signal.SIGCONT)
    assert eventually(lambda: len(done) == 12)
    assert not [error for error in done if isinstance(error, Exception)]
    assert eventually(lambda: waiting() == 0)


def test_cancelled_requests_are_given_up(native: TritonServer, connection: grpc.InferenceServerClient) -> None:
    stopped = workers(native.pid)["tracking"]
    for worker in stopped:
        os.kill(worker, signal.SIGSTOP)
    errors: list[InferenceServerException | None] = []

    def answered(result: object, error: InferenceServerException | None) -> None:
        errors.append(error)

    executed = _executions(connection)
    handles = [
        connection.async_infer("tracking", _tensors({"FEATURES": np.ones((9, 3), np.float32)}), answered)
        for _ in range(INSTANCES + 3)  # the last three wait in the queue
    ]
    assert eventually(lambda: sum(metrics(native, "hitfabric_queue_depth", "tracking")) == INSTANCES)
    for handle in handles:
        handle.cancel()
    assert eventually(lambda: len(errors) == len(handles))
    assert {error.status() for error in errors if error is not None} == {"StatusCode.CANCELLED"}
    for worker in stopped:
        os.kill(worker, signal.SIGCONT)
    assert eventually(lambda: sum(metrics(native, "hitfabric_queue_depth", "tracking")) == 0)
    assert _executions(connection) <= executed + INSTANCES
    assert sorted(workers(native.pid)["tracking"]) == sorted(stopped)


def _executions(connection: grpc.InferenceServerClient) -> int:
    return connection.get_inference_statistics("tracking").model_stats[0].inference_stats.success.count


def test_tensors_in_system_shared_memory(connection: grpc.InferenceServerClient, direct: DirectClient) -> None:
    pairs = _rows(700, 12)
    regions = {name: f"/hitfabric_test_{name}_{os.getpid()}" for name in ("pairs", "logits")}
    sizes = {"pairs": pairs.nbytes, "logits": 700 * 4}
    handles = {name: shm.create_shared_memory_region(name, key, sizes[name]) for name, key in regions.items()}
    try:
        for name, key in regions.items():
            connection.register_system_shared_memory(name, key, sizes[name])
        shm.set_shared_memory_region(handles["pairs"], [pairs])
        tensor, output = grpc.InferInput("pairs", [700, 12], "FP32"), grpc.InferRequestedOutput("logits")
        tensor.set_shared_memory("pairs", pairs.nbytes)
        output.set_shared_memory("logits", sizes["logits"])
        connection.infer("filter", [tensor], outputs=[output])
        served = shm.get_contents_as_numpy(handles["logits"], np.float32, [700, 1])
        assert np.array_equal(served, direct.infer("filter", {"pairs": pairs})["logits"])
    finally:
        assert unregistered(connection.unregister_system_shared_memory)
        for handle in handles.values():
            shm.destroy_shared_memory_region(handle)


def test_a_native_worker_killed_is_replaced(
    native: TritonServer, connection: grpc.InferenceServerClient, direct: DirectClient
) -> None:
    victims = workers(native.pid)["filter"]
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    assert eventually(lambda: not any(map(alive, victims)))
    inputs = {"pairs": _rows(20, 12)}
    for _ in range(2 * INSTANCES):
        served = connection.infer("filter", _tensors(inputs)).as_numpy("logits")
        assert np.array_equal(served, direct.infer("filter", inputs)["logits"])


@pytest.fixture
def bare(repository: Path, tmp_path: Path) -> Path:
    """A repository of typed graph and chain alone, as somebody would put there by hand."""
    for model in ("filter", "tracking"):
        shutil.copytree(repository / model / "1" / "model", tmp_path / "models" / model / "1" / "model")
        (tmp_path / "models" / model / "config.pbtxt").write_text(
            'backend: "hitfabric"\ninstance_group [ { kind: KIND_CPU } ]\n'
            f'parameters {{ key: "python" value {{ string_value: "{sys.executable}" }} }}\n'
        )
    return tmp_path / "models"


def test_a_typed_graph_alone_is_served(bare: Path, tmp_path: Path, direct: DirectClient, make_hits: MakeHits) -> None:
    with (
        TritonServer(repository=bare, log=tmp_path / "log") as server,
        grpc.InferenceServerClient(server.url) as connection,
    ):
        for model, inputs in (("filter", {"pairs": _rows(30, 12)}), ("tracking", {"FEATURES": make_hits(60)})):
            result = connection.infer(model, _tensors(inputs))
            for name, array in direct.infer(model, inputs).items():
                assert np.array_equal(result.as_numpy(name), array)
        config = connection.get_model_config("tracking").config
        assert [tensor.optional for tensor in config.input] == [False, True]
        assert connection.get_model_config("filter").config.HasField("dynamic_batching")


@pytest.mark.parametrize(
    ("parameter", "value", "reason"),
    [
        ("maximal_rows", "2000000", "maximal_rows is 2000000, expected 1 to 1000000"),
        ("maximal_rows", "many", "maximal_rows is 'many', expected a whole number"),
        ("maximal_hits", "5", "maximal_hits means nothing to this model"),
        ("colour", "blue", "worker cannot serve: settings of the device: colour"),
    ],
)
def test_wrong_parameters_are_explained(
    repository: Path, tmp_path: Path, parameter: str, value: str, reason: str
) -> None:
    shutil.copytree(repository / "filter", tmp_path / "models" / "filter")
    with (tmp_path / "models" / "filter" / "config.pbtxt").open("a") as config:
        config.write(f'parameters {{ key: "{parameter}" value {{ string_value: "{value}" }} }}\n')
    with pytest.raises(ServiceError, match=reason):
        TritonServer(repository=tmp_path / "models", log=tmp_path / "log").start()
