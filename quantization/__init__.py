"""What a number is: fixed-point formats, the QAT contract, and the typed graph every later stage reads.

Everything named here imports without torch; the torch side is in `presets`, `modules`, `tracer`, `walk`,
`in_place`, `contract`, `refusals`, `linter`, `folding` and `reference`, imported by those who train.
"""

from .builder import GraphBuilder, Maxima
from .fixed_point import FixedPoint
from .graph import TypedGraph, rebuild
from .nodes import Add, Concat, Dense, EdgeAggregate, EdgeGather, Input, Node, Output, Requantize, TensorType

__all__ = [
    "Add",
    "Concat",
    "Dense",
    "EdgeAggregate",
    "EdgeGather",
    "FixedPoint",
    "GraphBuilder",
    "Input",
    "Maxima",
    "Node",
    "Output",
    "Requantize",
    "TensorType",
    "TypedGraph",
    "rebuild",
]
