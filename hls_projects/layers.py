"""Typed graph -> hls4ml's layer list, with every type explicit so that hls4ml infers nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..core import GraphError
from ..quantization import (
    Add,
    Concat,
    Dense,
    EdgeAggregate,
    EdgeGather,
    FixedPoint,
    Input,
    Node,
    Output,
    Requantize,
    TypedGraph,
)
from .project import ProjectConfig
from .relays import relay_streams

EXACT_BITS = 53  # values cross the border to C++ as doubles
DENSE_LAYERS = ("Dense", "HitfabricDense")


@dataclass(frozen=True, kw_only=True)
class LayerPlan:
    """What hls4ml is told.

    Attributes:
        layers: Layer dictionaries in order.
        precisions: Types by layer and role (`result`, `weight`, `bias`, `accum`).
        inputs: Layer names of the inputs, in the graph's order.
        outputs: Layer names of the outputs, in the graph's order.
        traced: Layer that computes each Requantize node.
        shapes: Shape of one row or one graph by node, as `static_shape` gives it.
    """

    layers: list[dict[str, Any]] = field(default_factory=list)
    precisions: dict[str, dict[str, str]] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    traced: dict[str, str] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)


def static_shape(graph: TypedGraph, node: Node, *, parallelism: int = 1) -> tuple[int, ...]:
    """Shape of a node's tensor in the firmware: one row, or one graph of maximal size with whole packets.

    Args:
        graph: The network.
        node: The node.
        parallelism: Rows of one packet: nodes and edges are padded to a multiple of it.
    """
    maxima = {"N": graph.maxima.nodes, "E": graph.maxima.edges}
    sizes = {dimension: -(-most // parallelism) * parallelism for dimension, most in maxima.items()}
    return tuple(size if isinstance(size, int) else sizes[size] for size in node.tensor.shape if size != "R")


def plan_layers(
    graph: TypedGraph, *, config: ProjectConfig | None = None, accumulator_widths: Mapping[str, int] | None = None
) -> LayerPlan:
    """Translate a typed graph.

    Args:
        graph: The network.
        config: How it is written.
        accumulator_widths: Bits of accumulators that wrap, by Dense or EdgeAggregate node; wide enough by default.

    Returns:
        The plan.

    Raises:
        ConfigError: The configuration is not one for such a network.
        GraphError: The network has a node that hls4ml cannot hold; the message names it.
    """
    config = (config or ProjectConfig()).resolved(graph)
    planner = _Planner(graph, config, accumulator_widths or {})
    for node in graph.nodes:
        planner.add(node)
    if config.io_type == "io_stream":
        relay_streams(planner.plan)
    return planner.plan


class _Planner:
    """Fills a plan node by node."""

    def __init__(self, graph: TypedGraph, config: ProjectConfig, accumulator_widths: Mapping[str, int]) -> None:
        self.graph = graph
        self.lanes = config.parallelism
        # Networks of rows, and the Quartus backend, take hls4ml's own dense and concatenate.
        self.own_rows = graph.is_graph_network and config.backend != "Quartus"
        self.accumulator_widths = accumulator_widths
        self.plan = LayerPlan()
        self.layer: dict[str, str] = {}  # layer that holds each node's value
        self.fused: dict[str, Requantize] = {
            node.inputs[0]: node
            for node in graph.nodes
            if isinstance(node, Requantize)
            and not isinstance(graph[node.inputs[0]], Input | Requantize)  # two roundings are not one
            and graph.consumers(node.inputs[0]) == (node,)
        }

    def add(self, node: Node) -> None:
        if isinstance(node, Input | Requantize | Output) and node.tensor.format.width > EXACT_BITS:
            raise GraphError(
                f"node {node.name} is {node.tensor.format.width} bits wide, the C simulation shows {EXACT_BITS}",
                remedy="requantize to fewer bits",
            )
        if self.graph.is_graph_network and node.tensor.shape[0] not in ("N", "E"):
            raise GraphError(
                f"node {node.name} has shape {node.tensor.shape} in a network of nodes and edges",
                remedy='give its input the shape ("N", F) or ("E", F)',
            )
        self.plan.shapes[node.name] = static_shape(self.graph, node, parallelism=self.lanes)
        if isinstance(node, Requantize) and self.fused.get(node.inputs[0]) is node:
            self.layer[node.name] = self.plan.traced[node.name] = self.layer[node.inputs[0]]
            return
        match node:
            case Input():
                self.input(node)
            case Dense():
                self.dense(node)
            case Concat():
                self.concat(node)
            case Output():
                self.output(node)
            case Requantize():
                self.append(node, "HitfabricRequantize")
                self.plan.traced[node.name] = self.layer[node.name]
            case Add():
                self.append(node, "Merge", op="add")
            case EdgeGather():
                self.append(node, "EdgeGather", n_node=self.graph.maxima.nodes, n_lane=self.lanes)
            case EdgeAggregate():
                self.append(
                    node,
                    "EdgeAggregate",
                    precisions={"accum": _type(self.accumulator(node))},
                    n_node=self.graph.maxima.nodes,
                    n_lane=self.lanes,
                    column=node.column,
                    use_max=node.mode == "max",
                )
            case _:
                raise GraphError(
                    f"node {node.name}: {type(node).__name__} has no hls4ml layer", remedy="use other nodes"
                )

    def result(self, node: Node) -> FixedPoint:
        return self.fused[node.name].tensor.format if node.name in self.fused else node.tensor.format

    def accumulator(self, node: Dense | EdgeAggregate) -> FixedPoint:
        exact = node.tensor.format
        width = self.accumulator_widths.get(node.name, exact.width)
        return replace(exact, width=width, integer=width - exact.fraction)

    def append(
        self,
        node: Node,
        kind: str,
        *,
        name: str | None = None,
        precisions: dict[str, str] | None = None,
        **attributes: Any,  # noqa: ANN401 - whatever hls4ml's layer takes
    ) -> None:
        inputs = attributes.pop("inputs", None) or [self.layer[source] for source in node.inputs]
        name = self.unused(name or node.name)
        self.plan.layers.append({"class_name": kind, "name": name, "inputs": inputs, **attributes})
        self.plan.precisions[name] = {"result": _type(self.result(node))} | (precisions or {})
        self.layer[node.name] = name

    def unused(self, name: str) -> str:
        while name in self.plan.precisions:
            name += "_"
        return name

    def input(self, node: Input) -> None:
        # The name becomes an argument of the C++ top function: the suffix keeps it off C++ keywords.
        name = self.unused(f"{node.name}_in")
        width = node.tensor.format.width
        self.plan.layers.append({"class_name": "InputLayer", "name": name, "input_shape": self.packets(node)})
        self.plan.precisions[name] = {"result": f"uint<{width}>" if node.tensor.is_index else _type(node.tensor.format)}
        self.plan.inputs.append(name)
        self.layer[node.name] = name

    def packets(self, node: Node) -> list[int]:
        shape = list(self.plan.shapes[node.name])
        return [shape[0] // self.lanes, shape[1] * self.lanes] if self.lanes > 1 else shape

    def dense(self, node: Dense) -> None:
        precisions = {"accum": _type(self.accumulator(node)), "weight": _type(node.weight_format)}
        bias = None
        if node.bias is not None and node.bias_format is not None:
            bias = node.bias_format.to_float(node.bias)
            precisions["bias"] = _type(node.bias_format)
        self.append(
            node,
            "HitfabricDense" if self.own_rows else "Dense",
            precisions=precisions,
            n_lane=self.lanes,
            n_in=node.weight.shape[1],
            n_out=node.weight.shape[0],
            weight_data=np.ascontiguousarray(node.weight_format.to_float(node.weight).T),
            bias_data=bias,
            use_bias=bias is not None,
        )

    def concat(self, node: Concat) -> None:
        rank = len(self.plan.shapes[node.name])
        attributes: dict[str, Any] = {"op": f"concatenate{rank}d", "axis": rank}
        if self.own_rows:
            attributes = {"n_lane": self.lanes}
        kind = "HitfabricConcatenate" if self.own_rows else "Concatenate"
        left = self.layer[node.inputs[0]]
        for source in node.inputs[1:-1]:  # two at a time
            self.append(node, kind, name=f"{node.name}_part", inputs=[left, self.layer[source]], **attributes)
            left = self.layer[node.name]
            self.plan.precisions[left]["result"] = _type(node.tensor.format)
        self.append(node, kind, inputs=[left, self.layer[node.inputs[-1]]], **attributes)

    def output(self, node: Output) -> None:
        source = self.layer[node.inputs[0]]
        if source in self.plan.outputs or source in self.plan.inputs:  # each result needs a port of its own
            self.append(node, "HitfabricRequantize")
            source = self.layer[node.name]
        self.layer[node.name] = source
        self.plan.outputs.append(source)


def _type(fixed_point: FixedPoint) -> str:
    return fixed_point.ap_type
