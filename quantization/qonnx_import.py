"""QONNX perceptrons of any tool to typed graphs; needs the extra `build`.

What the typed graph computes is what the QONNX graph means in real numbers: tools that run QONNX in float32 agree as
long as no sum exceeds 24 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..core import GraphError
from .builder import GraphBuilder
from .fixed_point import FixedPoint
from .graph import TypedGraph
from .nodes import TensorType
from .qonnx_constants import Constant, constant_values, quantized_constant, quantizer_format, tensor_values
from .qonnx_export import QUANT_DOMAIN, import_onnx
from .qonnx_operators import attribute_value, check_names, feature_count, identifier, operator_remedy

QUANTIZERS = ("Quant", "IntQuant")
QUANT_DOMAINS = (QUANT_DOMAIN, "onnx.brevitas", "finn.custom_op.general")
ONNX_DOMAINS = ("", "ai.onnx")
PASSED_THROUGH = ("Identity", "Dropout", "Flatten")
LEAST_INPUTS = {"Constant": 0, "MatMul": 2, "Gemm": 2, "Add": 2, "Reshape": 2}


def import_qonnx(path: Path, *, name: str | None = None) -> TypedGraph:
    """Read a QONNX file as a typed graph.

    Takes Quant, MatMul, Gemm, Add, Relu, Concat of features, and, of constants, Transpose and Reshape; Identity,
    Dropout and Flatten are passed through.

    Args:
        path: File of a network of rows: inputs [rows, features], each quantized by its first operator.
        name: Name of the graph; None takes the name of the file.

    Returns:
        The graph; inputs, outputs and operators keep their names as far as these are identifiers.

    Raises:
        GraphError: The file is no ONNX, or has an operator, scale or shape that a typed graph has no node for; the
            message names the operator.
        ToolError: The extra `build` is not installed.

    """
    onnx = import_onnx()
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(path.read_bytes())
        onnx.checker.check_model(model)
    except OSError as error:
        raise GraphError(f"cannot read {path}: {error.strerror}", remedy="give a QONNX file") from error
    except (DecodeError, ValueError, onnx.checker.ValidationError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise GraphError(f"{path} is no valid ONNX model: {reason}", remedy="export it again") from error
    return from_qonnx(model, name=name or path.stem)


def from_qonnx(model: Any, *, name: str) -> TypedGraph:  # noqa: ANN401 - onnx.ModelProto
    """As `import_qonnx`, from a model in memory."""
    check_names(model.graph)
    reader = _Reader(model.graph)
    for number, operator in enumerate(model.graph.node):
        reader.read(operator, operator.name or f"{operator.op_type.lower()}_{number}")
    for output in model.graph.output:
        source = reader.node(output.name, user=f"output {output.name}")
        reader.builder.output(reader.outputs[output.name], source)
    return TypedGraph.from_builder(reader.builder, name=identifier(name))


@dataclass(frozen=True, kw_only=True)
class _Raw:
    """A graph input before its quantizer."""

    name: str
    width: int


@dataclass(kw_only=True)
class _Later:
    """A node that is added when something reads it, unless it becomes part of the reader."""

    add: Callable[[], str]
    source: str
    weight: Constant | None = None
    relu: bool = False
    name: str = ""
    added: str | None = None


_Value = Constant | _Raw | _Later | str


@dataclass
class _Reader:
    graph: Any
    builder: GraphBuilder = field(default_factory=GraphBuilder)
    tensors: dict[str, _Value] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    outputs: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for tensor in self.graph.initializer:
            self.tensors[tensor.name] = Constant(values=tensor_values(tensor, f"constant {tensor.name}"))
        for value in self.graph.input:
            if value.name not in self.tensors:
                self.tensors[value.name] = _Raw(name=self._fresh(value.name), width=feature_count(value))
        self.outputs = {value.name: self._fresh(value.name) for value in self.graph.output}

    def read(self, operator: Any, name: str) -> None:  # noqa: ANN401 - onnx.NodeProto
        kind = operator.op_type
        if operator.domain not in (QUANT_DOMAINS if kind in QUANTIZERS else ONNX_DOMAINS):
            raise GraphError(f"node {name} is {operator.domain}.{kind}", remedy=operator_remedy(kind))
        attributes = {item.name: attribute_value(item) for item in operator.attribute}
        inputs = list(operator.input)
        while inputs and not inputs[-1]:  # an optional input left out
            inputs.pop()
        if not operator.output or len(inputs) < LEAST_INPUTS.get(kind, 1):
            raise GraphError(f"node {name} lacks an input or an output", remedy="export the model again")
        for tensor in inputs:
            if tensor not in self.tensors:
                raise GraphError(f"node {name} reads {tensor!r}, which nothing gives", remedy="export the model again")
        if kind == "Constant":
            result: _Value = Constant(values=constant_values(attributes, f"node {name}"))
        elif kind in PASSED_THROUGH:
            result = self._passed(name, kind, inputs[0], attributes)
        elif kind in ("Transpose", "Reshape"):
            result = self._moved(name, kind, inputs, attributes)
        elif kind in QUANTIZERS:
            result = self._quant(name, inputs, attributes)
        elif kind in ("MatMul", "Gemm"):
            result = self._dense(name, kind, inputs, attributes)
        elif kind == "Add":
            result = self._add(name, *inputs[:2])
        elif kind == "Relu":
            result = self._relu(name, inputs[0])
        elif kind == "Concat":
            result = self._concat(name, inputs, attributes)
        else:
            raise GraphError(f"node {name} is {kind}", remedy=operator_remedy(kind))
        self.tensors[operator.output[0]] = result

    def node(self, tensor: str, *, user: str) -> str:
        """Name of the typed node whose values a tensor holds."""
        value = self.tensors[tensor]
        if isinstance(value, _Raw):
            raise GraphError(
                f"{user} reads input {value.name}, which is not quantized", remedy="begin with a Quant of each input"
            )
        if isinstance(value, Constant):
            raise GraphError(f"{user} reads the constant {tensor} as features", remedy="fold constants: qonnx-cleanup")
        if isinstance(value, _Later):
            if value.added is None:
                value.added = value.add()
            return value.added
        return value

    def _quant(self, name: str, inputs: list[str], attributes: dict[str, Any]) -> _Value:
        parameters = [self.tensors[tensor] for tensor in inputs[1:]]
        if len(parameters) != 3 or not all(isinstance(value, Constant) for value in parameters):
            raise GraphError(f"node {name}: scale, zero point and bits are no constants", remedy="fold them first")
        constants = [value.values for value in parameters if isinstance(value, Constant)]
        source = self.tensors[inputs[0]]
        if isinstance(source, Constant):
            return quantized_constant(name, source, constants, attributes)
        form = quantizer_format(name, constants, attributes)
        if isinstance(source, _Raw):
            return self._input(name, source, form)
        if isinstance(source, _Later) and source.relu:  # the format keeps what is below 0 out
            if form.signed:
                form = FixedPoint(
                    signed=False, width=form.width - 1, integer=form.integer - 1, rounding=form.rounding, overflow="SAT"
                )
            return self.builder.requantize(self._fresh(name), source.source, format=form)
        return self.builder.requantize(self._fresh(name), self.node(inputs[0], user=f"node {name}"), format=form)

    def _input(self, name: str, raw: _Raw, form: FixedPoint) -> str:
        known = self.builder.nodes.get(raw.name)
        if known is None:
            return self.builder.input(raw.name, shape=("R", raw.width), format=form)
        if (other := known.tensor.format) != form:
            raise GraphError(
                f"node {name} quantizes input {raw.name} to {form.ap_type}, another node to {other.ap_type}",
                remedy="quantize each input once",
            )
        return raw.name

    def _dense(self, name: str, kind: str, inputs: list[str], attributes: dict[str, Any]) -> _Value:
        weight = self._quantized(name, "weight", inputs[1])
        if kind == "Gemm":
            plain = attributes.get("alpha", 1) == 1 and attributes.get("beta", 1) == 1 and not attributes.get("transA")
            if not plain:
                raise GraphError(f"node {name}: a Gemm with {attributes}", remedy="use alpha 1, beta 1 and transA 0")
        if not (kind == "Gemm" and attributes.get("transB")):
            weight = weight.moved(np.transpose)
        source = self.node(inputs[0], user=f"node {name}")
        if len(inputs) > 2:
            return self._affine(name, source, weight, self._quantized(name, "bias", inputs[2]))
        return _Later(add=lambda: self._affine(name, source, weight, None), source=source, weight=weight, name=name)

    def _affine(self, name: str, source: str, weight: Constant, bias: Constant | None) -> str:
        assert weight.integers is not None and weight.format is not None
        outputs = weight.integers.shape[0]
        integers = None
        if bias is not None:
            assert bias.integers is not None
            if bias.integers.size not in (1, outputs) or bias.integers.size != (bias.integers.shape or (1,))[-1]:
                raise GraphError(f"node {name}: a bias of shape {bias.integers.shape}", remedy=f"give {outputs} values")
            integers = np.broadcast_to(bias.integers.reshape(-1), outputs)
        return self.builder.dense(
            self._fresh(name),
            source,
            weight=weight.integers,
            weight_format=weight.format,
            bias=integers,
            bias_format=bias.format if bias is not None else None,
        )

    def _add(self, name: str, left: str, right: str) -> _Value:
        if isinstance(self.tensors[left], Constant):
            left, right = right, left
        value = self.tensors[left]
        if not isinstance(self.tensors[right], Constant):
            sources = [self.node(tensor, user=f"node {name}") for tensor in (left, right)]
            return self.builder.add(self._fresh(name), *sources)
        bias = self._quantized(name, "bias", right)
        if not isinstance(value, _Later) or value.weight is None:
            raise GraphError(f"node {name} adds a constant to no MatMul", remedy="add constants as biases of a MatMul")
        return self._affine(value.name, value.source, value.weight, bias)

    def _relu(self, name: str, tensor: str) -> _Value:
        source = self.node(tensor, user=f"node {name}")

        def add() -> str:
            return self.builder.requantize(
                self._fresh(name), source, format=_rectified(self.builder.nodes[source].tensor)
            )

        return _Later(add=add, source=source, relu=True)

    def _concat(self, name: str, inputs: list[str], attributes: dict[str, Any]) -> _Value:
        if attributes.get("axis") not in (1, -1):
            raise GraphError(f"node {name} joins axis {attributes.get('axis')}", remedy="join features: axis 1 or -1")
        sources = [self.node(tensor, user=f"node {name}") for tensor in inputs]
        return self.builder.concat(self._fresh(name), sources)

    def _passed(self, name: str, kind: str, tensor: str, attributes: dict[str, Any]) -> _Value:
        if kind == "Flatten" and attributes.get("axis", 1) not in (1, -1):
            raise GraphError(f"node {name} flattens at axis {attributes['axis']}", remedy="flatten at axis 1")
        return self.tensors[tensor]

    def _moved(self, name: str, kind: str, inputs: list[str], attributes: dict[str, Any]) -> _Value:
        value = self.tensors[inputs[0]]
        if not isinstance(value, Constant):
            raise GraphError(f"node {name} is {kind} of features", remedy="use it on weights only")
        if kind == "Transpose":
            return value.moved(lambda array: np.transpose(array, attributes.get("perm")))
        shape = self.tensors[inputs[1]]
        if not isinstance(shape, Constant):
            raise GraphError(f"node {name}: its shape is no constant", remedy="fold constants: qonnx-cleanup")
        sizes = [int(size) for size in shape.values.reshape(-1)]
        return value.moved(lambda array: array.reshape(sizes))

    def _quantized(self, name: str, what: str, tensor: str) -> Constant:
        value = self.tensors[tensor]
        if not isinstance(value, Constant):
            raise GraphError(f"node {name}: {what} {tensor} is no constant", remedy=f"give a constant {what} second")
        if value.integers is None:
            raise GraphError(f"node {name}: {what} {tensor} is not quantized", remedy=f"put a Quant on the {what}")
        if what == "weight" and value.integers.ndim != 2:
            raise GraphError(f"node {name}: weight of shape {value.integers.shape}", remedy="give a matrix")
        return value

    def _fresh(self, name: str) -> str:
        result = identifier(name)
        while result in self.taken:
            result += "_"
        self.taken.add(result)
        return result


def _rectified(tensor: TensorType) -> FixedPoint:
    """Unsigned format on the grid of a tensor that holds its positive values."""
    width = max(1, tensor.high.bit_length()) if tensor.high > 0 else 1
    return FixedPoint(signed=False, width=width, integer=width - tensor.format.fraction)
