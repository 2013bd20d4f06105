"""Worker processes: tasks handed out one by one, a dead worker replaced, nothing computed twice or lost."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any

from .errors import ToolError
from .spread import AnyTask, Argument, Context, Spread, Workers, portable

PATIENCE_SECONDS = 5.0


class _Stop(SystemExit):
    """SIGINT or SIGTERM in a worker, raised where it is, so that its temporary files go; it ends a process silently."""


@dataclass(kw_only=True)
class _Worker:
    process: BaseProcess
    connection: Connection
    task: Any = None


class LocalSpread(Spread):
    """Processes on this machine.

    Args:
        jobs: Processes; None takes one per usable core.

    """

    def __init__(self, *, jobs: int | None = None) -> None:
        self._jobs = jobs or len(os.sched_getaffinity(0))

    @property
    def threads(self) -> int:
        """The usable cores, shared by the processes."""
        return max(1, len(os.sched_getaffinity(0)) // self._jobs)

    def workers(
        self,
        make: Callable[[Argument], Context],
        argument: Argument,
        *,
        at_most: int | None = None,
        apart: bool = False,
    ) -> LocalWorkers[Context]:
        """See `Spread.workers`."""
        jobs = self._jobs if at_most is None else max(1, min(self._jobs, at_most))
        return LocalWorkers(make, argument, jobs=jobs, apart=apart)


class LocalWorkers(Workers[Context]):
    """A fixed number of processes, each with a context of its own; one process works in this one.

    Each holds one task at a time, and a further one is taken from the caller's iterable only when a worker is free:
    an endless iterable needs no memory. A worker that dies (killed, out of memory, crashed in compiled code) is
    replaced and its task run once more; if that one's worker dies too, the task is to blame and named.

    Args:
        make: Makes the context from `argument`, in each worker; an importable function.
        argument: Pickled to the workers.
        jobs: Processes; 1 computes in the calling process.
        apart: One process is not the calling one either.

    """

    def __init__(self, make: Callable[[Any], Context], argument: object, *, jobs: int, apart: bool = False) -> None:
        self._make, self._argument, self._jobs, self._apart = make, argument, jobs, apart
        self._workers: list[_Worker] = []
        self._context: Context | None = None

    def close(self) -> None:
        """End the processes, at work or not."""
        for worker in self._workers:
            worker.connection.close()  # an idle worker ends at once
            if worker.task is not None:
                _signal(worker, signal.SIGTERM)
        for worker in self._workers:
            worker.process.join(PATIENCE_SECONDS)
            if worker.process.is_alive():
                _signal(worker, signal.SIGKILL)
                worker.process.join()
        self._workers.clear()

    def run(self, tasks: Iterable[AnyTask]) -> Iterator[tuple[AnyTask, Any]]:
        """Compute tasks in any order.

        Args:
            tasks: Consumed as workers become free.

        Yields:
            Each task with its result, as they are finished.

        Raises:
            ToolError: Two workers died of the same task.
            Exception: What a task raised.

        """
        if self._jobs == 1 and not self._apart:
            if self._context is None:
                self._context = self._make(self._argument)
            for task in tasks:
                yield task, task.run(self._context)
            return
        yield from self._spread(iter(tasks))

    def _spread(self, waiting: Iterator[AnyTask]) -> Iterator[tuple[AnyTask, Any]]:
        again: deque[AnyTask] = deque()
        retried: list[AnyTask] = []
        exhausted = False
        while True:
            while (again or not exhausted) and (worker := self._free()) is not None:
                task = again.popleft() if again else next(waiting, None)
                if task is None:
                    exhausted = True
                elif not self._give(worker, task):
                    again.append(self._lost(worker, retried))
            busy = [worker for worker in self._workers if worker.task is not None]
            if not busy and not again and exhausted:
                return
            ready = wait([worker.connection for worker in busy])
            for worker in [worker for worker in busy if worker.connection in ready]:
                try:
                    succeeded, result = worker.connection.recv()
                except (EOFError, OSError):
                    again.append(self._lost(worker, retried))
                    continue
                task, worker.task = worker.task, None
                if not succeeded:
                    raise result
                yield task, result

    def _lost(self, worker: _Worker, retried: list[AnyTask]) -> AnyTask:
        """The task of a dead worker, to be run again.

        Raises:
            ToolError: It was run again already.
        """
        cause, task = self._bury(worker), worker.task
        if any(task is other for other in retried):
            raise ToolError(
                f"a worker process died twice ({cause}) at {task.label}",
                remedy="give it more memory or fewer --jobs; a rerun continues where this one ended",
            )
        retried.append(task)
        return task

    def _free(self) -> _Worker | None:
        idle = next((worker for worker in self._workers if worker.task is None), None)
        if idle is None and len(self._workers) < self._jobs:
            idle = self._start()
        return idle

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._make, self._argument), daemon=True)
        with _interrupts_ignored():  # until the worker has its own handler
            process.start()
        theirs.close()
        worker = _Worker(process=process, connection=ours)
        self._workers.append(worker)
        return worker

    def _give(self, worker: _Worker, task: object) -> bool:
        worker.task = task
        try:
            worker.connection.send(task)
        except OSError:
            return False
        return True

    def _bury(self, worker: _Worker) -> str:
        """Forget a dead worker; returns how it ended."""
        self._workers.remove(worker)
        worker.connection.close()
        worker.process.join(PATIENCE_SECONDS)
        code = worker.process.exitcode
        _signal(worker, signal.SIGKILL)  # a compiler that it started
        worker.process.join()
        if code is not None and code < 0:
            return signal.Signals(-code).name
        return f"exit code {code}"


def _signal(worker: _Worker, number: signal.Signals) -> None:
    """Signal a worker and the compilers that it started: they are a process group."""
    pid = worker.process.pid
    assert pid is not None  # it was started
    try:
        os.killpg(pid, number)
    except ProcessLookupError:  # ended, or not yet a group of its own
        if worker.process.is_alive():
            os.kill(pid, number)


class _interrupts_ignored:  # noqa: N801 - a context manager
    """SIGINT ignored while a process starts, which inherits it; only the main thread may change it."""

    def __enter__(self) -> None:
        self._main = threading.current_thread() is threading.main_thread()
        if self._main:
            self._before = signal.signal(signal.SIGINT, signal.SIG_IGN)

    def __exit__(self, *_: object) -> None:
        if self._main:
            signal.signal(signal.SIGINT, self._before)


def _serve(connection: Connection, make: Callable[[Any], Any], argument: object) -> None:
    """Body of a worker: tasks in, results out, until the other end closes."""
    os.setpgid(0, 0)  # Ctrl-C reaches the caller alone, which then ends its workers with all that they started
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    os.dup2(2, 1)  # whatever a library prints must not end in the caller's JSON
    try:
        context: Any = None
        while True:
            try:
                task = connection.recv()
            except (EOFError, OSError):
                return
            try:
                if context is None:
                    context = make(argument)
                answer = (True, task.run(context))
            except Exception as error:  # noqa: BLE001 - raised again in the calling process
                answer = (False, portable(error))
            connection.send(answer)
    except (_Stop, BrokenPipeError):
        return
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):  # it is ending as it is, and would say so with a traceback
            signal.signal(number, signal.SIG_IGN)


def _stop(number: int, frame: FrameType | None) -> None:
    raise _Stop
