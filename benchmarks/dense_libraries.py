"""Libraries and executors as sides of `dense_kernels.py`. Each reads and writes the storage that is natural to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnxruntime
import torch
from dense_layers import BLOCK, Absent, Layer, Side
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from hitfabric.core import HitfabricError
from hitfabric.emulation import Executor, make_executor
from hitfabric.emulation.ranges import DOUBLE_LIMIT, FLOAT_LIMIT, largest_partial_sum
from hitfabric.quantization import Dense

OPSET = 21
IR_VERSION = 10


def library_sides(layer: Layer, threads: int) -> Iterator[Side | Absent]:
    """Every library that can compute the layer, and why another cannot."""
    torch.set_num_threads(threads)
    for name, kind, limit in (("float32", np.float32, FLOAT_LIMIT), ("float64", np.float64, DOUBLE_LIMIT)):
        yield _blas(layer, f"NumPy BLAS {name}", kind, proven=largest_sum(layer) <= limit)
    yield _torch_float(layer)
    if layer.activations.signed or layer.activations.width > 8:
        names = (
            "torch._int_mm",
            "oneDNN int8 (torch qlinear)",
            "ONNX Runtime MatMulInteger",
            "ONNX Runtime QLinearMatMul",
        )
        yield from (Absent(name=name, reason="takes 8-bit activations only") for name in names)
        return
    yield from (_int_mm(layer), _qlinear(layer), _matmul_integer(layer, threads), _qlinear_matmul(layer, threads))


def executor_sides(layer: Layer, threads: int) -> Iterator[Side | Absent]:
    """Executors of the typed graph; they take and give float32 values, quantize and convert."""
    for kind in ("native", "numpy"):
        name = f"executor {kind}"
        try:
            executor = make_executor(kind, layer.graph, threads=threads)
        except HitfabricError as error:
            yield Absent(name=name, reason=str(error))
            continue
        yield _executor_side(name, executor, layer.data.astype(np.float32))


def _executor_side(name: str, executor: Executor, features: NDArray[np.float32]) -> Side:
    held: dict[str, NDArray[np.float32]] = {}

    def run() -> None:
        held.update(executor.run({"features": features}))

    return Side(name=name, run=run, result=lambda: held["result"].astype(np.int64), proven=True)


def largest_sum(layer: Layer) -> int:
    """Bound on every partial sum of the layer."""
    dense = layer.graph["dense"]
    assert isinstance(dense, Dense)
    return largest_partial_sum(layer.graph, dense)


def _blocks(layer: Layer) -> list[slice]:
    return [slice(start, start + BLOCK) for start in range(0, layer.rows, BLOCK)]


def _blas(layer: Layer, name: str, kind: type, *, proven: bool) -> Side:
    data, weight = layer.data.astype(kind), (layer.weight.T * 2.0**-layer.shift).astype(kind)
    result = np.empty((layer.rows, layer.outputs), dtype=kind)

    def run() -> None:
        for rows in _blocks(layer):
            block = np.matmul(data[rows], weight, out=result[rows])
            np.rint(block, out=block)
            np.clip(block, 0, 255, out=block)

    return Side(name=name, run=run, result=lambda: result.astype(np.int64), proven=proven)


def _torch_float(layer: Layer) -> Side:
    data = torch.from_numpy(layer.data.astype(np.float32))
    weight = torch.from_numpy((layer.weight * 2.0**-layer.shift).astype(np.float32))

    def block(rows: Tensor) -> Tensor:
        return torch.nn.functional.linear(rows, weight).round_().clamp_(0, 255)

    proven = largest_sum(layer) <= FLOAT_LIMIT
    return _torch_side(layer, "torch float32", data, torch.float32, block, proven=proven)


def _torch_side(
    layer: Layer, name: str, data: Tensor, kind: torch.dtype, block: Callable[[Tensor], Tensor], *, proven: bool
) -> Side:
    result = torch.empty((layer.rows, layer.outputs), dtype=kind)

    def run() -> None:
        with torch.inference_mode():
            for rows in _blocks(layer):
                result[rows] = block(data[rows])

    return Side(name=name, run=run, result=lambda: result.numpy().astype(np.int64), proven=proven)


def _int_mm(layer: Layer) -> Side:
    """Takes signed bytes: 128 is taken off the activations, and its products are added to the int32 sums."""
    data = torch.from_numpy((layer.data - 128).astype(np.int8))
    weight = torch.from_numpy(layer.weight.astype(np.int8)).T
    correction = torch.from_numpy((128 * layer.weight.sum(axis=1)).astype(np.int32))
    scale = 2.0**-layer.shift

    def block(rows: Tensor) -> Tensor:
        sums = torch._int_mm(rows, weight).add_(correction)
        return sums.float().mul_(scale).round_().clamp_(0, 255)

    return _torch_side(layer, "torch._int_mm", data, torch.uint8, block, proven=True)


def _qlinear(layer: Layer) -> Side:
    data = torch.from_numpy(layer.data.astype(np.uint8))
    packed = torch.ops.onednn.qlinear_prepack(torch.from_numpy(layer.weight.astype(np.int8)), [BLOCK, layer.inputs])
    scales, zeros = torch.ones(layer.outputs), torch.zeros(layer.outputs, dtype=torch.int64)
    step = 2.0**layer.shift

    def block(rows: Tensor) -> Tensor:
        return torch.ops.onednn.qlinear_pointwise(
            rows, 1.0, 0, packed, scales, zeros, None, step, 0, torch.uint8, "none", [], ""
        )

    return _torch_side(layer, "oneDNN int8 (torch qlinear)", data, torch.uint8, block, proven=False)


def _qlinear_matmul(layer: Layer, threads: int) -> Side:
    constants = {
        "one": np.array(1, np.float32),
        "zero": np.array(0, np.uint8),
        "weight": layer.weight.T.astype(np.int8),
        "weight_zero": np.array(0, np.int8),
        "step": np.array(2.0**layer.shift, np.float32),
    }
    names = ["x", "one", "zero", "weight", "one", "weight_zero", "step", "zero"]
    nodes = [helper.make_node("QLinearMatMul", names, ["y"])]
    return _onnx(layer, "ONNX Runtime QLinearMatMul", nodes, constants, threads)


def _matmul_integer(layer: Layer, threads: int) -> Side:
    constants = {
        "weight": layer.weight.T.astype(np.int8),
        "scale": np.array(2.0**-layer.shift, np.float32),
        "low": np.array(0, np.float32),
        "high": np.array(255, np.float32),
    }
    nodes = [
        helper.make_node("MatMulInteger", ["x", "weight"], ["sums"]),
        helper.make_node("Cast", ["sums"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "scale"], ["scaled"]),
        helper.make_node("Round", ["scaled"], ["rounded"]),
        helper.make_node("Clip", ["rounded", "low", "high"], ["clipped"]),
        helper.make_node("Cast", ["clipped"], ["y"], to=TensorProto.UINT8),
    ]
    return _onnx(layer, "ONNX Runtime MatMulInteger", nodes, constants, threads)


def _onnx(layer: Layer, name: str, nodes: list[Any], constants: dict[str, NDArray[Any]], threads: int) -> Side:
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [None, layer.inputs])],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, [None, layer.outputs])],
        [numpy_helper.from_array(array, key) for key, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    data = layer.data.astype(np.uint8)
    result = np.empty((layer.rows, layer.outputs), dtype=np.uint8)

    def run() -> None:
        for rows in _blocks(layer):
            result[rows] = session.run(None, {"x": data[rows]})[0]

    return Side(name=name, run=run, result=lambda: result.astype(np.int64), proven=False)
