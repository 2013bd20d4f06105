"""Devices in a worker process, over its socket and shared memory, as the backend talks to it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hitfabric.emulation import make_executor
from hitfabric.fpga_backend.wire import Frame, Status, align, frame_bytes, read_frame, write_frame
from hitfabric.fpga_backend.worker import ID_BYTES, Memory
from hitfabric.quantization import TypedGraph
from support.fake_kernels import bitstream_of
from support.random_graphs import random_inputs

TESTS = Path(__file__).resolve().parents[1]

# Another process cannot be given a stand-in by a test, so that it finds one where it looks for pyxrt.
CARD = """
import sys
from pathlib import Path
from hitfabric.quantization import TypedGraph
from support.fake_kernels import golden_kernel
from support.fake_xrt import FakeXrt, State

graph = TypedGraph.load(Path({graph!r}))
right = golden_kernel(graph)
runs = 0

def compute(memory, count):
    global runs
    runs += 1
    right(memory, count)
    if runs > {hangs_after}:
        fake.ends = State.ERT_CMD_STATE_TIMEOUT

fake = FakeXrt({{f"hitfabric_{{graph.name}}_kernel": compute}})
sys.modules[__name__] = fake.module()
"""


class Worker:
    """A worker process.

    Args:
        arguments: Of the command line, besides socket and memory.
        path: Folders where Python looks for modules.
    """

    def __init__(self, *arguments: str, path: tuple[Path, ...] = ()) -> None:
        descriptor = os.memfd_create("test")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(60)
        command = [sys.executable, "-m", "hitfabric.fpga_backend.worker", "--memory", str(descriptor)]
        self.process = subprocess.Popen(
            [*command, "--socket", str(theirs.fileno()), *arguments],
            pass_fds=(descriptor, theirs.fileno()),
            env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))},
            stderr=subprocess.PIPE,
            text=True,
        )
        theirs.close()
        self.channel, self.memory = ours, Memory(descriptor)
        self.first = self._receive(0)

    def ask(self, *tensors: NDArray) -> Frame:
        """The answer to a request."""
        offset = align(frame_bytes(tensors))
        request = Frame(request_id=7, status=Status.REQUEST, tensors=tensors, response_offset=offset)
        write_frame(self.memory.view(at_least=offset), 0, request)
        self.channel.send((7).to_bytes(ID_BYTES, "little"))
        return self._receive(offset)

    def _receive(self, offset: int) -> Frame:
        assert self.channel.recv(ID_BYTES), "the worker ended"
        return read_frame(self.memory.view(), offset)

    def close(self) -> tuple[int, str]:
        """Exit status and log."""
        self.channel.close()
        _, log = self.process.communicate(timeout=60)
        return self.process.returncode, log


@pytest.fixture
def saved(graphs: dict[str, TypedGraph], tmp_path: Path) -> Path:
    """The filter in a folder of its own, with its bitstream."""
    graphs["filter"].save(tmp_path / "model")
    bitstream_of(graphs["filter"], units=2).write(tmp_path / "model" / "filter.xclbin")
    return tmp_path / "model"


def test_a_worker_ends_itself_when_the_card_hangs(saved: Path, graphs: dict[str, TypedGraph], tmp_path: Path) -> None:
    started = 4  # runs of the proof and the warm-up
    (tmp_path / "pyxrt.py").write_text(CARD.format(graph=str(saved), hangs_after=started + 2))
    settings = ("--setting", "xclbin=filter.xclbin", "--setting", "run_timeout_ms=500")
    options = ("--model", str(saved), "--device", "xrt", "--instance", "filter_0_1", *settings)
    worker = Worker(*options, path=(tmp_path, TESTS))
    assert worker.first.status is Status.DONE, worker.first.message
    golden = make_executor("golden", graphs["filter"])
    inputs = random_inputs(graphs["filter"], seed=0, sizes={"R": 20})
    for _ in range(2):
        answer = worker.ask(inputs["pairs"])
        assert answer.status is Status.DONE, answer.message
        assert answer.device_nanoseconds > 0
        (logits,) = answer.tensors
        assert logits is not None
        assert np.array_equal(logits, golden.run(inputs)["logits"])
    lost = worker.ask(inputs["pairs"])
    assert lost.status is Status.INTERNAL
    assert "filter_2} did not end within 500 ms" in lost.message
    assert worker.process.wait(timeout=60) == 1
    assert "DeviceLostError" in worker.close()[1]


@pytest.mark.parametrize(
    ("device", "setting", "text"),
    [
        ("xrt", "xclbin=filter.xclbin", "needs pyxrt"),
        ("xrt", "card=0", "has no bitstream"),
        ("shadow", "xclbin=filter.xclbin", "device shadow has no setting xclbin"),
        ("native", "thread=1", "thread: Extra inputs are not permitted"),
    ],
)
def test_a_worker_that_cannot_start_says_why(device: str, setting: str, text: str, saved: Path) -> None:
    worker = Worker("--model", str(saved), "--device", device, "--setting", setting)
    assert worker.first.status is Status.INTERNAL
    assert text in worker.first.message
    assert worker.close()[0] == 1


def test_a_request_beyond_the_memory_leaves_the_worker_alive(saved: Path) -> None:
    settings = ("--setting", "memory_limit_mb=150", "--setting", "threads=1")
    worker = Worker("--model", str(saved), "--device", "golden", *settings)
    small = np.zeros((10, 12), np.float32)
    for _ in range(2):
        assert worker.ask(small).status is Status.DONE
        refused = worker.ask(np.zeros((1_000_000, 12), np.float32))  # 48 MB, and golden's integers of 64 bits
        assert refused.status is Status.INTERNAL
        assert "MemoryError" in refused.message
    assert worker.ask(small).status is Status.DONE
    code, log = worker.close()
    assert code == 0
    assert log.count("MemoryError") == 2
