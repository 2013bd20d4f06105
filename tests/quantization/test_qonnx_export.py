"""QONNX export: qonnx itself and hls4ml's own QONNX route give the bits of the golden executor."""

from __future__ import annotations

from pathlib import Path

import brevitas.nn as qnn
import hls4ml
import numpy as np
import pytest
import torch
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.util.cleanup import cleanup_model

from hitfabric.core import GraphError
from hitfabric.emulation import extreme_vectors, make_executor
from hitfabric.models.zoo import zoo_path
from hitfabric.quantization import FixedPoint, GraphBuilder, TypedGraph
from hitfabric.quantization.presets import activation_quantizer, bias_quantizer, weight_quantizer
from hitfabric.quantization.qonnx_export import export_qonnx, inexact_in_float32, to_qonnx
from hitfabric.quantization.tracer import trace
from support.hand_graph import hand_graph
from support.perceptrons import perceptron
from support.random_graphs import random_inputs

ROWS = 60


@pytest.mark.parametrize("seed", range(12))
def test_qonnx_computes_what_golden_computes(seed: int) -> None:
    graph = perceptron(seed, branches=seed % 2 == 1)
    assert inexact_in_float32(graph) == ()
    inputs = random_inputs(graph, seed=seed, sizes={"R": ROWS})
    expected = make_executor("golden", graph).run(inputs)
    found = execute_onnx(ModelWrapper(to_qonnx(graph, rows=ROWS)), inputs)
    assert {name: (found[name] != values).sum() for name, values in expected.items()} == dict.fromkeys(expected, 0)
    assert all(len(np.unique(values)) > 1 for values in expected.values())


@pytest.mark.parametrize("name", ["embedding", "filter"])
def test_shipped_networks_export(name: str, tmp_path: Path) -> None:
    graph = TypedGraph.load(zoo_path("event-pixel") / name)
    export_qonnx(graph, tmp_path / "network.onnx", rows=ROWS)
    (values,) = (random_inputs(graph, seed=0, sizes={"R": ROWS})[node.name] for node in graph.inputs)
    (expected,) = make_executor("golden", graph).run({graph.inputs[0].name: values}).values()
    cleaned = cleanup_model(ModelWrapper(str(tmp_path / "network.onnx")))
    assert np.array_equal(execute_onnx(cleaned, {"global_in": values})["global_out"], expected)


def compiled(graph: TypedGraph, folder: Path) -> hls4ml.model.ModelGraph:
    """The exported network through hls4ml's QONNX parser, compiled: each type from the Quant nodes, the inputs set."""
    model = to_qonnx(graph)
    config = hls4ml.utils.config_from_onnx_model(model, granularity="name", backend="Vitis")
    for node in graph.inputs:  # the default, fixed<16,6>, would round a first time
        precision = node.tensor.format.ap_type.replace("ap_", "").replace("AP_", "")
        config["LayerName"][node.name]["Precision"]["result"] = precision
    converted = hls4ml.converters.convert_from_onnx_model(
        model, hls_config=config, output_dir=str(folder), backend="Vitis", io_type="io_parallel"
    )
    converted.compile()
    return converted


def assert_hls4ml_agrees(graph: TypedGraph, folder: Path) -> None:
    executor, converted = make_executor("golden", graph), compiled(graph, folder)
    for inputs in [random_inputs(graph, seed=5, sizes={"R": 400}), *extreme_vectors(graph)]:
        (values,), (expected,) = inputs.values(), executor.run(inputs).values()
        found = converted.predict(np.ascontiguousarray(values))
        assert (np.asarray(found).reshape(expected.shape) != expected).sum() == 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 103))
def test_hls4mls_own_route_gives_the_same_bits(seed: int, tmp_path: Path) -> None:
    assert_hls4ml_agrees(perceptron(seed, layers=2), tmp_path / "project")


class PerChannel(torch.nn.Module):
    """A perceptron whose first weights have several scales; its input is not `input`, a name that hls4ml reserves."""

    def __init__(self) -> None:
        super().__init__()
        weights, biases = weight_quantizer(5, True), bias_quantizer(6)
        self.quantize = qnn.QuantIdentity(act_quant=activation_quantizer(7, signed=True))
        self.first = qnn.QuantLinear(4, 5, bias=True, weight_quant=weights, bias_quant=biases)
        self.relu = qnn.QuantReLU(act_quant=activation_quantizer(6, signed=False))
        self.last = qnn.QuantLinear(5, 2, bias=False, weight_quant=weights)
        with torch.no_grad():
            self.first.weight.mul_(torch.tensor([[0.1], [0.4], [1.0], [3.0], [9.0]]))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.last(self.relu(self.first(self.quantize(features))))


@pytest.mark.slow
def test_scales_per_channel_go_through_hls4mls_own_route(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = PerChannel()
    for _ in range(30):
        model(torch.randn(64, 4))
    assert len(torch.unique(model.first.quant_weight().scale)) > 2
    assert_hls4ml_agrees(trace(model.eval(), name="channels"), tmp_path / "project")


def test_networks_with_edges_are_refused() -> None:
    with pytest.raises(GraphError, match=r"network hand has nodes or edges.*export a network of rows"):
        to_qonnx(hand_graph())


def single(form: FixedPoint, *, weight: int = 1, weight_format: FixedPoint | None = None) -> TypedGraph:
    builder = GraphBuilder()
    source = builder.input("x", shape=("R", 1), format=form)
    builder.output(
        "y",
        builder.dense(
            "d",
            source,
            weight=np.array([[weight]]),
            weight_format=weight_format or FixedPoint(signed=True, width=2, integer=2),
        ),
    )
    return TypedGraph.from_builder(builder, name="single")


def test_one_signed_bit_is_refused() -> None:
    with pytest.raises(GraphError, match="node x: QONNX takes one signed bit"):
        to_qonnx(single(FixedPoint(signed=True, width=1, integer=1)))


def test_a_weight_of_one_signed_bit_keeps_its_value() -> None:
    bit = FixedPoint(signed=True, width=1, integer=1)
    graph = single(FixedPoint(signed=True, width=4, integer=4), weight=-1, weight_format=bit)
    found = execute_onnx(ModelWrapper(to_qonnx(graph)), {"x": np.array([[3]], dtype=np.float32)})
    assert found["y"].tolist() == [[-3]]


def test_what_float32_cannot_hold_is_refused_or_named() -> None:
    wide = FixedPoint(signed=True, width=30, integer=30)
    with pytest.raises(GraphError, match="node d: weight exceeds float32"):
        to_qonnx(single(FixedPoint(signed=True, width=8, integer=8), weight=2**24 + 1, weight_format=wide))
    graph = single(FixedPoint(signed=True, width=20, integer=20), weight=33, weight_format=wide)
    assert inexact_in_float32(graph) == ("d", "y")


def test_an_input_that_is_an_output_and_two_outputs_of_one_node(tmp_path: Path) -> None:
    builder = GraphBuilder()
    source = builder.input("x", shape=("R", 2), format=FixedPoint(signed=True, width=4, integer=2))
    for name in ("one", "two"):
        builder.output(name, source)
    graph = TypedGraph.from_builder(builder, name="plain")
    values = np.array([[0.3, 9.0]], dtype=np.float32)
    found = execute_onnx(ModelWrapper(to_qonnx(graph)), {"x": values})
    assert found["one"].tolist() == found["two"].tolist() == [[0.25, 1.75]]


@pytest.mark.parametrize("rows", [0, -1])
def test_no_rows_are_refused(rows: int) -> None:
    with pytest.raises(GraphError, match="rows make no model"):
        to_qonnx(perceptron(0), rows=rows)
