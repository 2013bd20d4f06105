"""Cycles that the kernels' pragmas ask for: an estimate from their loops, not a result of synthesis.

docs/kernels.md derives the formulas. The number of cycles between the trips of a loop is what its pragma states; the
number of stages inside a trip is the tool's choice, and stands here as the small constants below.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..core import ConfigError
from ..quantization import TypedGraph
from .layers import DENSE_LAYERS, plan_layers
from .project import ProjectConfig

STAGES = 2  # assumed between reading and writing of a trip: a register on either side
PHASES = 4  # packets per trip of the scatter, edge_phases in kernels/nnet_edge.h
ROM_PORTS = 2  # lanes or rows that read one weight memory in the same cycle, with the Resource strategy


@dataclass(frozen=True, kw_only=True)
class LayerCycles:
    """Estimate of one layer.

    Attributes:
        name: Layer of the firmware.
        kind: Its class in hls4ml.
        interval: Cycles from one graph (or row) to the next.
        latency: Cycles from its last input to its last result, both of one graph.
    """

    name: str
    kind: str
    interval: int
    latency: int


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Estimate of a network.

    Attributes:
        layers: The layers in order.
        interval: Cycles from one graph (or row) to the next: the slowest layer's.
        latency: Cycles from the first input of a graph (or row) to its last result, in an idle design.
    """

    layers: tuple[LayerCycles, ...]
    interval: int
    latency: int


def expected_cycles(graph: TypedGraph, config: ProjectConfig | None = None) -> Schedule:
    """Estimate the cycles of a project from the pragmas of its kernels, for a graph of maximal size.

    Args:
        graph: The network.
        config: How it is written. With the Resource strategy the layers may take other reuse factors than the one
            configured; the estimate does not know them.

    Returns:
        The estimate.

    Raises:
        ConfigError: The configuration is not one for such a network, or is of Quartus, whose kernels are others.
        GraphError: The network has a node that hls4ml cannot hold.
    """
    config = (config or ProjectConfig()).resolved(graph)
    if config.backend == "Quartus":
        raise ConfigError(
            "the estimate of cycles reads the pragmas of the kernels for Vitis and Vivado, not those of Quartus",
            remedy="use the report of i++ (make csynth)",
        )
    plan = plan_layers(graph, config=config)
    estimator = (_Streams if config.design == "dataflow" else _Registers)(config)
    layers = []
    for layer in plan.layers:
        if layer["class_name"] == "InputLayer":
            estimator.input(layer)
        else:
            layers.append(estimator.add(layer))
    last = max(estimator.last[name] for name in plan.outputs)
    # One pipeline takes a new graph every reuse_factor cycles, whatever the layers are.
    interval = max([config.reuse_factor if estimator.one_pipeline else 1, *(layer.interval for layer in layers)])
    return Schedule(layers=tuple(layers), interval=interval, latency=last)


