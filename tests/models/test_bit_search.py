"""The search for bit widths: greedy, honest about its front, and the same after a kill."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from hitfabric.core import ConfigError, DataError, load_config
from hitfabric.detector import read_graphs
from hitfabric.models import bit_search
from hitfabric.models.accumulators import accumulator_widths
from hitfabric.models.bit_search import BitSearch
from hitfabric.models.calibration import calibrate
from hitfabric.models.checkpoints import load_checkpoint
from hitfabric.models.config import InteractionConfig
from hitfabric.models.networks import InteractionNetwork
from hitfabric.models.search_config import Candidate, LayerBits, SearchSettings, pareto_front
from hitfabric.models.training_config import InteractionTraining
from hitfabric.models.training_interaction import LabelledGraph, interaction_task
from hitfabric.models.training_task import Task
from hitfabric.pipeline.search import SearchConfig, SearchResult, search
from hitfabric.pipeline.train import TrainConfig
from hitfabric.quantization import Maxima
from hitfabric.quantization.cost import graph_cost
from hitfabric.quantization.tracer import trace
from support.graph_files import write_random_graphs

WIDER = {"output.dense0": 3, "rounds.0.edge_update.dense0": 3}
BITS = LayerBits(weights={"a": 3}, activations={"b": 2})
figures = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=20)


def candidate(score: float, ebops: float) -> Candidate:
    return Candidate(round=1, changes=(), accepted=False, bits=BITS, score=score, ebops=ebops, bops=ebops)


@given(figures=figures, higher=st.booleans())
def test_nothing_beats_the_front_and_the_front_beats_all_else(figures: list[tuple[int, int]], higher: bool) -> None:
    candidates = [candidate(score, ebops) for score, ebops in figures]
    front = pareto_front(candidates, higher_is_better=higher)
    sign = 1 if higher else -1

    def beats(one: Candidate, other: Candidate) -> bool:
        """At least as good in both, better in one."""
        better, cheaper = sign * (one.score - other.score), other.ebops - one.ebops
        return better >= 0 and cheaper >= 0 and (better > 0 or cheaper > 0)

    assert not any(beats(one, member) for member in front for one in candidates)
    for item in candidates:
        assert any(beats(member, item) or (member.score, member.ebops) == (item.score, item.ebops) for member in front)
    assert [item.ebops for item in front] == sorted(item.ebops for item in front)


def test_changes_take_one_bit_from_what_has_enough() -> None:
    assert BITS.changes(2) == ["weights:a"]
    assert BITS.without(("weights:a",)) == LayerBits(weights={"a": 2}, activations={"b": 2})


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graphs")
    write_random_graphs(folder, 3)
    return folder


def config(graphs: Path, out: Path, **settings: object) -> SearchConfig:
    training = {
        # Most weights have the fewest bits from the start: fewer candidates, a quicker test.
        "network": {"width": 2, "input_bits": 4, "weight_bits": 2, "activation_bits": 3, "layer_weight_bits": WIDER},
        "schedule": {"float_epochs": 1, "quantized_epochs": 1, "steps": 2, "device": "cpu"},
    }
    values = {"steps": 1, "accepted_steps": 2, "rounds": 2, "changes": 2, "largest_loss": 1.0, **settings}
    sector = {"training_graphs": 2, "validation_graphs": 1, "interaction_network": training}
    return load_config(SearchConfig, None, {"graphs": graphs, "out": out, "sector": sector, "search": values})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `whole` was run."""
    return tmp_path_factory.mktemp("search") / "whole"


@pytest.fixture(scope="module")
def whole(graphs: Path, folder: Path) -> SearchResult:
    """A search of two rounds."""
    return search(config(graphs, folder))


