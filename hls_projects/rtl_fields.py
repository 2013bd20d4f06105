"""What a row-wise core of an RTL design takes and gives: tensors of one row as bits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..quantization import TypedGraph

Solver = Literal["da4ml", "shift_add"]


@dataclass(frozen=True, kw_only=True)
class Field:
    """One tensor of one row as bits: feature 0 lowest, each in two's complement if signed.

    Attributes:
        tensor: Name of the tensor in the typed graph.
        features: Size of the tensor's last axis.
        bits: Bits of each feature, the width of the tensor's format (its exact range may be narrower).
        signed: Whether the format is signed.
    """

    tensor: str
    features: int
    bits: int
    signed: bool

    @property
    def width(self) -> int:
        """Bits of the whole tensor."""
        return self.features * self.bits

    @classmethod
    def of(cls, graph: TypedGraph, tensor: str) -> Field:
        """The field of a tensor of a typed graph.

        Raises:
            GraphError: The graph has no such tensor.
        """
        kind = graph[tensor].tensor
        return cls(tensor=tensor, features=kind.width, bits=kind.format.width, signed=kind.format.signed)


@dataclass(frozen=True, kw_only=True)
class Core:
    """A pipelined Verilog module that computes row-wise nodes: a new row each cycle, with neither enable nor reset.

    Its ports are `clk`, `row_in` (the fields of `inputs`, the first lowest) and `row_out` (those of `outputs`).

    Attributes:
        name: Name of the module.
        inputs: Tensors it takes.
        outputs: Tensors it gives.
        latency: Cycles from a row on `row_in` to its result on `row_out`, at least 1.
        sources: Verilog files.
        lut_estimate: 6-input LUTs estimated from the bits of adders and selectors, or None where nothing is known.
        register_bits: Flip-flops, those of delay lines included.
        solver: What found the additions: `da4ml`, or `shift_add` where a layer took the plain way.
    """

    name: str
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    latency: int
    sources: tuple[Path, ...]
    lut_estimate: float | None
    register_bits: int = 0
    solver: Solver = "da4ml"
