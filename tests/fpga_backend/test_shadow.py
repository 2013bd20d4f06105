"""The audit of answers in production: what differs is found, counted and kept; nothing waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hitfabric.core import ConfigError, DataError, GraphError
from hitfabric.emulation import Executor, make_executor
from hitfabric.fpga_backend import shadow, shadow_vectors
from hitfabric.fpga_backend.device_checks import Checks
from hitfabric.fpga_backend.device_settings import DeviceSettings
from hitfabric.fpga_backend.served import TrackingModel, load_model
from hitfabric.fpga_backend.shadow import Audit, AuditedExecutor
from hitfabric.fpga_backend.shadow_vectors import read_mismatch
from hitfabric.quantization import TypedGraph

Vectors = dict[str, NDArray]


class Faulty:
    """Golden, with the lowest bit of one output flipped in every call from the first faulty one on."""

    name = "faulty"
    maxima_limited = False

    def __init__(self, graph: TypedGraph, *, first_fault: int = 0, threads: int | None = None) -> None:
        self.graph = graph
        self._golden = make_executor("golden", graph)
        self._calls, self._first_fault = 0, first_fault

    def run(self, inputs: Mapping[str, NDArray]) -> dict[str, NDArray[np.float32]]:
        integers = self._golden.run_integers(inputs, [node.name for node in self.graph.outputs])
        if self._calls >= self._first_fault:
            name = self.graph.outputs[0].name
            integers[name].flat[-1] ^= 1
        self._calls += 1
        formats = {node.name: node.tensor.format for node in self.graph.outputs}
        return {name: formats[name].to_float(values).astype(np.float32) for name, values in integers.items()}

    def run_integers(
        self, inputs: Mapping[str, NDArray], nodes: Sequence[str] | None = None
    ) -> dict[str, NDArray[np.int64]]:
        return self._golden.run_integers(inputs, nodes)


class Held(Faulty):
    """Golden that waits until it may go on."""

    def __init__(self, graph: TypedGraph) -> None:
        super().__init__(graph, first_fault=1 << 30)
        self.go_on = threading.Event()

    def run(self, inputs: Mapping[str, NDArray]) -> dict[str, NDArray[np.float32]]:
        self.go_on.wait()
        return super().run(inputs)


def audited(answers: Executor, checks: Executor, folder: Path, **settings: object) -> tuple[AuditedExecutor, Audit]:
    name = answers.graph.name
    audit = Audit(
        checkers={name: checks},
        settings=DeviceSettings.model_validate({"check_share": 1.0} | settings),
        folder=folder,
        instance="filter_0_1",
    )
    return AuditedExecutor(executor=answers, network=name, audit=audit), audit


def run(executor: AuditedExecutor, audit: Audit, rows: int, seed: int = 0) -> Vectors:
    rng = np.random.default_rng(seed)
    inputs = {"pairs": rng.uniform(-4, 4, size=(rows, 12)).astype(np.float32)}
    audit.begin_request()
    answer = executor.run(inputs)
    inputs["pairs"][:] = np.nan  # the worker's memory is overwritten by the next request
    return answer


def test_equal_answers_are_counted_and_leave_nothing(
    graphs: dict[str, TypedGraph], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    golden = make_executor("golden", graphs["filter"])
    executor, audit = audited(make_executor("numpy", graphs["filter"]), golden, tmp_path)
    for seed in range(20):
        run(executor, audit, seed, seed)
        audit.wait()
    assert audit.take_checks() == Checks(checked=20, mismatched=0)
    assert audit.take_checks() == Checks()
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().err == ""
    assert audit.left_out == {}


def test_one_flipped_bit_is_found_logged_and_reproduced(
    graphs: dict[str, TypedGraph], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    graph = graphs["filter"]
    executor, audit = audited(Faulty(graph, first_fault=2), make_executor("golden", graph), tmp_path)
    answers = [run(executor, audit, 7, seed) for seed in range(3)]
    audit.wait()
    assert audit.take_checks() == Checks(checked=3, mismatched=1)
    (saved,) = tmp_path.iterdir()
    (line,) = capfd.readouterr().err.splitlines()
    assert "filter_0_1: MISMATCH of network filter: golden differs in 1 of 7 numbers of logits" in line
    assert str(saved) in line
    found = read_mismatch(saved)
    assert (found.network, found.graph_digest) == ("filter", graph.digest)
    assert np.array_equal(found.answered["logits"], answers[2]["logits"])
    again = make_executor("golden", graph).run(found.inputs)["logits"]
    assert np.array_equal(again, found.checked["logits"])
    assert np.count_nonzero(again != found.answered["logits"]) == 1


def test_files_are_bounded_and_mismatches_still_counted(
    graphs: dict[str, TypedGraph], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shadow_vectors, "MAXIMAL_FILES", 3)
    graph = graphs["filter"]
    executor, audit = audited(Faulty(graph), make_executor("golden", graph), tmp_path)
    for seed in range(5):
        run(executor, audit, 2, seed)
    audit.wait()
    assert audit.take_checks() == Checks(checked=5, mismatched=5)
    assert len(list(tmp_path.iterdir())) == 3
    assert capfd.readouterr().err.count(f"not saved: {tmp_path} is full") == 2


def test_nothing_waits_for_a_slow_check(
    graphs: dict[str, TypedGraph], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shadow, "WAITING_CALLS", 4)
    held = Held(graphs["filter"])
    executor, audit = audited(make_executor("golden", graphs["filter"]), held, tmp_path)
    for seed in range(30):  # more than can wait: they are answered while the first check hangs
        run(executor, audit, 3, seed)
    held.go_on.set()
    audit.wait()
    checks = audit.take_checks()
    assert checks.mismatched == 0
    assert 4 <= checks.checked <= 5, "those waiting, and the one under way"
    assert audit.left_out == {"the queue is full": 30 - checks.checked}
    assert [line.split(": ")[2] for line in capfd.readouterr().err.splitlines()] == [
        "filter_0_1",
        "filter_0_1",
    ], "the 1st and the 10th"


def test_memory_of_waiting_calls_is_bounded(
    graphs: dict[str, TypedGraph], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow, "WAITING_BYTES", 10 * 13 * 4)
    golden = make_executor("golden", graphs["filter"])
    executor, audit = audited(golden, golden, tmp_path)
    for rows in (11, 10, 11):
        run(executor, audit, rows)
        audit.wait()
    assert audit.take_checks().checked == 1
    assert audit.left_out == {"the memory for waiting calls is full": 2}


def test_a_check_that_fails_is_not_a_check(graphs: dict[str, TypedGraph], tmp_path: Path) -> None:
    checker = Faulty(graphs["embedding"])  # which has no output `logits`
    checker.graph = graphs["filter"]
    executor, audit = audited(make_executor("golden", graphs["filter"]), checker, tmp_path)
    run(executor, audit, 3)
    audit.wait()
    run(executor, audit, 3)
    audit.wait()
    assert audit.take_checks() == Checks()
    assert audit.left_out == {"the check failed with ConfigError": 2}, "and the thread lives on"


def test_parts_of_large_graphs_are_checked_and_hopeless_ones_are_named(
    graphs: dict[str, TypedGraph], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    graph = graphs["interaction_network"]
    checker = Faulty(graph, first_fault=1 << 30)
    checker.maxima_limited = True  # 64 nodes and 128 edges
    executor, audit = audited(make_executor("golden", graph), checker, tmp_path)
    rng = np.random.default_rng(0)
    nodes = rng.uniform(-4, 4, size=(300, 3)).astype(np.float32)
    edges = rng.uniform(-4, 4, size=(250, 4)).astype(np.float32)
    starts = np.arange(250)
    for first in (starts // 9 * 10 + starts % 9, starts):  # components of ten nodes; one of 251
        edge_index = np.stack([first, first + 1], axis=1)
        audit.begin_request()
        executor.run({"nodes": nodes, "edges": edges, "edge_index": edge_index})
        audit.wait()
    assert audit.take_checks() == Checks(checked=1, mismatched=0)
    assert sum(audit.left_out.values()) == 1
    assert "no component of the graph is within Maxima(nodes=64, edges=128)" in capfd.readouterr().err


def test_the_share_is_that_asked_for_and_repeats(graphs: dict[str, TypedGraph], tmp_path: Path) -> None:
    golden = make_executor("golden", graphs["filter"])

    def drawn(share: float, seed: int) -> list[bool]:
        _, audit = audited(golden, golden, tmp_path, check_share=share, check_seed=seed)
        found = []
        for _ in range(2000):
            audit.begin_request()
            found.append(audit._drawn)
        return found

    assert all(drawn(1.0, 0))
    assert 150 <= sum(drawn(0.1, 0)) <= 250  # seeded, and within four standard deviations of 200
    assert drawn(0.1, 0) == drawn(0.1, 0)
    assert drawn(0.1, 0) != drawn(0.1, 1)


@pytest.mark.slow
def test_the_chain_is_checked_by_the_c_simulation(
    chain_directory: Path, make_hits: Callable[..., np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = DeviceSettings(check_share=1.0, vectors=tmp_path, threads=1)
    hits = {"FEATURES": make_hits(40), "EVENT_ID": np.array([7])}
    reference = load_model(chain_directory, "golden").run(hits)
    real = make_executor

    def make_faulty(name: str, graph: TypedGraph, **options: object) -> Executor:
        return Faulty(graph) if (name, graph.name) == ("native", "filter") else real(name, graph, **options)

    for faulty in (False, True):
        monkeypatch.setattr(shadow, "make_executor", make_faulty if faulty else real)
        model = load_model(chain_directory, "shadow", settings)
        assert isinstance(model, TrackingModel)
        assert model._audit is not None
        answer = model.run(hits)
        assert faulty or all(np.array_equal(answer[name], reference[name]) for name in reference)
        model._audit.wait()
        checks = model.take_checks()
        assert checks.checked >= 3, "every network"
        assert checks.mismatched == int(faulty)
        assert model.device_seconds > 0
    assert sorted(answer) == ["EDGE_INDEX", "EVENT_ID", "LABELS", "SCORES"]
    assert answer["EVENT_ID"] == 7
    (saved,) = tmp_path.iterdir()
    assert read_mismatch(saved).network == "filter"


def test_a_folder_that_cannot_be_written_is_said_at_the_start(chain_directory: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = DeviceSettings(vectors=tmp_path / "file" / "mismatches")
    with pytest.raises(ConfigError, match=r"cannot make .*mismatches"):
        load_model(chain_directory / "filter", "shadow", settings)


def test_files_that_are_no_mismatch_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"no archive")
    np.savez(tmp_path / "b.npz", x=np.zeros(3))
    for name in ("a.npz", "b.npz", "c.npz"):
        with pytest.raises(DataError, match=name):
            read_mismatch(tmp_path / name)


def test_graph_errors_of_the_answer_pass(graphs: dict[str, TypedGraph], tmp_path: Path) -> None:
    golden = make_executor("golden", graphs["filter"])
    executor, audit = audited(golden, golden, tmp_path)
    audit.begin_request()
    with pytest.raises((GraphError, DataError)):
        executor.run({"pairs": np.zeros((3, 11), np.float32)})
    assert audit.take_checks() == Checks()