class _Estimator(ABC):
    """Passes the times of each layer's first and last result on to its readers; cycle 0 is a graph's first input."""

    def __init__(self, config: ProjectConfig) -> None:
        self.reuse = config.reuse_factor
        self.resource = config.strategy == "Resource"
        self.one_pipeline = config.design == "throughput" and not self.resource
        self.lanes = config.parallelism
        self.rows: dict[str, int] = {}  # packets of each layer's stream, or rows of its array
        self.first: dict[str, int] = {}
        self.last: dict[str, int] = {}

    @abstractmethod
    def add(self, layer: Mapping[str, Any]) -> LayerCycles: ...

    def input(self, layer: Mapping[str, Any]) -> None:
        shape = layer["input_shape"]
        self.rows[layer["name"]] = shape[0] if len(shape) == 2 else 1

    def result_rows(self, layer: Mapping[str, Any]) -> int:
        if layer["class_name"] == "EdgeGather":
            return self.rows[layer["inputs"][1]]
        if layer["class_name"] == "EdgeAggregate":
            return -(-layer["n_node"] // layer["n_lane"])
        return self.rows[layer["inputs"][0]]

    def dense_stages(self, layer: Mapping[str, Any]) -> int:
        """A multiplication and a balanced tree of additions."""
        return STAGES + 1 + math.ceil(math.log2(layer["n_in"] + 1))


class _Streams(_Estimator):
    """The dataflow design: every layer, and either half of a graph layer, is a process of its own."""

    def input(self, layer: Mapping[str, Any]) -> None:
        super().input(layer)
        name = layer["name"]
        self.first[name], self.last[name] = 0, self.rows[name] - 1  # a packet per cycle

    def add(self, layer: Mapping[str, Any]) -> LayerCycles:
        kind, name, sources = layer["class_name"], layer["name"], layer["inputs"]
        self.rows[name] = self.result_rows(layer)
        arrived = max(self.last[source] for source in sources)
        match kind:
            case "EdgeGather":
                interval = self.gather(name, *sources)
            case "EdgeAggregate":
                interval = self.aggregate(name, *sources)
            case _:
                interval = self.packets(layer)
        return LayerCycles(name=name, kind=kind, interval=interval, latency=self.last[name] - arrived)

    def packets(self, layer: Mapping[str, Any]) -> int:
        """One packet in, one packet out."""
        name, sources = layer["name"], layer["inputs"]
        step, stages = 1, STAGES
        if layer["class_name"] in DENSE_LAYERS:
            stages = self.dense_stages(layer) + self.reuse - 1
            step = self.reuse
            if self.resource:  # a loop inside a loop: a row starts when the last one is finished
                step = stages = stages * -(-self.lanes // ROM_PORTS)
        self.first[name] = max(self.first[source] for source in sources) + stages
        arrived = max(self.last[source] for source in sources)
        self.last[name] = max(arrived + stages, self.first[name] + (self.rows[name] - 1) * step)
        return self.rows[name] * step

    def gather(self, name: str, nodes: str, index: str) -> int:
        """Fill, then read: the reading process starts when the node memory is whole."""
        filled = self.last[nodes] + 1
        self.first[name] = max(filled, self.first[index]) + STAGES
        self.last[name] = max(self.first[name] + self.rows[name] - 1, self.last[index] + STAGES)
        return max(self.rows[nodes], self.rows[index])

    def aggregate(self, name: str, edges: str, index: str) -> int:
        """Clear, scatter, then collect: the collecting process starts when the last edge is in its bank."""
        packets = PHASES * -(-self.rows[edges] // PHASES)
        arrived = max(self.last[edges], self.last[index])
        started = max(self.rows[name], self.first[edges], self.first[index])  # cleared since cycle 0
        scattered = max(arrived + 1, started + packets) + PHASES
        self.first[name] = scattered + STAGES
        self.last[name] = self.first[name] + self.rows[name] - 1
        return self.rows[name] + packets


class _Registers(_Estimator):
    """The throughput design: one pipeline; with the Resource strategy a chain of functions."""

    def input(self, layer: Mapping[str, Any]) -> None:
        super().input(layer)
        self.last[layer["name"]] = 0

    def add(self, layer: Mapping[str, Any]) -> LayerCycles:
        kind, name, sources = layer["class_name"], layer["name"], layer["inputs"]
        self.rows[name] = self.result_rows(layer)
        latency, interval = 1, self.reuse
        if kind in DENSE_LAYERS:
            latency = self.dense_stages(layer) + self.reuse - 1
            if self.resource:
                latency = interval = latency * self.rows[name]
        elif kind == "EdgeAggregate":  # a comparison and a balanced tree over the edges
            latency = 1 + math.ceil(math.log2(self.rows[sources[0]] + 1))
        self.last[name] = max(self.last[source] for source in sources) + latency
        return LayerCycles(name=name, kind=kind, interval=interval, latency=latency)
