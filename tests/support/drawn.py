"""One graph of a hypothesis strategy by a seed: for tests whose every graph costs seconds of compiling."""

from __future__ import annotations

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hitfabric.quantization import TypedGraph

DRAWS = 12
"""The first draws of hypothesis are the simplest; the last of these is taken."""


def drawn(strategy: st.SearchStrategy[TypedGraph], *, seed: int) -> TypedGraph:
    """The same graph for the same seed."""
    graphs: list[TypedGraph] = []

    @hypothesis.seed(seed)
    @settings(
        max_examples=DRAWS,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
    @given(graph=strategy)
    def draw(graph: TypedGraph) -> None:
        graphs.append(graph)

    draw()
    return graphs[-1]
