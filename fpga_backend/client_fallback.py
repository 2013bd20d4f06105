"""Computing in this process while no server answers: asked for, logged and counted."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from .client_interface import AsyncInferenceClient, Counts, InferenceClient, Outputs, UnavailableError
from .client_metadata import ModelMetadata
from .signature import Arrays

LOG = logging.getLogger(__name__)


class _Outage:
    """Whether servers were found to be unavailable a short while ago, so that not every event waits for them."""

    def __init__(self, counts: Counts, seconds: float, clock: Callable[[], float]) -> None:
        self._counts = counts
        self._seconds = seconds
        self._clock = clock
        self._until = clock()

    def lasts(self) -> bool:
        return self._clock() < self._until

    def begin(self, error: UnavailableError) -> None:
        self._until = self._clock() + self._seconds
        LOG.warning("%s: computing in this process for the next %g s", error.message, self._seconds)

    def fall_back(self, model: str) -> None:
        self._counts.add("fallbacks")
        LOG.info("model %s was computed in this process", model)


class FallbackClient:
    """Asks servers, and computes in this process while none answers.

    Only `UnavailableError` leads there: wrong inputs, wrong models and missed deadlines stay errors.

    Args:
        primary: Client of the servers.
        secondary: Client in this process.
        outage_s: How long no server is asked after none answered.
        clock: Monotonic time in seconds.
    """

    def __init__(
        self,
        primary: InferenceClient,
        secondary: InferenceClient,
        *,
        outage_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._primary = primary
        self._secondary = secondary
        self.description = f"{primary.description}, {secondary.description} where none answers"
        self.counts = primary.counts
        self._outage = _Outage(primary.counts, outage_s, clock)

    def infer(self, model: str, inputs: Arrays, *, outputs: Sequence[str] | None = None) -> Outputs:
        """See `InferenceClient.infer`."""
        if not self._outage.lasts():
            try:
                return self._primary.infer(model, inputs, outputs=outputs)
            except UnavailableError as error:
                self._outage.begin(error)
        self._outage.fall_back(model)
        return self._secondary.infer(model, inputs, outputs=outputs)

    def metadata(self, model: str) -> ModelMetadata:
        """See `InferenceClient.metadata`; its platform says who answered."""
        if not self._outage.lasts():
            try:
                return self._primary.metadata(model)
            except UnavailableError as error:
                self._outage.begin(error)
        return self._secondary.metadata(model)

    def close(self) -> None:
        """Close both clients."""
        self._primary.close()
        self._secondary.close()


class AsyncFallbackClient:
    """The same for asyncio."""

    def __init__(
        self,
        primary: AsyncInferenceClient,
        secondary: AsyncInferenceClient,
        *,
        outage_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._primary = primary
        self._secondary = secondary
        self.description = f"{primary.description}, {secondary.description} where none answers"
        self.counts = primary.counts
        self._outage = _Outage(primary.counts, outage_s, clock)

    async def infer(self, model: str, inputs: Arrays, *, outputs: Sequence[str] | None = None) -> Outputs:
        """See `InferenceClient.infer`."""
        if not self._outage.lasts():
            try:
                return await self._primary.infer(model, inputs, outputs=outputs)
            except UnavailableError as error:
                self._outage.begin(error)
        self._outage.fall_back(model)
        return await self._secondary.infer(model, inputs, outputs=outputs)

    async def metadata(self, model: str) -> ModelMetadata:
        """See `InferenceClient.metadata`; its platform says who answered."""
        if not self._outage.lasts():
            try:
                return await self._primary.metadata(model)
            except UnavailableError as error:
                self._outage.begin(error)
        return await self._secondary.metadata(model)

    async def close(self) -> None:
        """Close both clients."""
        await self._primary.close()
        await self._secondary.close()
