"""What a run directory says of RTL designs: engines built, and designs explored."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, FiniteFloat, NonNegativeInt, RootModel, model_validator

from ..core import StrictModel
from .records import Project, ProjectFigure

DESIGN_FIGURES = ("LUT", "FF", "BRAM18", "DSP", "latency p95", "interval p95", "frequency")
"""Figures of explored designs that tables show."""


class RtlEngine(StrictModel):
    """One network of `rtl.json`, as `hitfabric build --rtl` writes it.

    Attributes:
        network: Its name.
        directory: Where the Verilog is.
        config: How it was written.
        figures: What is known, each figure with its kind.
        modules: Cells by module where they were counted.
    """

    network: str
    directory: str
    config: dict[str, Any]
    figures: dict[str, tuple[ProjectFigure, ...]]
    modules: tuple[dict[str, Any], ...] = ()

    @property
    def project(self) -> Project:
        """The figures as those of any project; of several of one kind the last."""
        last = {name: tuple({item.kind: item for item in items}.values()) for name, items in self.figures.items()}
        clock = self.config.get("clock_ns")
        return Project(network=self.network, io_type="AXI4-Stream", design="RTL", clock_period=clock, figures=last)

    @property
    def lanes(self) -> str:
        """Lanes and register spacing, in words."""
        values = (self.config.get(name) for name in ("edge_lanes", "node_lanes", "register_spacing", "scatter"))
        return "{} edge and {} node lanes, register spacing {:g}, scatter {}".format(*values)


class RtlEngines(RootModel[tuple[RtlEngine, ...]]):
    """`rtl.json`."""


class ExploredDesign(StrictModel):
    """One point of `explore.json`.

    Attributes:
        design: Network, lanes, spacing, scatter.
        made_from: Hash of what it was measured with.
        auc: Area under the ROC curve of the network, None without labels.
        figures: LUT, latency, interval, ... each with its kind.
    """

    design: dict[str, Any]
    made_from: str
    auc: FiniteFloat | None = None
    figures: dict[str, ProjectFigure]

    def value(self, name: str) -> float | None:
        """A figure's value, None where it is not known."""
        return self.figures[name].value if name in self.figures else None


class Exploration(StrictModel):
    """`explore.json`: designs, and the places of those that no other beats."""

    points: tuple[ExploredDesign, ...] = Field(min_length=1)
    front: tuple[NonNegativeInt, ...]

    @model_validator(mode="after")
    def _front_is_of_points(self) -> Self:
        if any(place >= len(self.points) for place in self.front):
            raise ValueError("front names a point that is not there")
        return self
