"""Many events through a client, some at a time: answers in order, a slow reader slows the source, errors stay apart."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from ..core import ConfigError, HitfabricError
from .client_interface import AsyncInferenceClient, InferenceClient, Outputs
from .signature import Arrays


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of one event.

    Attributes:
        index: Place of the event in the stream, from 0.
        outputs: Output tensors by name; None where there is an error.
        error: Why there are none.
        seconds: Wall time of its request, from when it was begun.
    """

    index: int
    outputs: Outputs | None = None
    error: HitfabricError | None = None
    seconds: float = 0.0

    def result(self) -> Outputs:
        """The outputs.

        Raises:
            HitfabricError: The error of this event.
        """
        if self.outputs is None:
            raise self.error or ValueError("an answer has outputs or an error")
        return self.outputs


def stream(
    client: InferenceClient, model: str, events: Iterable[Arrays], *, in_flight: int = 4, stop_on_error: bool = False
) -> Iterator[Answer]:
    """Compute many events, up to `in_flight` of them at a time.

    The next event is drawn from `events` only when an answer has been taken, so that never more than `in_flight`
    events are in memory. If `events` itself raises, the answers of the events before come first.

    Args:
        client: What computes.
        model: Model name.
        events: Inputs by name, one mapping per event.
        in_flight: Most events drawn and not yet answered.
        stop_on_error: Raise the first error of an event, in place of giving it as that event's answer.

    Yields:
        One answer per event, in the order of the events.

    Raises:
        ConfigError: `in_flight` is not positive.
        HitfabricError: With `stop_on_error`: that of the first event that failed.
    """
    _check_in_flight(in_flight)
    if in_flight == 1:
        return _one_by_one(client, model, iter(events), stop_on_error)
    return _stream(client, model, iter(events), in_flight, stop_on_error)


def _one_by_one(client: InferenceClient, model: str, events: Iterator[Arrays], stop_on_error: bool) -> Iterator[Answer]:
    """In the caller's thread: nothing to wait for when it leaves."""
    for index, inputs in enumerate(events):
        yield _checked(_answer(client, model, index, inputs), stop_on_error)


def _stream(
    client: InferenceClient, model: str, events: Iterator[Arrays], in_flight: int, stop_on_error: bool
) -> Iterator[Answer]:
    waiting: deque[Future[Answer]] = deque()
    broken: Exception | None = None
    drawn, more = 0, True
    pool = ThreadPoolExecutor(in_flight, thread_name_prefix="hitfabric-stream")
    try:
        while more or waiting:
            while more and len(waiting) < in_flight:
                try:
                    inputs = next(events)
                except StopIteration:
                    more = False
                except Exception as error:  # noqa: BLE001 - of the source; raised below
                    more, broken = False, error
                else:
                    waiting.append(pool.submit(_answer, client, model, drawn, inputs))
                    drawn += 1
            if waiting:
                yield _checked(waiting.popleft().result(), stop_on_error)
    finally:
        # A reader that leaves does not wait for a server that hangs: closing the client ends its requests.
        pool.shutdown(wait=False, cancel_futures=True)
    if broken is not None:
        raise broken


async def stream_async(
    client: AsyncInferenceClient,
    model: str,
    events: Iterable[Arrays] | AsyncIterable[Arrays],
    *,
    in_flight: int = 4,
    stop_on_error: bool = False,
) -> AsyncIterator[Answer]:
    """The same for asyncio, from a plain or an asynchronous source; see `stream`."""
    _check_in_flight(in_flight)
    source = events if isinstance(events, AsyncIterable) else _asynchronous(events)
    iterator = aiter(source)
    waiting: deque[asyncio.Task[Answer]] = deque()
    broken: Exception | None = None
    drawn, more = 0, True
    try:
        while more or waiting:
            while more and len(waiting) < in_flight:
                try:
                    inputs = await anext(iterator)
                except StopAsyncIteration:
                    more = False
                except Exception as error:  # noqa: BLE001 - of the source; raised below
                    more, broken = False, error
                else:
                    waiting.append(asyncio.create_task(_answer_async(client, model, drawn, inputs)))
                    drawn += 1
            if waiting:
                yield _checked(await waiting.popleft(), stop_on_error)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    if broken is not None:
        raise broken


def _answer(client: InferenceClient, model: str, index: int, inputs: Arrays) -> Answer:
    start = time.perf_counter()
    try:
        outputs, failure = client.infer(model, inputs), None
    except HitfabricError as error:
        outputs, failure = None, error
    return Answer(index=index, outputs=outputs, error=failure, seconds=time.perf_counter() - start)


async def _answer_async(client: AsyncInferenceClient, model: str, index: int, inputs: Arrays) -> Answer:
    start = time.perf_counter()
    try:
        outputs, failure = await client.infer(model, inputs), None
    except HitfabricError as error:
        outputs, failure = None, error
    return Answer(index=index, outputs=outputs, error=failure, seconds=time.perf_counter() - start)


def _checked(answer: Answer, stop_on_error: bool) -> Answer:
    if stop_on_error and answer.error is not None:
        raise answer.error
    return answer


def _check_in_flight(in_flight: int) -> None:
    if in_flight < 1:
        raise ConfigError(f"{in_flight} events in flight", remedy="give 1 or more")


async def _asynchronous(events: Iterable[Arrays]) -> AsyncIterator[Arrays]:
    for event in events:
        yield event
