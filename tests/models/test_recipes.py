"""Recipes of the shipped networks: each is a configuration of `hitfabric train` that is accepted."""

from __future__ import annotations

from pathlib import Path

import pytest

from hitfabric.core import ConfigError, load_config
from hitfabric.models.zoo import recipe_names, recipe_path, zoo_names
from hitfabric.pipeline.train import TrainConfig


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_is_a_configuration(name: str) -> None:
    data = "graphs" if name.startswith("sector") else "events"
    config = load_config(TrainConfig, recipe_path(name), {data: Path("data")})
    changed = config.sector if data == "graphs" else config.chain
    assert changed != type(changed)()
    schedule = config.sector.interaction_network.schedule if data == "graphs" else config.chain.embedding.schedule
    assert (schedule.quantized_epochs == 0) == name.endswith("ceiling")


def test_every_shipped_network_has_its_recipe() -> None:
    assert set(zoo_names()) <= set(recipe_names())


def test_an_unknown_recipe_is_refused_with_the_names() -> None:
    with pytest.raises(ConfigError, match=r"no recipe is called 'sector'; choose one of event-.*sector-in-8"):
        recipe_path("sector")


def test_training_needs_data() -> None:
    with pytest.raises(ConfigError, match="nothing to train on: give events"):
        load_config(TrainConfig, None, {})
