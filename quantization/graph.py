"""The typed dataflow graph: extracted once from a trained model, read by everything after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..core import GraphError
from .builder import IDENTIFIER, GraphBuilder, Maxima
from .nodes import Add, Concat, Dense, EdgeAggregate, EdgeGather, Input, Node, Output, Requantize, TensorType


@dataclass(frozen=True, kw_only=True)
class TypedGraph:
    """Nodes in topological order with exact types; see docs/architecture.md for each node's meaning.

    Attributes:
        name: Name of the network, an identifier.
        nodes: The nodes; every type has been derived by `GraphBuilder`.
        maxima: Static maxima of nodes and edges; meaningless for a network of rows.

    """

    name: str
    nodes: tuple[Node, ...]
    maxima: Maxima

    @classmethod
    def from_builder(cls, builder: GraphBuilder, *, name: str) -> TypedGraph:
        """Finish a builder.

        Raises:
            GraphError: The name is no identifier, there is no input or no output, or a node is used by nothing.

        """
        if not IDENTIFIER.match(name):
            raise GraphError(f"graph name {name!r} is not an identifier", remedy="use letters, digits and _")
        nodes = tuple(builder.nodes.values())
        used = {source for node in nodes for source in node.inputs}
        unused = [node.name for node in nodes if node.name not in used and not isinstance(node, Output)]
        if unused:
            raise GraphError(f"graph {name}: nodes {unused} are used by nothing", remedy="remove them or name outputs")
        graph = cls(name=name, nodes=nodes, maxima=builder.maxima)
        if not graph.inputs or not graph.outputs:
            raise GraphError(f"graph {name} has no input or no output", remedy="add both")
        return graph

    def __getitem__(self, name: str) -> Node:
        for node in self.nodes:
            if node.name == name:
                return node
        raise GraphError(f"graph {self.name} has no node {name}", remedy=f"use one of {[n.name for n in self.nodes]}")

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Input nodes in order."""
        return tuple(node for node in self.nodes if isinstance(node, Input))

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Output nodes in order."""
        return tuple(node for node in self.nodes if isinstance(node, Output))

    @property
    def is_graph_network(self) -> bool:
        """Whether the network takes nodes and edges, rather than independent rows."""
        return any(node.tensor.is_index for node in self.inputs)

    @property
    def visible(self) -> tuple[Node, ...]:
        """Nodes compared between executors: every requantized tensor and output."""
        return tuple(node for node in self.nodes if isinstance(node, Requantize | Output))

    def consumers(self, name: str) -> tuple[Node, ...]:
        """Nodes that read `name`."""
        return tuple(node for node in self.nodes if name in node.inputs)

    def with_maxima(self, maxima: Maxima) -> TypedGraph:
        """The same network for other maxima, with every range derived anew."""
        return rebuild(self, maxima=maxima)

    def with_dense(self, name: str, **changes: Any) -> TypedGraph:  # noqa: ANN401 - fields of Dense
        """The same network with fields of one Dense node changed, and every range derived anew."""
        node = self[name]
        if not isinstance(node, Dense):
            raise GraphError(f"node {name} is {type(node).__name__}, not Dense", remedy="name a Dense node")
        return rebuild(self, replacements={name: replace(node, **changes)})

    def save(self, directory: Path, *, provenance: Mapping[str, Any] | None = None) -> None:
        """Write `graph.json`, `weights.npz` and `manifest.json` to `directory`, whole or not at all."""
        from .storage import save_graph

        save_graph(self, directory, provenance=provenance or {})

    @classmethod
    def load(cls, directory: Path) -> TypedGraph:
        """Read and validate a saved graph.

        Raises:
            GraphError: A file is missing, malformed or altered, or a declared type is not the derived one.

        """
        from .storage import load_graph

        return load_graph(directory)

    @property
    def digest(self) -> str:
        """SHA-256 of the structure, types and weights."""
        from .storage import graph_digest

        return graph_digest(self)


def rebuild(
    graph: TypedGraph, *, maxima: Maxima | None = None, replacements: Mapping[str, Node] | None = None
) -> TypedGraph:
    """Pass every node through a builder again, deriving all types.

    Args:
        graph: Graph to rebuild.
        maxima: New maxima, or None to keep them.
        replacements: Nodes that take the place of those of the same name.

    Returns:
        The rebuilt graph.

    """
    builder = GraphBuilder(maxima=maxima or graph.maxima)
    for node in graph.nodes:
        _append(builder, (replacements or {}).get(node.name, node))
    return TypedGraph.from_builder(builder, name=graph.name)


SOURCES: dict[type[Node], int] = {Input: 0, Dense: 1, Requantize: 1, Add: 2, EdgeGather: 2, EdgeAggregate: 2, Output: 1}


def _append(builder: GraphBuilder, node: Node) -> None:
    expected = SOURCES.get(type(node), len(node.inputs))
    if len(node.inputs) != expected:
        kind = type(node).__name__
        raise GraphError(f"node {node.name} has {len(node.inputs)} inputs", remedy=f"give a {kind} {expected}")
    match node:
        case Input(tensor=TensorType(is_index=True)):
            builder.edge_index(node.name)
        case Input():
            builder.input(node.name, shape=node.tensor.shape, format=node.tensor.format)
        case Dense():
            builder.dense(
                node.name,
                *node.inputs,
                weight=node.weight,
                weight_format=node.weight_format,
                bias=node.bias,
                bias_format=node.bias_format,
            )
        case Requantize():
            builder.requantize(node.name, *node.inputs, format=node.tensor.format)
        case Concat():
            builder.concat(node.name, node.inputs)
        case Add():
            builder.add(node.name, *node.inputs)
        case EdgeGather():
            builder.edge_gather(node.name, *node.inputs)
        case EdgeAggregate():
            builder.edge_aggregate(node.name, *node.inputs, column=node.column, mode=node.mode)
        case Output():
            builder.output(node.name, *node.inputs)
        case _:
            raise GraphError(f"unknown node kind {type(node).__name__}", remedy="use the documented nodes")
