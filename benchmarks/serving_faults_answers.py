"""What came back, and whether it is right."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from serving_faults_mix import Case

Verdict = Literal["right", "unavailable", "wrong", "lost", "hung"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
EXAMPLES = 5
CLEAR_UNAVAILABLE = re.compile(r"worker|hitfabric")
"""What the backend says. UNAVAILABLE without it comes from gRPC itself, for a connection that broke."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """An answer without tensors.

    Attributes:
        status: gRPC's name of the status; CONNECTION where there was no answer, SILENCE where none came in time.
        message: Text for the client.
    """

    status: str
    message: str


Reply = Mapping[str, NDArray[Any]] | Refusal


def judge(case: Case, reply: Reply) -> tuple[Verdict, str]:
    """What a reply is worth, and why where it is not right."""
    if isinstance(reply, Refusal):
        return _judge_refusal(case, reply)
    if case.refused:
        return "wrong", f"{case.model} took a malformed {case.refused}"
    if set(reply) != set(case.expected):
        return "wrong", f"{case.model} answered {sorted(reply)}"
    for name, array in case.expected.items():
        found = reply[name]
        if found.dtype != array.dtype or found.shape != array.shape:
            return "wrong", f"{case.model} answered {name} as {found.dtype} {list(found.shape)}"
        if not np.array_equal(found, array):
            return "wrong", f"{case.model} answered {name} with {int((found != array).sum())} wrong values"
    return "right", ""


def _judge_refusal(case: Case, refusal: Refusal) -> tuple[Verdict, str]:
    reason = f"{case.model}: {refusal.status}: {refusal.message}"
    match refusal.status:
        case "SILENCE":
            return "hung", reason
        case "CONNECTION":
            return "lost", reason
        case "UNAVAILABLE":
            return ("unavailable" if CLEAR_UNAVAILABLE.search(refusal.message) else "lost"), reason
        case "INVALID_ARGUMENT" if case.refused and case.refused in refusal.message:
            return "right", ""
        case _:
            return "wrong", reason


@dataclass(kw_only=True)
class Tally:
    """Verdicts counted; may be used from several threads.

    Attributes:
        verdicts: By verdict.
        by_model: By model and verdict.
        by_transport: By transport and verdict.
        examples: Some reasons by verdict.
    """

    verdicts: Counter[str] = field(default_factory=Counter)
    by_model: dict[str, Counter[str]] = field(default_factory=dict)
    by_transport: dict[str, Counter[str]] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, case: Case, transport: str, verdict: Verdict, reason: str) -> None:
        """Count one verdict."""
        with self._lock:
            self.verdicts[verdict] += 1
            self.by_model.setdefault(case.model, Counter())[verdict] += 1
            self.by_transport.setdefault(transport, Counter())[verdict] += 1
            if reason and len(known := self.examples.setdefault(verdict, [])) < EXAMPLES:
                known.append(reason)

    @property
    def total(self) -> int:
        """Requests counted."""
        with self._lock:
            return self.verdicts.total()
