"""The chain's steps in one compiled call: the same edges, scores and tracks as one step after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hitfabric.core import DataError, GraphError, HitfabricWarning
from hitfabric.core.errors import MissingToolError
from hitfabric.detector import ALL_LAYERS, PairWindow
from hitfabric.emulation import make_executor
from hitfabric.fpga_backend import Chain, ChainConfig, compiled_chain
from hitfabric.fpga_backend.compiled_chain import CompiledChain
from hitfabric.models.zoo import zoo_path
from hitfabric.quantization import TypedGraph

MakeHits = Callable[..., np.ndarray]
CHANGES: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "window": {"window": PairWindow(max_phi_slope=0.02, max_z0=500.0)},
    "scales": {"window": PairWindow(max_phi_slope=1.0, max_z0=10_000.0), "scales": ALL_LAYERS},
    "all pass the filter": {"filter_threshold": -1e30},
    "none passes the filter": {"filter_threshold": 1e30},
    "a threshold that float32 rounds": {"filter_threshold": 0.1},
    "components": {"track_builder": "connected_components"},
}


@pytest.fixture(scope="module")
def native(
    config: ChainConfig, graphs: dict[str, TypedGraph], make_interaction_network: Callable[..., TypedGraph]
) -> Chain:
    """A chain of native networks with the edge features of the shipped chains."""
    tracked = config.model_copy(
        update={"max_neighbours": None, "edge_inputs": "track", "track_builder": "walkthrough", "filter_threshold": 0.0}
    )
    networks = {**graphs, "interaction_network": make_interaction_network(3, edge_features=6)}
    return Chain.from_graphs(tracked, networks)


@pytest.fixture(scope="module")
def shipped() -> Chain:
    return Chain.load(zoo_path("event-pixel"), threads=1)


def changed(chain: Chain, **changes: object) -> Chain:
    return replace(chain, config=chain.config.model_copy(update=changes))


def steps_of(chain: Chain) -> CompiledChain:
    steps = chain._compiled  # pyright: ignore[reportPrivateUsage] - which way a result came is not to be seen from it
    assert steps is not None
    return steps


def assert_both_ways_agree(chain: Chain, features: np.ndarray) -> int:
    """Number of edges, after comparing the compiled call with one step after the other, bit for bit."""
    found = steps_of(chain).run(features)
    wanted = chain.track(features, keep_candidates=True)  # candidates are kept by the steps only
    assert found is not None
    assert found.edge_index.dtype == np.int64 and np.array_equal(found.edge_index, wanted.edge_index)
    assert found.scores.dtype == np.float32 and found.scores.tobytes() == wanted.scores.tobytes()
    assert np.array_equal(chain.track(features).labels, wanted.labels)
    return len(found.edge_index)


@pytest.mark.parametrize("change", CHANGES)
def test_every_configuration(native: Chain, make_hits: MakeHits, change: str) -> None:
    chain = changed(native, **CHANGES[change])
    counts = [assert_both_ways_agree(chain, make_hits(hits, seed=hits)) for hits in (2, 3, 40, 700)]
    assert (max(counts) > 0) == (change != "none passes the filter")


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 200), st.integers(0, 2**31), st.sampled_from([1.0, 1e-3, 1e6, 1e30]))
def test_random_events(shipped: Chain, hits: int, seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    features = (rng.normal(0, 1, (hits, 3)) * [100 * scale, 2, 300 * scale]).astype(np.float32)
    features[rng.random((hits, 3)) < 0.05] = 0
    assert_both_ways_agree(shipped, features)


@pytest.mark.parametrize("name", ["event-pixel", "event-full"])
def test_shipped_chains(name: str, make_hits: MakeHits) -> None:
    chain = Chain.load(zoo_path(name))
    assert assert_both_ways_agree(chain, make_hits(1500, seed=7)) > 1000
    features = make_hits(300, seed=8)
    assert assert_both_ways_agree(chain, np.asfortranarray(features)) == assert_both_ways_agree(chain, features)


def test_the_filter_sees_a_part_at_a_time(native: Chain, make_hits: MakeHits) -> None:
    features = make_hits(400, seed=9)
    whole = native.track(features)
    stages = compiled_chain.compiled_stages()
    assert stages is not None
    executors: Any = native.executors
    parts = CompiledChain(native.config, executors, threads=1, filter_rows=3, stages=stages).run(features)
    assert parts is not None and len(parts.edge_index) > 10
    assert np.array_equal(parts.edge_index, whole.edge_index) and np.array_equal(parts.scores, whole.scores)


def test_what_is_left_to_the_steps(native: Chain, chain: Chain, make_hits: MakeHits) -> None:
    steps = steps_of(native)
    assert [steps.takes(hits) for hits in (0, 1, 2, 2047, 2048)] == [False, False, True, True, False]
    assert not steps_of(changed(native, max_edges=44)).takes(11) and steps_of(changed(native, max_edges=45)).takes(10)
    golden = replace(
        native, executors={**native.executors, "filter": make_executor("golden", chain.executors["filter"].graph)}
    )
    for other in (golden, changed(native, max_neighbours=3), changed(native, edge_inputs="graph")):
        assert other._compiled is None  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(GraphError, match="the maximum is 3"):
        changed(native, max_edges=3, radius=10.0).track(make_hits(20))
    with pytest.raises(DataError, match="not finite"):
        native.track(np.full((5, 3), np.nan, dtype=np.float32))
    for hits in (0, 1):
        assert native.track(make_hits(50)[:hits]).labels.tolist() == [-1] * hits


def test_a_failed_step_is_repeated_by_the_steps(native: Chain, make_hits: MakeHits) -> None:
    features = make_hits(200, seed=3)
    wanted = native.track(features)
    failing = changed(native)
    steps_of(failing)._run = lambda *_: None  # type: ignore[method-assign] # pyright: ignore[reportPrivateUsage]
    assert steps_of(failing).run(features) is None
    assert np.array_equal(failing.track(features).labels, wanted.labels)


def test_seconds(native: Chain, make_hits: MakeHits) -> None:
    found = native.track(make_hits(200))
    assert set(found.seconds) == {"embedding", "radius_graph", "filter", "interaction_network", "track_building"}
    assert min(found.seconds.values()) > 0
    assert 0 < found.network_seconds < sum(found.seconds.values())


def test_without_a_compiler(
    native: Chain, make_hits: MakeHits, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    features = make_hits(200, seed=5)
    wanted = native.track(features)
    compiled_chain.compiled_steps.cache_clear()

    def fails(*_: object, **__: object) -> Path:
        raise MissingToolError("no g++", remedy="install it")

    monkeypatch.setattr(compiled_chain, "compile_library", fails)
    monkeypatch.setattr(compiled_chain, "cache_directory", lambda: tmp_path)
    slow = changed(native)
    with pytest.warns(HitfabricWarning, match="small events take longer: no g\\+\\+"):
        slow.compile_host()
    assert np.array_equal(slow.track(features).labels, wanted.labels)
    compiled_chain.compiled_steps.cache_clear()
