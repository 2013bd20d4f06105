"""`hitfabric evaluate --all`: the table of every target, over the shipped networks, in one command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from ..core import RunDirectory, StrictModel
from ..fpga_backend import Chain
from ..models.metrics import Fiducial
from ..models.zoo import ZOO
from .evaluate_all_acts import acts_totals
from .evaluate_all_data import (
    FreshConfig,
    Sample,
    find_data,
    sector_graph,
    simulate_once,
    simulated_sample,
    validation_sample,
)
from .evaluate_all_events import ChainTotals, run_chains
from .evaluate_all_models import Contender, chain_contenders, sector_contenders
from .evaluate_all_rows import Row
from .evaluate_all_sector import SectorScores, run_sectors
from .evaluate_all_table import CHAIN_TARGETS, SECTOR_TARGETS, Totals, chain_rows, sector_row
from .layout import EVENTS, Device

RESULT = "evaluate_all.json"
SCAN_CHAIN = "event-pixel"
QUICK: dict[str, Any] = {
    "events": 1,
    "graphs": 3,
    "curve_events": 1,
    "fresh": {"events": 1, "pile_up": 10.0, "generator": "helix", "scan_pile_up": [3.0], "scan_events": 1},
}
"""Settings that take seconds: few events, the fresh ones ideal helices through pixel layers. Poor statistics."""


class EvaluateAllConfig(StrictModel):
    """Configuration of `hitfabric evaluate --all`.

    Attributes:
        data: Folder with `acts_ttbar_pu200` and `trackml_graphs/plus_2GeV`; None takes the one beside the checkout
            where it exists. What is not there is simulated, and said so.
        out: Run directory to write; simulated events are kept there and used again.
        zoo: Folder of networks; None takes the shipped ones.
        device: Executor of the quantized networks.
        events: At most this many validation and test events; None takes all.
        graphs: At most this many validation graphs; None takes all.
        curve_events: Validation events on which efficiency against edges per hit is taken.
        fresh: Events simulated for the test sample.
        fiducial: Cuts of the track metrics.
    """

    data: Path | None = None
    out: Path = Path("runs/evaluate-all")
    zoo: Path | None = None
    device: Device = "native"
    events: int | None = Field(default=None, ge=1)
    graphs: int | None = Field(default=None, ge=1)
    curve_events: int = Field(default=2, ge=1)
    fresh: FreshConfig = FreshConfig()
    fiducial: Fiducial = Fiducial()


@dataclass(frozen=True, kw_only=True)
class Split:
    """One sample and what everybody made of it.

    Attributes:
        sample: The sample.
        sectors: Pooled edge scores by sector network and column.
        chains: Totals by chain and column.
    """

    sample: Sample
    sectors: Mapping[str, Mapping[str, SectorScores]]
    chains: Mapping[str, Totals]


@dataclass(frozen=True, kw_only=True)
class AllResult:
    """Outcome of `evaluate_all`.

    Attributes:
        rows: The table.
        validation: The validation split; targets are judged on it.
        test: Events of a fresh seed.
        scan: Totals of the pixel chain at other pile-ups, by column; one entry per pile-up.
        zoo: Folder of the networks.
    """

    rows: tuple[Row, ...]
    validation: Split
    test: Split
    scan: Mapping[float, Totals]
    zoo: Path

    def as_json(self) -> dict[str, Any]:
        """Table, targets by row, and what the two samples are."""
        return {
            "table": [row.model_dump(mode="json") for row in self.rows],
            "targets": {row.name: row.target for row in self.rows if row.target is not None},
            "data": self.validation.sample.describe(),
            "test": {
                **self.test.sample.describe(),
                "table": {
                    row.name: {column: cell.model_dump(mode="json") for column, cell in row.test.items()}
                    for row in self.rows
                },
            },
        }


def evaluate_all(config: EvaluateAllConfig) -> AllResult:
    """Fill the table of targets: quantized, float twin, ceiling and track finder of ACTS side by side.

    Args:
        config: Data, networks, samples.

    Returns:
        The table and what it was made from; `evaluate_all.json` holds the table.

    Raises:
        DataError: The data folder does not exist, or holds malformed files.
        ToolError: The compiler is missing, or the simulation failed.
    """
    zoo = config.zoo or ZOO
    sectors = {name: sector_contenders(zoo, name, config.device) for name in SECTOR_TARGETS}
    chains = {name: chain_contenders(zoo, name, config.device) for name in CHAIN_TARGETS}
    validation_data = validation_sample(
        find_data(config.data),
        config.fresh,
        config.out,
        events=config.events,
        graphs=config.graphs,
        make_graph=sector_graph,
    )
    test_data = simulated_sample(
        config.fresh, config.out, "test", seed=config.fresh.test_seed, events=config.events, make_graph=sector_graph
    )
    validation = Split(
        sample=validation_data,
        sectors=run_sectors(sectors, validation_data.graphs, description="sector networks (validation)"),
        chains=_run(chains, validation_data, config, "chains (validation)"),
    )
    test = Split(
        sample=test_data,
        sectors=run_sectors(sectors, test_data.graphs, description="sector networks (test)"),
        chains=_run(chains, test_data, config, "chains (test)"),
    )
    rows = [sector_row(name, zoo, validation=validation.sectors, test=test.sectors) for name in SECTOR_TARGETS]
    for name in CHAIN_TARGETS:
        rows += chain_rows(name, zoo, validation=validation.chains[name], test=test.chains[name])
    result = AllResult(
        rows=tuple(rows), validation=validation, test=test, scan=_scan(chains[SCAN_CHAIN], config), zoo=zoo
    )
    run = RunDirectory(path=config.out)
    run.write_json(RESULT, result.as_json())
    run.record(command="evaluate --all", config=config, inputs=[zoo], seed=config.fresh.test_seed)
    return result


def _run(
    chains: Mapping[str, Mapping[str, Contender[Chain]]], sample: Sample, config: EvaluateAllConfig, description: str
) -> dict[str, dict[str, ChainTotals | str]]:
    found = run_chains(
        chains, sample.events, fiducial=config.fiducial, curve_events=config.curve_events, description=description
    )
    outcomes: dict[str, dict[str, ChainTotals | str]] = {}
    for name, columns in chains.items():
        outcomes[name] = {column: _outcome(item, found[name].get(column)) for column, item in columns.items()}
        outcomes[name]["ckf"] = acts_totals(
            name, sample.events, fiducial=config.fiducial, description=f"ACTS on {name}"
        )
    return outcomes


def _outcome(item: Contender[Chain], totals: ChainTotals | None) -> ChainTotals | str:
    if totals is None:
        return item.missing or "not shipped"
    return totals if totals.refused is None else totals.refused


def _scan(chains: Mapping[str, Contender[Chain]], config: EvaluateAllConfig) -> dict[float, Totals]:
    """The pixel chain at other pile-ups."""
    found: dict[float, Totals] = {}
    for pile_up in config.fresh.scan_pile_up:
        simulation = config.fresh.simulation(
            seed=config.fresh.test_seed, events=config.fresh.scan_events, pile_up=pile_up
        )
        prefixes, _ = simulate_once(simulation, config.out / EVENTS / f"pile-up-{pile_up:g}")
        totals = run_chains(
            {SCAN_CHAIN: chains},
            prefixes,
            fiducial=config.fiducial,
            curve_events=0,
            description=f"chains (pile-up {pile_up:g})",
        )[SCAN_CHAIN]
        found[pile_up] = {column: _outcome(item, totals.get(column)) for column, item in chains.items()}
    return found
