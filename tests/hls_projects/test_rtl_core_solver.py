"""The search for shared sums: right products, bounded time, a cache that is checked."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hitfabric.core import HitfabricWarning, ToolError
from hitfabric.hls_projects import rtl_core_solver
from hitfabric.hls_projects.rtl_core_cost import lut_estimate
from hitfabric.hls_projects.rtl_core_netlist import Netlist
from hitfabric.hls_projects.rtl_core_products import Product, Summand, plain_product
from hitfabric.hls_projects.rtl_core_search import Problem
from hitfabric.hls_projects.rtl_core_solver import find_product
from hitfabric.hls_projects.rtl_core_sums import signed_digits
from hitfabric.hls_projects.rtl_core_worker import search
from support.rtl_netlists import evaluate, term_value

SECONDS = 100.0


def problem(rows: int, columns: int, *, seed: int = 0, bits: int = 6, low: int = -20, high: int = 100) -> Problem:
    random = np.random.default_rng(seed)
    return Problem(
        weight=random.integers(-(1 << bits), 1 << bits, (rows, columns)).tolist(),
        constants=random.integers(-500, 500, rows).tolist(),
        ranges=[(low, high)] * columns,
        depths=[0] * columns,
    )


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def entries(cache: Path) -> list[Path]:
    return sorted(cache.rglob("rtl/products/*.json"))


def refuse_to_search(*arguments: object, **options: object) -> None:
    raise AssertionError("the search was started again")


@given(number=st.integers(-(2**70), 2**70))
def test_signed_digits(number: int) -> None:
    digits = list(signed_digits(number))
    assert sum((-1 if negative else 1) << power for power, negative in digits) == number
    assert all(b[0] - a[0] >= 2 for a, b in pairwise(digits))


@given(
    shape=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    seed=st.integers(0, 10**6),
    bits=st.integers(1, 9),
    low=st.integers(-40, 10),
    span=st.integers(1, 300),
)
@settings(max_examples=12)
def test_every_product_found_is_the_matrix(shape: tuple[int, int], seed: int, bits: int, low: int, span: int) -> None:
    wanted = problem(*shape, seed=seed, bits=bits, low=low, high=low + span)
    found = [product for _, product in search(wanted)]
    assert found
    random = np.random.default_rng(seed)
    vector = random.integers(low, low + span, shape[1], endpoint=True).tolist()
    for product in (plain_product(wanted.weight), found[0], found[-1]):
        assert product.matrix() == wanted.weight
        assert outputs(wanted, product, vector) == [
            sum(factor * value for factor, value in zip(row, vector, strict=True)) + constant
            for row, constant in zip(wanted.weight, wanted.constants, strict=True)
        ]


def outputs(wanted: Problem, product: Product, vector: list[int]) -> list[int]:
    """What a netlist of the product makes of a vector."""
    netlist, row = Netlist(), 0
    sources = []
    for place, ((low, high), value) in enumerate(zip(wanted.ranges, vector, strict=True)):
        sources.append(netlist.input(offset=64 * place, bits=64, low=low, high=high))
        row |= (value & ((1 << 64) - 1)) << (64 * place)
    terms = product.build(netlist, sources, wanted.constants)
    values = evaluate(netlist, row)
    return [term_value(values, term) for term in terms]


def test_sharing_saves_luts(cache: Path) -> None:
    wanted = problem(8, 8, low=0, high=255)
    product, solver = find_product(wanted, name="dense", seconds=SECONDS)
    assert (solver, product.matrix()) == ("da4ml", wanted.weight)
    assert wanted.cost(product) < 0.95 * wanted.cost(plain_product(wanted.weight))


def test_a_second_search_takes_what_was_found(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = problem(3, 4)
    first = find_product(wanted, name="dense", seconds=SECONDS)
    monkeypatch.setattr(rtl_core_solver, "_search", refuse_to_search)
    assert find_product(wanted, name="dense", seconds=SECONDS) == first
    # Other ranges make another product.
    with pytest.raises(AssertionError, match="started again"):
        find_product(problem(3, 4, high=101), name="dense", seconds=SECONDS)


def test_too_little_time_gives_the_plain_sums(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = problem(6, 6)
    for _ in range(2):  # the second time from the cache
        with pytest.warns(HitfabricWarning, match=r"layer dense: da4ml gave nothing within 0\.01 s; .* solver_seconds"):
            product, solver = find_product(wanted, name="dense", seconds=0.01)
        assert (product, solver) == (plain_product(wanted.weight), "shift_add")
        monkeypatch.setattr(rtl_core_solver, "_search", refuse_to_search)
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    assert find_product(wanted, name="dense", seconds=SECONDS)[1] == "da4ml"  # more time: it is searched again
    assert json.loads(entries(cache)[0].read_text())["finished"]


def truncated(entry: Path) -> str:
    return entry.read_text()[:-20]


def of_another_matrix(entry: Path) -> str:
    content = json.loads(entry.read_text())
    source, shift, negative = content["product"]["results"][0][0]
    content["product"]["results"][0][0] = [source, shift, not negative]
    return json.dumps(content)


def reading_ahead(entry: Path) -> str:
    content = json.loads(entry.read_text())
    content["product"]["results"][0][0] = [10**6, 0, False]
    return json.dumps(content)


@pytest.mark.parametrize("damage", [truncated, of_another_matrix, reading_ahead, lambda entry: "\0"])
def test_a_damaged_entry_is_made_again(damage: object, cache: Path) -> None:
    assert callable(damage)
    wanted = problem(3, 3)
    first = find_product(wanted, name="dense", seconds=SECONDS)
    (entry,) = entries(cache)
    whole = entry.read_text()
    entry.write_text(damage(entry))
    assert find_product(wanted, name="dense", seconds=SECONDS) == first
    assert entry.read_text() == whole


def test_what_da4ml_cannot_hold_is_said(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = problem(2, 2)
    wide = wanted.model_copy(update={"weight": [[(1 << 25) + 1, 3], [5, 7]]})
    with pytest.warns(HitfabricWarning, match="weights of more than 24 bits"):
        assert find_product(wide, name="dense", seconds=SECONDS) == (plain_product(wide.weight), "shift_add")


def test_a_solver_that_fails_is_an_error(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtl_core_solver, "WORKER", "rtl_no_such_module")
    with pytest.raises(ToolError, match=r"layer dense: da4ml failed with code 1: .*rtl_no_such_module.*; run: pip"):
        find_product(problem(3, 3), name="dense", seconds=SECONDS)
    assert entries(cache) == []


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ToolError, match="set XDG_CACHE_HOME"):
        find_product(problem(3, 3), name="dense", seconds=SECONDS)


@pytest.mark.slow
def test_wide_layers_are_solved_in_blocks_first() -> None:
    wanted = problem(40, 70, bits=3, low=0, high=15)
    cost, product = next(iter(search(wanted)))
    assert product.matrix() == wanted.weight
    assert cost < wanted.cost(plain_product(wanted.weight))


def test_a_product_reads_only_what_is_before_it() -> None:
    for shared, results in (
        ([[Summand(1, 0, False)]], []),
        ([], [[Summand(0, -1, False)]]),
        ([], [[Summand(2, 0, False)]]),
    ):
        with pytest.raises(ValidationError, match="a sum reads"):
            Product(inputs=1, shared=shared, results=results)


def test_estimate_counts_what_is_read() -> None:
    netlist = Netlist()
    left, right = (netlist.input(offset=8 * place, bits=8, low=0, high=255) for place in (0, 1))
    total = netlist.add(left, right)
    netlist.add(total, left)  # read by nothing
    assert lut_estimate(netlist, [total]) == 9
