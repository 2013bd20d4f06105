"""The files of a run directory that the report reads: one model per file.

Counts are what is stored. The models of `evaluation.json` are in `evaluation_record.py`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, FiniteFloat, NonNegativeInt, PositiveInt, RootModel, model_validator

from ..core import StrictModel
from .counts import Probability
from .size_record import GraphSizes

Milliseconds = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
FigureKind = Literal[
    "counted",
    "estimated",
    "simulated",
    "synthesised (Yosys)",
    "placed (ECP5)",
    "synthesised (HLS estimate)",
    "simulated (C/RTL cosimulation)",
    "implemented",
    "not measured",
]


class RunRecord(StrictModel):
    """`run.json`: what made the run, as `core.RunDirectory.record` writes it."""

    command: str
    config: dict[str, Any]
    inputs: dict[str, str]
    seed: int | None
    versions: dict[str, str]
    commit: str | None
    machine: dict[str, str]
    time: str


class TrackingSummary(StrictModel):
    """Headline tracking figures over `events` events with `hits` hits in all."""

    efficiency: Probability | None
    fake_rate: Probability | None
    duplicate_rate: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] | None
    events: NonNegativeInt
    hits: NonNegativeInt


class ServingSummary(StrictModel):
    """Headline serving figures; `labels_equal` is whether every request gave the labels of the direct engine."""

    requests: NonNegativeInt
    labels_equal: bool
    p50_ms: Milliseconds | None
    server: str


class Summary(StrictModel):
    """`summary.json`: the figures of record; a stage that was not run has null or no entry.

    Attributes:
        mismatches: Network -> executor -> differing integers, summed over the visible nodes.
        outputs_compared: Integers compared over all networks, executors and nodes.
        seconds: Stage -> wall-clock seconds, in the order in which the stages ran.
    """

    mismatches: dict[str, dict[str, NonNegativeInt]] = Field(default_factory=dict)
    outputs_compared: NonNegativeInt = 0
    tracking: TrackingSummary | None = None
    serving: ServingSummary | None = None
    seconds: dict[str, Seconds] = Field(default_factory=dict)


class FirstMismatch(StrictModel):
    """The first difference: index into the tensor (of input number `batch`) and the two integers."""

    batch: NonNegativeInt | None = None
    index: tuple[NonNegativeInt, ...]
    expected: int
    found: int


class LadderRow(StrictModel):
    """One node of one network in one executor against the reference.

    Attributes:
        compared: Integers compared.
        mismatches: Of those, how many differ.
        first: The first difference, null where there is none.
        low: Lowest integer the node can give, proven by interval arithmetic.
        high: Highest.
        reached_low: Lowest integer seen, null where nothing was compared.
        reached_high: Highest.
        saturated: Integers seen at an end of the number format.
    """

    network: str
    node: str
    executor: str
    compared: NonNegativeInt
    mismatches: NonNegativeInt
    first: FirstMismatch | None = None
    low: int
    high: int
    reached_low: int | None = None
    reached_high: int | None = None
    saturated: NonNegativeInt = 0

    @model_validator(mode="after")
    def _counts_agree(self) -> Self:
        if self.mismatches > self.compared:
            raise ValueError(f"mismatches {self.mismatches} is more than compared {self.compared}")
        if (self.first is None) != (self.mismatches == 0):
            raise ValueError("first must be given exactly where there are mismatches")
        return self


class CoverageRow(StrictModel):
    """What the vectors reached of one tensor of one network.

    Attributes:
        node: Input of features, requantization or output.
        low: Lowest integer of the proven range.
        high: Highest.
        integers: Integers seen.
        reached_low: Lowest integer seen, null where none was.
        reached_high: Highest.
        range_share: Distance between the two, as a share of the proven range.
        distinct: Different integers seen, null where the range is too long to count.
        cases: How often each saturation and rounding case was met.
        admitted: Cases that the ranges allow.
        missing: Of those, the ones that no vector met.
    """

    network: str
    node: str
    low: int
    high: int
    integers: NonNegativeInt
    reached_low: int | None = None
    reached_high: int | None = None
    range_share: Probability
    distinct: NonNegativeInt | None = None
    cases: dict[str, NonNegativeInt] = Field(default_factory=dict)
    admitted: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


class Ladder(StrictModel):
    """`ladder.json`: the bit-accuracy ladder; `rows` keep the order of the graph's nodes.

    Attributes:
        reference: What the executors were compared with.
        sample: What was compared, in words.
        rows: One per network, executor and node.
        coverage: One per network and tensor.
        warnings: What the vectors never exercised although the ranges allow it, in words.
        seconds: Wall time, null where it was not taken.
        graphs: Sizes of the graphs of events and sectors that were compared or left out.
    """

    reference: str
    sample: str
    rows: tuple[LadderRow, ...]
    coverage: tuple[CoverageRow, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: Seconds | None = None
    graphs: tuple[GraphSizes, ...] = ()

    @model_validator(mode="after")
    def _rows_are_distinct(self) -> Self:
        keys = [(row.network, row.node, row.executor) for row in self.rows]
        if len(set(keys)) != len(keys):
            raise ValueError("a node appears twice for one executor")
        return self


class Mutation(StrictModel):
    """One fault put into a network on purpose, and whether the comparison caught it.

    Attributes:
        kind: Kind of fault ("weight bit", "rounding").
        what: What was changed.
        executor: Executor that ran the faulty network.
        caught: Whether a mismatch was counted.
        node: First differing node, null where nothing differed.
        place: Node that was changed.
    """

    kind: str
    what: str
    executor: str
    caught: bool
    node: str | None = None
    place: str = ""


class Mutations(RootModel[dict[str, tuple[Mutation, ...]]]):
    """`mutations.json`: network -> faults put in on purpose."""


class LatencySeries(StrictModel):
    """Latencies of single requests to one model, in ms, in the order in which they were made."""

    model: str
    engine: Literal["direct", "onnx", "triton"]
    samples_ms: tuple[Milliseconds, ...]


class Latency(StrictModel):
    """`latency.json`: serving latencies; `workload` says what one request holds, `server` which server answered."""

    workload: str
    server: str | None = None
    series: tuple[LatencySeries, ...]


class ProjectFigure(StrictModel):
    """One figure of a hardware project and how it is known; `value` is null exactly where it is not measured.

    Attributes:
        source: Report it was read from, or what an estimate rests on.
    """

    value: FiniteFloat | None
    kind: FigureKind
    unit: str = ""
    source: str = ""

    @model_validator(mode="after")
    def _value_fits_kind(self) -> Self:
        if (self.value is None) != (self.kind == "not measured"):
            raise ValueError("value must be null exactly where kind is 'not measured'")
        return self


class Project(StrictModel):
    """One hls4ml project; `figures` maps a quantity ("MACs per row", "LUT") to its figures, one of each kind."""

    network: str
    io_type: str
    reuse_factor: PositiveInt | None = None
    backend: str | None = None
    design: str | None = None
    parallelism: PositiveInt | None = None
    part: str | None = None
    clock_period: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] | None = None
    figures: dict[str, tuple[ProjectFigure, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _kinds_are_distinct(self) -> Self:
        for quantity, items in self.figures.items():
            if len({item.kind for item in items}) != len(items):
                raise ValueError(f"{quantity} has two figures of one kind")
        return self


class Projects(StrictModel):
    """`projects.json`: the projects built."""

    projects: tuple[Project, ...]
