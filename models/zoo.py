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
    return tuple(sorted(path.name for path in ZOO.iterdir() if path.is_dir()))


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
