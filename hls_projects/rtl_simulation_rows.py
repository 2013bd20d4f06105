"""Simulation of one core of an RTL design: rows in, rows out."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..core import ToolError
from .rtl_fields import Core
from .rtl_simulation import DRIVERS, build_model
from .rtl_simulation_words import Bytes, Integers, pack_rows, unpack_rows
from .rtl_verilator import Verilator

DRIVER = DRIVERS / "driver_rows.cpp"


class CoreSimulation:
    """Runs rows through a core, one per cycle.

    Args:
        core: The core, a module with the ports `clk`, `row_in` and `row_out`.
        seed: Of the random values that all registers start with.
        verilator: As `build_model` takes it.
        cache: As `build_model` takes it.

    Raises:
        ToolError: Verilator or g++ is missing or fails.
    """

    def __init__(
        self, core: Core, *, seed: int = 0, verilator: Verilator | Path | None = None, cache: Path | None = None
    ) -> None:
        self.core, self.seed = core, seed
        self.library = build_model(core.sources, core.name, driver=DRIVER, verilator=verilator, cache=cache)
        self._run = ctypes.CDLL(str(self.library)).hitfabric_rows
        number, address = ctypes.c_int64, ctypes.c_void_p
        self._run.argtypes = [ctypes.c_uint64, number, number, address, number, address, number]
        self._run.restype = ctypes.c_char_p

    def run(self, tensors: Mapping[str, Integers]) -> dict[str, Integers]:
        """The core's outputs, by tensor.

        Args:
            tensors: int64 [rows, features] of every input, all of the same number of rows.

        Returns:
            int64 [rows, features] of every output.

        Raises:
            GraphError: A tensor does not fit its field.
            ToolError: The model failed.
        """
        core = self.core
        rows = pack_rows(core.inputs, [tensors[field.tensor] for field in core.inputs])
        results = self.run_words(rows, out_bytes=-(-sum(field.width for field in core.outputs) // 8))
        names = [field.tensor for field in core.outputs]
        return dict(zip(names, unpack_rows(core.outputs, results), strict=True))

    def run_words(self, rows: Bytes, *, out_bytes: int) -> Bytes:
        """Rows of whole bytes, the lowest first, to rows of `out_bytes` bytes."""
        rows = np.ascontiguousarray(rows)
        results = np.zeros((len(rows), out_bytes), dtype=np.uint8)
        problem = self._run(
            self.seed, self.core.latency, len(rows), rows.ctypes.data, rows.shape[1], results.ctypes.data, out_bytes
        )
        if problem is not None:
            raise ToolError(
                f"the simulation of {self.core.name} failed: {problem.decode(errors='replace')}",
                remedy="report this core as a defect of hitfabric",
            )
        return results
