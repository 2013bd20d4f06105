"""A QONNX file that another tool wrote becomes a typed graph, equal bit for bit to qonnx's own execution of the file.

    python examples/qonnx_from_elsewhere.py [FILE.onnx]

Without a file, `write_file` makes one with nothing but onnx, as an exporter would: two layers, `Quant` at every tensor.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

from hitfabric.emulation import make_executor
from hitfabric.quantization.qonnx_import import import_qonnx

ROWS = 500


def write_file(path: Path) -> None:
    """Write a perceptron 4-8-2: weights of 5 bits, activations of 6, features of 8."""
    rng = np.random.default_rng(1)
    constants, nodes = {}, []

    def quant(name: str, source: str, *, bits: float, scale: float, signed: int) -> str:
        for key, value in (("scale", scale), ("zero", 0.0), ("bits", bits)):
            constants[f"{name}_{key}"] = np.array(value, np.float32)
        parameters = [f"{name}_{key}" for key in ("scale", "zero", "bits")]
        options = {"signed": signed, "narrow": 0, "rounding_mode": "ROUND", "domain": "qonnx.custom_op.general"}
        nodes.append(helper.make_node("Quant", [source, *parameters], [name], name=name, **options))
        return name

    x = quant("features_quant", "features", bits=8, scale=2**-5, signed=1)
    for number, (fan_in, fan_out) in enumerate(((4, 8), (8, 2))):
        constants[f"weight{number}"] = rng.normal(0, 0.5, (fan_in, fan_out)).astype(np.float32)
        weight = quant(f"weight{number}_quant", f"weight{number}", bits=5, scale=2**-3, signed=1)
        nodes.append(helper.make_node("MatMul", [x, weight], [f"dense{number}"], name=f"dense{number}"))
        x = f"dense{number}"
        if number == 0:
            nodes.append(helper.make_node("Relu", [x], ["relu"], name="relu"))
            x = quant("relu_quant", "relu", bits=6, scale=2**-4, signed=0)
    graph = helper.make_graph(
        nodes,
        "elsewhere",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [ROWS, 4])],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, [ROWS, 2])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("qonnx.custom_op.general", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets), path)


def compare(path: Path) -> int:
    """Run the file in qonnx and as a typed graph on random features; returns how many values differ."""
    graph = import_qonnx(path)
    for node in graph.nodes:
        print(f"{node.name:20s} {node.tensor.format.ap_type:36s} [{node.tensor.low}, {node.tensor.high}]")
    model = ModelWrapper(str(path)).transform(InferShapes())
    feature = model.graph.input[0].name
    shape = model.get_tensor_shape(feature)
    features = np.random.default_rng(2).normal(0, 2, shape).astype(np.float32)
    (wanted,) = execute_onnx(model, {feature: features}).values()
    (found,) = make_executor("golden", graph).run({graph.inputs[0].name: features}).values()
    different = int(np.count_nonzero(found != wanted))
    print(f"{different} of {wanted.size} values differ from qonnx")
    return different


def main() -> None:
    """Take the file given, or the one written here."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?")
    file = parser.parse_args().file
    with tempfile.TemporaryDirectory() as folder:
        if file is None:
            file = Path(folder) / "elsewhere.onnx"
            write_file(file)
        assert compare(file) == 0


if __name__ == "__main__":
    main()
