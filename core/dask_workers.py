"""Work spread over the workers of a Dask cluster; dask is imported only where one is asked for."""

from __future__ import annotations

import asyncio
import itertools
import math
import pickle
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from importlib.metadata import version
from queue import Empty, Queue
from socket import gethostname
from typing import TYPE_CHECKING, Any

from .errors import HitfabricWarning, ServiceError, ToolError
from .spread import AnyTask, Argument, Context, Spread, Task, Workers, portable

if TYPE_CHECKING:
    from distributed import Client, Future

IN_FLIGHT = 2  # tasks per worker: one is computed, the next is there when it ends
SIZE_SECONDS = 1.0  # how old the known size of a cluster may be
ABSENT_SECONDS = 120.0  # how long a cluster that lost all its workers is waited for


def _threads_of(client: Client) -> list[int]:
    """Threads of each worker process of the cluster."""
    answer: Any = client.nthreads()  # typed as a coroutine, which only an asynchronous client gives
    return list(answer.values())


class DaskSpread(Spread):
    """The workers of a Dask cluster.

    A worker process computes one task at a time, as a context may be of use to one only: workers of one thread
    (`--nthreads 1`) and many processes leave no thread idle.

    Args:
        client: Connected to the scheduler.
        tend: Called about once a second while tasks are waited for: keeps up what the cluster is made of.

    """

    def __init__(self, client: Client, *, tend: Callable[[], None] | None = None) -> None:
        self._client, self._tend = client, tend
        if any(count > 1 for count in _threads_of(client)):
            warnings.warn(
                HitfabricWarning(
                    "some Dask workers have several threads, of which hitfabric keeps one busy; start workers with "
                    "--nthreads 1 and more --nworkers"
                ),
                stacklevel=2,
            )

    @property
    def threads(self) -> int:
        """Threads that the smallest worker was given."""
        return min(_threads_of(self._client), default=1)

    def workers(
        self,
        make: Callable[[Argument], Context],
        argument: Argument,
        *,
        at_most: int | None = None,
        apart: bool = False,
    ) -> DaskWorkers[Context]:
        """See `Spread.workers`; the processes are there already, and apart."""
        return DaskWorkers(self._client, make, argument, tend=self._tend)


class DaskWorkers(Workers[Context]):
    """Tasks of one kind on a Dask cluster.

    How a context is made travels as a task of its own, which the cluster moves to each worker once and repeats where
    its result was lost; each worker process makes the context when its first task asks for it.

    Args:
        client: Connected to the scheduler.
        make: Makes the context from `argument`, in each worker process; an importable function.
        argument: Pickled to the workers.
        tend: As `DaskSpread` has it.

    """

    def __init__(
        self,
        client: Client,
        make: Callable[[Argument], Context],
        argument: Argument,
        *,
        tend: Callable[[], None] | None = None,
    ) -> None:
        self._client, self._tend = client, tend
        self._loop: Any = client.loop  # typed as one that a closed client may lack
        recipe = pickle.dumps((make, argument, version("hitfabric")))
        self._recipe: Future[bytes] = client.submit(_same, recipe, pure=False)
        self._running: dict[Any, tuple[Future[Any], Any]] = {}
        self._size = (0, -math.inf)  # worker processes, and when they were counted

    def run(self, tasks: Iterable[AnyTask]) -> Iterator[tuple[AnyTask, Any]]:
        """See `Workers.run`."""
        waiting = iter(tasks)
        finished: Queue[tuple[Any, Any]] = Queue()
        while True:
            room = max(1, IN_FLIGHT * self._processes()) - len(self._running)
            for task in itertools.islice(waiting, max(0, room)):
                future = self._submit(task)
                self._running[future.key] = future, task
                self._loop.add_callback(self._deliver, future, finished)
            if not self._running:
                return
            key, outcome = self._next(finished)
            _, task = self._running.pop(key)
            yield task, _result(outcome, task)

    def close(self) -> None:
        """Cancel what is under way, and have the workers forget the context."""
        futures = [future for future, _ in self._running.values()]
        self._running.clear()
        if self._client.status != "running":
            return
        with suppress(OSError, CancelledError):  # a scheduler that is lost has nothing to forget
            self._client.cancel([*futures, self._recipe])
            self._client.run(_forget, self._recipe.key, on_error="ignore")

    def _submit(self, task: Task[Any]) -> Future[Any]:
        return self._client.submit(_compute, self._recipe.key, self._recipe, pickle.dumps(task), pure=False)

    async def _deliver(self, future: Future[Any], finished: Queue[tuple[Any, Any]]) -> None:
        """Wait for a result where nobody else has to: it may be lost with its worker, and computed again."""
        gathered: Any = self._client.gather(future, asynchronous=True)
        try:
            outcome = await gathered
        except BaseException as error:  # noqa: BLE001 - cancelled or failed: told where the task is waited for
            outcome = error
        finished.put((future.key, outcome))

    def _next(self, finished: Queue[tuple[Any, Any]]) -> tuple[Any, Any]:
        absent_since: float | None = None
        while True:
            try:
                return finished.get(timeout=SIZE_SECONDS)
            except Empty:
                pass
            if self._processes():
                absent_since = None
                continue
            absent_since = absent_since or time.monotonic()
            if time.monotonic() - absent_since > ABSENT_SECONDS:
                raise ServiceError(
                    f"the Dask cluster has had no worker for {ABSENT_SECONDS:.0f} s",
                    remedy="look at the logs of its workers; a rerun continues where the command can",
                )

    def _processes(self) -> int:
        """Worker processes of the cluster, which may grow and shrink."""
        count, counted = self._size
        if time.monotonic() - counted > SIZE_SECONDS:
            if self._tend is not None:
                self._tend()
            try:
                count = len(_threads_of(self._client))
            except (OSError, CancelledError):
                raise _lost() from None
            self._size = count, time.monotonic()
        return count


