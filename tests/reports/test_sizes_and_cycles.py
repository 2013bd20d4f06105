"""Sizes of graphs against what an engine takes, and cycles graph by graph."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hitfabric.reports import size_sections, write_report
from hitfabric.reports.cycles_record import NetworkCycles
from hitfabric.reports.cycles_sections import cycles_rows, draw_cycles
from hitfabric.reports.size_record import GraphSizes, SizeLimit
from hitfabric.reports.size_sections import draw_sizes, size_rows

LIMIT = SizeLimit(nodes=20, edges=30, of="network")
PAIRS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 90)), min_size=1, max_size=60)


@given(PAIRS)
def test_every_graph_is_within_or_beyond(pairs: list[tuple[int, int]]) -> None:
    sizes = GraphSizes.of(Counter(pairs), kind="graph", sample="drawn", limit=LIMIT)
    beyond = [(nodes, edges) for nodes, edges in pairs if nodes > 20 or edges > 30]
    assert sizes.graphs == len(pairs)
    assert sizes.edges == sum(edges for _, edges in pairs)
    assert sizes.over == (len(beyond), sum(edges for _, edges in beyond))
    (row,) = size_rows([sizes])
    assert row.over.startswith(f"{len(beyond):,} (" if beyond else "none")
    assert row.nodes[2] == str(max(nodes for nodes, _ in pairs))


@given(st.lists(st.integers(0, 100_000), min_size=1, max_size=50), st.one_of(st.none(), st.integers(1, 100_000)))
def test_bins_hold_every_size_and_none_crosses_the_limit(values: list[int], limit: int | None) -> None:
    edges, _ = size_sections._bins(np.array(values), limit, graphs=len(values))
    assert np.histogram(values, edges)[0].sum() == len(values)
    assert (np.diff(edges) >= 1).all()
    if limit is not None and min(values) <= limit < max(values):
        assert limit + 0.5 in edges


@pytest.mark.parametrize("sizes", [[[2, 1, 1], [2, 1, 1]], [[3, 1, 1], [2, 1, 1]], [[2, 1, 0]], [[-1, 1, 1]]])
def test_sizes_stand_once_and_in_order(sizes: list[list[int]]) -> None:
    with pytest.raises(ValidationError):
        GraphSizes.model_validate_json(json.dumps({"kind": "k", "sample": "s", "sizes": sizes}))


def test_few_graphs_are_in_the_table_alone() -> None:
    few = GraphSizes.of({(2, 1): 9}, kind="few", sample="s")
    assert draw_sizes([few]) is None
    (row,) = size_rows([few])
    assert (row.graphs, row.limit, row.over) == (9, "–", "–")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = draw_sizes([GraphSizes.of({(0, 0): 10}, kind="empty", sample="s", limit=LIMIT), few])
    assert drawn is not None and ElementTree.fromstring(drawn).tag == "svg"


def measured(**values: object) -> NetworkCycles:
    base = {
        "network": "n",
        "workload": "w",
        "size": "rows",
        "sizes": (4, 4, 9),
        "latency": (7, 7, 12),
        "interval": (4, 9),
        "result_interval": (4, 8),
        "mismatches": 0,
    }
    return NetworkCycles.model_validate({**base, **values})


def test_percentiles_of_cycles_occurred() -> None:
    rows = {row.quantity: row.values for row in cycles_rows([measured()])}
    assert rows == {"latency": (7, 12, 12), "interval": (4, 9, 9), "interval between results": (4, 8, 8)}
    assert ElementTree.fromstring(draw_cycles(measured(), name="cycles0")).tag == "svg"


@pytest.mark.parametrize(
    "values", [{"latency": (1, 2)}, {"interval": (1,)}, {"kind": "estimated"}, {"latency": (0,) * 3}]
)
def test_cycles_need_one_entry_per_graph(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        measured(**values)


def test_cycles_of_wrong_results_are_said(tmp_path: Path) -> None:
    (tmp_path / "cycles.json").write_text(f"[{measured(mismatches=2).model_dump_json()}]", encoding="utf-8")
    page = write_report(tmp_path).read_text(encoding="utf-8")
    assert "2 integers of the outputs differ from golden" in page
    assert "2 integers DIFFER from golden" in page
