"""The models of Triton's Python backend that the benchmark serves for comparison; only its stub can import this."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from serving_steps import open_step


class TritonPythonModel:
    """One model; the parameters `step` and `directory` of its configuration say what it computes and from where."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load networks."""
        config = json.loads(args["model_config"])
        parameters = {name: value["string_value"] for name, value in config["parameters"].items()}
        self.inputs = [tensor["name"] for tensor in config["input"]]
        self.outputs = [tensor["name"] for tensor in config["output"]]
        self.compute = open_step(parameters["step"], Path(parameters["directory"]))

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer requests, one after the other."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:  # noqa: ANN401 - the stub's module has no types
        found = {name: pb_utils.get_input_tensor_by_name(request, name) for name in self.inputs}
        given = {name: np.array(tensor.as_numpy()) for name, tensor in found.items() if tensor is not None}
        outputs = self.compute(given)
        tensors = [pb_utils.Tensor(name, np.ascontiguousarray(outputs[name])) for name in self.outputs]
        return pb_utils.InferenceResponse(tensors)
