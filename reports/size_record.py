"""How large graphs are, and which of them an engine of fixed size cannot take."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Self

from pydantic import Field, NonNegativeInt, PositiveInt, RootModel, model_validator

from ..core import StrictModel

GRAPHS_FILE = "graph_sizes.json"


class SizeLimit(StrictModel):
    """Largest graph that is taken.

    Attributes:
        nodes: Most nodes, None where they are not limited.
        edges: Most edges.
        of: Network whose typed graph has these maxima.
    """

    nodes: PositiveInt | None = None
    edges: PositiveInt | None = None
    of: str

    def holds(self, nodes: int, edges: int) -> bool:
        """Whether a graph of this size is taken."""
        return (self.nodes is None or nodes <= self.nodes) and (self.edges is None or edges <= self.edges)


class GraphSizes(StrictModel):
    """Sizes of graphs of one kind.

    Attributes:
        kind: What one graph is, in words ("event after the filter").
        sample: Where they come from.
        limit: Size that something further on cannot exceed, None where nothing is limited.
        sizes: [nodes, edges, graphs of this size], each size once, ascending.
    """

    kind: str
    sample: str
    limit: SizeLimit | None = None
    sizes: tuple[tuple[NonNegativeInt, NonNegativeInt, PositiveInt], ...] = Field(default=())

    @model_validator(mode="after")
    def _ascends(self) -> Self:
        places = [size[:2] for size in self.sizes]
        if any(one >= other for one, other in pairwise(places)):
            raise ValueError("sizes must ascend, each once")
        return self

    @classmethod
    def of(
        cls, counts: Mapping[tuple[int, int], int], *, kind: str, sample: str, limit: SizeLimit | None = None
    ) -> Self:
        """The record of how often each (nodes, edges) was met."""
        sizes = tuple((nodes, edges, count) for (nodes, edges), count in sorted(counts.items()))
        return cls(kind=kind, sample=sample, limit=limit, sizes=sizes)

    @property
    def graphs(self) -> int:
        """Number of graphs."""
        return sum(count for *_, count in self.sizes)

    @property
    def edges(self) -> int:
        """Edges of all graphs."""
        return sum(edges * count for _, edges, count in self.sizes)

    @property
    def over(self) -> tuple[int, int]:
        """Graphs beyond the limit, and the edges in them."""
        beyond = [size for size in self.sizes if self.limit is not None and not self.limit.holds(*size[:2])]
        return sum(count for *_, count in beyond), sum(edges * count for _, edges, count in beyond)


class GraphSizesFile(RootModel[tuple[GraphSizes, ...]]):
    """`graph_sizes.json`, as `hitfabric graphs` writes it."""
