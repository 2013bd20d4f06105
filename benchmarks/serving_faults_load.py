"""Clients that send the mix, and clients that behave badly beside them."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import tritonclient.grpc as grpc
from serving_faults_answers import Tally, judge
from serving_faults_mix import Case, Mix
from serving_faults_transports import (
    LOOPBACK,
    GrpcTransport,
    HttpTransport,
    SharedMemoryTransport,
    Transport,
    grpc_refusal,
    http_body,
    tensors_of,
)
from tritonclient.utils import InferenceServerException

from hitfabric.fpga_backend import TritonServer

ANSWER_SECONDS = 60.0
OPENERS: Sequence[str] = ("grpc", "grpc", "grpc", "grpc", "shared_memory", "http", "http", "grpc")
HURRIED_SECONDS = 0.002
PAUSE_SECONDS = 0.02


@dataclass(kw_only=True)
class Budget:
    """How many requests are sent, or until when.

    Attributes:
        requests: Requests in all; None: until the time is over.
        ends: Monotonic time after which none is begun.
        more: Whether more are needed although `requests` are begun.
    """

    requests: int | None
    ends: float = float("inf")
    more: Callable[[], bool] = lambda: False
    begun: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def take(self) -> bool:
        """Whether one more is to be sent."""
        with self._lock:
            enough = self.requests is not None and self.begun >= self.requests and not self.more()
            if enough or time.monotonic() >= self.ends:
                return False
            self.begun += 1
            return True


class Client(threading.Thread):
    """One client: asks, judges, counts, and asks again.

    Args:
        mix: What to ask.
        budget: How often.
        tally: Where to count.
        transport: Connection, which this client closes.
        seed: Of the random numbers.
    """

    def __init__(self, *, mix: Mix, budget: Budget, tally: Tally, transport: Transport, seed: int) -> None:
        super().__init__(daemon=True)
        self.mix = mix
        self.budget = budget
        self.tally = tally
        self.transport = transport
        self.rng = np.random.default_rng(seed)

    def run(self) -> None:
        """Ask until the budget is used up."""
        while self.budget.take():
            case = self.mix.draw(self.rng)
            verdict, reason = judge(case, self.transport.ask(case))
            self.tally.add(case, self.transport.name, verdict, reason)
        self.transport.close()


def open_transport(kind: str, server: TritonServer) -> Transport:
    """A connection of a kind (`grpc`, `shared_memory` or `http`)."""
    if kind == "http":
        return HttpTransport(port=server.ports.http, bound=ANSWER_SECONDS)
    opener = SharedMemoryTransport if kind == "shared_memory" else GrpcTransport
    return opener(url=server.url, bound=ANSWER_SECONDS)


class RudeClient(threading.Thread):
    """Vanishes in the middle of a request, and if told so cancels and gives up early; no answer may be wrong.

    Its requests are not part of those that are counted, as nobody is owed an answer to them; but a wrong one counts.
    The server computes them all the same, as its HTTP does not tell it that nobody reads. So there is one at most for
    each that is counted: sent without end while workers are being started, they would fill the queue for minutes, and
    what is measured would be that queue.

    Args:
        mix: What to ask.
        server: Whom.
        tally: Where wrong answers are counted.
        budget: Of the requests that are counted.
        seed: Of the random numbers.
        cancels: Whether it cancels gRPC requests, which the server of the wheel does not survive for long: see
            https://github.com/triton-inference-server/server/issues/7368.
    """

    def __init__(
        self, *, mix: Mix, server: TritonServer, tally: Tally, budget: Budget, seed: int, cancels: bool = False
    ) -> None:
        super().__init__(daemon=True)
        self.mix = mix
        self.server = server
        self.tally = tally
        self.budget = budget
        self.rng = np.random.default_rng(seed)
        self.cancels = cancels
        self.counts: Counter[str] = Counter()
        self.ended = threading.Event()
        self._client = grpc.InferenceServerClient(server.url)

    def run(self) -> None:
        """One rudeness after another."""
        ways: list[Callable[[Case], None]] = [self.vanish]
        if self.cancels:
            ways += [self.cancel, self.hurry]
        begun = 0
        while not self.ended.wait(PAUSE_SECONDS):
            if self.budget.begun == begun:
                continue
            begun = self.budget.begun
            case = self.mix.draw(self.rng)
            try:
                ways[int(self.rng.integers(len(ways)))](case)
            except (OSError, InferenceServerException) as error:
                self.tally.add(case, "rude", "lost", repr(error))
                return

    def stop(self) -> None:
        """Stop and close."""
        self.ended.set()
        if self.is_alive():
            self.join()
        self._client.close()

    def cancel(self, case: Case) -> None:
        """Send a request and cancel it some milliseconds later."""
        answered = threading.Event()

        def note(result: grpc.InferResult | None, error: InferenceServerException | None) -> None:
            self._check(case, result, error)
            answered.set()

        call = self._client.async_infer(case.model, tensors_of(case), note, outputs=_outputs(case))
        time.sleep(float(self.rng.uniform(0, 0.01)))
        call.cancel()
        if not answered.wait(ANSWER_SECONDS):
            self.tally.add(case, "rude", "hung", f"{case.model}: a cancelled request never ended")
        self.counts["cancelled"] += 1

    def hurry(self, case: Case) -> None:
        """Send a request with a deadline that can hardly be met."""
        try:
            result = self._client.infer(
                case.model, tensors_of(case), outputs=_outputs(case), client_timeout=HURRIED_SECONDS
            )
        except InferenceServerException as error:
            self._check(case, None, error)
        else:
            self._check(case, result, None)
        self.counts["hurried"] += 1

    def vanish(self, case: Case) -> None:
        """Send half a request over HTTP and close the connection, or a whole one and never read."""
        header, body = http_body(case)
        whole = header + body
        head = (
            f"POST /v2/models/{case.model}/infer HTTP/1.1\r\nHost: {LOOPBACK}\r\nContent-Length: {len(whole)}\r\n"
            f"Inference-Header-Content-Length: {len(header)}\r\n\r\n"
        )
        part = whole if self.rng.random() < 0.5 else whole[: len(whole) // 2]
        with socket.create_connection((LOOPBACK, self.server.ports.http)) as connection:
            connection.sendall(head.encode() + part)
        self.counts["vanished"] += 1

    def _check(self, case: Case, result: grpc.InferResult | None, error: InferenceServerException | None) -> None:
        if result is not None:
            reply = {name: array for name in case.expected if (array := result.as_numpy(name)) is not None}
        else:
            assert error is not None
            reply = grpc_refusal(error)
            if reply.status in ("CANCELLED", "SILENCE"):
                return  # what was asked for
        verdict, reason = judge(case, reply)
        if verdict in ("wrong", "lost"):
            self.tally.add(case, "rude", verdict, reason)


def _outputs(case: Case) -> list[grpc.InferRequestedOutput] | None:
    return [grpc.InferRequestedOutput(name) for name in case.expected] or None
