"""Settings, points and Pareto front of `hitfabric explore`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from ..core import StrictModel
from ..core.spreading import SpreadConfig
from ..hls_projects.rtl_config import RtlConfig, Scatter
from ..models.config import Bits
from ..reports.records import ProjectFigure
from .layout import SHIPPED_SECTOR
from .train import MaximaConfig, SectorTraining

Lanes = Annotated[int, Field(ge=1, le=64)]
Spacing = Annotated[float, Field(gt=0, allow_inf_nan=False)]

SMALLER_IS_BETTER = ("LUT", "latency p95", "interval p95")


class ExploreConfig(SpreadConfig):
    """Configuration of `hitfabric explore`.

    Attributes:
        networks: Shipped networks by name, or folders of typed graphs.
        graphs: Folder of labelled graphs (npz): what is simulated, and what the AUC is of. None simulates drawn graphs
            of the size of a pi/4 sector (`drawn_nodes`, `drawn_edges`), and knows no AUC.
        out: Run directory to write; an exploration that was killed goes on in it.
        lanes: Edges and nodes per cycle, for each design.
        spacing: Levels of adders between registers, for each design.
        scatter: How edges that meet at a node are resolved, for each design.
        bits: Bits of weights and activations of networks to be trained on `graphs`, each with each of `widths`.
        widths: Widths of networks to be trained.
        sector: Training of those: a recipe of the sector network fits.
        seed: Seed of weights, samples and drawn graphs.
        maxima: Largest graph of the engine, and of networks trained here.
        sectors: Parts in phi that a graph is cut into for simulation.
        simulated: Graphs simulated.
        auc_graphs: Graphs of the AUC, the last of the folder, as training takes the first.
        synthesise: Count cells with Yosys.
        place_seeds: Seeds of placements on an ECP5; none places nothing.
        tool_seconds: Longest time one run of a tool may take, s.
        rtl: What the designs have in common.
    """

    networks: tuple[str, ...] = (SHIPPED_SECTOR, "sector-in-4bit")
    graphs: Path | None = None
    out: Path = Path("runs/explore")
    lanes: Annotated[tuple[Lanes, ...], Field(min_length=1)] = (2, 4, 8)
    spacing: Annotated[tuple[Spacing, ...], Field(min_length=1)] = (4.0,)
    scatter: Annotated[tuple[Scatter, ...], Field(min_length=1)] = ("banked",)
    bits: tuple[Bits, ...] = ()
    widths: tuple[Annotated[int, Field(ge=1, le=64)], ...] = ()
    sector: SectorTraining = SectorTraining()
    seed: int = 0
    maxima: MaximaConfig = MaximaConfig()
    sectors: int = Field(default=8, ge=1)
    simulated: int = Field(default=40, ge=2)
    auc_graphs: int = Field(default=20, ge=1)
    drawn_nodes: int = Field(default=200, ge=0)
    drawn_edges: int = Field(default=468, ge=0)
    synthesise: bool = True
    place_seeds: tuple[int, ...] = ()
    tool_seconds: float = Field(default=900.0, gt=0, allow_inf_nan=False)
    rtl: RtlConfig = RtlConfig()


class Design(StrictModel):
    """One design to be measured.

    Attributes:
        network: Name of the network.
        lanes: Edges and nodes per cycle.
        spacing: Levels of adders between registers.
        scatter: How edges that meet are resolved.
    """

    network: str
    lanes: int
    spacing: float
    scatter: Literal["banked", "ordered"]

    @property
    def name(self) -> str:
        """Name of its file."""
        return f"{self.network}-{self.lanes}-lanes-spacing-{self.spacing:g}-{self.scatter}"

    def engine(self, config: ExploreConfig) -> RtlConfig:
        """How its engine is written."""
        values = {"edge_lanes": self.lanes, "node_lanes": self.lanes, "row_lanes": self.lanes}
        values |= {"register_spacing": self.spacing, "scatter": self.scatter, "maxima": config.maxima.maxima()}
        return RtlConfig.model_validate(config.rtl.model_dump() | values)


class DesignPoint(StrictModel):
    """A design and what is known of it.

    Attributes:
        design: The design.
        made_from: Hash of network, configuration and workload; a point of another one is measured anew.
        auc: Area under the ROC curve of the network on labelled graphs, None where there are none.
        figures: LUT, latency, interval, ... each with its kind; one without a value says in `source` why.
    """

    design: Design
    made_from: str
    auc: float | None = None
    figures: dict[str, ProjectFigure]

    @property
    def complete(self) -> bool:
        """Whether every figure has a value."""
        return all(item.value is not None for item in self.figures.values())

    def value(self, name: str) -> float | None:
        """A figure's value, None where it is not known."""
        return self.figures[name].value if name in self.figures else None


def designs(config: ExploreConfig, networks: Sequence[str]) -> list[Design]:
    """Every design of a sweep, network by network."""
    return [
        Design(network=network, lanes=lanes, spacing=spacing, scatter=scatter)
        for network in networks
        for scatter in config.scatter
        for spacing in config.spacing
        for lanes in config.lanes
    ]


def pareto_points(points: Sequence[DesignPoint]) -> list[DesignPoint]:
    """Points that no other beats: none is as good everywhere and better somewhere.

    LUT, latency and interval count where some point has them, and the AUC; a point without one of them is on no front.

    Args:
        points: The points.

    Returns:
        The front, in the order of `points`.
    """
    names = [name for name in SMALLER_IS_BETTER if any(point.value(name) is not None for point in points)]
    with_auc = any(point.auc is not None for point in points)
    if not names and not with_auc:
        return []  # nothing is known of any
    places: list[tuple[DesignPoint, tuple[float, ...]]] = []
    for point in points:
        values = [point.value(name) for name in names]
        values += [None if point.auc is None else -point.auc] if with_auc else []
        known = tuple(value for value in values if value is not None)
        if len(known) == len(values):
            places.append((point, known))
    return [point for point, place in places if not any(_beats(other, place) for _, other in places)]


def _beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
