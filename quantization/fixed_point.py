"""One definition of a fixed-point number, its quantization and its bounds."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..core import GraphError

Rounding = Literal["TRN", "RND_CONV"]
Overflow = Literal["SAT", "SAT_SYM", "WRAP"]
MAXIMAL_WIDTH = 62  # every integer of a format, and one bit more, is an int64
MAXIMAL_FRACTION = 2 * MAXIMAL_WIDTH


def whole_number(what: str, value: object) -> int:
    """A Python integer from an integer of any type.

    Raises:
        GraphError: `value` is no integer; the message begins with `what`.

    """
    try:
        return operator.index(value)  # type: ignore[arg-type] - what is no integer raises
    except TypeError as error:
        raise GraphError(f"{what} is {value!r}, no integer", remedy="give an integer") from error


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
        for field in ("width", "integer"):  # a NumPy integer would make bounds that wrap in silence
            object.__setattr__(self, field, whole_number(f"{field} of a format", getattr(self, field)))
        if not isinstance(self.signed, bool | np.bool_):
            raise GraphError(f"signed is {self.signed!r}", remedy="use True or False")
        object.__setattr__(self, "signed", bool(self.signed))
        if not 1 <= self.width <= MAXIMAL_WIDTH:
            raise GraphError(f"a width of {self.width} bits is outside 1..{MAXIMAL_WIDTH}", remedy=remedy)
        if abs(self.fraction) > MAXIMAL_FRACTION:
            raise GraphError(f"{self.fraction} fractional bits are outside +-{MAXIMAL_FRACTION}", remedy=remedy)
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

    def quantize(self, values: NDArray[np.generic]) -> NDArray[np.int64]:
        """Quantize real values, exactly for every finite float64.

        Args:
            values: Finite float array of any shape (float16, float32, float64), or integers.

        Returns:
            int64 array of the same shape, within `[low, high]`.

        Raises:
            GraphError: A value is NaN or infinite, or the dtype is none of those named.

        """
        array: NDArray[Any] = np.asarray(values)
        if array.dtype.kind in "iu":
            return self.requantize(array, fraction=0)
        if array.dtype.kind != "f" or array.dtype.itemsize > 8:
            raise GraphError(f"cannot quantize dtype {array.dtype} exactly", remedy="give float64 or narrower")
        if not np.isfinite(array).all():
            raise GraphError("cannot quantize NaN or infinite values", remedy="remove them from the input")
        with np.errstate(over="ignore", under="ignore"):
            scaled = np.asarray(array, dtype=np.float64) * 2.0**self.fraction
        if self.rounding == "TRN":  # a product below the smallest float64 is 0, yet rounds down from below
            rounded = np.where((scaled == 0) & (array < 0), -1.0, np.floor(scaled))
        else:
            rounded = np.rint(scaled)
        if self.overflow == "WRAP":  # the remainder of a float64 is exact; one beyond all floats is a multiple
            rounded = np.fmod(np.where(np.isfinite(rounded), rounded, 0.0), 2.0**self.width)
        # The ends of a wide format are no float64: clip to powers of two first, then as integers.
        return self._contain(np.clip(rounded, -(2.0**MAXIMAL_WIDTH), 2.0**MAXIMAL_WIDTH).astype(np.int64))

    def requantize(self, integers: NDArray[np.generic], *, fraction: int) -> NDArray[np.int64]:
        """Convert integers on the grid `2**-fraction` to this format, exactly for every int64 and every shift.

        Args:
            integers: Integer array of any shape, each element within int64.
            fraction: Fractional bits of `integers`.

        Returns:
            int64 array of the same shape, within `[low, high]`.

        Raises:
            GraphError: The array holds no integers, or one beyond int64.

        """
        array = _as_int64(integers)
        shift = fraction - self.fraction
        return self._contain(self._shift_left(array, -shift) if shift <= 0 else self._shift_right(array, shift))

    def requantize_exact(self, integer: int, *, fraction: int) -> int:
        """As `requantize`, for one integer of any size."""
        shift = fraction - self.fraction
        if shift <= 0:
            result = integer << -shift
        else:
            result = integer >> shift
            remainder, half = integer - (result << shift), 1 << (shift - 1)
            if self.rounding == "RND_CONV" and (remainder > half or (remainder == half and result & 1)):
                result += 1
        if self.overflow == "WRAP":
            return (result - self.low) % (1 << self.width) + self.low
        return min(max(result, self.low), self.high)

    def to_float(self, integers: NDArray[np.int64]) -> NDArray[np.float64]:
        """Values of `integers`, exact in float64 up to 53 bits."""
        return integers.astype(np.float64) * self.scale

    def _shift_left(self, integers: NDArray[np.int64], shift: int) -> NDArray[np.int64]:
        if self.overflow == "WRAP":  # bits shifted out of 64 are beyond the width anyway
            return integers << shift if shift < 64 else np.zeros_like(integers)
        shift = min(shift, MAXIMAL_WIDTH)  # already takes 1 beyond every format
        limit = (max(self.high, -self.low) >> shift) + 1
        return np.clip(integers, -limit, limit) << shift

    def _shift_right(self, integers: NDArray[np.int64], shift: int) -> NDArray[np.int64]:
        floor = integers >> min(shift, 63)
        if self.rounding == "TRN":
            return floor
        if shift > 63:  # at most half a step from 0, and the tie is even
            return np.zeros_like(integers)
        remainder, half = integers - (floor << shift), np.int64(1) << (shift - 1)
        return floor + ((remainder > half) | ((remainder == half) & ((floor & 1) == 1)))

    def _contain(self, integers: NDArray[np.int64]) -> NDArray[np.int64]:
        if self.overflow != "WRAP":
            return np.clip(integers, self.low, self.high)
        wrapped = integers & ((1 << self.width) - 1)
        return wrapped - ((wrapped >> (self.width - 1)) << self.width) if self.signed else wrapped


def _as_int64(integers: NDArray[np.generic]) -> NDArray[np.int64]:
    array = np.asarray(integers)
    if array.dtype.kind not in "iu":
        raise GraphError(f"cannot requantize dtype {array.dtype}", remedy="give integers within int64")
    if array.dtype == np.uint64 and array.size and int(array.max()) > np.iinfo(np.int64).max:
        raise GraphError(f"{int(array.max())} is beyond int64", remedy="give integers within int64")
    return array.astype(np.int64)
