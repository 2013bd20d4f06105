"""QONNX import: our own files, those of Brevitas, graphs written by hand, and refusal of everything else by name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import brevitas.nn as qnn
import numpy as np
import onnx
import pytest
import torch
from brevitas.export import export_qonnx as brevitas_export
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.util.cleanup import cleanup_model

from hitfabric.core import GraphError
from hitfabric.emulation import make_executor
from hitfabric.models.zoo import zoo_path
from hitfabric.quantization import Dense, Requantize, TypedGraph
from hitfabric.quantization.presets import activation_quantizer, bias_quantizer, weight_quantizer
from hitfabric.quantization.qonnx_export import export_qonnx, to_qonnx
from hitfabric.quantization.qonnx_import import from_qonnx, import_qonnx
from hitfabric.quantization.tracer import trace
from support.perceptrons import perceptron
from support.random_graphs import random_inputs

ROWS = 50


def assert_equal_graphs(one: TypedGraph, other: TypedGraph, *, seed: int = 0) -> None:
    inputs = random_inputs(one, seed=seed, sizes={"R": ROWS})
    ours, theirs = (make_executor("golden", graph).run_integers(inputs) for graph in (one, other))
    for name, values in ours.items():
        assert np.array_equal(theirs[name], values), name
        assert one[name].tensor == other[name].tensor


@pytest.mark.parametrize("seed", range(12))
def test_round_trip_gives_equal_integers_at_every_node(seed: int, tmp_path: Path) -> None:
    graph = perceptron(seed, bits=12, branches=seed % 2 == 1)
    export_qonnx(graph, tmp_path / "network.onnx")
    assert_equal_graphs(graph, import_qonnx(tmp_path / "network.onnx"), seed=seed)


@pytest.mark.parametrize("name", ["embedding", "filter"])
def test_shipped_networks_come_back(name: str) -> None:
    graph = TypedGraph.load(zoo_path("event-pixel") / name)
    again = from_qonnx(to_qonnx(graph), name=graph.name)
    assert_equal_graphs(graph, again)
    assert [type(node) for node in again.nodes] == [type(node) for node in graph.nodes]


@pytest.mark.slow
@pytest.mark.parametrize(("per_channel", "rounding"), [(True, "FLOOR"), (False, "ROUND")])
def test_what_brevitas_exports(per_channel: bool, rounding: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    activation = activation_quantizer(6, signed=False, rounding=rounding)  # type: ignore[arg-type] - of the literals
    model = torch.nn.Sequential(
        qnn.QuantIdentity(act_quant=activation_quantizer(8, signed=True)),
        qnn.QuantLinear(5, 7, bias=True, weight_quant=weight_quantizer(6, per_channel), bias_quant=bias_quantizer(6)),
        qnn.QuantReLU(act_quant=activation),
        torch.nn.Dropout(0.2),
        qnn.QuantLinear(7, 3, bias=False, weight_quant=weight_quantizer(4, per_channel)),
    )
    with torch.no_grad():
        model[1].weight.mul_(torch.linspace(0.1, 4, 7).reshape(-1, 1))  # type: ignore[union-attr] - a QuantLinear
    for _ in range(30):
        model(torch.randn(64, 5))
    path = tmp_path / "brevitas.onnx"
    brevitas_export(model.eval(), args=torch.randn(ROWS, 5), export_path=str(path))
    graph = import_qonnx(path)
    inputs = random_inputs(graph, seed=1, sizes={"R": ROWS})
    (values,), (found,) = inputs.values(), make_executor("golden", graph).run(inputs).values()
    with torch.no_grad():
        assert np.array_equal(model(torch.from_numpy(values)).numpy(), found)
    cleaned = cleanup_model(ModelWrapper(str(path)))
    assert np.array_equal(execute_onnx(cleaned, {"global_in": values})["global_out"], found)
    traced = trace(model, name="traced")
    (expected,) = make_executor("golden", traced).run({traced.inputs[0].name: values}).values()
    assert np.array_equal(found, expected)


class Model:
    """A QONNX model by hand, as other tools write it."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, values: Any) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype=np.float32), name))
        return name

    def quant(
        self, source: str, target: str, *, scale: Any = 0.25, zero: float = 0, bits: float = 4, **other: Any
    ) -> str:
        names = [self.constant(f"{target}_{n}", v) for n, v in (("scale", scale), ("zero", zero), ("bits", bits))]
        options = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND", **other}
        return self.node("Quant", [source, *names], target, domain="qonnx.custom_op.general", **options)

    def node(self, kind: str, sources: list[str], target: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, sources, [target], name=f"n_{target}", **attributes))
        return target

    def finish(self, output: str, *, shape: tuple[Any, ...] = (1, 2), outputs: int = 2) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "by_hand",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, (1, outputs))],
            self.constants,
        )
        opsets = [helper.make_opsetid("", 13), helper.make_opsetid("qonnx.custom_op.general", 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        onnx.checker.check_model(model)
        return model


def weighted(model: Model, source: str, *, target: str = "y", **quantizer: Any) -> str:
    weight = model.quant(model.constant(f"{target}_w", [[0.5, -0.3], [0.25, 9.0]]), f"{target}_wq", **quantizer)
    return model.node("MatMul", [source, weight], target)


def everything() -> onnx.ModelProto:
    """Every operator taken: constants moved about, ReLUs before each kind of reader, biases left and right."""
    m = Model()
    features = m.quant(m.node("Flatten", [m.node("Identity", ["x"], "x1")], "x2", axis=1), "xq", bits=6, narrow=1)
    weight = m.quant(m.constant("w", [[1.0, 0.5], [-0.25, 2.0], [0.75, -2.0]]), "wq", scale=[[0.5], [0.25], [0.125]])
    bias = m.quant(m.constant("b", [[0.5, -1.0, 0.1]]), "bq", bits=5)
    dense = m.node(
        "Add", [bias, m.node("MatMul", [features, m.node("Transpose", [weight], "wt", perm=[1, 0])], "m")], "d"
    )
    relu = m.node("Relu", [dense], "r")
    signed = m.quant(relu, "rs", signed=1, narrow=1, bits=5, scale=0.125, rounding_mode="FLOOR")
    joined = m.node("Concat", [signed, m.node("Relu", [features], "fr"), m.node("Dropout", [relu], "rd")], "c", axis=-1)
    second = m.quant(m.constant("v", np.linspace(-2, 2, 16)), "vq", bits=3)
    shape = m.node("Constant", [], "shape", value=numpy_helper.from_array(np.array([2, 8]), "s"))
    gemm = m.node("Gemm", [joined, m.node("Reshape", [second, shape], "v2")], "g", transB=1)
    m.node("Add", [gemm, features], "y")
    return m.finish("y")


def test_every_operator_means_what_qonnx_says() -> None:
    model = everything()
    graph = from_qonnx(model, name="by_hand")
    executor, shaped = make_executor("golden", graph), ModelWrapper(model).transform(InferShapes())
    for seed in range(40):
        values = (4 * np.random.default_rng(seed).normal(size=(1, 2))).astype(np.float32)
        (found,) = executor.run({"x": values}).values()
        assert np.array_equal(found, execute_onnx(shaped, {"x": values})["y"])
    assert sum(isinstance(node, Requantize) for node in graph.nodes) == 3
    first = next(node for node in graph.nodes if isinstance(node, Dense))
    assert first.name == "n_m"
    assert first.weight_format.fraction == 3


def test_relu_before_a_signed_quantizer_keeps_its_upper_end() -> None:
    m = Model()
    m.quant(
        m.node("Relu", [weighted(m, m.quant("x", "xq", bits=8), target="p")], "r"), "y", signed=1, bits=3, scale=0.5
    )
    node = from_qonnx(m.finish("y"), name="rectified")["n_y"]
    assert (node.tensor.low, node.tensor.high, node.tensor.format.width) == (0, 3, 2)


def refused(model: onnx.ModelProto) -> str:
    with pytest.raises(GraphError) as caught:
        from_qonnx(model, name="refused")
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"scale": 0.3}, "node n_xq has the scale 0.30000.*no power of two"),
        ({"scale": -0.5}, "node n_xq has the scale -0.5"),
        ({"scale": 0.0}, "node n_xq has the scale 0.0"),
        ({"scale": [[0.25, 0.5]]}, "node n_xq has one scale per channel"),
        ({"zero": 3}, "node n_xq has a zero point that is not 0"),
        ({"bits": 4.5}, "node n_xq has 4.5 bits"),
        ({"bits": np.nan}, "node n_xq has nan bits"),
        ({"bits": 1}, "node n_xq has one signed bit"),
        ({"bits": 63}, "node n_xq: a width of 63 bits"),
        ({"rounding_mode": "CEIL"}, "node n_xq rounds by CEIL; use one of ROUND"),
        ({"signed": 0, "narrow": 1}, "node n_xq is unsigned and narrow"),
    ],
)
def test_quantizers_that_are_no_fixed_point_are_named(changes: dict[str, Any], named: str) -> None:
    m = Model()
    weighted(m, m.quant("x", "xq", **changes))
    assert re.search(named, refused(m.finish("y")))


