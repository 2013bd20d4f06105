"""The trained networks shipped with the package; needs no torch.

* `event-pixel`: a chain directory (`chain.json` and one typed graph per network), whole pile-up-200 events, pixel hits.
* `sector-in-8`: the typed graph of an interaction network, pixel graphs of pT > 2 GeV.
"""

from __future__ import annotations

from pathlib import Path

from ..core import ConfigError

ZOO = Path(__file__).parent / "zoo"


def zoo_names() -> tuple[str, ...]:
    """Names of the shipped networks, sorted."""
    files = [*ZOO.glob("*/chain.json"), *ZOO.glob("*/graph.json")]
    return tuple(sorted(path.parent.name for path in files))


def recipe_names() -> tuple[str, ...]:
    """Names of the training recipes, sorted; a recipe may be there before its network is, or without one."""
    return tuple(sorted(path.parent.name for path in ZOO.glob("*/train.yaml")))


def recipe_path(name: str) -> Path:
    """Configuration of `hitfabric train` with which a shipped network was trained.

    Args:
        name: One of `recipe_names()`.

    Raises:
        ConfigError: No such name.
    """
    if name not in recipe_names():
        raise ConfigError(f"no recipe is called {name!r}", remedy=f"choose one of {', '.join(recipe_names())}")
    return ZOO / name / "train.yaml"


def zoo_path(name: str) -> Path:
    """Directory of a shipped network or chain.

    Args:
        name: One of `zoo_names()`.

    Returns:
        Path of the directory; its `README.md` says what it was trained on and how well it does.

    Raises:
        ConfigError: No such name.
    """
    if name not in zoo_names():
        raise ConfigError(f"no shipped network is called {name!r}", remedy=f"choose one of {', '.join(zoo_names())}")
    return ZOO / name
