"""Starts a server again when it ends by itself."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ..core import ServiceError


class Restartable(Protocol):
    """What is supervised: `TritonServer`."""

    def wait(self) -> int:
        """Wait until it ends by itself; its exit status, negative for a signal."""
        ...

    def restart(self) -> None:
        """Start it again where it was."""
        ...


@dataclass(frozen=True, kw_only=True)
class Supervision:
    """How often and how soon.

    Attributes:
        restarts: Most restarts in a row; 0 starts nothing again.
        first_wait_s: Wait before the first restart; it doubles with each that follows.
        longest_wait_s: Where it stops growing.
        calm_s: A server that ran this long counts as well, and the count begins anew.
    """

    restarts: int = 5
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    calm_s: float = 300.0


def supervise(server: Restartable, supervision: Supervision, report: Callable[[str], None]) -> None:
    """Keep a started server running; returns only by an error (or the signal that ends the program).

    Args:
        server: A server that has been started.
        supervision: How often and how soon.
        report: Told of every end and every restart.

    Raises:
        ServiceError: The server ended once more than it may be started again.
    """
    used = 0
    while True:
        since = time.monotonic()
        ended = describe_status(server.wait())
        if time.monotonic() - since >= supervision.calm_s:
            used = 0
        started = False
        while not started:
            if used >= supervision.restarts:
                after = f" after {used} restarts" if used else ""
                raise ServiceError(f"tritonserver ended by itself{after}: {ended}", remedy="see its log")
            wait = min(supervision.longest_wait_s, supervision.first_wait_s * 2**used)
            used += 1
            report(f"tritonserver ended ({ended}); restart {used} of {supervision.restarts} in {wait:g} s")
            time.sleep(wait)
            try:
                server.restart()
                started = True
            except ServiceError as error:
                ended = str(error)
        report("tritonserver is ready again")


def describe_status(status: int) -> str:
    """Exit status in words."""
    if status >= 0:
        return f"status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
