"""The trained Brevitas model as an executor, so that it joins the comparison node by node."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.fx
from numpy.typing import NDArray
from torch import nn

from ..core import ContractError
from .contract import apply_pruning_masks
from .graph import TypedGraph
from .tracer import trace_model


class BrevitasReference:
    """Evaluates a Brevitas model in float64 and reads its tensors as integers.

    float64 is used because Brevitas' float32 forward is exact only while accumulators stay within 24 bits.

    Args:
        model: The trained model.
        graph: The typed graph traced from it.

    Raises:
        ContractError: The model, taken to float64, is not the model the graph came from.

    """

    name = "brevitas"

    def __init__(self, model: nn.Module, graph: TypedGraph) -> None:
        self.graph = graph
        apply_pruning_masks(model)
        self._model = copy.deepcopy(model).double().eval()
        trace = trace_model(
            self._model,
            name=graph.name,
            maxima=graph.maxima,
            shapes={node.name: node.tensor.shape for node in graph.inputs},
        )
        if trace.graph.digest != graph.digest:
            raise ContractError(
                f"the model is not the one graph {graph.name} was traced from", remedy="trace the graph again"
            )
        self._module = trace.module
        self._origins = trace.origins

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """Outputs as float32 by output name."""
        integers = self.run_integers(inputs, [node.name for node in self.graph.outputs])
        return {
            node.name: node.tensor.format.to_float(integers[node.name]).astype(np.float32)
            for node in self.graph.outputs
        }

    def run_integers(
        self, inputs: Mapping[str, NDArray[Any]], nodes: Sequence[str] | None = None
    ) -> dict[str, NDArray[np.int64]]:
        """Integers of the visible nodes asked for, each on its node's grid.

        Raises:
            ContractError: A value of the model is not on its node's grid, or the model called as it is gives other
                outputs than the operations that torch.fx recorded.

        """
        wanted = [node.name for node in self.graph.visible] if nodes is None else list(nodes)
        recorder = _Recorder(self._module, keep={self._origins[name] for name in wanted})
        arguments = [_tensor(inputs[node.name]) for node in self.graph.inputs]
        with torch.no_grad():
            recorded = _leaves(recorder.run(*arguments))
            called = _leaves(self._model(*arguments))
        if len(recorded) != len(called) or not all(map(torch.equal, recorded, called)):
            raise ContractError(
                f"the model of graph {self.graph.name} computes something that torch.fx does not see",
                remedy="write forward without conditions on anything but constants, hooks or state of its own",
            )
        return {name: self._integers(name, recorder.kept[self._origins[name]]) for name in wanted}

    def _integers(self, name: str, value: torch.Tensor) -> NDArray[np.int64]:
        form = self.graph[name].tensor.format
        scaled = value.numpy() * 2.0**form.fraction
        integers = np.rint(scaled)
        if not np.array_equal(integers, scaled):
            raise ContractError(
                f"node {name} of the model is not on the grid of {form.ap_type}", remedy="trace it again"
            )
        return integers.astype(np.int64)


class _Recorder(torch.fx.Interpreter):
    def __init__(self, module: torch.fx.GraphModule, *, keep: set[str]) -> None:
        super().__init__(module)
        self.keep = keep
        self.kept: dict[str, torch.Tensor] = {}

    def run_node(self, n: torch.fx.Node) -> Any:  # noqa: ANN401 - fx values have any type
        result = super().run_node(n)
        if n.name in self.keep:
            self.kept[n.name] = getattr(result, "value", result).clone()  # `x += y` may change it later
        return result


def _leaves(results: Any) -> list[torch.Tensor]:  # noqa: ANN401 - whatever a model returns
    if hasattr(results, "value"):  # a QuantTensor, itself a tuple
        return [results.value]
    if isinstance(results, torch.Tensor):
        return [results]
    nested = results.values() if isinstance(results, Mapping) else results
    return [leaf for result in nested if result is not None for leaf in _leaves(result)]


def _tensor(array: NDArray[Any]) -> torch.Tensor:
    values = np.ascontiguousarray(array)
    return torch.from_numpy(values.astype(np.int64 if values.dtype.kind in "iu" else np.float64))
