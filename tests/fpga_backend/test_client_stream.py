"""Streams of events: answers in order, never more under way than allowed, errors of single events."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hitfabric.core import ConfigError, DataError, ServiceError
from hitfabric.fpga_backend import AsyncTritonClient, TritonClient, TritonConfig, stream, stream_async
from hitfabric.fpga_backend.client import Answer, AsyncLocalClient
from hitfabric.fpga_backend.client_interface import Counts
from hitfabric.fpga_backend.client_metadata import ModelMetadata, expected_metadata
from support.fake_triton import FakeTriton
from support.processes import eventually

Event = dict[str, np.ndarray]


def _event(number: int) -> Event:
    return {"FEATURES": np.array([[number, 0, 0]], np.float32)}


class Rehearsed:
    """A client that finishes events in an order of its own, and refuses some."""

    description = "rehearsed"

    def __init__(self, bad: Sequence[int] = ()) -> None:
        self.counts = Counts()
        self.bad = set(bad)
        self.lock = threading.Lock()
        self.at_once = self.most = 0

    def infer(self, model: str, inputs: Any, *, outputs: Sequence[str] | None = None) -> Event:
        number = int(inputs["FEATURES"][0, 0])
        with self.lock:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        threading.Event().wait(0.001 * (number * 7 % 3))
        with self.lock:
            self.at_once -= 1
        if number in self.bad:
            raise DataError(f"event {number} is bad", remedy="leave it out")
        return {"LABELS": np.array([number])}

    def metadata(self, model: str) -> ModelMetadata:
        return expected_metadata(model)

    def close(self) -> None:
        pass


class Source:
    """Events that note how many were drawn."""

    def __init__(self, count: int, *, breaks: bool = False) -> None:
        self.count = count
        self.breaks = breaks
        self.drawn = 0

    def __iter__(self) -> Iterator[Event]:
        for number in range(self.count):
            self.drawn += 1
            yield _event(number)
        if self.breaks:
            raise OSError("the disk is gone")

    async def __aiter__(self) -> AsyncIterator[Event]:
        for event in self:
            yield event


def _run(kind: str, client: Rehearsed, source: Source, **options: Any) -> list[Answer]:
    """All answers; what is drawn and not answered is checked on the way."""
    found: list[Answer] = []

    def take(answer: Answer) -> None:
        found.append(answer)
        assert source.drawn - len(found) < options["in_flight"]

    async def run() -> None:
        events = source if kind == "asyncio" else iter(source)
        async for answer in stream_async(AsyncLocalClient(client), "tracking", events, **options):
            take(answer)

    if kind == "blocking":
        for answer in stream(client, "tracking", source, **options):
            take(answer)
    else:
        asyncio.run(run())
    return found


KINDS = ("blocking", "asyncio", "asyncio over a plain source")


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25)
@given(count=st.integers(0, 12), in_flight=st.integers(1, 5), bad=st.sets(st.integers(0, 11)))
def test_answers_come_in_order_and_errors_stay_apart(kind: str, count: int, in_flight: int, bad: set[int]) -> None:
    client, source = Rehearsed(sorted(bad)), Source(count)
    answers = _run(kind, client, source, in_flight=in_flight)
    assert [answer.index for answer in answers] == list(range(count))
    assert client.most <= in_flight
    for number, answer in enumerate(answers):
        if number in bad:
            with pytest.raises(DataError, match=f"event {number} is bad"):
                answer.result()
        else:
            assert answer.result()["LABELS"].tolist() == [number]


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_error_stops_if_asked(kind: str) -> None:
    source = Source(50)
    with pytest.raises(DataError, match="event 3 is bad"):
        _run(kind, Rehearsed([3, 4]), source, in_flight=4, stop_on_error=True)
    assert source.drawn <= 3 + 4


@pytest.mark.parametrize("kind", KINDS)
def test_a_source_that_breaks_loses_no_answer(kind: str) -> None:
    source, answers = Source(5, breaks=True), []

    async def run() -> None:
        events = source if kind == "asyncio" else iter(source)
        async for answer in stream_async(AsyncLocalClient(Rehearsed()), "tracking", events, in_flight=3):
            answers.append(answer.index)

    with pytest.raises(OSError, match="the disk is gone"):
        if kind == "blocking":
            answers.extend(answer.index for answer in _indexed(source, answers))
        else:
            asyncio.run(run())
    assert answers == list(range(5))


def _indexed(source: Source, answers: list[int]) -> Iterator[Answer]:
    for answer in stream(Rehearsed(), "tracking", source, in_flight=3):
        answers.append(answer.index)
    yield from ()


def test_a_reader_may_leave() -> None:
    source = Source(1000)
    answers = stream(Rehearsed(), "tracking", source, in_flight=3)
    assert next(iter(answers)).index == 0
    answers.close()  # type: ignore[attr-defined]
    assert source.drawn == 3


def test_leaving_does_not_wait_for_a_server_that_hangs() -> None:
    def threads() -> int:
        return sum(thread.name.startswith("hitfabric-stream") for thread in threading.enumerate())

    assert eventually(lambda: threads() == 0)
    with FakeTriton(["ok"] * 3, then="hang") as server:
        client = TritonClient(config=TritonConfig(servers=(server.url,), timeout_s=25))
        answers = stream(client, "tracking", Source(10), in_flight=3)
        assert [next(answers).index for _ in range(3)] == [0, 1, 2]
        assert eventually(lambda: len(server.requests) == 5)
        answers.close()  # type: ignore[attr-defined]
        assert threads() > 0
        client.close()  # ends the requests that were under way
        assert eventually(lambda: threads() == 0)
        assert not server.release.is_set()


@pytest.mark.parametrize("kind", ["blocking", "asyncio"])
def test_a_client_that_was_closed_sends_nothing_more(kind: str) -> None:
    with FakeTriton() as server:
        config = TritonConfig(servers=(server.url,))

        async def ask() -> None:
            client = AsyncTritonClient(config=config)
            await client.infer("tracking", _event(0))
            await client.close()
            await client.infer("tracking", _event(0))

        def ask_blocking() -> None:
            client = TritonClient(config=config)
            client.infer("tracking", _event(0))
            client.close()
            client.infer("tracking", _event(0))

        with pytest.raises(ServiceError, match="the client was closed; open another one"):
            ask_blocking() if kind == "blocking" else asyncio.run(ask())
        assert len(server.requests) == 1


def test_events_in_flight_are_positive() -> None:
    with pytest.raises(ConfigError, match="0 events in flight"):
        stream(Rehearsed(), "tracking", [], in_flight=0)


def test_a_server_sees_no_more_than_allowed() -> None:
    script = ["UNAVAILABLE", "ok", "INTERNAL", "UNAVAILABLE"]
    with FakeTriton(script) as server:
        config = TritonConfig.model_validate({"servers": [server.url], "retry": {"first_wait_s": 0.01}})
        client = TritonClient(config=config)
        answers = list(stream(client, "tracking", Source(40), in_flight=6))
        failed = [answer.index for answer in answers if isinstance(answer.error, ServiceError)]
        assert len(failed) == 1
        assert [answer.result()["LABELS"].tolist() for answer in answers if answer.error is None] == [
            [number] for number in range(40) if number not in failed
        ]
        assert 1 <= server.most_at_once <= 6
        client.close()


def test_asyncio_keeps_many_requests_under_way_on_one_server() -> None:
    with FakeTriton(then="hang") as server:
        config = TritonConfig(servers=(server.url,), timeout_s=20)

        async def run() -> list[int]:
            client = AsyncTritonClient(config=config)

            async def release() -> None:
                while server.most_at_once < 5:
                    await asyncio.sleep(0.005)
                server.release.set()

            released = asyncio.create_task(release())
            answers = [answer async for answer in stream_async(client, "tracking", Source(20), in_flight=5)]
            await released
            await client.close()
            return [int(answer.result()["LABELS"][0]) for answer in answers]

        assert asyncio.run(run()) == list(range(20))
        assert server.most_at_once == 5
