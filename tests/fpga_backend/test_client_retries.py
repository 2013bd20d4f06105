"""Retries, deadlines and metadata of the server clients, blocking and asyncio, against a server that misbehaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitfabric.core import DataError, ServiceError
from hitfabric.fpga_backend import AsyncTritonClient, DeadlineError, TritonClient, TritonConfig, UnavailableError
from hitfabric.fpga_backend.client_config import RetryConfig
from hitfabric.fpga_backend.client_steps import back_off
from support.fake_triton import TENSORS, FakeTriton
from support.processes import eventually

EVENT = {"FEATURES": np.array([[4, 0, 0], [7, 0, 0]], np.float32)}
FAST = {"first_wait_s": 0.01, "longest_wait_s": 0.02}


class Caller:
    """A client as a blocking one; an asyncio client runs in a loop of its own."""

    def __init__(self, kind: str, config: TritonConfig) -> None:
        self._runner = asyncio.Runner() if kind == "asyncio" else None
        self.waits: list[float] = []
        if self._runner is None:
            self.client: Any = TritonClient(config=config, sleep=self.waits.append)
        else:
            self.client = AsyncTritonClient(config=config, sleep=self._note)

    async def _note(self, seconds: float) -> None:
        self.waits.append(seconds)

    def call(self, name: str, *arguments: Any, **options: Any) -> Any:
        if self._runner is None:
            return getattr(self.client, name)(*arguments, **options)

        async def run() -> Any:
            return await getattr(self.client, name)(*arguments, **options)

        return self._runner.run(run())

    def labels(self) -> list[int]:
        return self.call("infer", "tracking", EVENT)["LABELS"].tolist()

    @property
    def counts(self) -> dict[str, int]:
        return self.client.counts.read()

    def close(self) -> None:
        self.call("close")
        if self._runner is not None:
            self._runner.close()


@pytest.fixture(params=["blocking", "asyncio"])
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., Caller]]:
    callers: list[Caller] = []

    def make(*servers: str, **options: Any) -> Caller:
        values = {"servers": servers, "timeout_s": 10, "retry": {"attempts": 4, **FAST}, **options}
        callers.append(Caller(request.param, TritonConfig.model_validate(values)))
        return callers[-1]

    yield make
    for caller in callers:
        caller.close()


def test_unavailable_is_tried_again(make: Callable[..., Caller]) -> None:
    with FakeTriton(["UNAVAILABLE"] * 3) as server:
        caller = make(server.url)
        assert caller.labels() == [4, 7]
        assert len(server.requests) == 4
        assert caller.counts == {"requests": 1, "retries": 3, "failovers": 0, "fallbacks": 0}
        assert len(caller.waits) == 3
        # Each failure drops what was known of the server: it may come back as another.
        assert server.descriptions == 4
        assert caller.labels() == [4, 7]
        assert server.descriptions == 4


def test_attempts_end(make: Callable[..., Caller]) -> None:
    with FakeTriton(then="UNAVAILABLE") as server:
        caller = make(server.url)
        with pytest.raises(UnavailableError, match=r"model tracking at .* failed: said UNAVAILABLE"):
            caller.labels()
        assert len(server.requests) == 4
        server.live = False
        with pytest.raises(UnavailableError, match=f"no server answers at {server.url}: said UNAVAILABLE"):
            caller.labels()


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        ("INVALID_ARGUMENT", DataError, "model tracking: said INVALID_ARGUMENT"),
        ("INTERNAL", ServiceError, "failed: said INTERNAL"),
        ("RESOURCE_EXHAUSTED", ServiceError, "failed: said RESOURCE_EXHAUSTED"),
        ("NOT_FOUND", ServiceError, "does not serve model tracking"),
        ("PERMISSION_DENIED", ServiceError, "refuses this client"),
    ],
)
def test_nothing_else_is_tried_again(
    make: Callable[..., Caller], status: str, kind: type[Exception], message: str
) -> None:
    with FakeTriton([status]) as server:
        caller = make(server.url)
        with pytest.raises(kind, match=message):
            caller.labels()
        assert len(server.requests) == 1
        assert caller.waits == []
        assert caller.labels() == [4, 7]


def test_a_server_that_hangs_meets_the_deadline(make: Callable[..., Caller]) -> None:
    with FakeTriton(["hang"]) as server:
        caller = make(server.url, timeout_s=0.3)
        with pytest.raises(DeadlineError, match=rf"model tracking at {server.url} did not answer within 0\.3 s"):
            caller.labels()
        assert len(server.requests) == 1
        server.release.set()
        assert caller.labels() == [4, 7]


def test_waits_never_pass_the_deadline(make: Callable[..., Caller]) -> None:
    with FakeTriton(then="UNAVAILABLE") as server:
        retry = {"attempts": 10, "first_wait_s": 60, "longest_wait_s": 60, "jitter": 0}
        caller = make(server.url, retry=retry)
        with pytest.raises(UnavailableError):
            caller.labels()
        assert caller.waits == []
        assert len(server.requests) == 1


def test_a_silent_server_is_passed_over(make: Callable[..., Caller]) -> None:
    with FakeTriton() as silent, FakeTriton() as well:
        silent.silent = True
        caller = make(silent.url, well.url, connect_timeout_s=0.2)
        assert caller.labels() == [4, 7]
        assert caller.counts["failovers"] == 1
        assert caller.labels() == [4, 7]
        assert silent.descriptions == 1


def test_silence_alone_is_not_tried_again(make: Callable[..., Caller]) -> None:
    with FakeTriton() as silent:
        silent.silent = True
        caller = make(silent.url, connect_timeout_s=0.2)
        with pytest.raises(UnavailableError, match=r"no server answers at .*: no answer within 0\.2 s"):
            caller.labels()
        assert (silent.descriptions, caller.waits) == (1, [])


def test_a_deadline_spent_on_silence_is_no_fault_of_the_next_server(make: Callable[..., Caller]) -> None:
    with FakeTriton() as silent, FakeTriton() as well:
        silent.silent = True
        caller = make(silent.url, well.url, timeout_s=0.2)
        with pytest.raises(DeadlineError, match=r"within 0\.2 s"):
            caller.labels()
        assert caller.labels() == [4, 7]  # silent.url alone is left out
        assert (silent.descriptions, len(well.requests)) == (1, 1)


def test_a_server_that_dies_is_replaced_and_comes_back(make: Callable[..., Caller]) -> None:
    with FakeTriton() as first, FakeTriton() as second:
        caller = make(first.url, second.url, skip_s=0.01)
        assert caller.labels() == [4, 7]
        first.stop()
        assert caller.labels() == [4, 7]
        assert (len(first.requests), len(second.requests)) == (1, 1)
        with FakeTriton(port=first.port) as again:
            assert eventually(lambda: caller.labels() == [4, 7] and bool(again.requests))  # gRPC waits to connect


def test_a_failed_server_is_skipped_for_a_while(make: Callable[..., Caller]) -> None:
    with FakeTriton(["UNAVAILABLE"]) as first, FakeTriton() as second:
        caller = make(first.url, second.url, skip_s=60)
        for _ in range(3):
            assert caller.labels() == [4, 7]
        assert (len(first.requests), len(second.requests)) == (1, 3)
        assert caller.counts == {"requests": 3, "retries": 0, "failovers": 1, "fallbacks": 0}


def test_requests_go_round(make: Callable[..., Caller]) -> None:
    with FakeTriton() as first, FakeTriton() as second:
        caller = make(first.url, second.url, balance="round-robin")
        for _ in range(6):
            caller.labels()
        assert (len(first.requests), len(second.requests)) == (3, 3)


WRONG = {
    "input FEATURES has type FP64": ({"FEATURES": ("FP64", [-1, 3])}, TENSORS["tracking"][1]),
    r"input FEATURES is FP32 \[-1, 4\], expected FP32 \[-1, 3\]": (
        {"FEATURES": ("FP32", [-1, 4])},
        TENSORS["tracking"][1],
    ),
    "input FEATURES is missing; there are .'HITS'": ({"HITS": ("FP32", [-1, 3])}, TENSORS["tracking"][1]),
    "output LABELS has type INT32": (TENSORS["tracking"][0], {"LABELS": ("INT32", [-1])}),
    "input DETECTOR is not known": (
        {**TENSORS["tracking"][0], "DETECTOR": ("INT64", [1])},
        TENSORS["tracking"][1],
    ),
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_metadata_is_told_before_the_first_request(make: Callable[..., Caller], message: str) -> None:
    with FakeTriton(tensors={"tracking": WRONG[message]}) as server:
        caller = make(server.url)
        with pytest.raises(ServiceError, match=message):
            caller.labels()
        with pytest.raises(ServiceError, match=message):
            caller.call("metadata", "tracking")
        assert server.requests == []


def test_optional_inputs_are_accepted(make: Callable[..., Caller]) -> None:
    inputs, outputs = TENSORS["tracking"]
    tensors = {"tracking": ({**inputs, "EVENT_ID": ("INT64", [1])}, {**outputs, "SCORES": ("FP32", [-1])})}
    with FakeTriton(tensors=tensors, optional=["EVENT_ID"]) as server:
        caller = make(server.url)
        assert caller.labels() == [4, 7]
        assert caller.call("metadata", "tracking").optional == {"EVENT_ID"}
        assert [output.name for output in server.requests[0].outputs] == ["LABELS"]
        with pytest.raises(ServiceError, match=r"gave no .'SCORES'"):
            caller.call("infer", "tracking", EVENT, outputs=["SCORES"])


def test_wrong_tensors_do_not_travel(make: Callable[..., Caller]) -> None:
    with FakeTriton() as server:
        caller = make(server.url)
        with pytest.raises(DataError, match="FEATURES is float64"):
            caller.call("infer", "tracking", {"FEATURES": np.zeros((2, 3))})
        with pytest.raises(DataError, match="no output TRACKS"):
            caller.call("infer", "tracking", EVENT, outputs=["TRACKS"])
        assert server.requests == []


def test_served_names_and_versions(make: Callable[..., Caller]) -> None:
    with FakeTriton(tensors={"tracking_itk": TENSORS["tracking"]}) as server:
        caller = make(server.url, names={"tracking": "tracking_itk"}, version=3)
        assert caller.labels() == [4, 7]
        assert (server.requests[0].model_name, server.requests[0].model_version) == ("tracking_itk", "3")
        with pytest.raises(ServiceError, match="does not serve model filter"):
            caller.call("metadata", "filter")


@given(
    number=st.integers(1, 10_000),
    first=st.floats(0.001, 10),
    factor=st.floats(1, 100),
    longest=st.floats(0.001, 100),
    jitter=st.floats(0, 1),
    draw=st.floats(0, 1, exclude_max=True),
)
def test_waits_grow_up_to_a_limit(
    number: int, first: float, factor: float, longest: float, jitter: float, draw: float
) -> None:
    retry = RetryConfig(first_wait_s=first, factor=factor, longest_wait_s=longest, jitter=jitter)
    wait, full = back_off(number, retry, lambda: draw), back_off(number, retry, lambda: 0.0)
    assert full * (1 - jitter) <= wait <= full <= longest
    assert full <= back_off(number + 1, retry, lambda: 0.0)
    assert back_off(1, retry, lambda: 0.0) == min(first, longest)
