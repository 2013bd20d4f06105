"""The C simulation of Quartus projects against the golden model, and one property for each backend and interface."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitfabric.core import GraphError
from hitfabric.emulation import make_executor
from hitfabric.emulation.csim import CSimExecutor
from hitfabric.emulation.mutations import KINDS, Mutation, try_mutations
from hitfabric.hls_projects import ProjectConfig
from hitfabric.quantization import Dense, FixedPoint, GraphBuilder, Maxima, TypedGraph
from support.exact_csim import assert_equal
from support.hand_graph import hand_graph
from support.message_passing import odd_network, odd_rows, rounds_network
from support.random_graphs import graph_networks, random_inputs, row_networks

SLOW_DRAW: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck)}
SMALL = Maxima(nodes=7, edges=13)
ROUNDED = FixedPoint(signed=False, width=8, integer=9, rounding="RND_CONV")
RICH = st.one_of(row_networks(), graph_networks(), graph_networks()).filter(
    lambda graph: sum(isinstance(node, Dense) for node in graph.nodes) > 1
)


@pytest.mark.slow
@pytest.mark.parametrize("io_type", ["io_parallel", "io_stream"])
@given(graph=RICH, seed=st.integers(0, 999))
@settings(max_examples=4, **SLOW_DRAW)
def test_random_networks(io_type: str, graph: TypedGraph, seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert_equal(graph, tmp_path_factory.mktemp("random"), seed=seed, backend="Quartus", io_type=io_type)


@pytest.mark.parametrize("design", ["throughput", "dataflow"])
@pytest.mark.parametrize("network", [odd_rows, lambda: odd_network(SMALL), lambda: hand_graph("max")])
def test_every_kind_of_node(network: Callable[[], TypedGraph], design: str, tmp_path: Path) -> None:
    assert_equal(network(), tmp_path, backend="Quartus", design=design)


def test_eight_rounds(tmp_path: Path) -> None:
    assert_equal(rounds_network(8, maxima=SMALL, residual=True), tmp_path, backend="Quartus")


@pytest.mark.parametrize("reuse_factor", [1, 48, 10**4])
def test_reuse_factors_of_a_large_layer(reuse_factor: int, tmp_path: Path) -> None:
    """hls4ml pads the weights of layers of more than 2048 to powers of two."""
    generator, builder = np.random.default_rng(0), GraphBuilder()
    weight = FixedPoint(signed=True, width=6, integer=1, overflow="SAT_SYM")
    source = builder.input("features", shape=("R", 30), format=FixedPoint(signed=True, width=8, integer=3))
    for name, inputs, outputs in (("wide", 30, 72), ("last", 72, 3)):
        values = generator.integers(weight.low, weight.high + 1, (outputs, inputs))
        source = builder.dense(name, source, weight=values, weight_format=weight)
        if name == "wide":
            source = builder.requantize("hidden", source, format=FixedPoint(signed=False, width=7, integer=3))
    builder.output("result", source)
    graph = TypedGraph.from_builder(builder, name="reuse")
    assert_equal(graph, tmp_path, backend="Quartus", reuse_factor=reuse_factor)


def unsigned_accumulator() -> TypedGraph:
    """A dense layer and a requantized input of 33 bits that round up to 2**32."""
    builder = GraphBuilder()
    wide = builder.input("wide", shape=("R", 2), format=FixedPoint(signed=False, width=33, integer=33))
    one = FixedPoint(signed=True, width=2, integer=2)
    builder.output("dense_output", builder.requantize("dense_q", _pick(builder, wide, one), format=ROUNDED))
    builder.output("input_output", builder.requantize("input_q", wide, format=ROUNDED))
    return TypedGraph.from_builder(builder, name="carry")


def _pick(builder: GraphBuilder, source: str, one: FixedPoint) -> str:
    return builder.dense("dense", source, weight=np.array([[1, 0]]), weight_format=one)


def test_the_carry_that_ac_fixed_loses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = unsigned_accumulator()
    assert_equal(graph, tmp_path, backend="Quartus")
    # Without the signed accumulator the largest value becomes 0: the test above has seen the case.
    monkeypatch.setattr("hitfabric.hls_projects.writer.signed_accumulators", lambda plan, **_: plan)
    broken = CSimExecutor(graph, directory=tmp_path / "broken", config=ProjectConfig(backend="Quartus"))
    largest = {"wide": np.full((1, 2), 2.0**33, dtype=np.float32)}
    assert make_executor("golden", graph).run_integers(largest)["dense_q"].tolist() == [[255]]
    assert broken.run_integers(largest)["dense_q"].tolist() == [[0]]


def _rounded_sum() -> TypedGraph:
    builder = GraphBuilder()
    wide = builder.input("wide", shape=("R", 1), format=FixedPoint(signed=False, width=33, integer=33))
    target = FixedPoint(signed=False, width=8, integer=10, rounding="RND_CONV")
    builder.output("result", builder.requantize("rounded", builder.add("twice", wide, wide), format=target))
    return TypedGraph.from_builder(builder, name="sum")


def _one_bit() -> TypedGraph:
    builder = GraphBuilder()
    builder.output("result", builder.input("bit", shape=("R", 1), format=FixedPoint(signed=False, width=1, integer=1)))
    return TypedGraph.from_builder(builder, name="bit")


@pytest.mark.parametrize(
    ("network", "named"),
    [
        (_rounded_sum, "node rounded rounds unsigned values of 34 bits, whose carry ac_fixed loses; round with TRN"),
        (_one_bit, "node bit is one bit wide; hls4ml's Quartus backend makes it two; use two bits"),
    ],
)
def test_refused_where_ac_fixed_is_not_exact(network: Callable[[], TypedGraph], named: str, tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=named):
        CSimExecutor(network(), directory=tmp_path / "project", config=ProjectConfig(backend="Quartus"))
    assert not (tmp_path / "project").exists()


def test_the_same_networks_are_exact_with_vitis(tmp_path: Path) -> None:
    for network in (_rounded_sum(), _one_bit()):
        assert_equal(network, tmp_path / network.name)


def test_stream_depths_are_refused(tmp_path: Path) -> None:
    config = ProjectConfig(backend="Quartus", stream_depths={"edge": 4})
    with pytest.raises(GraphError, match="stream_depths cannot be set for the Quartus backend; use Vitis or Vivado"):
        CSimExecutor(hand_graph(), directory=tmp_path / "project", config=config)


@pytest.mark.slow
def test_each_planted_fault_is_caught(tmp_path: Path) -> None:
    def make(mutation: Mutation) -> CSimExecutor:
        folder = tmp_path / mutation.kind.replace(" ", "-")
        return CSimExecutor(
            mutation.graph,
            directory=folder,
            config=ProjectConfig(backend="Quartus"),
            accumulator_widths=mutation.accumulator_widths,
        )

    graph = hand_graph()
    vectors = random_inputs(graph, seed=1, sizes={"N": 4, "E": 6})
    results = try_mutations(graph, vectors, make=make, executor="csim")
    assert {"weight bit", "negative values", "gather ends"} <= {result.kind for result in results} <= set(KINDS)
    assert all(result.caught and result.executor == "csim" for result in results)
