"""The rows of the table: which figures each target is judged on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..core import HitfabricError
from ..quantization import TypedGraph
from .evaluate_all_costs import NetworkCost, network_cost
from .evaluate_all_events import ChainTotals
from .evaluate_all_rows import COLUMNS, DOES_NOT_APPLY, Cell, Condition, Figure, Row
from .evaluate_all_sector import SectorScores, sector_cell
from .networks import GRAPH_FILE

Totals = Mapping[str, ChainTotals | str]
"""Totals of a workload by column, or why there are none."""

PUBLISHED_SIZE = 6448
PUBLISHED = "sector-in-40"
"""The network of Elabd et al., arXiv:2112.02048."""


@dataclass(frozen=True, kw_only=True)
class SectorTarget:
    """Target of a sector network: least AUC, largest loss against the reference, sizes."""

    auc: float | None
    loss: float
    parameters: int | None
    bits: int
    bops_ratio: float | None = None


@dataclass(frozen=True, kw_only=True)
class ChainTarget:
    """Targets of a chain; None is no target.

    Attributes:
        budgets: Edges per hit after radius graph and filter.
        efficiencies: Least efficiency of true edges there.
        kilo_macs: Most thousand multiplications per hit of the embedding, those by 0 included.
        edge_loss: Largest loss of edge efficiency against the float twin.
        track_efficiency: Least track efficiency.
        fake_rate: Largest fake rate.
        track_loss: Largest loss of track efficiency against the float twin.
    """

    budgets: tuple[float, float]
    efficiencies: tuple[float, float | None]
    kilo_macs: float | None
    edge_loss: float | None
    track_efficiency: float
    fake_rate: float
    track_loss: float


SECTOR_TARGETS = {
    "sector-in-8": SectorTarget(auc=0.9985, loss=0.001, parameters=PUBLISHED_SIZE, bits=8),
    "sector-in-40": SectorTarget(auc=0.9985, loss=0.001, parameters=PUBLISHED_SIZE, bits=8),
    "sector-in-4bit": SectorTarget(auc=None, loss=0.003, parameters=None, bits=4, bops_ratio=100),
}
CHAIN_TARGETS = {
    "event-pixel": ChainTarget(
        budgets=(6, 1),
        efficiencies=(0.99, 0.985),
        kilo_macs=3,
        edge_loss=0.003,
        track_efficiency=0.95,
        fake_rate=0.05,
        track_loss=0.01,
    ),
    "event-full": ChainTarget(
        budgets=(12, 1),
        efficiencies=(0.98, None),
        kilo_macs=None,
        edge_loss=None,
        track_efficiency=0.93,
        fake_rate=0.10,
        track_loss=0.01,
    ),
}


def sector_row(
    name: str,
    zoo: Path,
    *,
    validation: Mapping[str, Mapping[str, SectorScores]],
    test: Mapping[str, Mapping[str, SectorScores]],
    twin_bops: float = math.nan,
) -> Row:
    """The row of one sector network.

    Args:
        name: Key of `SECTOR_TARGETS`.
        zoo: Folder of networks.
        validation: Scores by network and column.
        test: The same on events of a fresh seed.
        twin_bops: Bit operations of its float twin, which may be wider: a pruned network's is what it was pruned from.
    """
    target = SECTOR_TARGETS[name]
    cells = {column: sector_cell(scores) for column, scores in validation[name].items()}
    cost = graph_costs(zoo / name)
    auc = cells["quantized"].value("auc")
    loss = cells["float"].value("auc") - auc
    conditions: list[Condition] = []
    notes = [] if cost is None else [_size_note(cost)]
    if target.auc is not None:
        conditions.append(Condition.at_least("AUC", auc, target.auc))
    conditions.append(Condition.at_most("AUC of the float twin - AUC", loss, target.loss))
    if target.bops_ratio is not None:
        ratio = twin_bops / cost.bops if cost else math.nan
        conditions.append(Condition.at_least("BOPs of the float twin / BOPs", ratio, target.bops_ratio))
        notes += [] if cost is None else _bops_notes(cost, graph_costs(zoo / PUBLISHED))
    if target.parameters is not None:
        conditions.append(Condition.at_most("parameters", cost.parameters if cost else math.nan, target.parameters))
    bits = max(cost.weight_bits, cost.activation_bits) if cost else math.nan
    conditions.append(Condition.at_most("bits of weights and activations behind the input scaling", bits, target.bits))
    return Row.judged(
        name,
        "edge AUC",
        validation=_whole(cells, DOES_NOT_APPLY),
        test=_whole({column: sector_cell(scores) for column, scores in test[name].items()}, DOES_NOT_APPLY),
        conditions=tuple(conditions),
        notes=tuple(notes),
    )


def chain_rows(name: str, zoo: Path, *, validation: Totals, test: Totals) -> list[Row]:
    """The rows of one chain: edges after the embedding and after the filter, and tracks."""
    target = CHAIN_TARGETS[name]
    return [
        _edge_row(name, zoo, target, 0, validation=validation, test=test),
        _edge_row(name, zoo, target, 1, validation=validation, test=test),
        _track_row(name, target, validation=validation, test=test),
    ]


def graph_costs(directory: Path, *, rows: int = 1) -> NetworkCost | None:
    """Cost of a shipped typed graph; None where it is not shipped or cannot be read."""
    if not (directory / GRAPH_FILE).is_file():
        return None
    try:
        return network_cost(TypedGraph.load(directory), rows=rows)
    except HitfabricError:
        return None


def _size_note(cost: NetworkCost) -> str:
    sparsity = 1 - cost.nonzero_weights / cost.weights
    scaling = (
        f" ({cost.scaling_parameters} of them in the learned scaling of the inputs, weights of {cost.scaling_bits} bit)"
        if cost.scaling_parameters
        else ""
    )
    return (
        f"{cost.parameters} parameters{scaling}, {sparsity:.0%} of the weights are 0, inputs of {cost.input_bits} bit; "
        f"{cost.bops:.3g} BOPs and {cost.ebops:.3g} EBOPs for the largest graph"
    )


def _bops_notes(cost: NetworkCost, published: NetworkCost | None) -> list[str]:
    """Other references for bit operations, so that the choice of one is no secret."""
    notes = [
        "the float twin is the wider float32 network it was pruned from; against its own shape in float32 it needs "
        f"{cost.float_bops / cost.bops:.0f} times fewer BOPs"
    ]
    if published is not None:
        notes.append(f"against {PUBLISHED} in float32, {published.float_bops / cost.bops:.0f} times fewer BOPs")
    return notes


def _edge_row(name: str, zoo: Path, target: ChainTarget, place: int, *, validation: Totals, test: Totals) -> Row:
    stage = ("radius graph", "filter")[place]
    budget, least = target.budgets[place], target.efficiencies[place]

    def cells(totals: Totals) -> dict[str, Cell]:
        return {
            column: Cell(missing=item) if isinstance(item, str) else item.edge_cell(stage, budget=budget)
            for column, item in totals.items()
            if column != "ckf"
        }

    found = cells(validation)
    quantized, twin = found["quantized"], found["float"]
    conditions: list[Condition] = []
    notes: list[str] = []
    if least is not None:
        conditions.append(Condition.at_least("efficiency", quantized.value("efficiency"), least))
        conditions.append(Condition.at_most("edges per hit", quantized.value("edges_per_hit"), budget))
    if place == 0:
        cost = graph_costs(zoo / name / "embedding")
        kilo = cost.macs / 1000 if cost else math.nan
        if target.kilo_macs is not None:
            conditions.append(Condition.at_most("kMAC per hit", kilo, target.kilo_macs))
        if cost is not None:
            figures = {**quantized.figures, "kilo_macs_per_hit": Figure.number(kilo)}
            found["quantized"] = Cell(figures=figures, missing=quantized.missing)
            notes.append(f"embedding: {cost.macs:,} MACs per hit, {cost.nonzero_macs:,} of them not by 0")
    if target.edge_loss is not None:
        figure = f"efficiency_at_{budget:g}_edges_per_hit"
        at = f" at {budget:g} edges per hit"
        if math.isnan(twin.value(figure) - quantized.value(figure)):
            figure, at = "efficiency", ""
        loss = twin.value(figure) - quantized.value(figure)
        conditions.append(Condition.at_most(f"efficiency of the float twin - efficiency{at}", loss, target.edge_loss))
    if not conditions:
        notes.append("no target")
    return Row.judged(
        f"{name}/{('embedding', 'filter')[place]}",
        f"true edges, pT > 1 GeV, after the {stage}",
        validation=_whole(found, DOES_NOT_APPLY),
        test=_whole(cells(test), DOES_NOT_APPLY),
        conditions=tuple(conditions),
        notes=tuple(notes),
    )


def _track_row(name: str, target: ChainTarget, *, validation: Totals, test: Totals) -> Row:
    def cells(totals: Totals) -> dict[str, Cell]:
        return {
            column: Cell(missing=item) if isinstance(item, str) else item.track_cell()
            for column, item in totals.items()
        }

    found = cells(validation)
    quantized, twin = found["quantized"], found["float"]
    loss = twin.value("efficiency") - quantized.value("efficiency")
    return Row.judged(
        f"{name}/tracks",
        "tracks, pT > 1 GeV, 4 hits or more, |eta| < 4",
        validation=_whole(found, "not run"),
        test=_whole(cells(test), "not run"),
        conditions=(
            Condition.at_least("efficiency", quantized.value("efficiency"), target.track_efficiency),
            Condition.at_most("fake rate", quantized.value("fake_rate"), target.fake_rate),
            Condition.at_most("efficiency of the float twin - efficiency", loss, target.track_loss),
        ),
    )


def _whole(cells: Mapping[str, Cell], missing: str) -> dict[str, Cell]:
    """One cell per column, in order."""
    return {column: cells.get(column, Cell(missing=missing)) for column in COLUMNS}
