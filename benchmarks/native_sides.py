"""Sides of the benchmark: what computes the same network as the native executor, ready to be timed.

Every side is called through its public Python interface, from NumPy arrays to a NumPy array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from native_networks import Inputs, Workload
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hitfabric.core import GraphError
from hitfabric.emulation import Executor, make_executor
from hitfabric.quantization import Dense, FixedPoint, Input, Node, Output, Requantize, TypedGraph

Call = Callable[[], NDArray[Any]]
EXACT_IN_FLOAT32 = 1 << 24
BLOCK = 4096
"""Rows of a block of the emulator in torch: what it computes of 256 features stays in the second-level cache."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Side:
    """One way to compute a network.

    Attributes:
        family: What it is compared as, e.g. `onnxruntime_float32`; the fastest variant of a family is its time.
        variant: Which form of it.
        prepare: Makes a call of no arguments for given inputs, which gives the outputs. What may be done once and kept
            (wrapping or binding arrays) is done here and not timed, in favour of the other sides.
        exact: Whether its outputs must equal those of the golden executor.
        threaded: Whether it heeds the number of threads; others are timed once.
        maxima: Most nodes and edges it takes; None for any.

    """

    family: str
    variant: str = ""
    prepare: Callable[[Inputs], Call]
    exact: bool = False
    threaded: bool = True
    maxima: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """Family and variant."""
        return f"{self.family}, {self.variant}" if self.variant else self.family

    def takes(self, workload: Workload) -> bool:
        """Whether the workload is within the maxima."""
        if self.maxima is None or not workload.is_graph:
            return True
        return workload.nodes <= self.maxima[0] and workload.items <= self.maxima[1]


def executor_side(name: str, graph: TypedGraph, *, threads: int = 1) -> Side:
    """Side of one of the project's executors."""
    options = {"threads": threads} if name == "native" else {}
    executor = make_executor(name, graph, **options)
    maxima = (graph.maxima.nodes, graph.maxima.edges) if executor.maxima_limited else None
    return Side(family=name, prepare=caller(executor), exact=name != "golden", threaded=name == "native", maxima=maxima)


