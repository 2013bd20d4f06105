"""Single quantized layers for `dense_kernels.py`: integers in, exact sum, requantized to uint8; the answer in int64."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitfabric.quantization import FixedPoint, GraphBuilder, TypedGraph

BLOCK = 4096
"""Rows per call of a library: what stays in the second-level cache, for every side alike."""

RESULT = FixedPoint(signed=False, width=8, integer=8, rounding="RND_CONV")
"""Ties to even, because that is how the libraries with int8 layers round."""

WEIGHTS = FixedPoint(signed=True, width=8, integer=8, overflow="SAT_SYM")


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer without bias.

    Attributes:
        inputs: Input features.
        outputs: Output features.
        activations: Format of the inputs, with fraction 0.
        sparsity: Share of weights that are zero.
        rows: Rows of data.

    """

    inputs: int
    outputs: int
    activations: FixedPoint
    sparsity: float
    rows: int

    @property
    def name(self) -> str:
        """As in the table."""
        kind = f"{'' if self.activations.signed else 'u'}int{self.activations.width}"
        return f"{self.inputs}x{self.outputs} {kind}" + (f", {self.sparsity:.0%} zero" if self.sparsity else "")

    @property
    def stem(self) -> str:
        """Name for files."""
        return f"{self.inputs}x{self.outputs}-{self.sparsity:.0%}".rstrip("%")

    @cached_property
    def weight(self) -> NDArray[np.int64]:
        """[out, in]."""
        generator = np.random.default_rng(1)
        weight = generator.integers(-127, 128, (self.outputs, self.inputs))
        return np.where(generator.random(weight.shape) < self.sparsity, 0, weight)

    @cached_property
    def data(self) -> NDArray[np.int64]:
        """[rows, in], uniform over the format."""
        generator = np.random.default_rng(2)
        return generator.integers(self.activations.low, self.activations.high + 1, (self.rows, self.inputs))

    @cached_property
    def sums(self) -> NDArray[np.int64]:
        """[rows, out], in int64."""
        return self.data @ self.weight.T

    @cached_property
    def shift(self) -> int:
        """Bits that the requantization drops: about one result in ten saturates."""
        return max(1, int(np.log2(max(1.0, float(self.sums[:1000].std())) / 150)))

    @cached_property
    def expected(self) -> NDArray[np.int64]:
        """[rows, out], the exact answer."""
        return RESULT.requantize(self.sums, fraction=self.shift)

    @cached_property
    def graph(self) -> TypedGraph:
        """The layer as a network."""
        builder = GraphBuilder()
        features = builder.input("features", shape=("R", self.inputs), format=self.activations)
        finer = FixedPoint(signed=True, width=8, integer=8 - self.shift, overflow="SAT_SYM")
        dense = builder.dense("dense", features, weight=self.weight, weight_format=finer)
        builder.output("result", builder.requantize("relu", dense, format=RESULT))
        return TypedGraph.from_builder(builder, name="layer")


def layers(rows: int) -> Iterator[Layer]:
    """The layers measured, one at a time: each holds its data."""
    bytes_, words = FixedPoint(signed=False, width=8, integer=8), FixedPoint(signed=True, width=16, integer=16)
    shapes = ((64, 64, bytes_), (256, 256, bytes_), (12, 64, words))
    for sparsity in (0.0, 0.8):
        for inputs, outputs, form in shapes:
            yield Layer(inputs=inputs, outputs=outputs, activations=form, sparsity=sparsity, rows=rows)


@dataclass(frozen=True, kw_only=True)
class Side:
    """One way to compute a layer.

    Attributes:
        name: As in the table.
        run: Computes every row.
        result: [rows, out], what `run` left, as int64.
        proven: Whether exactness follows from the ranges, not only from this comparison.
        notes: What else is known: compile time, code size.

    """

    name: str
    run: Callable[[], object]
    result: Callable[[], NDArray[np.int64]]
    proven: bool
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Absent:
    """A side that cannot compute a layer.

    Attributes:
        name: As in the table.
        reason: Why not.

    """

    name: str
    reason: str
