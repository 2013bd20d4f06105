"""The real Triton server with the C++ backend and its workers: same answers, and what happens when things go wrong."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tritonclient.grpc as grpc
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from hitfabric.core import DataError, ServiceError
from hitfabric.fpga_backend import Chain, DirectClient, TrackingClient, TritonClient, TritonServer
from support.processes import alive, eventually, workers
from support.server_metrics import at_work, metric

MakeHits = Callable[..., np.ndarray]


@pytest.fixture
def client(server: TritonServer) -> Iterator[TritonClient]:
    """A client of the shared server."""
    connection = TritonClient(server.url, timeout=60)
    yield connection
    connection.close()


@pytest.fixture
def direct(chain: Chain) -> DirectClient:
    """The same models in this process."""
    return DirectClient(chain)


def _rows(count: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def _graph(nodes: int, edges: int, seed: int = 0) -> dict[str, np.ndarray]:
    index = np.random.default_rng(seed).integers(0, max(nodes, 1), size=(edges, 2))
    return {"nodes": _rows(nodes, 3, seed), "edges": _rows(edges, 4, seed), "edge_index": index}


def _raw(server: TritonServer, model: str, inputs: dict[str, np.ndarray]) -> grpc.InferResult:
    """A request with no check on the client's side."""
    tensors = []
    for name, array in inputs.items():
        tensor = grpc.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
        tensor.set_data_from_numpy(array)
        tensors.append(tensor)
    with grpc.InferenceServerClient(server.url) as connection:
        return connection.infer(model, tensors, client_timeout=60)


@pytest.mark.parametrize("rows", [0, 1, 7, 20_000])
@pytest.mark.parametrize(("model", "name", "width"), [("embedding", "features", 6), ("filter", "pairs", 12)])
def test_rows_through_the_server_equal_rows_in_process(
    client: TritonClient, direct: DirectClient, model: str, name: str, width: int, rows: int
) -> None:
    inputs = {name: _rows(rows, width)}
    served, computed = client.infer(model, inputs), direct.infer(model, inputs)
    assert served.keys() == computed.keys()
    for output, array in computed.items():
        assert served[output].dtype == array.dtype and served[output].shape == array.shape
        assert np.array_equal(served[output], array)


@pytest.mark.parametrize("sizes", [(0, 0), (1, 0), (1, 1), (64, 128), (3000, 9000)])
def test_graphs_through_the_server_equal_graphs_in_process(
    client: TritonClient, direct: DirectClient, sizes: tuple[int, int]
) -> None:
    inputs = _graph(*sizes)
    served = client.infer("interaction_network", inputs)["logits"]
    assert served.shape == (sizes[1], 1)
    assert np.array_equal(served, direct.infer("interaction_network", inputs)["logits"])


@pytest.mark.parametrize("hits", [0, 1, 50, 2000])
def test_tracks_through_the_server_equal_tracks_in_process(
    client: TritonClient, direct: DirectClient, make_hits: MakeHits, hits: int
) -> None:
    features = make_hits(hits, seed=hits)
    served, computed = (TrackingClient(one).track(features) for one in (client, direct))
    assert served.dtype == np.int64
    assert np.array_equal(served, computed)
    if hits == 2000:
        assert served.max() > 10


def test_joined_requests_are_split_back_right(server: TritonServer, client: TritonClient, direct: DirectClient) -> None:
    sizes = np.random.default_rng(3).integers(1, 300, size=120)
    batches = [_rows(int(size), 12, seed) for seed, size in enumerate(sizes)]
    stopped = workers(server.pid)["filter"][0]
    os.kill(stopped, signal.SIGSTOP)  # requests pile up, so that the server must join them
    with ThreadPoolExecutor(len(batches)) as pool:
        answers = [pool.submit(client.infer, "filter", {"pairs": batch}) for batch in batches]
        os.kill(stopped, signal.SIGCONT)
        served = [answer.result()["logits"] for answer in answers]
    for batch, logits in zip(batches, served, strict=True):
        assert np.array_equal(logits, direct.infer("filter", {"pairs": batch})["logits"])
    with grpc.InferenceServerClient(server.url) as connection:
        statistics = connection.get_inference_statistics("filter").model_stats[0]
    assert statistics.execution_count < statistics.inference_count


GOOD = _graph(4, 6)
BAD_REQUESTS = {
    "another type": ("filter", {"pairs": np.zeros((4, 12))}, "pairs"),
    "another width": ("filter", {"pairs": np.zeros((4, 13), np.float32)}, "pairs"),
    "another rank": ("filter", {"pairs": np.zeros((1, 4, 12), np.float32)}, "pairs"),
    "another name": ("filter", {"edges": np.zeros((4, 12), np.float32)}, "edges"),
    "not a number": ("filter", {"pairs": np.full((4, 12), np.nan, np.float32)}, "'pairs' row 0 column 0"),
    "infinite node": ("interaction_network", {**GOOD, "nodes": np.full((4, 3), np.inf, np.float32)}, "nodes"),
    "index out of range": ("interaction_network", {**GOOD, "edge_index": np.full((6, 2), 4)}, "edge_index"),
    "negative index": ("interaction_network", {**GOOD, "edge_index": np.full((6, 2), -1)}, "edge_index"),
    "fewer indices": ("interaction_network", {**GOOD, "edge_index": GOOD["edge_index"][:5]}, "edge_index"),
    "missing tensor": ("interaction_network", {"nodes": GOOD["nodes"]}, "nodes|edges"),
    "hit not a number": ("tracking", {"FEATURES": np.full((4, 3), np.nan, np.float32)}, "FEATURES"),
    "too many hits": ("tracking", {"FEATURES": np.zeros((1_000_001, 3), np.float32)}, "FEATURES.*H <= 1000000"),
}