def _result(outcome: Any, task: Task[Any]) -> Any:  # noqa: ANN401 - whatever the task gives
    from distributed import KilledWorker

    if isinstance(outcome, KilledWorker):
        raise ToolError(
            f"Dask workers died one after the other at {task.label}",
            remedy="give the workers more memory; a rerun continues where the command can",
        ) from outcome
    if isinstance(outcome, CancelledError | asyncio.CancelledError | OSError):
        raise _lost() from None
    if isinstance(outcome, BaseException):  # not of the task, which gives its own as a result
        raise ToolError(
            f"a Dask worker cannot run {task.label}: {outcome}",
            remedy="start workers and scheduler from the same environment as hitfabric here",
        ) from outcome
    succeeded, result = outcome
    if not succeeded:
        raise result
    return result


def _lost() -> ServiceError:
    return ServiceError(
        "the connection to the Dask scheduler is lost",
        remedy="see whether it still runs; a rerun continues where the command can",
    )


_contexts: dict[str, Any] = {}
_one_at_a_time = threading.Lock()


def _same(recipe: bytes) -> bytes:
    """Give the recipe, as a result that the cluster can hand to workers."""
    return recipe


def _compute(key: str, recipe: bytes, task: bytes) -> tuple[bool, Any]:
    """Body of a task on a worker: whether it succeeded, with its result or error."""
    with _one_at_a_time:
        try:
            if key not in _contexts:
                _contexts[key] = _make(recipe)
            return True, pickle.loads(task).run(_contexts[key])
        except ImportError as error:
            return False, ToolError(
                f"{error} (on a Dask worker of {gethostname()})",
                remedy="install there what is installed here, hitfabric's extras included",
            )
        except ToolError as error:  # of what is installed there; other errors are the same everywhere
            error.message += f" (on a Dask worker of {gethostname()})"
            return False, error
        except Exception as error:  # noqa: BLE001 - raised again in the calling process
            return False, portable(error)


def _make(recipe: bytes) -> Any:  # noqa: ANN401 - whatever the maker gives
    make, argument, wanted = pickle.loads(recipe)
    if (found := version("hitfabric")) != wanted:
        raise ToolError(
            f"a Dask worker has hitfabric {found}, and this is {wanted}", remedy="install the same on the workers"
        )
    return make(argument)


def _forget(key: str) -> None:
    _contexts.pop(key, None)
