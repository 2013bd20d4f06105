"""Optional dependencies: which extra holds which package."""

from __future__ import annotations

from importlib.util import find_spec

from ..core import ToolError

EXTRAS = {
    "train": ("torch", "brevitas"),
    "build": ("hls4ml",),
    "rtl": ("da4ml",),
    "serve": ("tritonclient",),
    "simulate": ("chromo", "acts"),
    "tensorboard": ("tensorboardX",),
}


def require_extra(extra: str) -> None:
    """Check that the packages of an extra are installed, without importing them.

    Args:
        extra: Key of `EXTRAS`.

    Raises:
        ToolError: One is missing; the remedy is the command that installs it.
    """
    for package in EXTRAS[extra]:
        if find_spec(package) is None:
            raise ToolError(f"package {package} is not installed", remedy=f"run: pip install 'hitfabric[{extra}]'")


def extra_of(package: str) -> str | None:
    """Extra that holds a package, or None."""
    return next((extra for extra, packages in EXTRAS.items() if package in packages), None)
