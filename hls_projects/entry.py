"""C++ around the firmware: the plain C entry of the C simulation and the self-checking test bench."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

from ..quantization import TypedGraph
from .layers import LayerPlan

TEMPLATES = Path(__file__).parent / "templates"


def entry_source(project: str, plan: LayerPlan, model: Any) -> str:  # noqa: ANN401 - hls4ml is untyped
    """Source of the C entry `hitfabric_csim(inputs, outputs, traced, count)` of an hls4ml model."""
    layers = {layer.name: layer for layer in model.get_layers()}
    targets = [
        f'            targets["{layer}"] = traced[{k}] + i * {_size(layers[layer].get_output_variable())};'
        for k, layer in enumerate(dict.fromkeys(plan.traced.values()))
    ]
    inputs, outputs = model.get_input_variables(), model.get_output_variables()
    body = []
    for k, variable in enumerate(inputs):
        body.append(f"{_declare(variable)};")
        body.append(
            f"nnet::convert_data<const double, {variable.type.name}, {_size(variable)}>"
            f"(inputs[{k}] + i * {_size(variable)}, {_name(variable)});"
        )
    body += [f"{_declare(variable)};" for variable in outputs]
    body.append(f"{project}({', '.join(_name(variable) for variable in [*inputs, *outputs])});")
    for k, variable in enumerate(outputs):
        body.append(
            f"nnet::convert_data<{variable.type.name}, double, {_size(variable)}>"
            f"({_name(variable)}, outputs[{k}] + i * {_size(variable)});"
        )
    template = string.Template((TEMPLATES / "csim_entry.cpp.in").read_text(encoding="utf-8"))
    return template.substitute(
        project=project, traced_count=len(targets), targets="\n".join(targets), body=_indent(body, spaces=8)
    )


def testbench_source(project: str, plan: LayerPlan, model: Any, graph: TypedGraph) -> str:  # noqa: ANN401
    """Source of the test bench, which reads tb_data/<tensor>.txt as `write_vectors` writes them."""
    inputs = list(zip((node.name for node in graph.inputs), model.get_input_variables(), strict=True))
    outputs = list(zip((node.name for node in graph.outputs), model.get_output_variables(), strict=True))
    declarations, body = [], []
    for name, _ in inputs + outputs:
        declarations.append(f'std::ifstream file_{name}("tb_data/{name}.txt");')
        declarations.append(f"std::vector<double> values_{name};")
    for name, variable in inputs:
        body.append(f'if (!read_line(file_{name}, "{name}", {_size(variable)}, values_{name}, ignored))')
        body.append("    break;")
        body.append(f"{_declare(variable)};")
        types = f"double, {variable.type.name}, {_size(variable)}"
        body.append(f"nnet::convert_data<{types}>(values_{name}.data(), {_name(variable)});")
    body += [f"{_declare(variable)};" for _, variable in outputs]
    body.append(f"{project}({', '.join(_name(variable) for _, variable in inputs + outputs)});")
    for name, variable in outputs:
        size = _size(variable)
        body.append(f"std::vector<bool> compared_{name};")
        body.append(f'if (!read_line(file_{name}, "{name}", {size}, values_{name}, compared_{name}))')
        body.append("    break;")
        body.append(f"std::vector<double> found_{name}({size});")
        body.append(
            f"nnet::convert_data<{variable.type.name}, double, {size}>({_name(variable)}, found_{name}.data());"
        )
        body.append(f'mismatches += check("{name}", rows, values_{name}, compared_{name}, found_{name});')
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