def test_structures_without_a_typed_node_are_named() -> None:
    m = Model()
    weighted(m, "x")
    assert "node n_y reads input x, which is not quantized" in refused(m.finish("y"))

    m = Model()
    m.node("MatMul", [m.quant("x", "xq"), m.constant("w", np.eye(2))], "y")
    assert "node n_y: weight w is not quantized; put a Quant on the weight" in refused(m.finish("y"))

    m = Model()
    m.node("Add", [weighted(m, m.quant("x", "xq"), target="p"), m.constant("b", [0.5, 1])], "y")
    assert "node n_y: bias b is not quantized" in refused(m.finish("y"))

    m = Model()
    bias = m.quant(m.constant("b", [0.5, 1]), "bq")
    m.node("Add", [m.quant("x", "xq"), bias], "y")
    assert "node n_y adds a constant to no MatMul" in refused(m.finish("y"))

    m = Model()
    quantized = m.quant("x", "xq")
    weighted(m, m.node("Add", [quantized, m.quant("x", "xq2", bits=5)], "a"))
    assert "node n_xq2 quantizes input x to" in refused(m.finish("y"))

    m = Model()
    weighted(m, m.quant("x", "xq"))
    assert "input x has shape [1, 2, 2]" in refused(m.finish("y", shape=(1, 2, 2)))
    assert "node n_y: weight has shape (2, 2), expected (None, 5)" in refused(m.finish("y", shape=(1, 5)))

    m = Model()
    weighted(m, m.node("Transpose", [m.quant("x", "xq")], "t"))
    assert "node n_t is Transpose of features" in refused(m.finish("y"))


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [("Sigmoid", "logit space"), ("Tanh", "use Quant, MatMul"), ("Abs", "use Quant, MatMul"), ("Neg", "qonnx-cleanup")],
)
def test_other_operators_are_named(kind: str, remedy: str) -> None:
    m = Model()
    m.node(kind, [m.quant("x", "xq")], "y")
    message = refused(m.finish("y"))
    assert f"node n_y is {kind}" in message
    assert remedy in message


