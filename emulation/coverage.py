"""Coverage of formats: which part of each tensor's range, and which saturation and rounding cases, vectors reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..quantization import Dense, FixedPoint, Input, Node, Output, Requantize, TypedGraph
from .executor import Arrays

Integers = NDArray[np.int64]

ROUNDING_CASES = ("exact", "below half", "tie", "above half")
SATURATION_CASES = ("saturates low", "saturates high")
LARGEST_COUNTED_RANGE = 65536


@dataclass(kw_only=True)
class NodeCoverage:
    """What the vectors reached of one tensor.

    Attributes:
        node: Input of features, requantization or output.
        low: Smallest integer of the proven range.
        high: Largest one.
        admitted: Saturation and rounding cases that the proven range of what is converted allows.
        integers: Integers seen.
        reached_low: Smallest integer seen.
        reached_high: Largest one.
        cases: How often each case was met; a rounding case counts where the result did not saturate.
        seen: bool [high - low + 1], the integers seen; None where the range is longer than 65536.

    """

    node: str
    low: int
    high: int
    admitted: tuple[str, ...] = ()
    integers: int = 0
    reached_low: int | None = None
    reached_high: int | None = None
    cases: dict[str, int] = field(default_factory=dict)
    seen: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if self.seen is None and self.high - self.low < LARGEST_COUNTED_RANGE:
            self.seen = np.zeros(self.high - self.low + 1, dtype=np.bool_)

    def add(self, values: Integers, cases: Mapping[str, int]) -> None:
        """Count integers of this tensor, all within its proven range, and the cases met on the way to them."""
        for name, count in cases.items():
            self.cases[name] = self.cases.get(name, 0) + count
        if values.size:
            self._extend(int(values.min()), int(values.max()))
            self.integers += values.size
            if self.seen is not None:
                self.seen[values.ravel() - self.low] = True

    def merge(self, other: NodeCoverage) -> None:
        """Add what other vectors reached; any order gives the same result."""
        self.integers += other.integers
        for name, count in other.cases.items():
            self.cases[name] = self.cases.get(name, 0) + count
        if other.reached_low is not None and other.reached_high is not None:
            self._extend(other.reached_low, other.reached_high)
        if self.seen is not None and other.seen is not None:
            self.seen |= other.seen

    @property
    def range_share(self) -> float:
        """Distance between the extremes reached, as a share of the proven range."""
        if self.reached_low is None or self.reached_high is None:
            return 0.0
        return (self.reached_high - self.reached_low + 1) / (self.high - self.low + 1)

    @property
    def distinct(self) -> int | None:
        """Different integers seen; None where the range is too long to count."""
        return None if self.seen is None else int(np.count_nonzero(self.seen))

    @property
    def missing(self) -> tuple[str, ...]:
        """Cases that the range allows and no vector met."""
        return tuple(case for case in self.admitted if not self.cases.get(case))

    def _extend(self, low: int, high: int) -> None:
        self.reached_low = low if self.reached_low is None else min(low, self.reached_low)
        self.reached_high = high if self.reached_high is None else max(high, self.reached_high)


class GraphCoverage:
    """Coverage of every feature input, requantization and output of a network.

    Args:
        graph: The network.

    """

    def __init__(self, graph: TypedGraph) -> None:
        self.graph = graph
        self.nodes = {
            node.name: NodeCoverage(
                node=node.name, low=node.tensor.low, high=node.tensor.high, admitted=_admitted(graph, node)
            )
            for node in graph.nodes
            if isinstance(node, Requantize | Output) or (isinstance(node, Input) and not node.tensor.is_index)
        }

    def add(self, inputs: Arrays, values: Mapping[str, Integers]) -> None:
        """Count one batch.

        Args:
            inputs: Inputs, within the maxima.
            values: Integers of every node, hidden ones included, as `GoldenExecutor.run_all` gives them.

        """
        for name, coverage in self.nodes.items():
            node = self.graph[name]
            cases: Mapping[str, int] = {}
            if isinstance(node, Input):
                cases = _entry_cases(node.tensor.format, np.asarray(inputs[name]))
            elif isinstance(node, Requantize):
                source = node.inputs[0]
                cases = conversion_cases(
                    node.tensor.format, values[source], fraction=self.graph[source].tensor.format.fraction
                )
            coverage.add(values[name], cases)

    def merge(self, other: GraphCoverage) -> None:
        """Add the coverage of other vectors of the same network."""
        for name, coverage in self.nodes.items():
            coverage.merge(other.nodes[name])

    def missing(self) -> Iterator[tuple[str, str]]:
        """Node and case that the ranges allow and no vector met, in the order of computation."""
        for name, coverage in self.nodes.items():
            for case in coverage.missing:
                yield name, case


def conversion_cases(form: FixedPoint, integers: Integers, *, fraction: int) -> dict[str, int]:
    """How often each saturation and rounding case occurs when integers are converted to a format.

    Args:
        form: Format converted to.
        integers: int64 array on the grid `2**-fraction`.
        fraction: Fractional bits of `integers`.

    Returns:
        Counts by case.

    """
    shift = min(fraction - form.fraction, 62)
    if shift <= 0:
        low, high = -(-form.low >> -shift), form.high >> -shift  # scaling up is exact: compare on the coarse grid
        below, above = integers < low, integers > high
        remainder, half = np.zeros_like(integers), 1
    else:
        rounded = round_to(form, integers, shift=shift)
        below, above = rounded < form.low, rounded > form.high
        remainder, half = integers - ((integers >> shift) << shift), 1 << (shift - 1)
    return _count(below, above, remainder, half)


def round_to(form: FixedPoint, integers: Integers, *, shift: int) -> Integers:
    """Drop `shift` > 0 bits with the rounding of a format, without its saturation."""
    floor = integers >> shift
    if form.rounding == "TRN":
        return floor
    remainder, half = integers - (floor << shift), 1 << (shift - 1)
    return floor + ((remainder > half) | ((remainder == half) & ((floor & 1) == 1)))


def _entry_cases(form: FixedPoint, values: NDArray[np.generic]) -> dict[str, int]:
    scaled = values.astype(np.float64) * 2.0**form.fraction
    rounded = np.floor(scaled) if form.rounding == "TRN" else np.rint(scaled)
    return _count(rounded < form.low, rounded > form.high, scaled - np.floor(scaled), 0.5)


def _count(
    below: NDArray[np.bool_], above: NDArray[np.bool_], remainder: NDArray[np.number], half: float
) -> dict[str, int]:
    inside = remainder[~(below | above)]
    rounding = (inside == 0, (inside > 0) & (inside < half), inside == half, inside > half)
    counts = (np.count_nonzero(below), np.count_nonzero(above), *(np.count_nonzero(case) for case in rounding))
    return dict(zip((*SATURATION_CASES, *ROUNDING_CASES), map(int, counts), strict=True))


def _admitted(graph: TypedGraph, node: Node) -> tuple[str, ...]:
    """Cases that can occur: from the proven range of the source, and from the grid that its integers lie on."""
    if isinstance(node, Input):
        return (*SATURATION_CASES, *ROUNDING_CASES)
    if not isinstance(node, Requantize):
        return ()
    form, source = node.tensor.format, graph[node.inputs[0]]
    ends = np.array([source.tensor.low, source.tensor.high])
    shift = source.tensor.format.fraction - form.fraction
    at_ends = conversion_cases(form, ends, fraction=source.tensor.format.fraction)
    cases = [case for case in SATURATION_CASES if at_ends[case]]
    if shift <= 0:
        return (*cases, "exact")
    low, high = _unsaturated(form, shift)
    low, high = max(source.tensor.low, low), min(source.tensor.high, high)
    return (*cases, *(case for case in ROUNDING_CASES if _possible(graph, source, case, low, high, shift)))


def _unsaturated(form: FixedPoint, shift: int) -> tuple[int, int]:
    """Ends of the integers that become one of the format's when `shift` > 0 bits go, without saturating."""
    if form.rounding == "TRN":
        return form.low << shift, ((form.high + 1) << shift) - 1
    half = 1 << (shift - 1)  # a tie goes to the even integer: to an odd end it does not come
    return (form.low << shift) - half + (form.low & 1), (form.high << shift) + half - (form.high & 1)


