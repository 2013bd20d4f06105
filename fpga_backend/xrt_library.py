"""The card's runtime: `pyxrt` of AMD's XRT (2.14 and later), with its exceptions turned into errors with a remedy."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..core import ToolError
from ..core.errors import MissingToolError
from .device_errors import DeviceLostError

XRT_ERRORS = (RuntimeError, IndexError, ValueError, TypeError, OverflowError, MemoryError)
"""What pybind11 makes of the C++ exceptions of XRT."""


def load_pyxrt() -> Any:  # noqa: ANN401 - compiled, without types
    """The module `pyxrt`.

    Raises:
        MissingToolError: It cannot be imported.
    """
    try:
        return importlib.import_module("pyxrt")
    except ImportError as error:
        raise MissingToolError(
            f"device xrt needs pyxrt, which cannot be imported ({error})",
            remedy="install XRT 2.14 or later, source /opt/xilinx/xrt/setup.sh, and take the Python that its pyxrt was"
            " compiled for",
        ) from error


@contextmanager
def opening(what: str, *, remedy: str) -> Iterator[None]:
    """Turn an exception of XRT while something is opened into an error.

    Raises:
        ToolError: Says what could not be opened and why.
    """
    try:
        yield
    except XRT_ERRORS as error:
        raise ToolError(f"cannot {what}: {error or type(error).__name__}", remedy=remedy) from error


@contextmanager
def running(what: str) -> Iterator[None]:
    """Turn an exception of XRT during a run into an error after which the card must be opened anew.

    Raises:
        DeviceLostError: Says what failed and why.
    """
    try:
        yield
    except XRT_ERRORS as error:
        raise lost(f"{what}: {error or type(error).__name__}") from error


def lost(what: str) -> DeviceLostError:
    """The error of a card whose state is unknown."""
    return DeviceLostError(what, remedy="the worker is started again; if it comes back, see xbutil examine and dmesg")


def open_card(library: Any, card: str, path: Path) -> tuple[Any, Any]:  # noqa: ANN401 - compiled, without types
    """Open a card and load a bitstream; if it is loaded already, by another worker, it stays as it is.

    Args:
        library: `pyxrt`.
        card: Index, or PCIe address.
        path: The bitstream.

    Returns:
        The device and the bitstream's UUID, as pyxrt has them.

    Raises:
        ToolError: There is no such card, or it does not take the bitstream.
    """
    with opening(f"open card {card}", remedy="xbutil examine lists the cards; set card to an index or PCIe address"):
        device = library.device(int(card) if card.isdigit() else card)
    remedy = "build it for the platform that xbutil examine shows; all models of a card share one bitstream"
    with opening(f"load {path} to card {card}", remedy=remedy):
        return device, device.load_xclbin(library.xclbin(str(path)))
