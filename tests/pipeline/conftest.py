"""A small network that every test of `validate` takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.lively import lively_network


@pytest.fixture(scope="session")
def lively(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Typed graph directory of an interaction network."""
    folder = tmp_path_factory.mktemp("networks") / "lively"
    lively_network(0)[0].save(folder)
    return folder