def test_a_search_goes_down_and_goes_on_after_a_kill(
    graphs: Path, whole: SearchResult, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = [item for item in whole.candidates if item.accepted]
    assert [item.round for item in accepted] == [0, 1, 2]
    assert accepted[0].ebops > accepted[1].ebops > accepted[2].ebops
    assert all(len(item.changes) == 2 for item in accepted[1:])
    tried = [item.changes[0] for item in whole.candidates if item.round == 1 and not item.accepted]
    assert tried == accepted[0].bits.changes(2) and len(tried) > 8
    assert whole.figure.stat().st_size > 1000

    real, calls = bit_search.calibrate, [0]

    def die(*arguments: object) -> None:
        calls[0] += 1
        if calls[0] == 4:
            raise KeyboardInterrupt
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(bit_search, "calibrate", die)
        with pytest.raises(KeyboardInterrupt):
            search(config(graphs, tmp_path / "killed"))
    assert len(list((tmp_path / "killed" / "candidates").glob("001-*.json"))) == 3
    assert search(config(graphs, tmp_path / "killed")).candidates == whole.candidates
    monkeypatch.setattr(bit_search, "calibrate", lambda *arguments: pytest.fail("nothing is left to train"))
    assert search(config(graphs, folder)).candidates == whole.candidates

    for item, recipe in zip(whole.front, sorted(whole.recipes.glob("*.yaml"), key=_ebops), strict=True):
        network = load_config(TrainConfig, recipe, {"graphs": graphs}).sector.interaction_network.network
        assert network.layer_weight_bits == item.bits.weights and _ebops(recipe) == item.ebops
    with pytest.raises(DataError, match="holds a search with other settings"):
        search(config(graphs, tmp_path / "killed", steps=2))
    damaged = next((tmp_path / "killed" / "candidates").glob("001-*.json"))
    damaged.write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="is no candidate of a search"):
        search(config(graphs, tmp_path / "killed"))


def _ebops(path: Path) -> int:
    return int(path.stem.removeprefix("ebops-"))


def test_a_candidate_costs_what_its_typed_graph_costs(whole: SearchResult, folder: Path) -> None:
    network = load_checkpoint(folder / "checkpoints" / "sector_interaction_network.pt")
    cost = graph_cost(trace(network, name="start", maxima=Maxima()))
    assert (whole.candidates[0].ebops, whole.candidates[0].bops) == (cost.ebops, cost.bops)
    assert whole.candidates[0].bits == bit_search.layer_bits(network)


def test_accumulators_of_candidates_are_bounded(graphs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = [LabelledGraph.from_sample(sample) for sample in read_graphs(graphs)]
    training = InteractionTraining(network=InteractionConfig(width=3, weight_bits=6, activation_bits=6))

    def make_task(bits: LayerBits) -> Task[InteractionNetwork]:
        update = {"layer_weight_bits": bits.weights, "layer_activation_bits": bits.activations}
        network = training.network.model_copy(update=update)
        return interaction_task(samples, samples, training.model_copy(update={"network": network}), seed=0)

    def widest(network: nn.Module) -> int:
        return max(accumulator_widths(trace(network, name="network", maxima=Maxima())).values())

    start = InteractionNetwork(config=training.network)
    calibrate(start, make_task(bit_search.layer_bits(start)).loss)
    bits, real = widest(start.eval()) - 1, bit_search.bound_accumulators
    found: list[int] = []

    def bound(network: nn.Module, limit: int) -> None:
        real(network, limit)
        found.append(widest(network))

    monkeypatch.setattr(bit_search, "bound_accumulators", bound)
    settings = SearchSettings(steps=1)
    search_of = BitSearch(
        make_task=make_task, start=start, settings=settings, seed=0, directory=tmp_path, accumulator_bits=bits
    )
    assert len(list(islice(search_of.run(), 2))) == 2
    assert len(found) == 1 and found[0] <= bits


def test_a_float_network_has_no_bits(graphs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="trains a float network"):
        search(
            load_config(
                SearchConfig,
                None,
                {"graphs": graphs, "out": tmp_path, "sector.interaction_network.schedule.quantized_epochs": 0},
            )
        )
