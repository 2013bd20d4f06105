"""Binomial intervals, and efficiencies in bins of one variable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

from ..core import DataError

Floats = NDArray[np.float64]
LEVEL = 0.6827
"""Confidence level of every interval where none is named: one standard deviation."""


def clopper_pearson(passed: int, total: int, *, level: float = LEVEL) -> tuple[float, float]:
    """Central Clopper-Pearson interval of a binomial efficiency.

    Args:
        passed: Successes.
        total: Trials.
        level: Confidence level; the default is one standard deviation.

    Returns:
        (lower, upper); (0, 1) without trials.

    Raises:
        DataError: Not 0 <= passed <= total.

    Source: C. J. Clopper and E. S. Pearson, Biometrika 26 (1934) 404.
    """
    low, high = clopper_pearson_bounds([passed], [total], level=level)
    return float(low[0]), float(high[0])


def clopper_pearson_bounds(passed: ArrayLike, total: ArrayLike, *, level: float = LEVEL) -> tuple[Floats, Floats]:
    """As `clopper_pearson`, of many efficiencies at once.

    Args:
        passed: Successes [n]; they need not be whole numbers (see `MeanBin`).
        total: Trials [n].
        level: Confidence level.

    Returns:
        Lower and upper bounds, float64 [n].

    Raises:
        DataError: Not 0 <= passed <= total everywhere.
    """
    good, tried = np.asarray(passed, dtype=np.float64), np.asarray(total, dtype=np.float64)
    if (good < 0).any() or (good > tried).any():
        raise DataError("more successes than trials, or fewer than none", remedy="give 0 <= passed <= total")
    tail = (1 - level) / 2
    low = np.where(good > 0, betaincinv(np.where(good > 0, good, 1), tried - good + 1, tail), 0.0)
    high = np.where(good < tried, betaincinv(good + 1, np.where(good < tried, tried - good, 1), 1 - tail), 1.0)
    return low, high


@dataclass(frozen=True, kw_only=True)
class EfficiencyBin:
    """Efficiency of one bin; `low <= value < high`, and the last bin includes its upper edge."""

    low: float
    high: float
    found: int
    total: int

    @property
    def efficiency(self) -> float:
        """Found / total, NaN without particles."""
        return ratio(self.found, self.total)

    @property
    def interval(self) -> tuple[float, float]:
        """Clopper-Pearson interval of one standard deviation."""
        return clopper_pearson(self.found, self.total)


@dataclass(frozen=True, kw_only=True)
class MeanBin:
    """Mean of a share over the entries of one bin; bins as in `EfficiencyBin`.

    Attributes:
        low: Lower edge.
        high: Upper edge.
        total: Entries.
        mean: Their mean, NaN without entries.
        interval: Clopper-Pearson interval of `sum of shares` successes of `total` trials. A share between 0 and 1
            varies at most as much as a yes or no of the same mean does: the interval is never too short.
    """

    low: float
    high: float
    total: int
    mean: float
    interval: tuple[float, float]


def binned(
    values: Floats, passed: NDArray[np.bool_], edges: Sequence[float], weights: NDArray[np.int64] | None = None
) -> list[EfficiencyBin]:
    """Count in bins of `values`; what lies outside the bins, or is NaN, is in none.

    Args:
        values: float64 [n].
        passed: bool [n].
        edges: Ascending bin edges.
        weights: int64 [n], how often each passes; None counts once.

    Returns:
        One entry per bin.
    """
    known = ~np.isnan(values)
    kept = known & passed
    total, _ = np.histogram(values[known], bins=edges)
    found, _ = np.histogram(values[kept], bins=edges, weights=None if weights is None else weights[kept])
    return [
        EfficiencyBin(low=float(edges[i]), high=float(edges[i + 1]), found=int(found[i]), total=int(total[i]))
        for i in range(len(edges) - 1)
    ]


def binned_mean(values: Floats, shares: Floats, edges: Sequence[float]) -> list[MeanBin]:
    """Average in bins of `values`; what lies outside the bins, or is NaN, is in none.

    Args:
        values: float64 [n].
        shares: float64 [n], 0 to 1.
        edges: Ascending bin edges.

    Returns:
        One entry per bin.
    """
    known = ~np.isnan(values)
    total, _ = np.histogram(values[known], bins=edges)
    sums, _ = np.histogram(values[known], bins=edges, weights=shares[known])
    sums = np.minimum(sums, total)  # sums of shares of 1 may exceed their number by rounding
    low, high = clopper_pearson_bounds(sums, total)
    return [
        MeanBin(
            low=float(edges[i]),
            high=float(edges[i + 1]),
            total=int(total[i]),
            mean=float(sums[i] / total[i]) if total[i] else float("nan"),
            interval=(float(low[i]), float(high[i])),
        )
        for i in range(len(edges) - 1)
    ]


def ratio(numerator: int, denominator: int) -> float:
    """Numerator / denominator, NaN for a denominator of 0."""
    return numerator / denominator if denominator else float("nan")
