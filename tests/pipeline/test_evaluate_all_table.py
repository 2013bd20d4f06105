"""Rows of the table: which figures a target is judged on, and that what is missing never meets it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from hitfabric.models.zoo import ZOO
from hitfabric.pipeline.evaluate_all_costs import network_cost
from hitfabric.pipeline.evaluate_all_events import ChainTotals, Stage
from hitfabric.pipeline.evaluate_all_models import float_bops, sector_contenders
from hitfabric.pipeline.evaluate_all_rows import COLUMNS, Row
from hitfabric.pipeline.evaluate_all_sector import SectorScores
from hitfabric.pipeline.evaluate_all_table import CHAIN_TARGETS, SECTOR_TARGETS, chain_rows, sector_row
from hitfabric.pipeline.scores import ScoreSample
from hitfabric.quantization import TypedGraph

LABELS = np.arange(4000) % 2 == 0
PERFECT = ScoreSample(scores=LABELS.astype(np.float32), labels=LABELS)
WRONG = ScoreSample(scores=(LABELS ^ (np.arange(4000) % 40 < 2)).astype(np.float32), labels=LABELS)


def row(name: str, zoo: Path, *, quantized: SectorScores, twin: SectorScores, twin_bops: float = math.nan) -> Row:
    scores = {name: {"quantized": quantized, "float": twin, "ceiling": "not shipped: sector-ceiling"}}
    return sector_row(name, zoo, validation=scores, test=scores, twin_bops=twin_bops)


def met(found: Row) -> dict[str, bool]:
    return {condition.requirement: condition.met for condition in found.conditions}


@pytest.mark.parametrize("name", SECTOR_TARGETS)
def test_without_networks_every_sector_target_is_missed(name: str, tmp_path: Path) -> None:
    found = row(name, tmp_path, quantized="not shipped", twin="not shipped")
    assert found.target is False and not any(met(found).values())
    assert tuple(found.validation) == COLUMNS and found.validation["quantized"].missing == "not shipped"


def test_the_shipped_small_network_is_small_enough() -> None:
    found = row("sector-in-8", ZOO, quantized=PERFECT, twin=PERFECT)
    assert found.target is True
    lost = row("sector-in-8", ZOO, quantized=WRONG, twin=PERFECT)
    assert lost.target is False and not met(lost)["AUC of the float twin - AUC <= 0.001"]


def test_bits_of_the_pruned_network_are_counted_against_what_it_was_pruned_from() -> None:
    twin = sector_contenders(ZOO, "sector-in-4bit", "golden")["float"]
    found = row("sector-in-4bit", ZOO, quantized=PERFECT, twin=PERFECT, twin_bops=float_bops(twin))
    ratio = next(item.value for item in found.conditions if item.requirement == "BOPs of the float twin / BOPs >= 100")
    assert ratio == pytest.approx(132, abs=1) and found.target is True
    told = " ".join(found.notes)
    assert "against its own shape in float32 it needs 39 times" in told and "against sector-in-40 in float32" in told
    assert row("sector-in-4bit", ZOO, quantized=PERFECT, twin=PERFECT).target is False


def test_the_cost_of_a_network_knows_its_input_scaling() -> None:
    cost = network_cost(TypedGraph.load(ZOO / "sector-in-4bit"))
    assert (cost.weight_bits, cost.scaling_bits, cost.activation_bits) == (4, 8, 4)
    assert cost.scaling_parameters == 3 * 3 + 3 + 4 * 4 + 4


@pytest.mark.parametrize("name", CHAIN_TARGETS)
def test_without_chains_every_target_is_missed(name: str, tmp_path: Path) -> None:
    totals: dict[str, ChainTotals | str] = dict.fromkeys(COLUMNS, "not shipped")
    rows = chain_rows(name, tmp_path, validation=totals, test=totals)
    assert [found.name for found in rows] == [f"{name}/{part}" for part in ("embedding", "filter", "tracks")]
    assert [found.target for found in rows] == [False, None if name == "event-full" else False, False]
    assert all(found.validation["quantized"].missing == "not shipped" for found in rows)


def chain_totals(kept: int) -> ChainTotals:
    totals = ChainTotals(hits=1000, true_edges=1000)
    totals.stages["radius graph"] = Stage(kept=kept, edges=5500)
    totals.stages["filter"] = Stage(kept=kept, edges=1000)
    return totals


def test_edges_are_judged_on_efficiency_density_and_the_twin(tmp_path: Path) -> None:
    totals: dict[str, ChainTotals | str] = {"quantized": chain_totals(990), "float": chain_totals(992)}
    _, filtered, tracks = chain_rows("event-pixel", tmp_path, validation=totals, test=totals)
    assert filtered.target is True
    assert tracks.target is False  # no track at all: 0 of 0 is not enough
    totals["float"] = chain_totals(999)
    _, filtered, _ = chain_rows("event-pixel", tmp_path, validation=totals, test=totals)
    assert filtered.target is False
