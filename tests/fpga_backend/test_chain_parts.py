"""What the chain computes depends neither on the parts the filter sees nor on threads nor on a compiler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hitfabric.core.errors import MissingToolError
from hitfabric.detector import ALL_LAYERS, PairWindow
from hitfabric.detector import compiled as compiled_module
from hitfabric.detector.compiled import compiled_stages
from hitfabric.emulation import Executor
from hitfabric.fpga_backend import Chain
from hitfabric.fpga_backend import chain as chain_module
from hitfabric.fpga_backend.chain import TrackingResult

MakeHits = Callable[..., np.ndarray]


class Recording:
    """An executor that notes how many rows it is given."""

    name = "recording"
    maxima_limited = False

    def __init__(self, executor: Executor) -> None:
        self.graph = executor.graph
        self.rows: list[int] = []
        self._executor = executor

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs of the executor."""
        self.rows.append(len(inputs["pairs"]))
        return self._executor.run(inputs)

    def run_integers(self, inputs: Mapping[str, np.ndarray], nodes: object = None) -> dict[str, np.ndarray]:
        """Not used by the chain."""
        raise AssertionError


def same(result: TrackingResult, wanted: TrackingResult) -> bool:
    return (
        np.array_equal(result.labels, wanted.labels)
        and np.array_equal(result.edge_index, wanted.edge_index)
        and np.array_equal(result.scores, wanted.scores)
        and np.array_equal(result.candidate_edges, wanted.candidate_edges)  # pyright: ignore[reportArgumentType]
        and np.array_equal(result.candidate_logits, wanted.candidate_logits)  # pyright: ignore[reportArgumentType]
    )


@pytest.fixture
def windowed(chain: Chain) -> Chain:
    """The chain with a window and other scales."""
    window = PairWindow(max_phi_slope=1.0, max_z0=10_000.0)
    changed = {"window": window, "scales": ALL_LAYERS, "max_neighbours": None}
    return replace(chain, config=chain.config.model_copy(update=changed))


@pytest.mark.parametrize("rows", [1, 7, 100])
def test_the_filter_never_sees_more_than_a_part(
    windowed: Chain, make_hits: MakeHits, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = make_hits(1000, seed=12)
    wanted = windowed.track(features, keep_candidates=True)
    assert wanted.candidate_edges is not None and len(wanted.candidate_edges) > 200
    recording = Recording(windowed.executors["filter"])
    monkeypatch.setattr(chain_module, "FILTER_ROWS", rows)
    parts = replace(windowed, executors={**windowed.executors, "filter": recording})
    assert same(parts.track(features, keep_candidates=True), wanted)
    assert max(recording.rows) == rows and sum(recording.rows) == len(wanted.candidate_edges)


def test_threads_change_nothing(chain_directory: Path, chain: Chain, make_hits: MakeHits) -> None:
    features = make_hits(2500, seed=13)  # enough for the radius graph to use threads
    wanted = chain.track(features, keep_candidates=True)
    for threads in (1, 2, 3):
        native = Chain.load(chain_directory, threads=threads)
        assert native.threads == threads
        assert same(native.track(features, keep_candidates=True), wanted)


def test_without_a_compiler_the_tracks_are_the_same(
    windowed: Chain, make_hits: MakeHits, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = make_hits(300, seed=14)
    wanted = windowed.track(features, keep_candidates=True)

    def fails() -> Path:
        raise MissingToolError("no g++", remedy="install it")

    monkeypatch.setattr(compiled_module, "compile_stages", fails)
    compiled_stages.cache_clear()
    with pytest.warns(UserWarning, match="slower: no g\\+\\+"):
        assert same(windowed.track(features, keep_candidates=True), wanted)
    compiled_stages.cache_clear()
