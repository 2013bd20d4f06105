"""One definition of a fixed-point number, its quantization and its bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..core import GraphError

Rounding = Literal["TRN", "RND_CONV"]
Overflow = Literal["SAT", "SAT_SYM", "WRAP"]
MAXIMAL_WIDTH = 62  # products and sums stay exact in int64


@dataclass(frozen=True, kw_only=True)
class FixedPoint:
    """A fixed-point format, `ap_fixed<width, integer, rounding, overflow>` in the vendor's terms.

    A value is an integer `i` in `[low, high]` times `2**-fraction`.

    Attributes:
        signed: Two's complement if true.
        width: Bits in all, sign included (1 to 62).
        integer: Bits before the binary point, sign included; may be negative or exceed the width.
        rounding: `TRN` (towards minus infinity) or `RND_CONV` (to nearest, ties to even).
        overflow: `SAT`, `SAT_SYM` (signed and symmetric: the most negative integer is not used) or `WRAP`.

    """

    signed: bool
    width: int
    integer: int
    rounding: Rounding = "TRN"
    overflow: Overflow = "SAT"

    def __post_init__(self) -> None:
        remedy = "correct the format"
        if not 1 <= self.width <= MAXIMAL_WIDTH:
            raise GraphError(f"a width of {self.width} bits is outside 1..{MAXIMAL_WIDTH}", remedy=remedy)
        if abs(self.fraction) > 2 * MAXIMAL_WIDTH:
            raise GraphError(f"{self.fraction} fractional bits are outside +-{2 * MAXIMAL_WIDTH}", remedy=remedy)
        if self.rounding not in ("TRN", "RND_CONV"):
            raise GraphError(f"unknown rounding {self.rounding!r}", remedy="use TRN or RND_CONV")
        if self.overflow not in ("SAT", "SAT_SYM", "WRAP"):
            raise GraphError(f"unknown overflow {self.overflow!r}", remedy="use SAT, SAT_SYM or WRAP")
        if self.overflow == "SAT_SYM" and (not self.signed or self.width < 2):
            raise GraphError("SAT_SYM needs a signed format of at least 2 bits", remedy="use SAT")

    @classmethod
    def covering(cls, low: int, high: int, *, fraction: int) -> FixedPoint:
        """Narrowest format holding every integer of `[low, high]` on the grid `2**-fraction`, never overflowing."""
        signed = low < 0
        magnitude = max(int(high).bit_length() if high > 0 else 0, int(-low - 1).bit_length() if signed else 0)
        width = max(1, magnitude + signed)
        return cls(signed=signed, width=width, integer=width - fraction, rounding="TRN", overflow="WRAP")

    @property
    def fraction(self) -> int:
        """Bits after the binary point."""
        return self.width - self.integer

    @property
    def scale(self) -> float:
        """Value of one least significant bit."""
        return 2.0**-self.fraction

    @property
    def low(self) -> int:
        """Smallest integer of the format."""
        if not self.signed:
            return 0
        return -(1 << (self.width - 1)) + (self.overflow == "SAT_SYM")

    @property
    def high(self) -> int:
        """Largest integer of the format."""
        return (1 << (self.width - self.signed)) - 1

    @property
    def ap_type(self) -> str:
        """The type in HLS C++, e.g. `ap_fixed<8,3,AP_TRN,AP_SAT>`."""
        prefix = "ap_fixed" if self.signed else "ap_ufixed"
        return f"{prefix}<{self.width},{self.integer},AP_{self.rounding},AP_{self.overflow}>"

    def quantize(self, values: NDArray[np.floating]) -> NDArray[np.int64]:
        """Quantize real values.

        Args:
            values: Finite float array of any shape.

        Returns:
            int64 array of the same shape, within `[low, high]`.

        Raises:
            GraphError: A value is NaN or infinite.

        """
        scaled = np.asarray(values, dtype=np.float64) * 2.0**self.fraction
        if not np.isfinite(scaled).all():
            raise GraphError("cannot quantize NaN or infinite values", remedy="remove them from the input")
        rounded = np.floor(scaled) if self.rounding == "TRN" else np.rint(scaled)
        if self.overflow != "WRAP":
            return np.clip(rounded, self.low, self.high).astype(np.int64)
        return self._contain(np.clip(rounded, -(2.0**62), 2.0**62).astype(np.int64))

    def requantize(self, integers: NDArray[np.int64], *, fraction: int) -> NDArray[np.int64]:
        """Convert integers on the grid `2**-fraction` to this format.

        Args:
            integers: int64 array of any shape.
            fraction: Fractional bits of `integers`.

        Returns:
            int64 array of the same shape, within `[low, high]`.

        """
        shift = fraction - self.fraction
        if shift <= 0:
            limit = 1 << max(0, 62 + shift)
            return self._contain(np.clip(integers, -limit, limit) << -shift)
        shift = min(shift, 63)
        floor = integers >> shift
        if self.rounding == "RND_CONV":
            remainder = integers - (floor << shift)
            half = 1 << (shift - 1)
            floor = floor + ((remainder > half) | ((remainder == half) & ((floor & 1) == 1)))
        return self._contain(floor)

    def to_float(self, integers: NDArray[np.int64]) -> NDArray[np.float64]:
        """Values of `integers`, exact in float64 up to 53 bits."""
        return integers.astype(np.float64) * self.scale

    def _contain(self, integers: NDArray[np.int64]) -> NDArray[np.int64]:
        if self.overflow != "WRAP":
            return np.clip(integers, self.low, self.high)
        span = 1 << self.width
        return (integers - self.low) % span + self.low
