"""C++ around the firmware: the plain C entry of the C simulation and the self-checking test bench."""

from __future__ import annotations

import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..quantization import TypedGraph
from .layers import LayerPlan

TEMPLATES = Path(__file__).parent / "templates"


class Ports:
    """C++ that passes values to the top function and takes its results, as AMD's backends declare it."""

    def begin(self) -> list[str]:
        """Lines before the first input."""
        return []

    def load(self, variable: Any, source: str, source_type: str) -> list[str]:  # noqa: ANN401 - hls4ml is untyped
        """Lines that convert the doubles at `source` to an input."""
        types = f"{source_type}, {variable.type.name}, {_size(variable)}"
        return [f"{_declare(variable)};", f"nnet::convert_data<{types}>({source}, {_name(variable)});"]

    def call(self, project: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> list[str]:
        """Lines that run the top function once."""
        arguments = ", ".join(_name(variable) for variable in [*inputs, *outputs])
        return [f"{_declare(variable)};" for variable in outputs] + [f"{project}({arguments});"]

    def read(self, variable: Any, destination: str) -> str:  # noqa: ANN401 - hls4ml is untyped
        """Line that converts an output to doubles at `destination`."""
        types = f"{variable.type.name}, double, {_size(variable)}"
        return f"nnet::convert_data<{types}>({_name(variable)}, {destination});"


def entry_source(project: str, plan: LayerPlan, model: Any, ports: Ports | None = None) -> str:  # noqa: ANN401
    """Source of the C entry `hitfabric_csim(inputs, outputs, traced, count)` of an hls4ml model."""
    layers = {layer.name: layer for layer in model.get_layers()}
    targets = [
        f'            targets["{layer}"] = traced[{k}] + i * {_size(layers[layer].get_output_variable())};'
        for k, layer in enumerate(dict.fromkeys(plan.traced.values()))
    ]
    ports = ports or Ports()
    inputs, outputs = model.get_input_variables(), model.get_output_variables()
    body = ports.begin()
    for k, variable in enumerate(inputs):
        body += ports.load(variable, f"inputs[{k}] + i * {_size(variable)}", "const double")
    body += ports.call(project, inputs, outputs)
    body += [ports.read(variable, f"outputs[{k}] + i * {_size(variable)}") for k, variable in enumerate(outputs)]
    template = string.Template((TEMPLATES / "csim_entry.cpp.in").read_text(encoding="utf-8"))
    return template.substitute(
        project=project, traced_count=len(targets), targets="\n".join(targets), body=_indent(body, spaces=8)
    )


def testbench_source(
    project: str,
    model: Any,  # noqa: ANN401 - hls4ml is untyped
    graph: TypedGraph,
    ports: Ports | None = None,
) -> str:
    """Source of the test bench, which reads tb_data/<tensor>.txt as `write_vectors` writes them."""
    ports = ports or Ports()
    inputs = list(zip((node.name for node in graph.inputs), model.get_input_variables(), strict=True))
    outputs = list(zip((node.name for node in graph.outputs), model.get_output_variables(), strict=True))
    declarations = [f'Tensor file_{name}("{name}", {_size(variable)});' for name, variable in inputs + outputs]
    declarations.append(f"Tensor *const tensors[] = {{{', '.join(f'&file_{name}' for name, _ in inputs + outputs)}}};")
    body = ports.begin()
    for name, variable in inputs:
        body += ports.load(variable, f"file_{name}.values.data()", "double")
    body += ports.call(project, [variable for _, variable in inputs], [variable for _, variable in outputs])
    for name, variable in outputs:
        body.append(f"std::vector<double> found_{name}({_size(variable)});")
        body.append(ports.read(variable, f"found_{name}.data()"))
        body.append(f"mismatches += check(file_{name}, found_{name}, rows);")
    template = string.Template((TEMPLATES / "testbench.cpp.in").read_text(encoding="utf-8"))
    return template.substitute(
        project=project, declarations=_indent(declarations, spaces=4), body=_indent(body, spaces=8)
    )


def _declare(variable: Any) -> str:  # noqa: ANN401 - hls4ml is untyped
    return variable.definition_cpp(name_suffix="_ap")


def _name(variable: Any) -> str:  # noqa: ANN401 - hls4ml is untyped
    return f"{variable.name}_ap"


def _size(variable: Any) -> int:  # noqa: ANN401 - hls4ml is untyped
    return int(variable.size())


def _indent(lines: list[str], *, spaces: int) -> str:
    return "\n".join(" " * spaces + line for line in lines)
