"""Help of `hitfabric train` and `hitfabric search`: recipes and settings are named as they are."""

from __future__ import annotations

import pytest

from hitfabric.cli.options import RECIPES
from hitfabric.models.search_config import SearchSettings
from hitfabric.models.zoo import recipe_names


def test_the_recipes_of_the_help_are_those_there_are() -> None:
    assert sorted(RECIPES) == list(recipe_names())


@pytest.mark.parametrize("command", ["train", "search"])
def test_help_names_the_recipes(run, command: str) -> None:  # noqa: ANN001 - fixture
    words = set(run(command, "--help").out.replace(",", " ").replace("network:", " ").replace(".", " ").split())
    assert set(RECIPES) <= words


def test_help_of_the_search_names_its_settings_with_their_defaults(run) -> None:  # noqa: ANN001
    words = run("search", "--help").out.replace(", ", " ").split()
    for name, value in SearchSettings().model_dump().items():
        assert any(word.strip(",") == f"search.{name}={value}" for word in words)


def test_an_unknown_recipe_is_refused_with_the_names(run) -> None:  # noqa: ANN001
    error = run("search", "--graphs", ".", "--recipe", "sector").error
    assert all(name in error for name in recipe_names())
