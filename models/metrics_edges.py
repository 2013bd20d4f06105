"""Metrics of edges: every edge is one trial."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from ..core import DataError
from ..detector import Event, label_edges
from .metrics_intervals import EfficiencyBin, Floats, binned, ratio
from .metrics_variables import DEFAULT_BINS, VARIABLES, Variable, particle_values


def roc_auc(scores: NDArray[np.floating], labels: NDArray[np.bool_]) -> float:
    """Area under the ROC curve, the probability that a signal edge scores above a background edge (ties count half).

    Args:
        scores: [E].
        labels: bool [E], True for signal.

    Returns:
        0 to 1; NaN where there is no signal or no background.

    Source: Mann-Whitney U statistic over mid-ranks.
    """
    signal, total = int(labels.sum()), len(labels)
    if signal in (0, total):
        return float("nan")
    ranks = rankdata(scores)
    return float((ranks[labels].sum() - signal * (signal + 1) / 2) / (signal * (total - signal)))


def roc_auc_error(scores: NDArray[np.floating], labels: NDArray[np.bool_]) -> float:
    """Standard error of `roc_auc`, edges taken as independent.

    Args:
        scores: [E].
        labels: bool [E], True for signal.

    Returns:
        The error; NaN with fewer than two signal or background edges.

    Source: E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson, Biometrics 44 (1988) 837, over mid-ranks as X. Sun and
    W. Xu, IEEE Signal Processing Letters 21 (2014) 1389.
    """
    signal, background = int(labels.sum()), int((~labels).sum())
    if min(signal, background) < 2:
        return float("nan")
    ranks = rankdata(scores)
    above = (ranks[labels] - rankdata(scores[labels])) / background
    below = 1 - (ranks[~labels] - rankdata(scores[~labels])) / signal
    return float(np.sqrt(above.var(ddof=1) / signal + below.var(ddof=1) / background))


def roc_curve(scores: NDArray[np.floating], labels: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """False and true positive rate at every threshold.

    Args:
        scores: [E].
        labels: bool [E], True for signal.

    Returns:
        False positive rate, true positive rate, threshold (accepted: score >= threshold), from (0, 0, inf) on; one
        point per distinct score. Rates are NaN where there is no background (no signal).
    """
    order = np.argsort(-scores, kind="stable")
    ordered, truth = scores[order].astype(np.float64), labels[order]
    last = np.flatnonzero(np.append(np.diff(ordered) != 0, True)) if len(ordered) else np.zeros(0, dtype=np.int64)
    true, false = np.cumsum(truth)[last], np.cumsum(~truth)[last]
    with np.errstate(invalid="ignore", divide="ignore"):
        true_rate = np.append(0, true) / np.float64(labels.sum())
        false_rate = np.append(0, false) / np.float64((~labels).sum())
    return false_rate, true_rate, np.append(np.inf, ordered[last])


def edge_efficiency_purity(
    kept: NDArray[np.bool_], labels: NDArray[np.bool_], *, true_edges: int | None = None
) -> tuple[float, float]:
    """Efficiency and purity of selected edges.

    Args:
        kept: bool [E], selected edges.
        labels: bool [E], true edges.
        true_edges: Number of true edges there are in all; None counts only those among the E.

    Returns:
        (selected true / all true, selected true / selected); NaN for 0 / 0.
    """
    both = int(np.count_nonzero(kept & labels))
    total = int(labels.sum()) if true_edges is None else true_edges
    return ratio(both, total), ratio(both, int(kept.sum()))


@dataclass(frozen=True, kw_only=True, eq=False)
class TrueEdges:
    """True edges of one or more events, and which of them a graph holds.

    Attributes:
        values: Variable -> float64 [true edges], of the particle of each edge.
        kept: bool [true edges].
    """

    values: Mapping[Variable, Floats]
    kept: NDArray[np.bool_]

    @property
    def efficiency(self) -> float:
        """True edges in the graph / true edges, NaN without true edges."""
        return ratio(int(self.kept.sum()), len(self.kept))

    def efficiency_in(self, variable: Variable, edges: Sequence[float] | None = None) -> list[EfficiencyBin]:
        """Efficiency in bins of a variable of the edge's particle; `edges` None takes the default bins."""
        bins = getattr(DEFAULT_BINS, variable) if edges is None else edges
        return binned(self.values[variable], self.kept, bins)


def find_true_edges(event: Event, truth: NDArray[np.int64], edge_index: NDArray[np.int64]) -> TrueEdges:
    """Look up which true edges a graph holds.

    Args:
        event: The hits, with particles.
        truth: int64 [true edges, 2] hits, both of one particle.
        edge_index: int64 [edges, 2] hits, the graph; the direction of an edge does not matter.

    Returns:
        The true edges, in the order given.

    Raises:
        DataError: The event has no particle table, or a true edge belongs to no particle.
    """
    rows = event.particle_row[truth[:, 0]]
    if (rows < 0).any() or (rows != event.particle_row[truth[:, 1]]).any():
        raise DataError(f"event {event.name}: a true edge is not within one particle", remedy="give its true edges")
    values: dict[Variable, Floats] = {name: column[rows] for name, column in particle_values(event).items()}
    return TrueEdges(values=values, kept=label_edges(truth, edge_index))


def combine_true_edges(parts: Iterable[TrueEdges]) -> TrueEdges:
    """Put the true edges of several events together (none gives none)."""
    items = list(parts)
    values: dict[Variable, Floats] = {
        name: np.concatenate([np.zeros(0), *(item.values[name] for item in items)]) for name in VARIABLES
    }
    return TrueEdges(
        values=values,
        kept=np.concatenate([np.zeros(0, dtype=bool), *(item.kept for item in items)]),
    )
