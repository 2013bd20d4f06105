"""The estimate of cycles: what the formulas of docs/kernels.md say, and how it moves with each setting."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitfabric.core import ConfigError
from hitfabric.hls_projects import ProjectConfig
from hitfabric.hls_projects.extension import KERNELS
from hitfabric.hls_projects.schedule import PHASES, Schedule, expected_cycles
from hitfabric.quantization import Maxima
from support.hand_graph import hand_graph
from support.message_passing import odd_rows, rounds_network


def cycles(rounds: int = 1, *, maxima: Maxima | None = None, **config: Any) -> Schedule:
    graph = rounds_network(rounds, maxima=maxima or Maxima(nodes=256, edges=1024), residual=True)
    return expected_cycles(graph, ProjectConfig(**config))


def test_phases_are_the_kernels_own() -> None:
    found = re.search(r"edge_phases = (\d+);", (KERNELS / "nnet_edge.h").read_text())
    assert found is not None
    assert int(found[1]) == PHASES


@given(
    nodes=st.integers(1, 2000), edges=st.integers(1, 5000), lanes=st.sampled_from([1, 2, 3, 4, 8]), rounds=st.just(1)
)
def test_intervals_of_the_dataflow_design(nodes: int, edges: int, lanes: int, rounds: int) -> None:
    schedule = cycles(rounds, maxima=Maxima(nodes=nodes, edges=edges), parallelism=lanes)
    node_packets, edge_packets = -(-nodes // lanes), -(-edges // lanes)
    by_kind = {layer.kind: layer.interval for layer in schedule.layers}
    assert by_kind["EdgeGather"] == max(node_packets, edge_packets)
    assert by_kind["EdgeAggregate"] == node_packets + PHASES * -(-edge_packets // PHASES)
    assert schedule.interval == by_kind["EdgeAggregate"]
    # Not before all nodes and edges have come in; within one filling and one scattering per round, and the last gather.
    assert max(node_packets, edge_packets) <= schedule.latency
    assert schedule.latency <= (rounds + 1) * 2 * (node_packets + edge_packets) + 100


def test_lanes_and_rounds() -> None:
    one, four = cycles(), cycles(parallelism=4)
    assert one.interval == 256 + 1024
    assert four.interval == one.interval // 4
    assert four.latency < one.latency / 3
    eight = cycles(8)
    assert eight.interval == one.interval  # each round has memories of its own
    # A round scatters all edges and then collects all nodes, which fills the next round's gather meanwhile.
    assert 1024 + 256 <= (eight.latency - one.latency) / 7 < 1024 + 256 + 60


def test_reuse_and_strategy() -> None:
    assert cycles(reuse_factor=4).interval == 4 * 1024  # the dense layers of the edges
    assert cycles(reuse_factor=4, strategy="Resource").interval > 4 * 1024
    wide = cycles(reuse_factor=4, strategy="Resource", parallelism=8)
    assert wide.interval == cycles(reuse_factor=4, strategy="Resource", parallelism=2).interval  # two ports per memory


@pytest.mark.parametrize("reuse", [1, 3])
def test_throughput_takes_a_graph_every_reuse_factor_cycles(reuse: int) -> None:
    small = Maxima(nodes=16, edges=24)
    schedule = cycles(2, maxima=small, design="throughput", reuse_factor=reuse)
    assert schedule.interval == reuse
    assert schedule.latency < cycles(2, maxima=small).latency
    assert schedule.latency < cycles(2, maxima=small, design="throughput", strategy="Resource").latency
    assert expected_cycles(odd_rows(), ProjectConfig(reuse_factor=reuse)).interval == reuse


def test_quartus_has_other_kernels() -> None:
    with pytest.raises(ConfigError, match="not those of Quartus"):
        cycles(backend="Quartus")


def test_hand_graph_by_hand() -> None:
    # 4 nodes, 6 edges, one lane. The gather reads the 4th node in cycle 3, so that its memory is whole in cycle 4; 2
    # stages; 6 edges: 6 to 11. Dense with 2 inputs: 5 stages: 11 to 16. Scatter: the last edge in cycle 16; 8 slots of
    # 2 trips from cycle 11: 19; 4 for the last phase: 23; collect: 2 stages, 4 nodes: 25 to 28.
    schedule = expected_cycles(hand_graph())
    assert [(layer.name, layer.interval) for layer in schedule.layers] == [
        ("ends", 6),
        ("difference", 6),
        ("total", 12),
    ]
    assert (schedule.interval, schedule.latency) == (12, 28)
