"""Splits a typed graph into passes over nodes and edges, each of which becomes a pipeline of its own.

Two entry passes (level 0 over nodes and over edges) compute what needs one row of the inputs alone. From there
passes over edges (levels 1, 3, ...) and over nodes (levels 2, 4, ...) take turns: an EdgeGather opens a pass over
edges, an EdgeAggregate one over nodes. A tensor that a later pass needs is kept in a memory by the pass that computes
it; row networks have the one entry pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..core import GraphError
from ..quantization import EdgeAggregate, EdgeGather, Input, Output, TypedGraph

Domain = Literal["R", "N", "E"]
NAMES = {"R": "rows", "N": "nodes", "E": "edges"}


@dataclass(frozen=True, kw_only=True)
class Pass:
    """Work done on the rows of one domain, in order, some lanes per cycle.

    Attributes:
        domain: What the rows are.
        level: 0 for an entry pass, then odd over edges and even over nodes.
        loads: Tensors read in the order of the rows: inputs for an entry pass, tensors of earlier passes for others.
        gathers: EdgeGather nodes evaluated at the start (passes over edges).
        aggregates: EdgeAggregate nodes whose results are read at the start (passes over nodes).
        core: Row-wise nodes computed, in order; may be empty.
        stores: Tensors kept for later passes over the same domain.
        gathered: Tensors kept for the gathers of later passes (passes over nodes).
        scatters: EdgeAggregate nodes this pass feeds (passes over edges).
        outputs: Output nodes that leave the engine here.
    """

    domain: Domain
    level: int
    loads: tuple[str, ...]
    gathers: tuple[str, ...]
    aggregates: tuple[str, ...]
    core: tuple[str, ...]
    stores: tuple[str, ...]
    gathered: tuple[str, ...]
    scatters: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name of the pass: what its rows are, and its level."""
        return f"{NAMES[self.domain]}{self.level}"

    @property
    def enters(self) -> bool:
        """Whether the rows come from an input stream."""
        return self.level == 0


def split_passes(graph: TypedGraph) -> tuple[Pass, ...]:
    """Split a graph into passes, in the order in which a graph goes through them.

    Args:
        graph: The network.

    Returns:
        The passes; both entry passes come first, edges before nodes.

    Raises:
        GraphError: The network mixes domains that one engine cannot hold; the message says which.
    """
    _check_domains(graph)
    return _Splitter(graph).passes()


def domain_of(graph: TypedGraph, name: str) -> Domain:
    """What the rows of a tensor are."""
    domain = graph[name].tensor.shape[0]
    assert domain in ("R", "N", "E")
    return domain


def handed_on(graph: TypedGraph, work: Pass) -> tuple[str, ...]:
    """Tensors that a pass hands on: to memories, accumulators and outputs, each once."""
    consumed = [graph[name].inputs[0] for name in (*work.scatters, *work.outputs)]
    return tuple(dict.fromkeys([*work.stores, *work.gathered, *consumed]))


def _check_domains(graph: TypedGraph) -> None:
    for node in graph.nodes:
        rows = node.tensor.shape[0]
        if isinstance(rows, int):
            raise GraphError(
                f"node {node.name} has a fixed number of rows, {rows}: a stream has as many as its header says",
                remedy='declare the rows as "R", "N" or "E"',
            )
    domains = {str(node.tensor.shape[0]) for node in graph.nodes}
    indices = [node.name for node in graph.inputs if node.tensor.is_index]
    if len(indices) > 1:
        raise GraphError(f"network {graph.name} has {len(indices)} edge indices", remedy="give the RTL engine one")
    if "R" in domains and domains != {"R"}:
        raise GraphError(
            f"network {graph.name} mixes independent rows with nodes or edges", remedy="build them as two networks"
        )
    if "R" not in domains and not indices:
        raise GraphError(
            f"network {graph.name} has rows of {sorted(domains)} and no edge index",
            remedy='declare independent rows as "R"',
        )


