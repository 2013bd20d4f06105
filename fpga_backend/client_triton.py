"""Clients of Triton servers over gRPC, blocking and for asyncio; both follow the plans of `client_requests`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from .client_config import DEFAULT_URL, RetryConfig, TritonConfig
from .client_connection import Connections, Connector, call, result_of
from .client_interface import Counts, Outputs
from .client_metadata import ModelMetadata
from .client_requests import Planner
from .client_servers import Resolver, ServerPool, resolve
from .client_steps import LookUp, Plan, Step, Wait
from .signature import Arrays


class TritonClient:
    """Asks Triton servers over gRPC; may be used from several threads.

    Args:
        url: `host:port` of a server's gRPC protocol; for one server, asked once. Otherwise give `config`.
        timeout: Longest time for an answer in seconds; with `url`.
        connect_timeout: Longest time to find the server in seconds; with `url`.
        config: Servers, deadlines, retries, TLS and token, in place of the others.
        resolver: Looks DNS names up.
        sleep: Waits some seconds.

    Raises:
        ConfigError: A certificate or token cannot be read.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        timeout: float = 120.0,
        connect_timeout: float = 5.0,
        config: TritonConfig | None = None,
        resolver: Resolver = resolve,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        import tritonclient.grpc as library  # slow to import, and not needed by `--engine direct`

        config = config or single_server(url, timeout=timeout, connect_timeout=connect_timeout)
        self._library = library
        self._connector = Connector(config)
        self._pool = ServerPool(config=config, resolver=resolver)
        self._sleep = sleep
        self._connections = Connections(library, self._connector)
        self.counts = Counts()
        self.description = f"triton at {self._pool.name}"
        self._planner = Planner(config=config, pool=self._pool, counts=self.counts)

    def infer(self, model: str, inputs: Arrays, *, outputs: Sequence[str] | None = None) -> Outputs:
        """See `InferenceClient.infer`."""
        return self._follow(self._planner.infer(model, inputs, outputs))

    def metadata(self, model: str) -> ModelMetadata:
        """See `InferenceClient.metadata`."""
        return self._follow(self._planner.metadata(model))

    def close(self) -> None:
        """Close the connections, which ends the requests under way."""
        for connection in self._connections.take_all():
            connection.close()

    def _follow(self, plan: Plan) -> Any:  # noqa: ANN401 - what the plan gives
        try:
            step: Step = next(plan)
            while True:
                try:
                    result = self._perform(step)
                except Exception as error:  # noqa: BLE001 - the plan decides, and lets through what it does not know
                    step = plan.throw(error)
                else:
                    step = plan.send(result)
        except StopIteration as done:
            return done.value

    def _perform(self, step: Step) -> Any:  # noqa: ANN401 - depends on the step
        match step:
            case Wait():
                self._sleep(step.seconds)
                return None
            case LookUp():
                self._pool.refresh(step.timeout)
                return self._connections.keep(self._pool.known)
        connection = self._connections.to(step.server)
        return result_of(step, call(self._library, connection, step, self._connector.headers()))


class AsyncTritonClient:
    """The same for asyncio. It belongs to the event loop it is first used in.

    Args:
        config: Servers, deadlines, retries, TLS and token.
        resolver: Looks DNS names up, in a thread of its own.
        sleep: Waits some seconds.

    Raises:
        ConfigError: A certificate or token cannot be read.
    """

    def __init__(
        self,
        *,
        config: TritonConfig,
        resolver: Resolver = resolve,
        sleep: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        import tritonclient.grpc.aio as library

        self._library = library
        self._connector = Connector(config)
        self._pool = ServerPool(config=config, resolver=resolver)
        self._sleep = sleep
        self._connections = Connections(library, self._connector)
        self.counts = Counts()
        self.description = f"triton at {self._pool.name}"
        self._planner = Planner(config=config, pool=self._pool, counts=self.counts)

    async def infer(self, model: str, inputs: Arrays, *, outputs: Sequence[str] | None = None) -> Outputs:
        """See `InferenceClient.infer`."""
        return await self._follow(self._planner.infer(model, inputs, outputs))

    async def metadata(self, model: str) -> ModelMetadata:
        """See `InferenceClient.metadata`."""
        return await self._follow(self._planner.metadata(model))

    async def close(self) -> None:
        """Close the connections, which ends the requests under way."""
        for connection in self._connections.take_all():
            await connection.close()

    async def _follow(self, plan: Plan) -> Any:  # noqa: ANN401 - what the plan gives
        try:
            step: Step = next(plan)
            while True:
                try:
                    result = await self._perform(step)
                except Exception as error:  # noqa: BLE001 - the plan decides, and lets through what it does not know
                    step = plan.throw(error)
                else:
                    step = plan.send(result)
        except StopIteration as done:
            return done.value

    async def _perform(self, step: Step) -> Any:  # noqa: ANN401 - depends on the step
        match step:
            case Wait():
                return await self._sleep(step.seconds)
            case LookUp():
                await asyncio.to_thread(self._pool.refresh, step.timeout)
                return self._connections.keep(self._pool.known)
        connection = self._connections.to(step.server)
        return result_of(step, await call(self._library, connection, step, self._connector.headers()))


def single_server(url: str, *, timeout: float, connect_timeout: float) -> TritonConfig:
    """Configuration of one server that is asked once.

    Raises:
        ConfigError: The address is not `host:port`, or a timeout is not positive.
    """
    from pydantic import ValidationError

    from ..core import ConfigError

    try:
        return TritonConfig(
            servers=(url,), timeout_s=timeout, connect_timeout_s=connect_timeout, retry=RetryConfig(attempts=1)
        )
    except ValidationError as error:
        reason = "; ".join(str(item["msg"]) for item in error.errors())
        raise ConfigError(reason, remedy="give host:port of the gRPC protocol") from error
