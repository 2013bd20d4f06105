"""Intervals and percentiles that the figures show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

ONE_SIGMA = 0.6826894921370859


def clopper_pearson(passed: Sequence[int], total: Sequence[int]) -> tuple[NDArray, NDArray, NDArray]:
    """Efficiency and central 68.3 % Clopper-Pearson interval of `passed` of `total`.

    Args:
        passed: Counts [bins].
        total: Counts [bins].

    Returns:
        Efficiency, lower and upper bound, float64 [bins], in [0, 1]; NaN where `total` is 0. The bound is exactly 0
        where nothing passed and exactly 1 where everything did (C. Clopper and E. Pearson, Biometrika 26, 1934).
    """
    k, n = np.asarray(passed, dtype=np.float64), np.asarray(total, dtype=np.float64)
    tail = (1.0 - ONE_SIGMA) / 2.0
    with np.errstate(invalid="ignore", divide="ignore"):
        efficiency = k / n
        low = np.where(k == 0, 0.0, beta.ppf(tail, k, n - k + 1))
        high = np.where(k == n, 1.0, beta.ppf(1.0 - tail, k + 1, n - k))
    empty = n == 0
    return efficiency, np.where(empty, np.nan, low), np.where(empty, np.nan, high)


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
