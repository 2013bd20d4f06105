"""One way to spread work: a list of tasks, and processes that each hold what the tasks need.

Processes on this machine (`workers.LocalSpread`) or those of a Dask cluster (`dask_workers.DaskSpread`); whoever has
tasks does not know which. `open_spread` in `spreading` makes one from a configuration.
"""

from __future__ import annotations

import pickle
import traceback
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

Argument = TypeVar("Argument")
Context = TypeVar("Context")
ContextIn = TypeVar("ContextIn", contravariant=True)


class Task(Protocol[ContextIn]):
    """Something to compute; it travels to a worker by pickling, and so does what `run` returns."""

    @property
    def label(self) -> str:
        """What it is, for an error message."""
        ...

    def run(self, context: ContextIn, /) -> Any:  # noqa: ANN401 - whatever the task gives
        """Compute it; it may be run again where a worker died, so that it must not matter how often."""
        ...


AnyTask = TypeVar("AnyTask", bound=Task)


class Workers(ABC, Generic[Context]):
    """Processes, each with a context of its own, made once and kept for every task it runs.

    A task is taken from the caller's iterable only when a worker is nearly free, so that an endless iterable needs no
    memory. The task of a worker that dies (killed, out of memory, crashed in compiled code) is run again by another;
    one that takes worker after worker with it is named in an error. Each task is yielded once.
    """

    @abstractmethod
    def run(self, tasks: Iterable[AnyTask]) -> Iterator[tuple[AnyTask, Any]]:
        """Compute tasks in any order.

        Args:
            tasks: Consumed as workers become free.

        Yields:
            Each task with its result, as they are finished.

        Raises:
            ToolError: Worker after worker died of the same task.
            Exception: What a task raised.

        """

    @abstractmethod
    def close(self) -> None:
        """Give the processes up; what they still compute is dropped."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Spread(ABC):
    """Where work goes."""

    @property
    @abstractmethod
    def threads(self) -> int:
        """Threads that one process may use."""

    @abstractmethod
    def workers(
        self,
        make: Callable[[Argument], Context],
        argument: Argument,
        *,
        at_most: int | None = None,
        apart: bool = False,
    ) -> Workers[Context]:
        """Processes for tasks of one kind.

        Args:
            make: Makes the context from `argument`, once in each process; an importable function.
            argument: Pickled to the processes, once to each.
            at_most: No more processes than this are worth starting.
            apart: The tasks must not run in the calling process, whose standard streams they would take.

        Returns:
            A context manager.
        """


def in_order(tasks: Iterable[AnyTask], workers: Workers[Any]) -> Iterator[tuple[AnyTask, Any]]:
    """`workers.run(tasks)` in the order of the tasks: what is finished early waits, and is all that is kept."""
    given: deque[AnyTask] = deque()
    early: dict[int, Any] = {}

    def noted() -> Iterator[AnyTask]:
        for task in tasks:
            given.append(task)
            yield task

    for task, result in workers.run(noted()):
        early[id(task)] = result
        while given and id(given[0]) in early:
            first = given.popleft()
            yield first, early.pop(id(first))


def portable(error: Exception) -> Exception:
    """An error that can travel between processes: itself, or its text."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - an error that cannot travel is told by its text
        return RuntimeError("".join(traceback.format_exception(error)))
    return error
