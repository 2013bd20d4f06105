"""Settings that would have no effect: refused, since whoever gives one believes that it does something."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ..core import ConfigError
from ..fpga_backend import NETWORKS


def check_sources(feeds: Collection[str | None], *, events: Path | None, graphs: Path | None) -> None:
    """Refuse events or graphs that no network takes.

    Args:
        feeds: What the networks chosen take: a network of the chain, `sector`, or None for neither.
        events: Folder of events, if one was given.
        graphs: Folder of graphs of the sector workload, if one was given.

    Raises:
        ConfigError: As described.
    """
    if events is not None and not set(feeds) & set(NETWORKS):
        raise ConfigError(
            f"no network chosen takes events, so that none of {events} would be used",
            remedy=f"name some of {', '.join(NETWORKS)} (their projects go to --projects), or leave events out",
        )
    if graphs is not None and "sector" not in feeds:
        raise ConfigError(
            f"no network chosen takes sector graphs, so that none of {graphs} would be used",
            remedy="name the sector network, or leave graphs out",
        )


def check_needed(setting: str, *, given: object, needs: str, there: object) -> None:
    """Refuse a setting without what it acts on.

    Args:
        setting: Its name.
        given: Whether it was set.
        needs: What it acts on, in words.
        there: Whether that is there.

    Raises:
        ConfigError: It was set, and there is nothing.
    """
    if given and not there:
        raise ConfigError(
            f"{setting} needs {needs}, and would have no effect here", remedy=f"leave {setting} out, or add {needs}"
        )