@pytest.mark.parametrize("case", BAD_REQUESTS)
def test_malformed_requests_are_refused_by_name(server: TritonServer, case: str) -> None:
    model, inputs, named = BAD_REQUESTS[case]
    before = workers(server.pid)
    with pytest.raises(InferenceServerException, match=named) as refused:
        _raw(server, model, inputs)
    assert refused.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert workers(server.pid) == before


def test_one_bad_request_does_not_spoil_the_others_of_its_batch(
    server: TritonServer, client: TritonClient, direct: DirectClient
) -> None:
    good, bad = _rows(50, 12), _rows(50, 12)
    bad[3, 3] = np.nan
    stopped = workers(server.pid)["filter"][0]
    os.kill(stopped, signal.SIGSTOP)
    with ThreadPoolExecutor(12) as pool:
        answers = [pool.submit(client.infer, "filter", {"pairs": bad if i % 3 else good}) for i in range(12)]
        os.kill(stopped, signal.SIGCONT)
        for number, answer in enumerate(answers):
            if number % 3:
                with pytest.raises(DataError, match="pairs"):
                    answer.result()
            else:
                assert np.array_equal(answer.result()["logits"], direct.infer("filter", {"pairs": good})["logits"])


def test_what_the_chain_refuses_is_the_clients_error(
    server: TritonServer, client: TritonClient, make_hits: MakeHits
) -> None:
    before = workers(server.pid)
    features = np.zeros((4000, 3), np.float32)  # all hits in one point: every pair is within the radius
    with pytest.raises(DataError, match="radius graph has"):
        client.infer("tracking", {"FEATURES": features})
    assert workers(server.pid) == before
    assert len(client.infer("tracking", {"FEATURES": make_hits(20)})["LABELS"]) == 20


def test_a_worker_killed_while_idle_costs_nothing(
    server: TritonServer, client: TritonClient, direct: DirectClient
) -> None:
    inputs = {"pairs": _rows(30, 12)}
    (victim,) = workers(server.pid)["filter"]
    restarts = metric(server, "hitfabric_worker_restarts_total", "filter")
    os.kill(victim, signal.SIGKILL)
    assert eventually(lambda: not alive(victim))
    assert np.array_equal(client.infer("filter", inputs)["logits"], direct.infer("filter", inputs)["logits"])
    assert workers(server.pid)["filter"] != [victim]
    assert metric(server, "hitfabric_worker_restarts_total", "filter") == restarts + 1


def test_a_worker_killed_at_work_fails_only_its_batch(
    server: TritonServer, client: TritonClient, direct: DirectClient
) -> None:
    inputs = {"pairs": _rows(30, 12)}
    (victim,) = workers(server.pid)["filter"]
    os.kill(victim, signal.SIGSTOP)  # it will not answer before it dies
    with ThreadPoolExecutor(1) as pool:
        request = pool.submit(client.infer, "filter", inputs)
        assert np.array_equal(
            client.infer("embedding", {"features": _rows(5, 6)})["embedding"],
            direct.infer("embedding", {"features": _rows(5, 6)})["embedding"],
        )
        assert eventually(lambda: at_work(server, "filter"))
        assert not request.done()
        os.kill(victim, signal.SIGKILL)
        with pytest.raises(ServiceError, match=r"filter.*worker.*killed by signal 9"):
            request.result()
    assert np.array_equal(client.infer("filter", inputs)["logits"], direct.infer("filter", inputs)["logits"])


def test_a_hanging_worker_is_replaced(
    server: TritonServer, client: TritonClient, direct: DirectClient, make_hits: MakeHits
) -> None:
    features = make_hits(40)
    (victim,) = workers(server.pid)["tracking"]
    os.kill(victim, signal.SIGSTOP)
    with pytest.raises(InferenceServerException, match="worker_timeout_ms = 3000") as refused:
        _raw(server, "tracking", {"FEATURES": features})
    assert refused.value.status() == "StatusCode.UNAVAILABLE"
    assert eventually(lambda: not alive(victim))
    assert np.array_equal(
        client.infer("tracking", {"FEATURES": features})["LABELS"],
        direct.infer("tracking", {"FEATURES": features})["LABELS"],
    )


def test_statistics_and_metrics_count_requests_and_rows(server: TritonServer, client: TritonClient) -> None:
    def counts() -> tuple[float, ...]:
        with grpc.InferenceServerClient(server.url) as connection:
            statistics = connection.get_inference_statistics("embedding").model_stats[0].inference_stats
        names = ("hitfabric_inferences_total", "hitfabric_rows_total")
        metrics = (metric(server, name, "embedding") for name in names)
        return (*metrics, statistics.success.count, statistics.fail.count)

    before = counts()
    client.infer("embedding", {"features": _rows(11, 6)})
    with pytest.raises(DataError):
        client.infer("embedding", {"features": np.full((5, 6), np.nan, np.float32)})
    assert tuple(np.subtract(counts(), before)) == (1, 11, 1, 1)