@pytest.mark.parametrize("kind", ["MatMul", "Gemm", "Add", "Relu"])
def test_operators_without_an_input_are_named(kind: str) -> None:
    """A model in memory has passed no checker of ONNX."""
    model = to_qonnx(TypedGraph.load(zoo_path("event-pixel") / "filter"))
    tensors = [model.graph.node[0].output[0]] if kind != "Relu" else []
    model.graph.node.insert(1, helper.make_node(kind, tensors, ["nothing"], name="short"))
    assert refused(model).startswith("node short lacks an input")


def test_batch_normalization_and_bipolar_quantizers_are_named() -> None:
    m = Model()
    constants = [m.constant(name, [1.0, 1.0]) for name in ("a", "b", "c", "d")]
    m.node("BatchNormalization", [m.quant("x", "xq"), *constants], "y")
    assert "node n_y is BatchNormalization; fold it" in refused(m.finish("y"))
    m = Model()
    m.node("BipolarQuant", ["x", m.constant("s", 1.0)], "y", domain="qonnx.custom_op.general")
    assert "node n_y is qonnx.custom_op.general.BipolarQuant; use a Quant" in refused(m.finish("y"))
    m = Model()
    m.node("Add", [m.quant("x", "xq"), "xq"], "y", domain="qonnx.custom_op.general")
    assert "node n_y is qonnx.custom_op.general.Add" in refused(m.finish("y"))


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x07"])
def test_files_that_are_no_model(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file.onnx").write_bytes(content)
    with pytest.raises(GraphError, match=r"file\.onnx is no valid ONNX model"):
        import_qonnx(tmp_path / "file.onnx")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=r"cannot read .*nowhere\.onnx"):
        import_qonnx(tmp_path / "nowhere.onnx")


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_corrupt_files_are_graph_errors(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(everything().SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        if data.draw(st.booleans()):
            content[place] = data.draw(st.integers(0, 255))
        else:
            del content[place : place + data.draw(st.integers(1, 20))]
    (tmp_path / "file.onnx").write_bytes(bytes(content))
    try:
        graph = import_qonnx(tmp_path / "file.onnx")
    except GraphError as error:
        assert error.message
    else:
        graph.save(tmp_path / "graph")
        assert TypedGraph.load(tmp_path / "graph").digest == graph.digest
