"""Scores of a network over labelled edges: ROC curve and histogram for the report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..models.metrics import roc_auc, roc_auc_error, roc_curve
from ..reports.evaluation_record import NetworkScores, RocCurve, ScoreHistogram

ROC_POINTS = 300
BINS = 60


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoreSample:
    """Scores and labels of some edges.

    Attributes:
        scores: float32 [E], logits.
        labels: bool [E], true edges.
    """

    scores: NDArray[np.float32]
    labels: NDArray[np.bool_]


def network_scores(
    samples: Sequence[ScoreSample], *, threshold: float | None, sample: str | None = None
) -> NetworkScores:
    """Sum up scores of one network.

    Args:
        samples: Scored edges.
        threshold: Working point, logit.
        sample: What was scored, where it is not the evaluation's sample.

    Returns:
        Counts, ROC curve thinned to some hundred points, histogram of logits; curve and histogram are None where there
        are no true or no false edges.
    """
    scores = np.concatenate([np.zeros(0, np.float32), *(item.scores for item in samples)])
    labels = np.concatenate([np.zeros(0, np.bool_), *(item.labels for item in samples)])
    true = int(labels.sum())
    both = 0 < true < len(labels)
    return NetworkScores(
        true=true,
        false=len(labels) - true,
        threshold=threshold,
        roc=_roc(scores, labels) if both else None,
        scores=_histogram(scores, labels) if both else None,
        sample=sample,
    )


def _roc(scores: NDArray[np.float32], labels: NDArray[np.bool_]) -> RocCurve:
    false_rate, true_rate, thresholds = roc_curve(scores, labels)
    true, false = true_rate * labels.sum(), false_rate * (~labels).sum()
    # Points are even along both axes, so that neither end of the curve is coarse; the one at infinity is left out.
    place = false_rate + true_rate
    wanted = np.searchsorted(place[1:], np.linspace(0, 2, ROC_POINTS)) + 1
    chosen = np.unique(np.minimum(wanted, len(place) - 1))
    purity = true[chosen] / np.maximum(true + false, 1)[chosen]
    auc, error = roc_auc(scores, labels), roc_auc_error(scores, labels)
    return RocCurve(
        threshold=_floats(thresholds[chosen]),
        efficiency=_floats(np.clip(true_rate[chosen], 0, 1)),
        false_positive_rate=_floats(np.clip(false_rate[chosen], 0, 1)),
        purity=_floats(np.clip(purity, 0, 1)),
        auc=None if math.isnan(auc) else auc,
        auc_error=None if math.isnan(error) else error,
    )


def _histogram(scores: NDArray[np.float32], labels: NDArray[np.bool_]) -> ScoreHistogram | None:
    low, high = float(scores.min()), float(scores.max())
    if low == high:
        return None
    edges = np.linspace(low, high, BINS + 1)
    true, _ = np.histogram(scores[labels].astype(np.float64), bins=edges)
    false, _ = np.histogram(scores[~labels].astype(np.float64), bins=edges)
    return ScoreHistogram(
        quantity="logit",
        edges=_floats(edges),
        true=tuple(int(count) for count in true),
        false=tuple(int(count) for count in false),
    )


def _floats(values: NDArray[np.floating]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
