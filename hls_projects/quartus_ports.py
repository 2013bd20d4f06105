"""C++ that passes values to a top function as hls4ml's Quartus backend declares it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .entry import Ports


class QuartusParallelPorts(Ports):
    """io_parallel: one struct holds all inputs, one struct all outputs."""

    def begin(self) -> list[str]:
        """Lines before the first input."""
        return ["input_data inputs_ac;"]

    def load(self, variable: Any, source: str, source_type: str) -> list[str]:  # noqa: ANN401 - hls4ml is untyped
        """Lines that convert the doubles at `source` to an input."""
        types = f"{source_type}, {variable.type.name}, {variable.size()}"
        return [f"nnet::convert_data<{types}>({source}, inputs_ac.{variable.member_name});"]

    def call(self, project: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> list[str]:
        """Lines that run the top function once."""
        return [f"output_data outputs_ac = {project}(inputs_ac);"]

    def read(self, variable: Any, destination: str) -> str:  # noqa: ANN401 - hls4ml is untyped
        """Line that converts an output to doubles at `destination`."""
        types = f"{variable.type.name}, double, {variable.size()}"
        return f"nnet::convert_data_back<{types}>(outputs_ac.{variable.member_name}, {destination});"


class QuartusStreamPorts(Ports):
    """io_stream: a stream for each input and output. hls4ml has streams of the layers' names at file scope."""

    def load(self, variable: Any, source: str, source_type: str) -> list[str]:  # noqa: ANN401 - hls4ml is untyped
        """Lines that convert the doubles at `source` to an input."""
        types = f"{source_type}, {variable.type.name}, {variable.size()}"
        name = f"{variable.name}_ac"
        return [f"stream_in<{variable.type.name}> {name};", f"nnet::convert_data<{types}>({source}, {name});"]

    def call(self, project: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> list[str]:
        """Lines that run the top function once."""
        arguments = ", ".join(f"{variable.name}_ac" for variable in [*inputs, *outputs])
        declared = [f"stream_out<{variable.type.name}> {variable.name}_ac;" for variable in outputs]
        return [*declared, f"{project}({arguments});"]

    def read(self, variable: Any, destination: str) -> str:  # noqa: ANN401 - hls4ml is untyped
        """Line that converts an output to doubles at `destination`."""
        types = f"{variable.type.name}, double, {variable.size()}"
        return f"nnet::convert_data_back<{types}>({variable.name}_ac, {destination});"
