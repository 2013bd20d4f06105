"""Intervals and percentiles that the figures show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from ..models.metrics import LEVEL, clopper_pearson_bounds

Interval = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def shares(passed: Sequence[int], total: Sequence[int]) -> Interval:
    """Share passed and central 68.3 % Clopper-Pearson interval.

    Args:
        passed: Successes [bins].
        total: Trials [bins].

    Returns:
        Share, lower and upper bound, float64 [bins], in [0, 1]; NaN without trials.
    """
    low, high = clopper_pearson_bounds(passed, total)
    return _of_trials(np.asarray(passed), low, high, np.asarray(total), scale=1)


def rates(count: Sequence[int], per: Sequence[int]) -> Interval:
    """Counts per unit, which may exceed 1, and the central 68.3 % Poisson interval of the count.

    Args:
        count: Events counted [bins].
        per: Units they are counted per [bins], taken as known.

    Returns:
        Rate, lower and upper bound, float64 [bins]; NaN where `per` is 0.

    Source: F. Garwood, Biometrika 28 (1936) 437.
    """
    counted, tail = np.asarray(count, dtype=np.float64), (1 - LEVEL) / 2
    low = np.where(counted > 0, chi2.ppf(tail, 2 * np.maximum(counted, 1)) / 2, 0.0)
    high = chi2.ppf(1 - tail, 2 * (counted + 1)) / 2
    return _of_trials(counted, low, high, np.asarray(per), scale=np.asarray(per))


def percentile_ms(samples: Sequence[float], percent: int) -> float | None:
    """Smallest sample that `percent` % of the samples do not exceed.

    Args:
        samples: Latencies, ms.
        percent: 1 to 99.

    Returns:
        The sample, or None where fewer than 100 / (100 - percent) samples leave the percentile to the largest alone.
    """
    if len(samples) * (100 - percent) < 100:
        return None
    return float(np.percentile(samples, percent, method="inverted_cdf"))


def _of_trials(count: NDArray, low: NDArray, high: NDArray, total: NDArray, *, scale: NDArray | int) -> Interval:
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (count / total, low / scale, high / scale)
    centre, lower, upper = (np.where(total > 0, value, np.nan) for value in found)
    return centre, lower, upper
