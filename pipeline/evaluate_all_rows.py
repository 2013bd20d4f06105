"""One row of the table of `hitfabric evaluate --all`: what was measured, for whom, and whether the target is met."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ..core import StrictModel
from ..models.metrics import clopper_pearson, roc_auc, roc_auc_error

COLUMNS = ("quantized", "float", "ceiling", "ckf")
DOES_NOT_APPLY = "does not apply"
"""Why a cell is empty that nothing could fill: a track finder without edges has no edge efficiency."""


SHOWN = (("auc", "{}"), ("efficiency", "{}"), ("edges_per_hit", "at {} edges per hit"), ("fake_rate", "fake {}"))
"""Figures of a cell that a table shows, and how."""


class Figure(StrictModel):
    """A number with its interval of one standard deviation (68.27 %).

    Attributes:
        value: The number; None for 0 / 0.
        low: Lower end; None where no error is known.
        high: Upper end.
        passed: Numerator, for a share.
        total: Denominator.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    passed: int | None = None
    total: int | None = None

    @classmethod
    def share(cls, passed: int, total: int) -> Figure:
        """`passed` of `total` with its Clopper-Pearson interval."""
        low, high = clopper_pearson(passed, total)
        return cls(value=passed / total if total else None, low=low, high=high, passed=passed, total=total)

    @classmethod
    def number(cls, value: float) -> Figure:
        """A number without error; NaN is None."""
        return cls(value=None if math.isnan(value) else float(value))

    @classmethod
    def auc(cls, scores: NDArray[np.floating], labels: NDArray[np.bool_]) -> Figure:
        """Area under the ROC curve with its error, edges taken as independent."""
        area, error = roc_auc(scores, labels), roc_auc_error(scores, labels)
        if math.isnan(area) or math.isnan(error):
            return cls(value=None)
        return cls(value=area, low=max(area - error, 0.0), high=min(area + error, 1.0))

    def __str__(self) -> str:
        if self.value is None:
            return "-"
        if self.low is None or self.high is None:
            return f"{self.value:.4g}"
        width = self.high - self.low
        digits = 5 if width < 0.0004 else 4 if width < 0.004 else 3
        up, down = f"{self.high - self.value:.{digits}f}", f"{self.value - self.low:.{digits}f}"
        return f"{self.value:.{digits}f} " + (f"± {up}" if up == down else f"+{up} -{down}")


class Cell(StrictModel):
    """What one contender reached.

    Attributes:
        figures: Figures by name (`auc`, `efficiency`, `fake_rate`, `edges_per_hit`, ...).
        missing: Why there are none; None where there are.
    """

    figures: dict[str, Figure] = Field(default_factory=dict)
    missing: str | None = None

    def __str__(self) -> str:
        """The figures that matter, in one line; `-` where there are none, `n/a` where there cannot be any."""
        if self.missing == DOES_NOT_APPLY:
            return "n/a"
        shown = [(label, self.figures[name]) for name, label in SHOWN if name in self.figures]
        return ", ".join(label.format(figure) for label, figure in shown) or "-"

    def value(self, name: str) -> float:
        """A figure's number, NaN where it is missing."""
        found = self.figures.get(name)
        return math.nan if found is None or found.value is None else found.value


class Condition(StrictModel):
    """One part of a target.

    Attributes:
        requirement: The part in words.
        value: What was reached; None where nothing was measured.
        met: Whether it is enough.
    """

    requirement: str
    value: float | None
    met: bool

    @classmethod
    def at_least(cls, what: str, value: float, limit: float) -> Condition:
        """`what` must be `limit` or more; NaN is not enough."""
        return cls(requirement=f"{what} >= {limit:g}", value=_known(value), met=value >= limit)

    @classmethod
    def at_most(cls, what: str, value: float, limit: float) -> Condition:
        """`what` must be `limit` or less; NaN is not enough."""
        return cls(requirement=f"{what} <= {limit:g}", value=_known(value), met=value <= limit)


class Row(StrictModel):
    """One row of the table.

    Attributes:
        name: `sector-in-8`, `event-pixel/embedding`, `event-pixel/filter`, `event-pixel/tracks`, ...
        measure: What the figures are.
        validation: What each contender reached on the validation split, on which targets are judged.
        test: The same on events of a fresh seed.
        conditions: Parts of the target.
        target: Whether all of them are met; None where there is none.
        notes: What a reader must know to read the row.
    """

    name: str
    measure: str
    validation: dict[str, Cell]
    test: dict[str, Cell]
    conditions: tuple[Condition, ...]
    target: bool | None
    notes: tuple[str, ...] = ()

    @classmethod
    def judged(
        cls,
        name: str,
        measure: str,
        *,
        validation: Mapping[str, Cell],
        test: Mapping[str, Cell],
        conditions: tuple[Condition, ...],
        notes: tuple[str, ...] = (),
    ) -> Row:
        """A row whose target is met exactly where all its conditions are."""
        return cls(
            name=name,
            measure=measure,
            validation=dict(validation),
            test=dict(test),
            conditions=conditions,
            target=all(item.met for item in conditions) if conditions else None,
            notes=notes,
        )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
