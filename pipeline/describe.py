"""`hitfabric describe`: what each node of a network is, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core import StrictModel
from ..quantization import Dense, Node, TypedGraph
from ..quantization.cost import GraphCost, graph_cost
from ..quantization.drawing import draw_svg
from .networks import select_networks


class DescribeConfig(StrictModel):
    """What to describe.

    Attributes:
        network: Name or directory, see `select_networks`; several networks are described one after the other.
        svg: Picture of all of them to write, None for none.
        nodes: Nodes of the graph that costs are counted for; None takes the maximum.
        edges: Edges of that graph; None takes the maximum.
        rows: Rows that costs of networks of rows are counted for.
    """

    network: str
    svg: Path | None = None
    nodes: int | None = None
    edges: int | None = None
    rows: int = 1


@dataclass(frozen=True, kw_only=True)
class Description:
    """A network, its graph and what it costs."""

    name: str
    graph: TypedGraph
    cost: GraphCost
    sizes: str

    def as_json(self) -> dict[str, Any]:
        """Everything, as JSON values: one entry per node, the totals, and what identifies the graph."""
        cost = self.cost
        return {
            "digest": self.graph.digest,
            "counted_for": self.sizes,
            "macs": cost.macs,
            "bops": cost.bops,
            "ebops": cost.ebops,
            "weights": cost.weights,
            "nonzero_weights": cost.nonzero_weights,
            "weight_bits": cost.weight_bits,
            "nodes": [_node_as_json(node, cost) for node in self.graph.nodes],
        }


def describe_networks(config: DescribeConfig) -> list[Description]:
    """Describe networks, and draw them where asked to.

    Args:
        config: Which ones, for which sizes, and where the picture goes.

    Returns:
        One description per network.

    Raises:
        ConfigError: Nothing has this name.
        GraphError: A graph is malformed, or a size exceeds its maximum.
        ToolError: A picture is wanted and Graphviz is missing.
    """
    described = []
    for network in select_networks([config.network], model=None, projects=None).networks:
        graph = TypedGraph.load(network.graph)
        cost = graph_cost(graph, nodes=config.nodes, edges=config.edges, rows=config.rows)
        described.append(Description(name=network.name, graph=graph, cost=cost, sizes=_sizes(graph, config)))
    if config.svg is not None:
        draw_svg([(f"{item.name}, {item.sizes}", item.graph, item.cost) for item in described], config.svg)
    return described


def _sizes(graph: TypedGraph, config: DescribeConfig) -> str:
    if not graph.is_graph_network:
        return f"{config.rows} row" + ("s" if config.rows != 1 else "")
    nodes = graph.maxima.nodes if config.nodes is None else config.nodes
    edges = graph.maxima.edges if config.edges is None else config.edges
    return f"{nodes} nodes, {edges} edges"


def _node_as_json(node: Node, cost: GraphCost) -> dict[str, Any]:
    tensor, counted = node.tensor, cost[node.name]
    values: dict[str, Any] = {
        "name": node.name,
        "kind": type(node).__name__,
        "inputs": list(node.inputs),
        "shape": list(tensor.shape),
        "type": tensor.format.ap_type,
        "low": tensor.low,
        "high": tensor.high,
        "minimum": tensor.low * tensor.format.scale,
        "maximum": tensor.high * tensor.format.scale,
        "rows": counted.rows,
        "macs": counted.total_macs,
        "bops": counted.total_bops,
        "ebops": counted.total_ebops,
    }
    if isinstance(node, Dense):
        values |= {
            "weight_type": node.weight_format.ap_type,
            "weights": counted.weights,
            "nonzero_weights": counted.nonzero_weights,
            "weight_bits": counted.weight_bits,
        }
    return values