class _Splitter:
    def __init__(self, graph: TypedGraph) -> None:
        self.graph = graph
        self.nodes = [node for node in graph.nodes if not node.tensor.is_index]
        self.level: dict[str, int] = {}
        for node in self.nodes:
            self.level[node.name] = self._level_of(node)
        self.reads = {key: self._reads_of(*key) for key in self._keys()}

    def _level_of(self, node: object) -> int:
        match node:
            case Input():
                return 0
            case EdgeGather():
                return self.level[node.inputs[0]] + 1
            case EdgeAggregate():
                return self._scatter_level(node) + 1
            case Output():
                return self.level[node.inputs[0]]
        inputs = getattr(node, "inputs", ())
        return max(self.level[name] for name in inputs)

    def _scatter_level(self, node: EdgeAggregate) -> int:
        # The entry pass over edges runs beside the one over nodes and scatters nothing.
        return max(self.level[node.inputs[0]], 1)

    def _keys(self) -> list[tuple[int, Domain]]:
        """Level and domain of every pass, in order."""
        keys: set[tuple[int, Domain]] = {(self.level[n.name], domain_of(self.graph, n.name)) for n in self.nodes}
        keys |= {(self._scatter_level(n), "E") for n in self.nodes if isinstance(n, EdgeAggregate)}
        if self.graph.is_graph_network:
            keys.add((0, "E"))  # the indices enter there
        return sorted(keys)

    def _last(self, domain: Domain) -> int:
        return max(level for level, found in self._keys() if found == domain)

    def _in_pass(self, level: int, domain: Domain, *kinds: type) -> list[str]:
        return [
            node.name
            for node in self.nodes
            if isinstance(node, kinds) and self.level[node.name] == level and domain_of(self.graph, node.name) == domain
        ]

    def _core(self, level: int, domain: Domain) -> list[str]:
        outside = (Input, Output, EdgeGather, EdgeAggregate)
        every = self._in_pass(level, domain, object)
        return [name for name in every if not isinstance(self.graph[name], outside)]

    def _scatters(self, level: int, domain: Domain) -> list[str]:
        found = [n for n in self.nodes if isinstance(n, EdgeAggregate) and self._scatter_level(n) == level]
        return [node.name for node in found] if domain == "E" else []

    def _outputs(self, level: int, domain: Domain) -> list[str]:
        """All Outputs of a domain leave in one stream, from the last pass over it."""
        if level != self._last(domain):
            return []
        return [node.name for node in self.graph.outputs if domain_of(self.graph, node.name) == domain]

    def _reads_of(self, level: int, domain: Domain) -> list[str]:
        """Tensors of the pass's own domain that it uses and does not make, in the order of the graph."""
        users = [*self._core(level, domain), *self._scatters(level, domain), *self._outputs(level, domain)]
        used = {source for name in users for source in self.graph[name].inputs}
        return [
            node.name
            for node in self.nodes
            if node.name in used and (self.level[node.name] < level or isinstance(node, Input))
        ]

    def passes(self) -> tuple[Pass, ...]:
        return tuple(self._pass(level, domain) for level, domain in self._keys())

    def _pass(self, level: int, domain: Domain) -> Pass:
        made = set(self._in_pass(level, domain, object))
        later = {name for (at, of), names in self.reads.items() if of == domain and at > level for name in names}
        gathered = {n.inputs[0] for n in self.nodes if isinstance(n, EdgeGather)} if domain == "N" else set()
        in_order = [node.name for node in self.nodes if node.name in made]
        return Pass(
            domain=domain,
            level=level,
            loads=tuple(self.reads[level, domain]) if level else tuple(self._in_pass(0, domain, Input)),
            gathers=tuple(self._in_pass(level, domain, EdgeGather)),
            aggregates=tuple(self._in_pass(level, domain, EdgeAggregate)),
            core=tuple(self._core(level, domain)),
            stores=tuple(name for name in in_order if name in later),
            gathered=tuple(name for name in in_order if name in gathered),
            scatters=tuple(self._scatters(level, domain)),
            outputs=tuple(self._outputs(level, domain)),
        )
