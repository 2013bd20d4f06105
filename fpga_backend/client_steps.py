"""The steps of a plan, and the times it keeps: deadline and waits between retries."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias

from .client_config import RetryConfig
from .client_interface import DeadlineError
from .signature import Arrays


@dataclass(frozen=True, kw_only=True)
class LookUp:
    """Refresh the list of servers, within `timeout` seconds."""

    timeout: float


@dataclass(frozen=True, kw_only=True)
class Wait:
    """Do nothing for `seconds`."""

    seconds: float


@dataclass(frozen=True, kw_only=True)
class IsLive:
    """Ask a server whether it lives; gives a bool."""

    server: str
    timeout: float


@dataclass(frozen=True, kw_only=True)
class Describe:
    """Ask a server for the metadata of a model; gives a `ModelMetadata` named `model`."""

    server: str
    model: str
    served_name: str
    version: str
    timeout: float


@dataclass(frozen=True, kw_only=True)
class OptionalInputs:
    """Ask a server which inputs of a model may be left out, which metadata does not say; gives a set of names."""

    server: str
    served_name: str
    version: str
    timeout: float


@dataclass(frozen=True, kw_only=True)
class Infer:
    """Send a request; gives arrays by name, None for an output that did not come."""

    server: str
    served_name: str
    version: str
    inputs: Arrays
    outputs: tuple[str, ...]
    timeout: float


ServerStep: TypeAlias = IsLive | Describe | OptionalInputs | Infer
Step: TypeAlias = LookUp | Wait | ServerStep
Plan: TypeAlias = Generator[Step, Any, Any]


@dataclass(frozen=True, kw_only=True)
class Deadline:
    """When a request must be answered.

    Attributes:
        seconds: Time it had in all.
        ends: On the clock.
        clock: Monotonic time in seconds.
    """

    seconds: float
    ends: float
    clock: Callable[[], float]

    def left(self) -> float:
        """Seconds that are left, perhaps none."""
        return max(self.ends - self.clock(), 0.0)

    def missed(self, what: str) -> DeadlineError:
        """The error of a deadline missed."""
        return DeadlineError(
            f"{what} did not answer within {self.seconds:g} s", remedy="raise timeout_s, send less, or see its load"
        )


def back_off(number: int, retry: RetryConfig, draw: Callable[[], float]) -> float:
    """Seconds to wait before a round.

    Args:
        number: Of the round, 1 for the second.
        retry: First wait, growth, limit and jitter.
        draw: Gives random numbers in [0, 1).
    """
    # The exponent is bounded: beyond it every wait is the longest, and floats overflow.
    longest = min(retry.first_wait_s * retry.factor ** min(number - 1, 64), retry.longest_wait_s)
    return longest * (1 - retry.jitter * draw())
