"""Typed graphs to QONNX, the exchange format of quantized networks (arXiv:2206.07527); needs the extra `build`.

Every Input and Requantize becomes a `Quant` node, every Dense a `MatMul` and an `Add` with quantized constants. Scales
are powers of two and zero points 0, so that the real numbers of the QONNX graph are exactly those of the typed graph.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..core import GraphError, ToolError, atomic_file
from .fixed_point import FixedPoint
from .graph import TypedGraph
from .nodes import Add, Concat, Dense, Input, Node, Output, Requantize

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 13
QUANT_DOMAIN = "qonnx.custom_op.general"
ROUNDING_MODES = {"TRN": "FLOOR", "RND_CONV": "ROUND"}
FLOAT32_BITS = 24


def export_qonnx(graph: TypedGraph, path: Path, *, rows: int = 1) -> None:
    """Write a network of rows as a QONNX file.

    Args:
        graph: The network.
        path: File to write, whole or not at all.
        rows: Rows of the model's inputs and outputs, a constant of the file.

    Raises:
        GraphError: The network has edges, or a value that float32 cannot hold.
        ToolError: The extra `build` is not installed.

    """
    content = to_qonnx(graph, rows=rows).SerializeToString()
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)


def to_qonnx(graph: TypedGraph, *, rows: int = 1) -> ModelProto:
    """The QONNX model of a network of rows; arguments and errors as those of `export_qonnx`.

    Names are kept: inputs and outputs have the names of the Input and Output nodes, operators those of the other nodes.
    """
    onnx = import_onnx()
    if graph.is_graph_network or any(node.tensor.shape[0] != "R" for node in graph.nodes):
        raise GraphError(
            f"network {graph.name} has nodes or edges, which QONNX tools do not take",
            remedy="export a network of rows; build, validate and serve graph networks with hitfabric",
        )
    if rows < 1:
        raise GraphError(f"{rows} rows make no model", remedy="give 1 or more")
    writer = _Writer(onnx=onnx, graph=graph, rows=rows)
    for node in graph.nodes:
        writer.append(node)
    helper = onnx.helper
    proto = helper.make_graph(
        writer.nodes, graph.name, writer.inputs, writer.outputs, writer.initializers, value_info=writer.values
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(QUANT_DOMAIN, 1)]
    return helper.make_model(proto, producer_name="hitfabric", opset_imports=opsets, ir_version=8)


def inexact_in_float32(graph: TypedGraph) -> tuple[str, ...]:
    """Nodes whose integers may need more than float32's 24 bits, so that tools computing in float32 may round them."""
    limit = 1 << FLOAT32_BITS
    return tuple(node.name for node in graph.nodes if max(-_reach(graph, node)[0], _reach(graph, node)[1]) > limit)


def import_onnx() -> Any:  # noqa: ANN401 - a module
    """The package onnx.

    Raises:
        ToolError: It is not installed.

    """
    try:
        import onnx
        import onnx.helper
        import onnx.numpy_helper
    except ImportError as error:
        raise ToolError(
            "QONNX files need the packages onnx and qonnx", remedy="run: pip install 'hitfabric[build]'"
        ) from error
    return onnx


def _reach(graph: TypedGraph, node: Node) -> tuple[int, int]:
    """Bounds of every partial sum of a node, which may exceed those of the result."""
    if not isinstance(node, Dense):
        return node.tensor.low, node.tensor.high
    (source,) = (graph[name].tensor for name in node.inputs)
    most = int(np.abs(node.weight).astype(object).sum(axis=1).max()) * max(-source.low, source.high)
    most <<= node.tensor.format.fraction - source.format.fraction - node.weight_format.fraction
    if node.bias is not None and node.bias_format is not None:
        most += int(np.abs(node.bias).max()) << (node.tensor.format.fraction - node.bias_format.fraction)
    return -most, most


