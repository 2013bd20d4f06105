"""What to send to which server, and what to do with the answer; written once for blocking and asyncio clients.

A plan is a generator: it yields steps (ask this server, wait, look the name up) and is sent their results, or thrown
the error of tritonclient. It does no input and output itself.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NoReturn

import numpy as np

from ..core import DataError, ServiceError
from .client_config import TritonConfig
from .client_interface import Counts, DeadlineError, Outputs, UnavailableError
from .client_metadata import DTYPES, ModelMetadata, differences, expected_metadata
from .client_servers import ServerPool
from .client_steps import Deadline, Describe, Infer, IsLive, LookUp, OptionalInputs, Plan, Wait, back_off
from .signature import Arrays

REQUEST_ID = re.compile(r"^\[request id: [^]]*\] ")
BATCHED_NETWORKS = ("embedding", "filter")


class _GoneError(Exception):
    """A server is gone or unavailable; `silent` where it did not answer at all."""

    def __init__(self, server: str, reason: str, *, silent: bool) -> None:
        super().__init__(reason)
        self.server = server
        self.reason = reason
        self.silent = silent


class Planner:
    """Makes the plans of a client; may be used from several threads.

    Args:
        config: Deadlines, retries, names.
        pool: The servers.
        counts: Where to count.
        clock: Monotonic time in seconds.
        draw: Gives random numbers in [0, 1), for the jitter.
    """

    def __init__(
        self,
        *,
        config: TritonConfig,
        pool: ServerPool,
        counts: Counts,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._config = config
        self._pool = pool
        self._counts = counts
        self._clock = clock
        self._draw = draw
        self._version = "" if config.version is None else str(config.version)
        self._checked: dict[tuple[str, str], ModelMetadata] = {}

    def metadata(self, model: str) -> Plan:
        """Plan that gives the `ModelMetadata` of a model, checked."""
        deadline = self._deadline()
        return (yield from self._rounds(model, deadline, lambda server: self._describe(server, model, deadline)))

    def infer(self, model: str, inputs: Arrays, outputs: Sequence[str] | None) -> Plan:
        """Plan that gives the outputs of a model by name."""
        self._counts.add("requests")
        deadline = self._deadline()
        wanted = tuple(expected_metadata(model).outputs) if outputs is None else tuple(outputs)

        def ask(server: str) -> Plan:
            return self._ask(server, model, inputs, wanted, deadline)

        return (yield from self._rounds(model, deadline, ask))

    def _deadline(self) -> Deadline:
        seconds = self._config.timeout_s
        return Deadline(seconds=seconds, ends=self._clock() + seconds, clock=self._clock)

    def _rounds(self, model: str, deadline: Deadline, ask: Callable[[str], Plan]) -> Plan:
        """Ask every server in turn until one answers, round after round."""
        last: _GoneError | None = None
        unknown: UnavailableError | None = None
        for number in range(self._config.retry.attempts):
            if number:
                wait = back_off(number, self._config.retry, self._draw)
                if wait >= deadline.left():
                    break
                self._counts.add("retries")
                yield Wait(seconds=wait)
            if self._pool.refresh_due():
                try:
                    yield LookUp(timeout=self._short(deadline))
                except UnavailableError as error:
                    unknown = error
                    continue
            all_silent = True
            for place, server in enumerate(self._pool.candidates()):
                if place:
                    self._counts.add("failovers")
                    if deadline.left() <= 0:
                        raise deadline.missed(f"model {model}: the servers asked so far")
                try:
                    answer = yield from ask(server)
                except _GoneError as gone:
                    last = gone
                    all_silent &= gone.silent
                    self._fail(server)
                    continue
                except DeadlineError:
                    self._fail(server)
                    raise
                self._pool.answered(server)
                return answer
            if all_silent:
                break  # nobody said UNAVAILABLE: waiting for silence again would only take longer
        if last is None and unknown is not None:
            raise unknown
        return (yield from self._give_up(model, last, deadline))

    def _fail(self, server: str) -> None:
        self._pool.failed(server)
        # When it comes back it may serve something else.
        for key in [key for key in self._checked if key[0] == server]:
            self._checked.pop(key, None)

    def _give_up(self, model: str, last: _GoneError | None, deadline: Deadline) -> Plan:
        """Say whether nothing is there, or something that is unavailable."""
        if last is not None and not last.silent and (yield from self._is_live(last.server, deadline)):
            raise UnavailableError(
                f"model {model} at {last.server} failed: {last.reason}", remedy="try again, or see the server's log"
            )
        reason = f": {last.reason}" if last is not None else ""
        raise UnavailableError(
            f"no server answers at {self._pool.name}{reason}",
            remedy="start one with hitfabric serve, or give its --url",
        )

    def _is_live(self, server: str, deadline: Deadline) -> Plan:
        from tritonclient.utils import InferenceServerException

        try:
            return bool((yield IsLive(server=server, timeout=self._short(deadline))))
        except InferenceServerException:
            return False

    def _describe(self, server: str, model: str, deadline: Deadline) -> Plan:
        """Metadata of a model at a server, compared with what is expected on first use."""
        if (known := self._checked.get((server, model))) is not None:
            return known
        expected = expected_metadata(model)
        step = Describe(
            server=server,
            model=model,
            served_name=self._name(model),
            version=self._version,
            timeout=self._short(deadline),
        )
        served: ModelMetadata = yield from self._step(step, model, deadline, silence_is_absence=True)
        if served.inputs.keys() - expected.inputs.keys():
            ask = OptionalInputs(
                server=server, served_name=step.served_name, version=step.version, timeout=step.timeout
            )
            optional = yield from self._step(ask, model, deadline, silence_is_absence=True)
            served = replace(served, optional=optional)
        if found := differences(expected, served):
            raise ServiceError(
                f"model {model} at {server}: {'; '.join(found)}", remedy="serve the chain this client expects"
            )
        self._checked[server, model] = served
        return served

    def _ask(self, server: str, model: str, inputs: Arrays, outputs: tuple[str, ...], deadline: Deadline) -> Plan:
        metadata: ModelMetadata = yield from self._describe(server, model, deadline)
        metadata.check_inputs(inputs)
        for name in outputs:
            if name not in metadata.outputs:
                raise DataError(
                    f"model {model} has no output {name}", remedy=f"ask for some of {sorted(metadata.outputs)}"
                )
        if model in BATCHED_NETWORKS and all(len(array) == 0 for array in inputs.values()):
            return _no_rows(metadata, outputs)
        step = Infer(
            server=server,
            served_name=self._name(model),
            version=self._version,
            inputs=inputs,
            outputs=outputs,
            timeout=deadline.left(),
        )
        arrays = yield from self._step(step, model, deadline, silence_is_absence=False)
        if missing := sorted(name for name, array in arrays.items() if array is None):
            raise ServiceError(f"model {model} at {server} gave no {missing}", remedy="update server and client")
        return arrays

    def _step(
        self, step: Describe | OptionalInputs | Infer, model: str, deadline: Deadline, *, silence_is_absence: bool
    ) -> Plan:
        """Do a step and turn tritonclient's error into ours."""
        from tritonclient.utils import InferenceServerException

        what = f"model {model}"
        if step.timeout <= 0:
            raise deadline.missed(f"{what} at {step.server}")
        try:
            return (yield step)
        except InferenceServerException as error:
            status = str(error.status()).rpartition(".")[2]
            reason = REQUEST_ID.sub("", " ".join(str(error.message()).split()))
            if status == "UNAVAILABLE":
                raise _GoneError(step.server, reason, silent=False) from error
            if status == "DEADLINE_EXCEEDED":
                if silence_is_absence and deadline.left() > 0:
                    reason = f"no answer within {step.timeout:g} s"
                    raise _GoneError(step.server, reason, silent=True) from error
                raise deadline.missed(f"{what} at {step.server}") from error
            _refuse(status, what, step.server, reason, error)

    def _short(self, deadline: Deadline) -> float:
        """Longest time, in seconds, for what a server that is well does at once."""
        return min(self._config.connect_timeout_s, deadline.left())

    def _name(self, model: str) -> str:
        return self._config.names.get(model, model)


def _refuse(status: str, what: str, server: str, reason: str, error: Exception) -> NoReturn:
    """Raise the error of an answer that no retry makes better."""
    if status == "INVALID_ARGUMENT":
        raise DataError(f"{what}: {reason}", remedy="correct the tensor named") from error
    if status in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        raise ServiceError(f"{server} refuses this client: {reason}", remedy="check token and certificate") from error
    if status in ("NOT_FOUND", "UNIMPLEMENTED"):
        raise ServiceError(f"{server} does not serve {what}: {reason}", remedy="check the server") from error
    raise ServiceError(f"{what} at {server} failed: {reason}", remedy="try again, or see its log") from error


def _no_rows(metadata: ModelMetadata, outputs: Sequence[str]) -> Outputs:
    """Outputs of a batch of no rows, which the server would take for one row with its bytes missing, and refuse."""
    tensors = {name: metadata.outputs[name] for name in outputs}
    return {
        name: np.zeros((0, *(size or 0 for size in tensor.shape[1:])), dtype=DTYPES[tensor.data_type])
        for name, tensor in tensors.items()
    }
