"""What hls4ml's Quartus backend needs to be exact: checks, accumulator types, traces.

Its numbers are Mentor's ac_fixed, which conversion by conversion equals the typed graph's formats but for two cases
that are kept away from here: formats of one bit, which hls4ml widens to two, and unsigned values that round up past
the target's last 32-bit word, where ac_fixed loses the carry.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core import GraphError
from ..quantization import Add, Concat, FixedPoint, Input, Requantize, TypedGraph
from .entry import Ports
from .layers import LayerPlan
from .project import ProjectConfig
from .quartus_ports import QuartusParallelPorts, QuartusStreamPorts

WORD = 32  # bits of ac_fixed's storage words
UNSIGNED = re.compile(r"^ap_ufixed<(?P<width>\d+),(?P<integer>-?\d+)")
TRACE = re.compile(
    r"^#ifndef HLS_SYNTHESIS\n"
    r'(?: *nnet::save_layer_output<\w+>\([\w.]+, "(?P<layer>\w+)", [^;]*\);\n)+'
    r"#endif\n",
    flags=re.MULTILINE,
)


def check_quartus(graph: TypedGraph) -> None:
    """Refuse what the Quartus backend cannot compute exactly.

    Raises:
        GraphError: A node's conversion is not exact in ac_fixed; the message names the node.
    """
    for node in graph.nodes:
        if isinstance(node, Input | Requantize) and node.tensor.format.width < 2 and not node.tensor.is_index:
            raise GraphError(
                f"node {node.name} is one bit wide; hls4ml's Quartus backend makes it two",
                remedy="use two bits, or the Vitis backend",
            )
        if isinstance(node, Requantize) and graph.consumers(node.inputs[0]) == (node,):
            for width, fraction in _unsigned_sources(graph, node):
                if loses_carry(width=width, fraction=fraction, target=node.tensor.format):
                    raise GraphError(
                        f"node {node.name} rounds unsigned values of {width} bits, whose carry ac_fixed loses",
                        remedy="round with TRN, keep one bit more or less of the fraction, or use the Vitis backend",
                    )


def loses_carry(*, width: int, fraction: int, target: FixedPoint) -> bool:
    """Whether ac_fixed may convert an unsigned value to 0 that rounds up to a power of 2**32.

    Args:
        width: Bits of the value.
        fraction: Its bits after the binary point.
        target: Format converted to.
    """
    dropped = fraction - target.fraction
    words = -(-(target.width + (not target.signed)) // WORD)
    return dropped > 0 and target.rounding != "TRN" and target.overflow != "WRAP" and width - dropped == WORD * words


def _unsigned_sources(graph: TypedGraph, node: Requantize) -> list[tuple[int, int]]:
    """Width and fraction of unsigned values that hls4ml's own kernels convert to a Requantize node's format.

    Our kernels, and the dense kernel with its signed accumulator, convert signed values only.
    """
    producer = graph[node.inputs[0]]
    formats = [graph[name].tensor.format for name in producer.inputs]
    if isinstance(producer, Concat):
        formats.append(producer.tensor.format)  # three inputs and more pass through it
        return [(form.width, form.fraction) for form in formats if not form.signed]
    if isinstance(producer, Add) and not any(form.signed for form in formats):
        fraction = max(form.fraction for form in formats)
        return [(max(form.integer for form in formats) + 1 + fraction, fraction)]
    return []


def signed_accumulators(plan: LayerPlan, *, keep: Collection[str]) -> LayerPlan:
    """The plan with each unsigned accumulator one bit wider and signed, so that rounding it keeps the carry.

    Args:
        plan: What hls4ml is told.
        keep: Dense nodes whose accumulators stay as they are: planted faults.
    """

    def widened(text: str) -> str:
        return UNSIGNED.sub(lambda m: f"ap_fixed<{int(m['width']) + 1},{int(m['integer']) + 1}", text)

    precisions = {
        layer: {role: widened(text) if role == "accum" and layer not in keep else text for role, text in roles.items()}
        for layer, roles in plan.precisions.items()
    }
    return replace(plan, precisions=precisions)


def trace_each_layer(directory: Path, *, name: str, model: Any) -> None:  # noqa: ANN401 - hls4ml is untyped
    """Let each trace show its own layer.

    hls4ml 1.3.0 writes the last layer's variable into every trace of an io_stream project: it reads a stream that is
    still empty.

    Raises:
        GraphError: The source does not hold one trace for each traced layer.
    """
    layers = {layer.name: layer for layer in model.get_layers() if layer.get_attr("trace", default=False)}
    seen: list[str] = []

    def corrected(match: re.Match[str]) -> str:
        seen.append(match["layer"])
        variable = layers[match["layer"]].get_output_variable()
        arguments = f'{variable.name}, "{match["layer"]}", {variable.size()}'
        return f"#ifndef HLS_SYNTHESIS\n    nnet::save_layer_output<{variable.type.name}>({arguments});\n#endif\n"

    path = directory / "firmware" / f"{name}.cpp"
    text = TRACE.sub(corrected, path.read_text(encoding="utf-8"))
    if sorted(seen) != sorted(layers):
        raise GraphError(f"{path.name} traces {seen}, expected {sorted(layers)}", remedy="install hls4ml 1.3.0")
    path.write_text(text, encoding="utf-8")


def quartus_ports(config: ProjectConfig) -> Ports:
    """How values pass to and from the top function."""
    return QuartusStreamPorts() if config.io_type == "io_stream" else QuartusParallelPorts()
