"""ONNX Runtime's sides of the benchmark: float32, and int8 in the QDQ form, of the same network."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from native_networks import Inputs
from native_sides import Call, Side, layers_of
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn

from hitfabric.models.onnx_export import quiet_export
from hitfabric.quantization import TypedGraph

OPSET = 18
IR_VERSION = 10
CALIBRATION_ROWS = 4096


def onnx_row_sides(graph: TypedGraph, rows: NDArray[np.float32], *, threads: int) -> list[Side]:
    """Float32 by `run` and by preallocated binding; int8 with unsigned and with signed activations.

    Args:
        graph: A perceptron.
        rows: Rows to calibrate the int8 networks with.
        threads: Threads of each session.

    """
    model = row_model(graph)
    width = graph.outputs[0].tensor.width
    plain = make_session(model.SerializeToString(), threads=threads)
    sides = [
        Side(family="onnxruntime_float32", variant="run", prepare=runner(plain)),
        Side(family="onnxruntime_float32", variant="io binding", prepare=binder(plain, width)),
    ]
    for label, kind in (("U8S8", QuantType.QUInt8), ("S8S8", QuantType.QInt8)):
        session = make_session(quantized(model, rows[:CALIBRATION_ROWS], kind), threads=threads)
        sides.append(Side(family="onnxruntime_int8", variant=f"{label}, run", prepare=runner(session)))
        sides.append(Side(family="onnxruntime_int8", variant=f"{label}, io binding", prepare=binder(session, width)))
    return sides


def row_model(graph: TypedGraph) -> onnx.ModelProto:
    """Float network of the same widths and weights: Gemm and Relu."""
    (source,), (output,) = graph.inputs, graph.outputs
    nodes, weights, name = [], [], source.name
    for number, layer in enumerate(layers_of(graph)):
        for array, letter in zip(layer.values(), "wb", strict=True):
            weights.append(numpy_helper.from_array(array, f"{letter}{number}"))
        result = f"sum{number}" if layer.activation else output.name
        nodes.append(helper.make_node("Gemm", [name, f"w{number}", f"b{number}"], [result], transB=1))
        if layer.activation:
            nodes.append(helper.make_node("Relu", [result], [f"relu{number}"]))
        name = f"relu{number}"
    ends = [
        helper.make_tensor_value_info(node.name, TensorProto.FLOAT, ["rows", node.tensor.width])
        for node in (source, output)
    ]
    content = helper.make_graph(nodes, graph.name, ends[:1], ends[1:], weights)
    model = helper.make_model(content, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return model


class _Rows(CalibrationDataReader):
    """Gives calibration rows once."""

    def __init__(self, name: str, rows: NDArray[np.float32]) -> None:
        self._batches = iter([{name: rows}])

    def get_next(self) -> dict[str, Any]:
        return next(self._batches, {})


def quantized(model: onnx.ModelProto, rows: NDArray[np.float32], activations: QuantType) -> bytes:
    """The model quantized by ONNX Runtime's own tool: QDQ, 8-bit weights, activations calibrated on `rows`."""
    with tempfile.TemporaryDirectory() as folder, quiet_export():
        given, prepared, done = (Path(folder) / f"{name}.onnx" for name in ("given", "prepared", "done"))
        onnx.save(model, given)
        quant_pre_process(given, prepared)
        quantize_static(
            prepared,
            done,
            _Rows(model.graph.input[0].name, rows),
            quant_format=QuantFormat.QDQ,
            activation_type=activations,
            weight_type=QuantType.QInt8,
        )
        return done.read_bytes()


def graph_model(network: nn.Module, inputs: Inputs) -> bytes:
    """Export of an interaction network in torch for any numbers of nodes and edges, by torch's exporter."""
    nodes, edges = torch.export.Dim("N", min=2), torch.export.Dim("E", min=2)
    with tempfile.TemporaryDirectory() as folder, quiet_export():
        path = Path(folder) / "network.onnx"
        torch.onnx.export(
            network,
            tuple(torch.from_numpy(array) for array in inputs.values()),
            path,
            dynamo=True,
            input_names=list(inputs),
            output_names=["logits"],
            dynamic_shapes=({0: nodes}, {0: edges}, {0: edges}),
            external_data=False,
            verbose=False,
        )
        return path.read_bytes()


def make_session(model: bytes, *, threads: int) -> onnxruntime.InferenceSession:
    """A session on the processor with all optimisations and its default way of waiting."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def runner(session: onnxruntime.InferenceSession) -> Callable[[Inputs], Call]:
    """Calls of `session.run`."""
    return lambda inputs: lambda: np.asarray(session.run(None, inputs)[0])


def binder(session: onnxruntime.InferenceSession, width: int) -> Callable[[Inputs], Call]:
    """Calls on arrays bound once, the output [items, width] preallocated."""
    output = session.get_outputs()[0].name

    def prepare(inputs: Inputs) -> Call:
        items = len(inputs.get("edge_index", next(iter(inputs.values()))))
        result = np.empty((items, width), dtype=np.float32)
        binding = session.io_binding()
        for name, array in inputs.items():
            binding.bind_cpu_input(name, array)
        binding.bind_output(output, "cpu", 0, np.float32, result.shape, result.ctypes.data)

        def call() -> NDArray[Any]:
            session.run_with_iobinding(binding)
            return result

        return call

    return prepare
