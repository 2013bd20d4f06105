"""Counts as records: shares, rates and means, single and binned.

Counts are what is stored and read. Shares, with their intervals of one standard deviation, are written beside them for
those who read the file with other tools; on reading they are derived again from the counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Self, TypeVar

from pydantic import Field, FiniteFloat, NonNegativeInt, model_validator

from ..core import StrictModel
from .statistics import Interval as Intervals
from .statistics import rates, shares

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
NotNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Interval = tuple[float | None, float | None, float | None]
Record = TypeVar("Record", bound=StrictModel)


class Ratio(StrictModel):
    """`passed` of `total`, a share.

    Attributes:
        passed: Successes.
        total: Trials.
        value: Passed / total, None without trials; derived, as the next two.
        low: Lower bound of the Clopper-Pearson interval.
        high: Upper bound.
    """

    passed: NonNegativeInt
    total: NonNegativeInt
    value: float | None = None
    low: float | None = None
    high: float | None = None

    @model_validator(mode="after")
    def _derive(self) -> Self:
        ((value, low, high),) = self._intervals((self.passed,), (self.total,))
        return set_derived(self, value=value, low=low, high=high)

    def _intervals(self, passed: Sequence[int], total: Sequence[int]) -> list[Interval]:
        require_share(passed, total)
        return known_intervals(shares(passed, total), total)


class Rate(Ratio):
    """`passed` per `total`, which may exceed 1; its interval is Poisson's."""

    def _intervals(self, passed: Sequence[int], total: Sequence[int]) -> list[Interval]:
        return known_intervals(rates(passed, total), total)


class BinnedRatio(StrictModel):
    """`passed` of `total` per bin, as `Ratio`; `edges` are the ascending bin edges, one more than bins."""

    edges: tuple[FiniteFloat, ...]
    passed: tuple[NonNegativeInt, ...]
    total: tuple[NonNegativeInt, ...]
    value: tuple[float | None, ...] = ()
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()

    @model_validator(mode="after")
    def _derive(self) -> Self:
        require_bins(self.edges, passed=len(self.passed), total=len(self.total))
        value, low, high = zip(*self._intervals(self.passed, self.total), strict=True)
        return set_derived(self, value=value, low=low, high=high)

    def _intervals(self, passed: Sequence[int], total: Sequence[int]) -> list[Interval]:
        require_share(passed, total)
        return known_intervals(shares(passed, total), total)


class BinnedRate(BinnedRatio):
    """`passed` per `total` per bin, as `Rate`."""

    def _intervals(self, passed: Sequence[int], total: Sequence[int]) -> list[Interval]:
        return known_intervals(rates(passed, total), total)


class BinnedMean(StrictModel):
    """Mean of a share per bin, over `total` entries, with its interval; None without entries."""

    edges: tuple[FiniteFloat, ...]
    total: tuple[NonNegativeInt, ...]
    value: tuple[Probability | None, ...]
    low: tuple[Probability | None, ...]
    high: tuple[Probability | None, ...]

    @model_validator(mode="after")
    def _bins_agree(self) -> Self:
        columns = {"total": self.total, "value": self.value, "low": self.low, "high": self.high}
        require_bins(self.edges, **{name: len(column) for name, column in columns.items()})
        return self


def set_derived(record: Record, **derived: object) -> Record:
    """Put derived figures into a frozen record, whatever was read in their place."""
    for name, value in derived.items():
        object.__setattr__(record, name, value)
    return record


def known_intervals(columns: Intervals, total: Sequence[int]) -> list[Interval]:
    """Value, lower and upper bound of each share; None where nothing was tried."""
    return [
        (float(value), float(low), float(high)) if tried else (None, None, None)
        for value, low, high, tried in zip(*columns, total, strict=True)
    ]


def require_bins(edges: tuple[float, ...], **counts: int) -> None:
    """Refuse (ValueError) edges that do not ascend, and columns whose length is not the number of bins."""
    if len(edges) < 2 or any(low >= high for low, high in pairwise(edges)):
        raise ValueError("edges must ascend, two at least")
    for name, count in counts.items():
        if count != len(edges) - 1:
            raise ValueError(f"{name} has {count} bins, edges has {len(edges) - 1}")


def require_share(passed: Sequence[int], total: Sequence[int]) -> None:
    """Refuse (ValueError) more successes than trials."""
    for part, whole in zip(passed, total, strict=True):
        if part > whole:
            raise ValueError(f"passed {part} is more than total {whole}")