@dataclass(kw_only=True)
class _Writer:
    onnx: Any
    graph: TypedGraph
    rows: int
    nodes: list[Any] = field(default_factory=list)
    inputs: list[Any] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    initializers: list[Any] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    tensors: dict[str, str] = field(default_factory=dict)
    taken: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self.taken = {node.name for node in self.graph.nodes}

    def append(self, node: Node) -> None:
        sources = [self.tensors[name] for name in node.inputs]
        match node:
            case Input():
                self.inputs.append(self._info(node.name, node.tensor.width))
                self._quant(node, node.name, operator=self._fresh(f"{node.name}_quant"))
            case Requantize():
                self._quant(node, *sources, operator=node.name)
            case Dense():
                self._dense(node, *sources)
            case Concat():
                self._operator("Concat", sources, node, axis=1)
            case Add():
                self._operator("Add", sources, node)
            case Output():
                self.outputs.append(self._info(node.name, node.tensor.width))
                if sources[0] != node.name:
                    self.nodes.append(self.onnx.helper.make_node("Identity", sources, [node.name], name=node.name))
            case _:
                raise GraphError(f"node {node.name} is {type(node).__name__}", remedy="export a network of rows")

    def _dense(self, node: Dense, source: str) -> None:
        weight = self._constant(node, "weight", node.weight.T, node.weight_format)
        if node.bias is None or node.bias_format is None:
            self._operator("MatMul", [source, weight], node)
            return
        product = self._fresh(f"{node.name}_product")
        self.nodes.append(self.onnx.helper.make_node("MatMul", [source, weight], [product], name=node.name))
        self.values.append(self._info(product, node.tensor.width))
        bias = self._constant(node, "bias", node.bias, node.bias_format)
        self._operator("Add", [product, bias], node, name=self._fresh(f"{node.name}_add_bias"))

    def _constant(self, node: Node, what: str, integers: NDArray[np.int64], format: FixedPoint) -> str:
        values = format.to_float(integers)
        if not np.array_equal(values.astype(np.float32), values) or np.abs(integers).max() > 1 << 52:
            raise GraphError(f"node {node.name}: {what} exceeds float32", remedy="give it at most 24 bits")
        name = self._fresh(f"{node.name}_{what}")
        self._initializer(name, values.astype(np.float32))
        quantized = self._fresh(f"{name}_quant")
        self._quant_node(name, quantized, format, operator=quantized)
        self.values.append(self._shaped(quantized, values.shape))
        return quantized

    def _quant(self, node: Node, source: str, *, operator: str) -> None:
        form = node.tensor.format
        if form.signed and form.width == 1:
            raise GraphError(f"node {node.name}: QONNX takes one signed bit as -1 and 1", remedy="give it 2 bits")
        self._quant_node(source, self._result(node), form, operator=operator)

    def _quant_node(self, source: str, target: str, format: FixedPoint, *, operator: str) -> None:
        bits = format.width + (format.signed and format.width == 1)
        parameters = {"scale": format.scale, "zero_point": 0, "bits": bits}
        names = [self._fresh(f"{operator}_{what}") for what in parameters]
        for name, value in zip(names, parameters.values(), strict=True):
            self._initializer(name, np.array(value, dtype=np.float32))
        self.nodes.append(
            self.onnx.helper.make_node(
                "Quant",
                [source, *names],
                [target],
                name=operator,
                domain=QUANT_DOMAIN,
                signed=int(format.signed),
                narrow=int(format.overflow == "SAT_SYM"),
                rounding_mode=ROUNDING_MODES[format.rounding],
            )
        )

    def _operator(self, kind: str, sources: list[str], node: Node, *, name: str = "", **attributes: int) -> None:
        target = self._result(node)
        self.nodes.append(self.onnx.helper.make_node(kind, sources, [target], name=name or node.name, **attributes))

    def _result(self, node: Node) -> str:
        """Tensor of a node, with the name of the first output that names it, since hls4ml drops an Identity."""
        named = [user.name for user in self.graph.consumers(node.name) if isinstance(user, Output)]
        target = named[0] if named else self._fresh(f"{node.name}_value")
        self.tensors[node.name] = target
        if not named:
            self.values.append(self._info(target, node.tensor.width))
        return target

    def _initializer(self, name: str, values: NDArray[np.float32]) -> None:
        self.initializers.append(self.onnx.numpy_helper.from_array(values, name))
        self.values.append(self._shaped(name, values.shape))  # hls4ml reads the shapes of constants here

    def _info(self, name: str, width: int) -> Any:  # noqa: ANN401 - a protobuf message
        return self._shaped(name, (self.rows, width))

    def _shaped(self, name: str, shape: tuple[int, ...]) -> Any:  # noqa: ANN401 - a protobuf message
        return self.onnx.helper.make_tensor_value_info(name, self.onnx.TensorProto.FLOAT, shape)

    def _fresh(self, name: str) -> str:
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name
