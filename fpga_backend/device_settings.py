"""Settings of the device behind a worker: what `--setting name=value` may say."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError

from ..core import ConfigError, StrictModel
from .device_names import DEVICES

EVERYWHERE = frozenset({"threads", "memory_limit_mb"})
SHADOW = frozenset({"answers", "check_share", "check_rows", "check_seed", "vectors"})
XRT = frozenset({"xclbin", "card", "kernel", "run_rows", "run_timeout_ms"})
USED_BY: Mapping[str, frozenset[str]] = {
    device: EVERYWHERE | {"shadow": SHADOW, "xrt": XRT}.get(device, frozenset()) for device in DEVICES
}
MEBIBYTE = 1 << 20


class DeviceSettings(StrictModel):
    """How a worker's device computes.

    Attributes:
        threads: Threads of native and NumPy networks and of the host's stages of the chain; None takes all cores this
            process may use.
        memory_limit_mb: Address space, in MiB, that requests may take beyond what the loaded model has; a request that
            needs more fails alone. None sets no limit.
        answers: shadow: what answers, `native` or `xrt`; the latter takes the settings of xrt too.
        check_share: shadow: share of the requests that the C simulation checks.
        check_rows: shadow: most rows (or edges) of one call of a network that are checked, drawn by chance.
        check_seed: shadow: seed of that draw.
        vectors: shadow: folder for the vectors of mismatches. None takes `mismatches` in hitfabric's cache folder: a
            model's own folder is usually read-only, and a server that polls it would load the model again.
        xclbin: xrt: the bitstream; a relative path begins at the model's folder.
        card: xrt: index of the card, or its PCIe address (0000:3b:00.1).
        kernel: xrt: name of the kernel in the bitstream; None takes that of the project, `hitfabric_<network>_kernel`.
            For single networks: those of a chain have their projects' names.
        run_rows: xrt: most rows of one run of a kernel; more are split.
        run_timeout_ms: xrt: longest time of one run of a kernel, in ms.
    """

    threads: int | None = Field(default=None, ge=1)
    memory_limit_mb: int | None = Field(default=None, ge=1)
    answers: Literal["native", "xrt"] = "native"
    check_share: float = Field(default=0.01, gt=0, le=1)
    check_rows: int = Field(default=1000, ge=1)
    check_seed: int = Field(default=0, ge=0)
    vectors: Path | None = None
    xclbin: Path | None = None
    card: str = Field(default="0", pattern=r"^(\d+|([0-9a-fA-F]{4}:)?[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7])$")
    kernel: str | None = Field(default=None, pattern=r"^\w+$")
    run_rows: int = Field(default=1 << 16, ge=1, le=1 << 24)
    run_timeout_ms: int = Field(default=10_000, ge=1, le=3_600_000)

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Self:
        """Settings of strings `name=value`.

        Raises:
            ConfigError: A string has no `=`, a name is unknown or comes twice, or a value is not accepted.
        """
        values: dict[str, str] = {}
        for text in texts:
            name, separator, value = text.partition("=")
            if not separator or not name:
                raise ConfigError(f"setting {text!r} is malformed", remedy="write name=value")
            if name in values:
                raise ConfigError(f"setting {name} is given twice", remedy="give it once")
            values[name] = value
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            wrong = ", ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
            raise ConfigError(
                f"settings of the device: {wrong}", remedy=f"use {', '.join(cls.model_fields)}"
            ) from error

    def check_device(self, device: str) -> None:
        """Check that the device exists and takes every setting that was given.

        Raises:
            ConfigError: Names what is unknown, or of another device.
        """
        if device not in USED_BY:
            raise ConfigError(f"unknown device {device!r}", remedy=f"use one of {', '.join(DEVICES)}")
        used = USED_BY[device] | (XRT if device == "shadow" and self.answers == "xrt" else frozenset())
        if unused := sorted(self.model_fields_set - used):
            raise ConfigError(
                f"device {device} has no setting {', '.join(unused)}",
                remedy=f"leave it out, or use {', '.join(sorted(used))}",
            )

    def answering(self, device: str) -> str:
        """The device whose answers the clients get: behind `shadow`, the one it checks."""
        return self.answers if device == "shadow" else device


def limit_memory(settings: DeviceSettings) -> None:
    """Limit the address space of this process, for the worker to call once its model is loaded.

    Beyond it an allocation is a MemoryError (or a GraphError of native code) of the request that asked for it, where
    otherwise the kernel would end some process of the machine. Compilers run before, and are not limited.
    """
    if settings.memory_limit_mb is None:
        return
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + settings.memory_limit_mb * MEBIBYTE
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
