"""The worker's compiled loop: the same answers as the interpreter's, and what it leaves to the interpreter."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hitfabric.core import HitfabricWarning, MissingToolError
from hitfabric.emulation import make_executor
from hitfabric.fpga_backend import native_loop, wire
from hitfabric.fpga_backend.native_loop import NativeLoop, open_loop
from hitfabric.fpga_backend.served import NetworkModel
from hitfabric.fpga_backend.worker import execute
from hitfabric.quantization import TypedGraph

MEMORY_BYTES = 1 << 18
RESPONSE = 1 << 17


class Bench:
    """A loop over one network in a thread, and the backend's side of it."""

    def __init__(self, graph: TypedGraph) -> None:
        self.model = NetworkModel(executor=make_executor("native", graph, threads=1))
        self.backend, self.channel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        loop = open_loop(self.model, self.channel)
        assert loop is not None
        self.loop: NativeLoop = loop
        self.memory = memoryview(bytearray(MEMORY_BYTES))
        self.ended: list[int | None] = []
        self.number = 0

    def ask(self, frame: wire.Frame, *, message: bytes | None = None) -> int | None:
        """Let the loop handle a request: None when it has answered, or the number of the request it left."""
        wire.write_frame(self.memory, 0, frame)
        thread = threading.Thread(target=lambda: self.ended.append(self.loop.serve(self.memory)))
        thread.start()
        self.backend.send(message or frame.request_id.to_bytes(8, "little"))
        found = None
        while thread.is_alive():
            thread.join(0.0005)
            try:
                found = self.backend.recv(8, socket.MSG_DONTWAIT)
            except BlockingIOError:
                continue
            self.backend.send((0).to_bytes(8, "little"))  # no request has this number: the loop ends
            thread.join()
        left = self.ended.pop()
        if found is None:
            return left
        assert found == frame.request_id.to_bytes(8, "little") and left == 0
        return None

    def frame(self, *arrays: np.ndarray | None) -> wire.Frame:
        """A request."""
        self.number += 1
        return wire.Frame(request_id=self.number, status=wire.Status.REQUEST, tensors=arrays, response_offset=RESPONSE)


@pytest.fixture(scope="module")
def rows(graphs: dict[str, TypedGraph]) -> Iterator[Bench]:
    bench = Bench(graphs["filter"])
    yield bench
    bench.backend.close()
    bench.channel.close()


@pytest.fixture(scope="module")
def network(graphs: dict[str, TypedGraph]) -> Iterator[Bench]:
    bench = Bench(graphs["interaction_network"])
    yield bench
    bench.backend.close()
    bench.channel.close()


def _same(bench: Bench, frame: wire.Frame) -> None:
    assert bench.ask(frame) is None
    answered, wanted = wire.read_frame(bench.memory, RESPONSE), execute(bench.model, frame)
    assert (answered.status, answered.request_id) == (wire.Status.DONE, frame.request_id)
    assert len(answered.tensors) == len(wanted.tensors)
    for have, want in zip(answered.tensors, wanted.tensors, strict=True):
        assert have is not None and want is not None
        assert have.dtype == want.dtype and have.shape == want.shape and have.tobytes() == want.tobytes()


@settings(max_examples=25, deadline=None)
@given(count=st.integers(0, 700), seed=st.integers(0, 99))
def test_rows_are_answered_as_by_the_interpreter(rows: Bench, count: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(count, 12)).astype(np.float32)
    _same(rows, rows.frame(values))


@settings(max_examples=25, deadline=None)
@given(nodes=st.integers(1, 300), edges=st.integers(0, 900), seed=st.integers(0, 99))
def test_graphs_are_answered_as_by_the_interpreter(network: Bench, nodes: int, edges: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    features = [rng.normal(size=(size, width)).astype(np.float32) for size, width in ((nodes, 3), (edges, 4))]
    _same(network, network.frame(*features, rng.integers(0, nodes, size=(edges, 2))))


ROWS = np.ones((5, 12), np.float32)
LEFT: dict[str, Callable[[wire.Frame], wire.Frame]] = {
    "another type": lambda frame: replace(frame, tensors=(ROWS.astype(np.int64),)),
    "another width": lambda frame: replace(frame, tensors=(ROWS[:, :11],)),
    "another rank": lambda frame: replace(frame, tensors=(ROWS[0],)),
    "no tensor": lambda frame: replace(frame, tensors=()),
    "absent tensor": lambda frame: replace(frame, tensors=(None,)),
    "not a number": lambda frame: replace(frame, tensors=(np.full((5, 12), np.nan, np.float32),)),
    "no request": lambda frame: replace(frame, status=wire.Status.DONE),
    "no room for the header": lambda frame: replace(frame, response_offset=MEMORY_BYTES - 64),
    "no room for the outputs": lambda frame: replace(frame, response_offset=MEMORY_BYTES - 128),
    "response outside": lambda frame: replace(frame, response_offset=MEMORY_BYTES),
    "response beyond counting": lambda frame: replace(frame, response_offset=2**64 - 64),
    "response not aligned": lambda frame: replace(frame, response_offset=RESPONSE + 1),
}


@pytest.mark.parametrize("case", LEFT)
def test_what_is_out_of_the_ordinary_is_left_to_the_caller(rows: Bench, case: str) -> None:
    frame = LEFT[case](rows.frame(ROWS))
    assert rows.ask(frame) == frame.request_id
    _same(rows, rows.frame(ROWS))


def test_a_message_that_is_not_the_frames_is_left_to_the_caller(rows: Bench) -> None:
    assert rows.ask(rows.frame(ROWS), message=(77).to_bytes(8, "little")) == 77


def test_the_end_of_the_backend_ends_the_loop(graphs: dict[str, TypedGraph]) -> None:
    bench = Bench(graphs["filter"])
    bench.backend.close()
    assert bench.loop.serve(bench.memory) is None
    bench.channel.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        bench.loop.serve(bench.memory)


def test_only_native_networks_have_it(graphs: dict[str, TypedGraph]) -> None:
    model = NetworkModel(executor=make_executor("golden", graphs["filter"]))
    with socket.socket(socket.AF_UNIX) as channel:
        assert open_loop(model, channel) is None


def test_without_a_compiler_the_interpreter_answers(
    graphs: dict[str, TypedGraph], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fails(*_: object, **__: object) -> Path:
        raise MissingToolError("no g++", remedy="install it")

    model = NetworkModel(executor=make_executor("native", graphs["filter"]))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(native_loop, "compile_library", fails)
    native_loop.compiled_loop.cache_clear()
    with socket.socket(socket.AF_UNIX) as channel, pytest.warns(HitfabricWarning, match=r"longer: no g\+\+"):
        assert open_loop(model, channel) is None
    native_loop.compiled_loop.cache_clear()
