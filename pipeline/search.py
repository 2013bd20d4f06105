"""`hitfabric search`: bit widths layer by layer, accuracy against EBOPs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from ..core import ConfigError, DataError, RunDirectory, StrictModel, atomic_file, progress
from ..models.search_config import Candidate, LayerBits, SearchSettings, pareto_front
from ..models.training_config import ChainTraining
from ..reports.figures_search import SearchPoint, draw_search
from .extras import require_extra
from .layout import CHECKPOINTS, SECTOR_NETWORK
from .train import MaximaConfig, SectorTraining, TrainConfig, read_sector_graphs, train

if TYPE_CHECKING:
    from ..models.bit_search import BitSearch
    from ..models.networks import InteractionNetwork

CANDIDATES = "candidates"
SETTINGS = "settings.json"
RESULT = "search.json"
FIGURE = "search.png"
RECIPES = "recipes"


class SearchConfig(StrictModel):
    """Configuration of `hitfabric search`; a recipe of the sector network fits.

    Attributes:
        graphs: Folder of graphs (npz) of the sector workload.
        out: Run directory to write; a search that was killed goes on in it.
        sector: Training of the network the search starts from.
        search: How the search goes on.
        seed: Seed of weights and samples.
        maxima: Largest graph of the firmware.
    """

    graphs: Path
    out: Path = Path("runs/search")
    sector: SectorTraining = SectorTraining()
    search: SearchSettings = SearchSettings()
    seed: int = 0
    maxima: MaximaConfig = MaximaConfig()


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """What was found.

    Attributes:
        candidates: Every network tried, in order.
        front: Those that no other beats in score and EBOPs, by growing EBOPs.
        figure: Path of the figure.
        recipes: Folder of one configuration of `hitfabric train` for each network of the front.
    """

    candidates: tuple[Candidate, ...]
    front: tuple[Candidate, ...]
    figure: Path
    recipes: Path


def search(config: SearchConfig) -> SearchResult:
    """Train the network of a recipe, then take bits away where they are worth least.

    What a search that was killed had finished is in the run directory, and is not computed again.

    Args:
        config: Data, recipe, settings.

    Returns:
        Every network tried, and the Pareto front; also written as `search.json`, `search.png` and recipes.

    Raises:
        ToolError: The extra `train` is not installed.
        ConfigError: The recipe trains a float network.
        DataError: Too few graphs, or the run directory is that of another search.
    """
    require_extra("train")
    if config.sector.interaction_network.schedule.quantized_epochs == 0:
        raise ConfigError("the recipe trains a float network, which has no bits", remedy="set quantized_epochs")
    directory = config.out / CANDIDATES
    _claim(config, directory)
    train(
        TrainConfig(
            graphs=config.graphs,
            out=config.out,
            sector=config.sector,
            maxima=config.maxima,
            chain=ChainTraining(seed=config.seed),
            resume=True,
        )
    )
    found = tuple(progress(_make_search(config, directory).run(), description="bit widths"))
    front = tuple(pareto_front(found))
    RunDirectory(path=config.out).write_json(
        RESULT,
        {"candidates": [item.model_dump() for item in found], "front": [found.index(item) for item in front]},
    )
    draw_search([_point(item, front) for item in found], config.out / FIGURE, score="AUC")
    _write_recipes(config, front)
    RunDirectory(path=config.out).record(command="search", config=config, inputs=[config.graphs], seed=config.seed)
    return SearchResult(candidates=found, front=front, figure=config.out / FIGURE, recipes=config.out / RECIPES)


def _claim(config: SearchConfig, directory: Path) -> None:
    """Note what is searched for in the run directory.

    Raises:
        DataError: It is that of another search.
    """
    # json, as pydantic's own text cannot hold the name of a folder that is not UTF-8.
    path, text = directory / SETTINGS, json.dumps(config.model_dump(mode="json", exclude={"out"}))
    if not path.exists():
        with atomic_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    elif path.read_text(encoding="utf-8") != text:
        raise DataError(
            f"{config.out} holds a search with other settings", remedy="give them again, remove it, or another --out"
        )


def _make_search(config: SearchConfig, directory: Path) -> BitSearch[InteractionNetwork]:
    from ..models.bit_search import BitSearch
    from ..models.checkpoints import load_checkpoint
    from ..models.networks import InteractionNetwork
    from ..models.training_interaction import LabelledGraph, interaction_task

    graphs = read_sector_graphs(config.graphs, config.sector)
    training, validation = ([LabelledGraph.from_sample(sample) for sample in part] for part in graphs)
    start = load_checkpoint(config.out / CHECKPOINTS / f"{SECTOR_NETWORK}.pt")
    assert isinstance(start, InteractionNetwork)
    schedule = config.sector.interaction_network.schedule
    return BitSearch(
        make_task=lambda bits: interaction_task(
            training, validation, _with_bits(config.sector, bits).interaction_network, seed=config.seed
        ),
        start=start,
        settings=config.search,
        seed=config.seed,
        keep_zeros=schedule.pruning is not None,
        accumulator_bits=schedule.accumulator_bits,
        directory=directory,
    )


def _with_bits(config: SectorTraining, bits: LayerBits) -> SectorTraining:
    """The recipe with these bit widths in place of its own."""
    training = config.interaction_network
    update = {"layer_weight_bits": bits.weights, "layer_activation_bits": bits.activations}
    network = training.network.model_copy(update=update)
    return config.model_copy(update={"interaction_network": training.model_copy(update={"network": network})})


def _point(item: Candidate, front: Sequence[Candidate]) -> SearchPoint:
    return SearchPoint(cost=item.ebops, score=item.score, accepted=item.accepted, on_front=item in front)


def _write_recipes(config: SearchConfig, front: Sequence[Candidate]) -> None:
    """One configuration of `hitfabric train` per network of the front, named by its EBOPs."""
    for old in (config.out / RECIPES).glob("ebops-*.yaml"):
        old.unlink()
    for item in front:
        content = {"sector": _with_bits(config.sector, item.bits).model_dump(mode="json")}
        with atomic_file(config.out / RECIPES / f"ebops-{item.ebops:.0f}.yaml") as temporary:
            temporary.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
