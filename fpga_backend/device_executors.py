"""Executors of the networks of a served model, by device."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..emulation import Executor, make_executor
from ..quantization import TypedGraph
from .device_settings import DeviceSettings

if TYPE_CHECKING:
    from .shadow import Audit

THREADED = ("native", "numpy", "shadow")
"""Devices whose networks use several threads."""


def open_executors(
    device: str,
    graphs: Mapping[str, TypedGraph],
    settings: DeviceSettings,
    *,
    directory: Path,
    instance: str,
) -> tuple[dict[str, Executor], Audit | None]:
    """Executors of the networks of one model.

    Args:
        device: Name of the device, checked.
        graphs: The networks by name.
        settings: Settings of the device, checked.
        directory: Folder of the model, where relative paths of settings begin.
        instance: Name of the worker, `<model>_<place>_<number>`; may be empty.

    Returns:
        Executors by name of the network, and what checks them if the device is `shadow`.

    Raises:
        ConfigError: A setting is missing or cannot be used.
        ToolError: A compiler, the card or its library is missing or failed.
    """
    if device == "xrt":
        from .xrt_device import open_kernels

        return open_kernels(graphs, settings, directory=directory, instance=instance), None
    if device == "shadow":
        from .shadow import open_audit

        return open_audit(graphs, settings, directory=directory, instance=instance)
    options: dict[str, Any] = {"threads": settings.threads} if device in THREADED else {}
    return {name: make_executor(device, graph, **options) for name, graph in graphs.items()}, None


def zeros(graph: TypedGraph) -> dict[str, NDArray[Any]]:
    """The smallest request that reaches every node of a network: one row, or one edge between two nodes."""
    sizes = {"R": 1, "N": 2, "E": 1}
    return {
        node.name: np.zeros(
            [sizes[size] if isinstance(size, str) else size for size in node.tensor.shape],
            np.int64 if node.tensor.is_index else np.float32,
        )
        for node in graph.inputs
    }
