"""Drawings of typed graphs, by Graphviz: one box per node with its type, range and cost."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from html import escape
from pathlib import Path

from ..core import ToolError, atomic_file, find_tool
from .cost import GraphCost
from .graph import TypedGraph
from .nodes import Dense, EdgeAggregate, Node, Requantize, TensorType

COLOURS = {
    "Input": "#d9ead3",
    "Output": "#d9ead3",
    "Dense": "#cfe2f3",
    "Requantize": "#fff2cc",
    "EdgeGather": "#f4cccc",
    "EdgeAggregate": "#f4cccc",
}
OTHER_COLOUR = "#eeeeee"
SECONDS = 120


def range_text(tensor: TensorType) -> str:
    """Real values of a tensor's ends; an index' ends."""
    scale = tensor.format.scale
    return f"{tensor.low * scale:.6g} .. {tensor.high * scale:.6g}"


def shape_text(tensor: TensorType) -> str:
    """A shape, e.g. `E x 8`."""
    return " x ".join(str(size) for size in tensor.shape)


def to_dot(graphs: Iterable[tuple[str, TypedGraph, GraphCost]]) -> str:
    """Graphviz source of some graphs, side by side.

    Args:
        graphs: Title, graph and cost of each.

    Returns:
        A directed graph in the DOT language.

    """
    lines = [
        "digraph hitfabric {",
        '  rankdir="TB"; ranksep=0.3; nodesep=0.25; fontname="Helvetica"; bgcolor="white";',
        '  node [shape="box", style="filled,rounded", fontname="Helvetica", fontsize=11, margin="0.1,0.05"];',
        '  edge [color="#555555", arrowsize=0.7];',
    ]
    for number, (title, graph, cost) in enumerate(graphs):
        lines.append(f"  subgraph cluster_{number} {{")
        lines.append(f'    label={_quoted(title)}; labeljust="l"; fontsize=14; color="#999999"; margin=12;')
        for node in graph.nodes:
            colour = COLOURS.get(type(node).__name__, OTHER_COLOUR)
            lines.append(f'    n{number}_{node.name} [label={_label(node, cost)}, fillcolor="{colour}"];')
            for source in node.inputs:
                dashed = ' [style="dashed"]' if graph[source].tensor.is_index else ""
                lines.append(f"    n{number}_{source} -> n{number}_{node.name}{dashed};")
        lines.append("  }")
    return "\n".join([*lines, "}"]) + "\n"


def draw_svg(graphs: Iterable[tuple[str, TypedGraph, GraphCost]], path: Path) -> None:
    """Draw some graphs as one SVG file, whole or not at all.

    Args:
        graphs: Title, graph and cost of each.
        path: File to write.

    Raises:
        ToolError: Graphviz is missing or failed.

    """
    tool = find_tool("dot", purpose="draw a graph")
    try:
        done = subprocess.run(
            [str(tool), "-Tsvg"], input=to_dot(graphs), capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"dot took more than {SECONDS} s", remedy="describe fewer networks") from error
    if done.returncode != 0:
        raise ToolError(f"dot failed: {done.stderr.strip()}", remedy="check the installation of graphviz")
    with atomic_file(path) as temporary:
        temporary.write_text(done.stdout, encoding="utf-8")


def kind_text(node: Node) -> str:
    """Kind of a node with what sets it apart."""
    match node:
        case EdgeAggregate():
            return f"EdgeAggregate {node.mode} at {'receiver' if node.column else 'sender'}"
        case Dense():
            bias = ", bias" if node.bias is not None else ""
            return f"Dense {node.weight.shape[1]} to {node.weight.shape[0]}{bias}"
        case Requantize():
            return "Requantize" if node.tensor.format.signed else "Requantize, ReLU"
    return type(node).__name__


def _label(node: Node, cost: GraphCost) -> str:
    lines = [f"<B>{escape(node.name)}</B>", escape(kind_text(node))]
    lines.append(f"{escape(shape_text(node.tensor))}  {escape(_short(node.tensor.format.ap_type))}")
    if not node.tensor.is_index:
        lines.append(range_text(node.tensor))
    if isinstance(node, Dense):
        lines.append(f"weights {escape(_short(node.weight_format.ap_type))}, {cost[node.name].total_macs:,} MACs")
    return f"<{'<BR/>'.join(lines)}>"


def _short(ap_type: str) -> str:
    return ap_type.replace("AP_", "")


def _quoted(text: str) -> str:
    clean = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{clean}"'
