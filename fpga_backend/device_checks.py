"""Counts of the checks that a device makes of its own answers."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Checks:
    """Checks finished since they were last asked for.

    Attributes:
        checked: Calls of a network whose answer was computed again and compared.
        mismatched: Those of them that differed.
    """

    checked: int = 0
    mismatched: int = 0


class CheckCounter:
    """Counts checks of one thread for another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._checks = Checks()

    def add(self, *, mismatched: bool) -> None:
        """Count one check."""
        with self._lock:
            now = self._checks
            self._checks = Checks(checked=now.checked + 1, mismatched=now.mismatched + mismatched)

    def take(self) -> Checks:
        """What was counted since the last call."""
        with self._lock:
            taken, self._checks = self._checks, Checks()
        return taken
