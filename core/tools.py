"""Finding the system tools hitfabric calls."""

from __future__ import annotations

import shutil
from pathlib import Path

from .errors import MissingToolError

DEBIAN_PACKAGES = {"g++": "g++", "make": "make", "verilator": "verilator", "dot": "graphviz", "setpriv": "util-linux"}


def find_tool(name: str, *, purpose: str) -> Path:
    """Find an executable on PATH.

    Args:
        name: Executable name.
        purpose: What it is needed for, as a phrase ("compile the C simulation").

    Returns:
        Its path.

    Raises:
        MissingToolError: It is not installed; the message names the Debian package.

    """
    found = shutil.which(name)
    if found is None:
        package = DEBIAN_PACKAGES.get(name, name)
        raise MissingToolError(
            f"{name} is needed to {purpose} and was not found", remedy=f"run: apt-get install {package}"
        )
    return Path(found)
