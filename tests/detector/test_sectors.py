"""Graph samples: files, sectors, packing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hitfabric.core import DataError, GraphError
from hitfabric.detector import (
    GraphPart,
    GraphSample,
    fit_to_maxima,
    pack_components,
    phi_sectors,
    read_graph,
    read_graphs,
    write_graph,
)
from hitfabric.detector.graph_sample import UNFINISHED


def random_graph(seed: int, nodes: int, edges: int) -> GraphSample:
    rng = np.random.default_rng(seed)
    count = edges if nodes else 0
    return GraphSample(
        name=f"graph{seed}",
        nodes=(rng.uniform(-1, 1, (nodes, 3)) * [0, 1, 1] + [0.1, 0, 0]).astype(np.float32),
        edges=rng.normal(size=(count, 4)).astype(np.float32),
        edge_index=rng.integers(0, max(nodes, 1), (count, 2)),
        labels=rng.uniform(size=count) < 0.4,
        particle_id=rng.integers(0, 9, nodes),
    )


graphs = st.builds(random_graph, st.integers(0, 10**6), st.integers(0, 40), st.integers(0, 50))


def message_passing(sample: GraphSample) -> np.ndarray:
    """Two rounds of a sum over incoming edges, in integers: any lost or foreign edge changes the result."""
    state = sample.particle_id + 1
    messages = np.zeros(len(sample.edges), np.int64)
    for _ in range(2):
        messages = state[sample.edge_index[:, 0]] * 31 + state[sample.edge_index[:, 1]]
        state = state.copy()
        np.add.at(state, sample.edge_index[:, 1], messages)
    return messages


def assert_parts_come_from(sample: GraphSample, parts: tuple[GraphPart, ...]) -> None:
    for part in parts:
        np.testing.assert_array_equal(part.sample.nodes, sample.nodes[part.node_rows])
        np.testing.assert_array_equal(part.sample.edges, sample.edges[part.edge_rows])
        np.testing.assert_array_equal(part.sample.labels, sample.labels[part.edge_rows])
        np.testing.assert_array_equal(part.node_rows[part.sample.edge_index], sample.edge_index[part.edge_rows])


@settings(max_examples=60, deadline=None)
@given(sample=graphs, sectors=st.integers(1, 20), eta_sectors=st.integers(1, 3))
def test_sectors_account_for_every_edge(sample: GraphSample, sectors: int, eta_sectors: int) -> None:
    result = phi_sectors(sample, sectors, eta_sectors=eta_sectors)
    assert len(result.parts) == sectors * eta_sectors
    assert_parts_come_from(sample, result.parts)
    nodes = np.concatenate([part.node_rows for part in result.parts])
    assert sorted(nodes) == list(range(len(sample.nodes)))
    kept = np.concatenate([part.edge_rows for part in result.parts])
    assert len(set(kept)) == len(kept) == len(sample.edges) - result.lost_edges
    lost = np.setdiff1d(np.arange(len(sample.edges)), kept)
    assert sample.labels[lost].sum() == result.lost_true_edges
    for number, part in enumerate(result.parts):
        low = -1 + 2 * (number % sectors) / sectors
        assert (part.sample.nodes[:, 1] >= low - 1e-6).all()
        assert (part.sample.nodes[:, 1] <= low + 2 / sectors + 1e-6).all()


def test_one_sector_loses_nothing() -> None:
    sample = random_graph(1, 30, 60)
    result = phi_sectors(sample, 1)
    assert result.lost_edges == 0
    np.testing.assert_array_equal(result.parts[0].sample.edge_index, sample.edge_index)
    with pytest.raises(DataError, match="0 x 1 sectors"):
        phi_sectors(sample, 0)


@settings(max_examples=200, deadline=None)
@given(sample=graphs, nodes=st.integers(1, 50), edges=st.integers(1, 60))
def test_packing_is_exact_or_refused(sample: GraphSample, nodes: int, edges: int) -> None:
    try:
        parts = pack_components(sample, nodes, edges)
    except GraphError as error:
        assert f"the maxima are {nodes} nodes and {edges} edges" in str(error)
        assert len(sample.nodes) > nodes or len(sample.edges) > edges
        return
    assert_parts_come_from(sample, parts)
    for part in parts:
        assert 0 < len(part.sample.nodes) <= nodes and len(part.sample.edges) <= edges
    assert sum(len(part.node_rows) for part in parts) == len(sample.nodes)
    scattered = np.full(len(sample.edges), -1)
    for part in parts:
        scattered[part.edge_rows] = message_passing(part.sample)
    np.testing.assert_array_equal(scattered, message_passing(sample))


def test_packing_fills_pieces() -> None:
    sample = random_graph(3, 12, 0)
    assert [len(part.node_rows) for part in pack_components(sample, 5, 1)] == [5, 5, 2]
    chain = replace(random_graph(3, 4, 3), edge_index=np.array([[0, 1], [1, 2], [2, 3]]))
    with pytest.raises(GraphError, match="component of 4 nodes and 3 edges, the maxima are 3 nodes and 9 edges"):
        pack_components(chain, 3, 9)


def test_fit_to_maxima() -> None:
    sample = random_graph(2, 10, 20)
    assert fit_to_maxima(sample, nodes=10, edges=20) is sample
    for nodes, edges in ((9, 20), (10, 19)):
        with pytest.raises(GraphError, match=f"10 nodes and 20 edges, the maxima are {nodes} nodes and {edges} edges"):
            fit_to_maxima(sample, nodes=nodes, edges=edges)


def test_graph_files(tmp_path: Path) -> None:
    samples = [random_graph(seed, 20, 30) for seed in range(3)]
    for sample in samples:
        write_graph(sample, tmp_path)
    for sample, again in zip(samples, read_graphs(tmp_path), strict=True):
        for name in ("nodes", "edges", "edge_index", "labels", "particle_id"):
            np.testing.assert_array_equal(getattr(sample, name), getattr(again, name))
            assert getattr(sample, name).dtype == getattr(again, name).dtype
    assert len(list(read_graphs(tmp_path, limit=2))) == 2


def test_a_folder_that_was_not_written_to_its_end_is_refused(tmp_path: Path) -> None:
    write_graph(random_graph(0, 5, 8), tmp_path)
    (tmp_path / UNFINISHED).touch()
    with pytest.raises(DataError, match="run it again"):
        next(read_graphs(tmp_path))


def save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez(path, **arrays)  # pyright: ignore[reportArgumentType] - keywords are arrays


def good_arrays() -> dict[str, np.ndarray]:
    sample = random_graph(1, 20, 30)
    return {
        "x": sample.nodes,
        "edge_index": sample.edge_index.T,
        "y": sample.labels.astype(np.uint8),
        "edge_attr": sample.edges,
        "pid": sample.particle_id,
    }


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("edge_index", lambda a: np.where(np.arange(30) == 4, 20, a), r"edge_index\[4, 0\] is 20, there are 20 nodes"),
        ("edge_index", lambda a: a - 21, r"edge_index\[0, 0\] is -"),
        ("edge_index", lambda a: a + 0.5, "does not hold int64"),
        ("edge_index", lambda a: a[:1], "edge_index is int64 of shape"),
        ("x", lambda a: a[:, :2], "nodes is float32 of shape"),
        ("x", lambda a: a * np.nan, r"nodes\[0, 0\] is not finite"),
        ("x", lambda a: a.astype(str), "does not hold float32"),
        ("edge_attr", lambda a: a + np.inf, r"edges\[0, 0\] is not finite"),
        ("edge_attr", lambda a: a[1:], "edges is float32 of shape"),
        ("y", lambda a: a + 1, "does not hold bool"),
        ("pid", lambda a: a[1:], "particle_id is int64 of shape"),
    ],
)
def test_wrong_graphs_are_refused(
    tmp_path: Path, key: str, change: Callable[[np.ndarray], np.ndarray], message: str
) -> None:
    arrays = good_arrays()
    save(tmp_path / "bad.npz", arrays | {key: change(arrays[key])})
    with pytest.raises(DataError, match=message) as caught:
        read_graph(tmp_path / "bad.npz")
    assert "bad.npz" in str(caught.value)


def test_unreadable_graph_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no"):
        list(read_graphs(tmp_path))
    with pytest.raises(DataError, match="is not a directory"):
        list(read_graphs(tmp_path / "nowhere"))
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 nonsense")
    with pytest.raises(DataError, match=r"cannot read .*bad\.npz"):
        read_graph(tmp_path / "bad.npz")
    arrays = good_arrays()
    del arrays["pid"]
    save(tmp_path / "short.npz", arrays)
    with pytest.raises(DataError, match="has no array pid"):
        read_graph(tmp_path / "short.npz")


def test_real_sectors_fit_the_default_maxima(shared_data: Path) -> None:
    true = lost = 0
    for sample in read_graphs(shared_data / "trackml_graphs" / "plus_2GeV", limit=10):
        result = phi_sectors(sample, 16)
        for part in result.parts:
            fit_to_maxima(part.sample, nodes=256, edges=512)
        true += int(sample.labels.sum())
        lost += result.lost_true_edges
    assert 0 < lost < 0.02 * true
