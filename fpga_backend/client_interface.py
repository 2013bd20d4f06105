"""One way to ask for inference, in process or through servers, blocking or with asyncio: named tensors in and out."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ..core import DataError, ServiceError
from .client_metadata import ModelMetadata, expected_metadata
from .names import MODELS, TRACKING
from .signature import Arrays

Outputs = dict[str, NDArray[Any]]


class UnavailableError(ServiceError):
    """No server answers, or those that do answer UNAVAILABLE, after every retry."""


class DeadlineError(ServiceError):
    """The answer did not come in time."""


class Counts:
    """What happened so far, counted by name; may be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = {"requests": 0, "retries": 0, "failovers": 0, "fallbacks": 0}

    def add(self, name: str) -> None:
        """Count one more."""
        with self._lock:
            self._counts[name] += 1

    def read(self) -> dict[str, int]:
        """Counts of requests, retries (rounds begun again), failovers (to another server) and fallbacks (to direct)."""
        with self._lock:
            return dict(self._counts)


class InferenceClient(Protocol):
    """Named tensors in, named tensors out; may be used from several threads.

    Attributes:
        description: What computes, in words.
        counts: Requests, retries, failovers and fallbacks so far.
    """

    description: str
    counts: Counts

    def infer(self, model: str, inputs: Arrays, *, outputs: Sequence[str] | None = None) -> Outputs:
        """Compute the outputs of a model.

        Args:
            model: embedding, filter, interaction_network or tracking.
            inputs: Tensors by name.
            outputs: Outputs to give; None gives those that every model of this name has.

        Returns:
            Output tensors by name.

        Raises:
            DataError: The inputs are not what the model takes; the tensor is named.
            UnavailableError: No server answers, or all are unavailable.
            DeadlineError: The answer did not come in time.
            ServiceError: The server serves something else, or failed.
        """
        ...

    def metadata(self, model: str) -> ModelMetadata:
        """Names, data types and shapes of a model's tensors; errors as those of `infer`."""
        ...

    def close(self) -> None:
        """Give back connections."""
        ...


class AsyncInferenceClient(Protocol):
    """The same for asyncio; belongs to the event loop it is first used in."""

    description: str
    counts: Counts

    async def infer(self, model: str, inputs: Arrays, *, outputs: Sequence[str] | None = None) -> Outputs:
        """See `InferenceClient.infer`."""
        ...

    async def metadata(self, model: str) -> ModelMetadata:
        """See `InferenceClient.metadata`."""
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...


class ClosesClient:
    """Context manager that closes its client."""

    client: InferenceClient

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.client.close()


class TrackingClient(ClosesClient):
    """Hits in, track labels out, through any inference client; a context manager.

    Args:
        client: What computes.
    """

    def __init__(self, client: InferenceClient) -> None:
        self.client = client

    def track(self, features: NDArray[np.float32]) -> NDArray[np.int64]:
        """Find the tracks of one event.

        Args:
            features: float32 [hits, 3]: r (mm), phi (rad), z (mm).

        Returns:
            int64 [hits]: 0, 1, ...; -1 is no track.
        """
        return self.client.infer(TRACKING, {"FEATURES": features})["LABELS"]


def pick_outputs(model: str, found: Outputs, outputs: Sequence[str] | None) -> Outputs:
    """The outputs asked for; None asks for those that every model of this name has.

    Raises:
        DataError: The model has no such output; it is named.
    """
    if outputs is None:
        outputs = tuple(expected_metadata(model).outputs) if model in MODELS else tuple(found)
    for name in outputs:
        if name not in found:
            raise DataError(f"model {model} has no output {name}", remedy=f"ask for some of {sorted(found)}")
    return {name: found[name] for name in outputs}