def _possible(graph: TypedGraph, source: Node, case: str, low: int, high: int, shift: int) -> bool:
    """Whether an integer of `[low, high]` that `source` can give leaves such a remainder when `shift` bits go."""
    whole, half = 1 << shift, 1 << (shift - 1)
    first, last = {
        "exact": (0, 0),
        "below half": (1, half - 1),
        "tie": (half, half),
        "above half": (half + 1, whole - 1),
    }[case]
    for start, step in _grids(graph, source, whole):
        # Remainders that occur are start, start + step, ... modulo whole; step divides whole.
        if first + (start - first) % step > last:
            continue
        count = (high - low) // step + 1
        if high - low + 1 >= whole or count > LARGEST_COUNTED_RANGE:
            return True
        remainders = (low + (start - low) % step + step * np.arange(count, dtype=np.int64)) % whole
        if ((remainders >= first) & (remainders <= last)).any():
            return True
    return False


def _grids(graph: TypedGraph, source: Node, whole: int) -> Iterator[tuple[int, int]]:
    """Start and step of the integers that each unit of a node can give, modulo a power of two."""
    if not isinstance(source, Dense):
        yield 0, 1
        return
    fraction = source.tensor.format.fraction
    up = fraction - graph[source.inputs[0]].tensor.format.fraction - source.weight_format.fraction
    for unit, weights in enumerate(source.weight):
        step = int(np.gcd.reduce(np.append(weights << up, whole)))
        bias = 0
        if source.bias is not None and source.bias_format is not None:
            bias = int(source.bias[unit]) << (fraction - source.bias_format.fraction)
        yield bias % step, step
