"""Graph modules against plain loops, padding included."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hitfabric.core import ContractError
from hitfabric.quantization.modules import EdgeAggregate, EdgeGather

SIZES = {
    "nodes": st.integers(0, 6),
    "edges": st.integers(0, 9),
    "width": st.integers(1, 4),
    "seed": st.integers(0, 999),
}


def make_graph(nodes: int, edges: int, width: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Integer-valued node and edge features, and an index in which some ends are padding."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(-8, 8, (nodes, width), generator=generator).float()
    e = torch.randint(-8, 8, (edges, width), generator=generator).float()
    return x, e, torch.randint(0, nodes + 3, (edges, 2), generator=generator)


@settings(max_examples=60)
@given(**SIZES)
def test_gather_equals_a_loop(nodes: int, edges: int, width: int, seed: int) -> None:
    x, _, index = make_graph(nodes, edges, width, seed)
    rows = [x[i] if i < nodes else torch.zeros(width) for i in index.reshape(-1).tolist()]
    expected = torch.stack(rows).reshape(edges, 2 * width) if edges else torch.zeros(0, 2 * width)
    assert torch.equal(EdgeGather()(x, index), expected)


@settings(max_examples=60)
@given(column=st.sampled_from([0, 1]), mode=st.sampled_from(["sum", "max"]), **SIZES)
def test_aggregate_equals_a_loop(column: int, mode: str, nodes: int, edges: int, width: int, seed: int) -> None:
    x, e, index = make_graph(nodes, edges, width, seed)
    expected = torch.zeros(nodes, width)
    for row, ends in zip(e, index.tolist(), strict=True):
        if (node := ends[column]) < nodes:
            expected[node] = expected[node] + row if mode == "sum" else torch.maximum(expected[node], row)
    assert torch.equal(EdgeAggregate(column, mode)(e, index, x), expected)  # pyright: ignore[reportArgumentType]


def test_a_batch_of_graphs_gives_each_graph_its_own_result() -> None:
    graphs = [make_graph(5, 7, 3, seed) for seed in range(4)]
    x, e, index = (torch.stack(parts) for parts in zip(*graphs, strict=True))
    gathered, summed = EdgeGather()(x, index), EdgeAggregate()(e, index, x)
    for row, graph in enumerate(graphs):
        assert torch.equal(gathered[row], EdgeGather()(graph[0], graph[2]))
        assert torch.equal(summed[row], EdgeAggregate()(graph[1], graph[2], graph[0]))


def test_gradients_flow_to_real_ends_only() -> None:
    x = torch.ones(2, 1, requires_grad=True)
    e = torch.ones(3, 1, requires_grad=True)
    index = torch.tensor([[0, 1], [0, 5], [7, 1]])
    (EdgeGather()(x, index).sum() + EdgeAggregate()(e, index, x).sum()).backward()
    assert x.grad is not None and x.grad.tolist() == [[2.0], [2.0]]
    assert e.grad is not None and e.grad.tolist() == [[1.0], [0.0], [1.0]]


def test_unknown_columns_and_modes_are_refused() -> None:
    with pytest.raises(ContractError, match="column 2"):
        EdgeAggregate(2)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ContractError, match="mean"):
        EdgeAggregate(1, "mean")  # pyright: ignore[reportArgumentType]