def caller(executor: Executor) -> Callable[[Inputs], Call]:
    """Calls of `executor.run` that give its only output."""
    (output,) = (node.name for node in executor.graph.outputs)
    return lambda inputs: lambda: executor.run(inputs)[output]


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """A layer of a row network.

    Attributes:
        dense: The exact sums.
        source: Input or Requantize node they are computed from.
        activation: What follows; None after the last layer.

    """

    dense: Dense
    source: Node
    activation: Requantize | None

    def values(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Weights [out, in] and biases [out] as values."""
        if self.dense.bias is None or self.dense.bias_format is None:
            raise GraphError(f"node {self.dense.name} has no bias", remedy="give the layers of the benchmark biases")
        weight = self.dense.weight_format.to_float(self.dense.weight)
        return weight.astype(np.float32), self.dense.bias_format.to_float(self.dense.bias).astype(np.float32)


def layers_of(graph: TypedGraph) -> Iterator[Layer]:
    """Layers of a perceptron, in order.

    Raises:
        GraphError: The graph is not a chain of layers.

    """
    nodes = graph.nodes
    rest, source = list(nodes[1:-1]), nodes[0]
    while rest and isinstance(source, Input | Requantize):
        dense, activation = rest[0], rest[1] if len(rest) > 1 else None
        if not isinstance(dense, Dense) or not isinstance(activation, Requantize | None):
            break
        yield Layer(dense=dense, source=source, activation=activation)
        rest, source = rest[2:], activation or nodes[-1]
    if rest or not isinstance(source, Output):
        raise GraphError(f"{graph.name} is no chain of layers", remedy="give a perceptron")


def float_network(graph: TypedGraph) -> nn.Sequential:
    """Float layers of the same widths and weights; nothing is quantized."""
    modules: list[nn.Module] = []
    for layer in layers_of(graph):
        weight, bias = layer.values()
        linear = nn.Linear(weight.shape[1], weight.shape[0])
        linear.load_state_dict({"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)})
        modules += [linear, nn.ReLU()] if layer.activation else [linear]
    return nn.Sequential(*modules).eval().requires_grad_(False)


class ExactGemm(nn.Module):
    """Emulates a row network in torch: integers in float32, matrix products, shift, floor, clamp.

    Every power of two is part of the weights, which changes no digit of theirs, so that a layer is one matrix product
    and two passes in place.

    Args:
        graph: A perceptron.

    Raises:
        GraphError: A sum may need more than the 24 bits that float32 holds exactly.

    """

    def __init__(self, graph: TypedGraph) -> None:
        super().__init__()
        first = graph.nodes[0].tensor.format
        self.input_format, self.formats = first, []
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for layer in layers_of(graph):
            _check_exact(layer)
            weight, bias = layer.values()
            # From integers of the source to integers of the activation; the outputs are values.
            up = 2.0**layer.activation.tensor.format.fraction if layer.activation else 1.0
            self.formats.append(layer.activation.tensor.format if layer.activation else None)
            scaled = weight * np.float32(up / 2.0**layer.source.tensor.format.fraction), bias * np.float32(up)
            for values, kept in zip(scaled, (self.weights, self.biases), strict=True):
                kept.append(nn.Parameter(torch.from_numpy(values), requires_grad=False))

    def forward(self, features: Tensor) -> Tensor:
        """Outputs [R, out] of features [R, in], both float32 values."""
        x = round_and_clamp(features * 2.0**self.input_format.fraction, self.input_format)
        for weight, bias, form in zip(self.weights, self.biases, self.formats, strict=True):
            x = functional.linear(x, weight, bias)
            if form is not None:
                x = round_and_clamp(x, form)
        return x


def round_and_clamp(x: Tensor, form: FixedPoint) -> Tensor:
    """Round and saturate in place, as the format says."""
    rounded = x.floor_() if form.rounding == "TRN" else x.round_()
    return rounded.clamp_(form.low, form.high)


def _check_exact(layer: Layer) -> None:
    source, dense = layer.source.tensor, layer.dense
    fraction = source.format.fraction + dense.weight_format.fraction
    up = 1 << (dense.tensor.format.fraction - fraction)
    sums = np.abs(dense.weight).sum(axis=1) * max(abs(source.low), abs(source.high)) * up
    if dense.bias is not None and dense.bias_format is not None:
        sums = sums + np.abs(dense.bias) * (1 << (dense.tensor.format.fraction - dense.bias_format.fraction))
    if sums.max() > EXACT_IN_FLOAT32:
        raise GraphError(f"node {dense.name}: float32 does not hold its sums", remedy="use fewer bits or inputs")


def torch_row_sides(graph: TypedGraph, *, threads: int, compiled: bool) -> list[Side]:
    """Torch float32 and the exact emulator, eager and, if asked for, compiled."""
    torch.set_num_threads(threads)
    network, emulator = float_network(graph), ExactGemm(graph).eval()
    sides = [
        Side(family="torch_float32", variant="eager", prepare=torch_caller(network)),
        Side(family="exact_gemm", variant="eager", prepare=torch_caller(emulator), exact=True),
        Side(family="exact_gemm", variant=f"eager, blocks of {BLOCK}", prepare=in_blocks(emulator), exact=True),
    ]
    if compiled:
        sides += [
            Side(family="torch_float32", variant="compiled", prepare=torch_caller(compile_module(network))),
            Side(family="exact_gemm", variant="compiled", prepare=torch_caller(compile_module(emulator)), exact=True),
        ]
    return sides


def compile_module(module: nn.Module) -> Callable[..., Tensor]:
    """`torch.compile` for any number of rows or edges, with no part left eager."""
    return torch.compile(module, dynamic=True, fullgraph=True)


def torch_caller(function: Callable[..., Tensor], order: Sequence[str] | None = None) -> Callable[[Inputs], Call]:
    """Calls of a module without gradients on inputs wrapped once, in the order of `order`."""

    def prepare(inputs: Inputs) -> Call:
        tensors = [torch.from_numpy(inputs[name]) for name in order or inputs]

        def call() -> NDArray[Any]:
            with torch.inference_mode():
                return function(*tensors).numpy()

        return call

    return prepare


def in_blocks(module: nn.Module) -> Callable[[Inputs], Call]:
    """As `torch_caller`, a block of rows at a time."""

    def prepare(inputs: Inputs) -> Call:
        (features,) = (torch.from_numpy(array) for array in inputs.values())

        def call() -> NDArray[Any]:
            with torch.inference_mode():
                return torch.cat([module(block) for block in features.split(BLOCK)]).numpy()

        return call

    return prepare
