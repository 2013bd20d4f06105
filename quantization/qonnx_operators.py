"""Operators of QONNX files: names, attributes and shapes as the import reads them, and what to do instead of others."""

from __future__ import annotations

import re
from typing import Any

from ..core import GraphError
from .qonnx_export import import_onnx


def check_names(graph: Any) -> None:  # noqa: ANN401 - onnx.GraphProto
    """Refuse a graph with a name that is no UTF-8, which Protobuf gives as bytes.

    Raises:
        GraphError: There is one.

    """
    names = [item.name for item in (*graph.initializer, *graph.input, *graph.output)]
    for operator in graph.node:
        names += [operator.name, operator.op_type, operator.domain, *operator.input, *operator.output]
        names += [item.name for item in operator.attribute]
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        raise GraphError(f"the name {wrong[0]!r} in the model is no text", remedy="export the model again")


def feature_count(value: Any) -> int:  # noqa: ANN401 - onnx.ValueInfoProto
    """Features of a graph input [rows, features].

    Raises:
        GraphError: It has another shape.

    """
    sizes = [size.dim_value for size in value.type.tensor_type.shape.dim]
    if len(sizes) != 2 or sizes[1] < 1:
        raise GraphError(f"input {value.name} has shape {sizes}", remedy="give inputs [rows, features]")
    return sizes[1]


def attribute_value(item: Any) -> Any:  # noqa: ANN401 - onnx.AttributeProto
    """Value of an attribute, bytes as text."""
    value = import_onnx().helper.get_attribute_value(item)
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def identifier(name: str) -> str:
    """A name as an identifier: other characters become `_`."""
    clean = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return clean if re.match(r"[A-Za-z]", clean) else f"n_{clean}"


def operator_remedy(kind: str) -> str:
    """What to use instead of an operator that a typed graph has no node for."""
    remedies = {
        "BatchNormalization": "fold it into the layer before it, before quantization-aware training",
        "BipolarQuant": "use a Quant of 2 bits or more",
        "Trunc": "use a Quant",
        "Sigmoid": "leave it out: thresholds are in logit space",
        "Gather": "graph networks cannot be imported: trace the Brevitas model",
    }
    taken = "Quant, MatMul, Gemm, Add, Relu, Concat, Identity, Dropout, Flatten"
    return remedies.get(kind, f"use {taken}; fold constants: qonnx-cleanup")
