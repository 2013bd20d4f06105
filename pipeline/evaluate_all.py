"""`hitfabric evaluate --all`: the table of every target, over the shipped networks, in one command."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from ..core import DataError, RunDirectory
from ..core.spread import Spread, Workers
from ..core.spreading import SpreadConfig, open_spread
from ..fpga_backend import Chain
from ..models.metrics import Fiducial
from ..models.zoo import ZOO
from .evaluate_all_acts import acts_totals
from .evaluate_all_data import FreshConfig, Sample, find_data, simulate_once, simulated_sample, validation_sample
from .evaluate_all_events import ChainTotals, run_chains
from .evaluate_all_models import Chains, Contender, ZooChains, float_bops, load_chains, sector_contenders
from .evaluate_all_rows import Row
from .evaluate_all_sector import SectorScores, run_sectors
from .evaluate_all_table import CHAIN_TARGETS, SECTOR_TARGETS, Totals, chain_rows, sector_row
from .layout import EVENTS, Device

RESULT = "evaluate_all.json"
TASKS_PER_PROCESS = 4  # a process takes as long to start as some events
QUICK: dict[str, Any] = {
    "events": 1,
    "graphs": 3,
    "curve_events": 1,
    "fresh": {"events": 1, "pile_up": 10.0, "generator": "helix", "scan_pile_up": []},
}
"""Settings that take seconds: few events, the fresh ones ideal helices through pixel layers. Poor statistics."""


class EvaluateAllConfig(SpreadConfig):
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
        scan: Totals by chain and column at other pile-ups, for each of them.
        zoo: Folder of the networks.
    """

    rows: tuple[Row, ...]
    validation: Split
    test: Split
    scan: Mapping[float, Mapping[str, Totals]]
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
        DataError: The data folder or the zoo does not exist, or files are malformed.
        ToolError: The compiler is missing, or the simulation failed.
    """
    zoo, fresh = config.zoo or ZOO, config.fresh
    if not zoo.is_dir():
        raise DataError(f"{zoo} is not a directory", remedy="give a folder of networks as models/zoo is")
    where = ZooChains(zoo=zoo.absolute(), workloads=tuple(CHAIN_TARGETS), device=config.device)
    chains = load_chains(where)
    sectors = {name: sector_contenders(zoo, name, config.device) for name in SECTOR_TARGETS}
    with open_spread(config.where) as spread:
        first = validation_sample(
            find_data(config.data), fresh, config.out, events=config.events, graphs=config.graphs, spread=spread
        )
        second = simulated_sample(fresh, config.out, "test", seed=fresh.test_seed, events=config.events, spread=spread)
        most = max(len(first.events), len(second.events), fresh.scan_events if fresh.scan_pile_up else 0)
        at_most = math.ceil(most * len(chains) / TASKS_PER_PROCESS)
        with spread.workers(load_chains, where, at_most=at_most) as workers:
            run = _Run(spread=spread, workers=workers, chains=chains, config=config)
            validation = Split(
                sample=first,
                sectors=run_sectors(sectors, first.graphs, description="sector networks (validation)"),
                chains=run.sample("validation", first.events, curve_events=config.curve_events),
            )
            test = Split(
                sample=second,
                sectors=run_sectors(sectors, second.graphs, description="sector networks (test)"),
                chains=run.sample("test", second.events),
            )
            scan = run.scan()
    rows = [
        sector_row(
            name, zoo, validation=validation.sectors, test=test.sectors, twin_bops=float_bops(sectors[name]["float"])
        )
        for name in SECTOR_TARGETS
    ]
    for name in CHAIN_TARGETS:
        rows += chain_rows(name, zoo, validation=validation.chains[name], test=test.chains[name])
    result = AllResult(rows=tuple(rows), validation=validation, test=test, scan=scan, zoo=zoo)
    folder = RunDirectory(path=config.out)
    folder.write_json(RESULT, result.as_json())
    folder.record(command="evaluate --all", config=config, inputs=[zoo], seed=config.fresh.test_seed)
    return result


@dataclass(frozen=True, kw_only=True)
class _Run:
    """Everybody who finds tracks, ready to be run on samples."""

    spread: Spread
    workers: Workers[Chains]
    chains: Chains
    config: EvaluateAllConfig

    def sample(self, name: str, events: Sequence[Path], *, curve_events: int = 0) -> dict[str, Totals]:
        """Every chain and ACTS on the events of one sample; for who could not run, the reason."""
        found = run_chains(
            self.workers,
            tuple(self.chains),
            events,
            fiducial=self.config.fiducial,
            curve_events=curve_events,
            description=f"chains ({name})",
        )
        outcomes: dict[str, Totals] = {}
        for workload, columns in self.chains.items():
            outcomes[workload] = {
                **{column: _outcome(item, found[workload].get(column)) for column, item in columns.items()},
                "ckf": acts_totals(
                    workload,
                    events,
                    fiducial=self.config.fiducial,
                    description=f"ACTS on {workload} ({name})",
                    spread=self.spread,
                ),
            }
        return outcomes

    def scan(self) -> dict[float, dict[str, Totals]]:
        """The same at other pile-ups."""
        fresh, found = self.config.fresh, {}
        for pile_up in fresh.scan_pile_up:
            simulation = fresh.simulation(seed=fresh.test_seed, events=fresh.scan_events, pile_up=pile_up)
            prefixes, _ = simulate_once(
                simulation, self.config.out / EVENTS / f"pile-up-{pile_up:g}", spread=self.spread
            )
            found[pile_up] = self.sample(f"pile-up {pile_up:g}", prefixes)
        return found


def _outcome(item: Contender[Chain], totals: ChainTotals | None) -> ChainTotals | str:
    if totals is None:
        return item.missing or "not run"
    return totals if totals.refused is None else totals.refused
