"""Rows of the RTL benchmark: a figure, how it is known, its target, and the published figure beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitfabric.hls_projects.report_figure import SIMULATED_RTL

CLOCK_NS = 5.0
"""Assumed for times: 200 MHz."""

HIGTR = "HiGTR (NYCU, 2025): pi/4 sector of TrackML, pT > 2 GeV: 2.36 us, 2.35 MHz, 382k LUT on a VU9P at 200 MHz"
ELABD = "Elabd et al. arXiv:2112.02048: 59 cycles with 28 nodes / 56 edges; recalled, not verified"
TRACKGNN = "TrackGNN (FCCM 2025): 18.29 us at 100 MHz on a U280, width 8, one layer, 512 / 1024"
BELLE = "Belle II arXiv:2511.04731 (abstract): 4-bit pruned interaction network, 0 DSP, 35.65 % of an XCVU190's LUT"
OWN = "8-bit network of this project, same engine"


@dataclass(frozen=True, kw_only=True)
class RtlRow:
    """One figure.

    Attributes:
        workload: Graphs and network.
        quantity: What was measured.
        value: The figure, None where a tool failed.
        unit: Its unit, empty for numbers of things.
        kind: How it is known, or why it is not.
        target: Most that it may be, None where there is no target.
        reference: The published figure and its source.
        equal: Whether it is of equal work, in words.
    """

    workload: str
    quantity: str
    value: float | None
    unit: str = ""
    kind: str
    target: float | None = None
    reference: str = ""
    equal: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one, or without a figure."""
        return None if self.target is None or self.value is None else self.value <= self.target

    @property
    def shown(self) -> str:
        """Figure and unit; cycles with the time at the assumed clock."""
        if self.value is None:
            return "-"
        time = f" ({self.value * CLOCK_NS / 1000:.3g} us)" if self.unit == "cycles" else ""
        return f"{self.value:,.10g} {self.unit}".strip() + time

    @property
    def target_shown(self) -> str:
        """The target, empty where there is none."""
        return "" if self.target is None else f"<= {self.target:,.10g}"

    @property
    def met_shown(self) -> str:
        """Whether it is met, in a word."""
        return {None: "", True: "yes", False: "NO"}[self.met]

    def as_json(self) -> dict[str, Any]:
        """The row with whether its target is met."""
        return asdict(self) | {"met": self.met}


def cycles_row(
    workload: str, quantity: str, value: float, target: float | None = None, *, reference: str = "", equal: str = ""
) -> RtlRow:
    """A number of cycles, simulated; arguments as of `RtlRow`."""
    return RtlRow(
        workload=workload,
        quantity=quantity,
        value=value,
        unit="cycles",
        kind=SIMULATED_RTL,
        target=target,
        reference=reference,
        equal=equal,
    )


def percentile95(values: Sequence[int] | NDArray[np.int64]) -> int:
    """The 95th percentile, a value that occurred."""
    return int(np.percentile(values, 95, method="inverted_cdf"))
