"""Chains over events: sums over events, refusals, and the scan of radii against the chain's own graph."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hitfabric.core.workers import LocalWorkers
from hitfabric.detector import Event, write_event
from hitfabric.detector.simulation_helix import simulate_helix_event
from hitfabric.fpga_backend import Chain, ChainConfig
from hitfabric.models import checkpoints
from hitfabric.models.metrics import Fiducial
from hitfabric.models.training_config import DataConfig
from hitfabric.models.training_data import TrainingEvent
from hitfabric.pipeline.evaluate_all_events import RADII, ChainTotals, EventTask, event_totals, run_chains
from hitfabric.pipeline.evaluate_all_models import Chains, Contender, ZooChains, load_chains
from hitfabric.pipeline.evaluate_edges import radius_graphs
from hitfabric.pipeline.float_chain import load_float_chain, save_float_chain
from hitfabric.pipeline.samples import ChainEvent

CONFIG = ChainConfig(radius=0.1, filter_threshold=-10.0, interaction_threshold=-10.0)


def save_chain(folder: Path, config: ChainConfig) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    networks = {name: make(config=kind(), quantized=False) for name, (make, kind) in checkpoints.NETWORKS.items()}
    save_float_chain(folder, config, networks)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    folder = tmp_path_factory.mktemp("chain") / "float"
    save_chain(folder, CONFIG)
    return load_float_chain(folder)


@pytest.fixture(scope="module")
def event() -> Event:
    return simulate_helix_event("event000000001", rng=np.random.default_rng(1), pile_up=2.0)


def test_stages_only_lose_edges(chain: Chain, event: Event) -> None:
    totals = event_totals(chain, event, fiducial=Fiducial(), curve=False)
    radius, kept, followed = (totals.stages[name] for name in ("radius graph", "filter", "interaction network"))
    assert totals.hits == len(event) and totals.true_edges >= radius.kept >= kept.kept >= followed.kept
    assert radius.edges >= kept.edges >= followed.edges
    assert len(totals.candidates[0].labels) == radius.edges == len(totals.used[0])
    assert totals.curve_points()[0].size == 0


@pytest.mark.parametrize("neighbours", [None, 2])
def test_one_search_gives_the_graphs_of_every_radius(chain: Chain, event: Event, neighbours: int | None) -> None:
    taken = ChainEvent.select(event, chain.config)
    truth = TrainingEvent.prepare(taken.selected, DataConfig(volumes=None))
    radii = (0.01, 0.05, 0.1)

    def at(radius: float) -> Chain:
        changed = {"radius": radius, "max_neighbours": neighbours}
        return replace(chain, config=chain.config.model_copy(update=changed))

    graphs = list(radius_graphs(at(0.03), taken.features, truth, radii, max_edges=CONFIG.max_edges))
    for radius, labels in zip(radii, graphs, strict=True):
        assert labels.tolist() == truth.labels(at(radius).candidate_edges(taken.features)).tolist()
    assert 0 < len(graphs[0]) < len(graphs[-1])
    assert not list(radius_graphs(chain, taken.features, truth, (), max_edges=1))


def test_the_scan_meets_the_graph_of_the_chain(chain: Chain, event: Event) -> None:
    totals = event_totals(chain, event, fiducial=Fiducial(), curve=True)
    assert totals.curve[1.0] == totals.stages["radius graph"]
    density, efficiency = totals.curve_points()
    assert len(density) == len(RADII)
    assert (np.diff(density) >= 0).all() and (np.diff(efficiency) >= 0).all()
    middle = float(density[3] + density[4]) / 2
    cell = totals.edge_cell("radius graph", budget=middle)
    reached = cell.value(f"efficiency_at_{middle:g}_edges_per_hit")
    assert efficiency[3] <= reached <= efficiency[4]


def test_events_add_up(chain: Chain, event: Event) -> None:
    one = event_totals(chain, event, fiducial=Fiducial(), curve=True)
    two = ChainTotals.total([one, one])
    assert (two.hits, two.true_edges) == (2 * one.hits, 2 * one.true_edges)
    assert two.stages["filter"].edges == 2 * one.stages["filter"].edges
    assert two.track_cell().value("efficiency") == one.track_cell().value("efficiency")
    assert np.array_equal(two.curve_points(), one.curve_points())
    assert ChainTotals.total([]).edge_cell("filter", budget=1).figures["efficiency"].value is None


def test_a_chain_that_refuses_an_event_says_why(chain: Chain, event: Event, tmp_path: Path) -> None:
    prefix = write_event(event, tmp_path)
    narrow = Chain(config=CONFIG.model_copy(update={"radius": 5.0, "max_edges": 1}), executors=chain.executors)
    context: Chains = {"event-pixel": {"quantized": Contender(model=narrow), "float": Contender(model=chain)}}
    task = EventTask(prefix=prefix, workload="event-pixel", fiducial=Fiducial(), curve=False)
    found = task.run(context)
    assert found["quantized"].refused is not None and "the maximum is 1" in found["quantized"].refused
    assert found["float"].refused is None
    both = ChainTotals.total([found["float"], found["quantized"]])
    assert both.refused == found["quantized"].refused


def test_chains_of_a_zoo(event: Event, tmp_path: Path) -> None:
    prefix = write_event(event, tmp_path / "events")
    save_chain(tmp_path / "zoo" / "event-pixel" / "float", CONFIG)
    (tmp_path / "zoo" / "event-full" / "float").mkdir(parents=True)
    (tmp_path / "zoo" / "event-full" / "float" / "chain.json").write_text("{", encoding="utf-8")
    where = ZooChains(zoo=tmp_path / "zoo", workloads=("event-pixel", "event-full"), device="native")
    chains = load_chains(where)
    assert chains["event-pixel"]["quantized"].missing == "not shipped: event-pixel"
    assert chains["event-pixel"]["ceiling"].missing == "not shipped: event-pixel-ceiling"
    assert "chain.json" in (chains["event-full"]["float"].missing or "")
    with LocalWorkers(load_chains, where, jobs=1) as workers:
        found = run_chains(
            workers, where.workloads, [prefix, prefix], fiducial=Fiducial(), curve_events=1, description="chains"
        )
    assert set(found["event-pixel"]) == {"float"} and found["event-full"] == {}
    assert found["event-pixel"]["float"].hits == 2 * len(event)
    assert found["event-pixel"]["float"].curve_hits == len(event)
