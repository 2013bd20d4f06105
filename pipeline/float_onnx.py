"""Float twins of a chain as ONNX files, for the engine `onnx`: the float reference without torch."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

from ..core import DataError, atomic_directory
from ..core.errors import MissingToolError
from ..fpga_backend import NETWORKS
from .extras import require_extra
from .float_chain import FLOAT
from .layout import CHAIN_FILE

EXPORT_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def find_float_chain(chain: Path) -> Path:
    """The float twin of a chain: in its directory (shipped weights) or beside it (run directories of `train`).

    Raises:
        DataError: It has none.
    """
    for directory in (chain / FLOAT, chain.parent / FLOAT):
        if (directory / CHAIN_FILE).is_file():
            return directory
    raise DataError(f"{chain} has no float twin", remedy="use shipped weights, or train with this version")


def export_float_chain(directory: Path, out: Path) -> Path:
    """Write the float networks of a chain as ONNX files.

    Args:
        directory: Float chain, as `find_float_chain` finds it.
        out: Directory to write, whole or not at all: `chain.json` and `<network>.onnx`; an existing one is replaced.

    Returns:
        `out`.

    Raises:
        DataError: A network is missing or malformed.
        ToolError: torch, or a package that exports, is not installed.
    """
    require_extra("train")
    if missing := [package for package in EXPORT_PACKAGES if find_spec(package) is None]:
        raise MissingToolError(f"{missing[0]} is not installed", remedy=f"run: pip install {' '.join(missing)}")
    from ..models.float_networks import load_float_network
    from ..models.onnx_export import export_float_network

    with atomic_directory(out) as temporary:
        shutil.copyfile(directory / CHAIN_FILE, temporary / CHAIN_FILE)
        for name in NETWORKS:
            export_float_network(load_float_network(directory / name), temporary / f"{name}.onnx")
    return out
