"""Opening a network on the card that the tests put in."""

from __future__ import annotations

from pathlib import Path

from hitfabric.fpga_backend.device_settings import DeviceSettings
from hitfabric.fpga_backend.xrt_device import XrtExecutor, open_kernels
from hitfabric.quantization import TypedGraph


def open_one(graph: TypedGraph, xclbin: Path, *, instance: str = "", **settings: object) -> XrtExecutor:
    """The executor of one network, of a bitstream."""
    options = DeviceSettings.model_validate({"xclbin": xclbin} | settings)
    (executor,) = open_kernels({graph.name: graph}, options, directory=xclbin.parent, instance=instance).values()
    assert isinstance(executor, XrtExecutor)
    return executor
