"""The xrt device: networks computed by the kernels of an FPGA card.

A bitstream may hold the kernels of several networks, each with several compute units; workers take the units of a
kernel in turn, by the number at the end of their name. What one unit reads and writes lies in buffers of its own, in
the banks it is connected to. Before it serves, a card must compute random inputs as the typed graph does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import ConfigError, GraphError
from ..emulation import Executor, Sizes, check_inputs, make_executor
from ..emulation.executor import to_values
from ..quantization import TypedGraph
from .device_settings import DeviceSettings
from .signature import Arrays
from .xrt_bitstream import Bitstream, Kernel
from .xrt_library import load_pyxrt, open_card
from .xrt_unit import ComputeUnit
from .xrt_words import WordBuffer, pack, unpack, word_buffers

PROOF_ROWS = 257
PROOF_RANGES = (1.5, 0.3, 0.05)  # of the formats: where everything saturates, a fault may not show
COUNT = "count"


class XrtExecutor:
    """A network on one compute unit of a card.

    Args:
        graph: The network.
        unit: The compute unit.
        rows: Most rows of one run; more are split.
    """

    name = "xrt"
    maxima_limited = True

    def __init__(self, *, graph: TypedGraph, unit: ComputeUnit, rows: int) -> None:
        self.graph = graph
        self.unit = unit
        self._rows = rows

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.float32]]:
        """Outputs as float32 by output name; inputs as `check_inputs` describes.

        Raises:
            DataError: An input is malformed.
            GraphError: The graph is larger than the maxima; the message names both.
            DeviceLostError: The card failed, or did not end in time.
            ToolError: The card gave words that are no numbers of the output's format.
        """
        return to_values(self.graph, self.run_integers(inputs))

    def run_integers(self, inputs: Arrays, nodes: Sequence[str] | None = None) -> dict[str, NDArray[np.int64]]:
        """Integers of the outputs, or of some of them: a card shows no other node.

        Raises:
            ConfigError: A node is no output.
            DataError, GraphError, DeviceLostError, ToolError: As `run`.
        """
        outputs = [node.name for node in self.graph.outputs]
        if unknown := sorted(set(nodes or ()) - set(outputs)):
            raise ConfigError(f"a card does not show nodes {unknown}", remedy=f"use some of {outputs}")
        sizes = check_inputs(self.graph, inputs)
        parts = [self._run_part(inputs, sizes)] if self.graph.is_graph_network else self._run_rows(inputs, sizes)
        return {
            name: np.concatenate([part[name] for part in parts]) if len(parts) > 1 else parts[0][name]
            for name in (outputs if nodes is None else nodes)
        }

    def _run_rows(self, inputs: Arrays, sizes: Sizes) -> list[dict[str, NDArray[np.int64]]]:
        starts = range(0, max(sizes.rows, 1), self._rows)
        parts = []
        for start in starts:
            part = {name: array[start : start + self._rows] for name, array in inputs.items()}
            parts.append(self._run_part(part, Sizes(rows=min(self._rows, sizes.rows - start))))
        return parts

    def _run_part(self, inputs: Arrays, sizes: Sizes) -> dict[str, NDArray[np.int64]]:
        buffers = self.unit.buffers
        words = pack(self.graph, buffers, inputs, sizes)
        found = self.unit.compute(words, count=1 if self.graph.is_graph_network else sizes.rows)
        return unpack(self.graph, buffers, found, sizes)


def open_kernels(
    graphs: Mapping[str, TypedGraph], settings: DeviceSettings, *, directory: Path, instance: str
) -> dict[str, Executor]:
    """Open the card and the kernels of a model's networks, and prove that they are those of the typed graphs.

    Args:
        graphs: The networks by name.
        settings: Bitstream, card, kernel, rows and timeout.
        directory: Folder of the model, where a relative path of the bitstream begins.
        instance: Name of the worker; its last number chooses the compute unit.

    Returns:
        Executors by name of the network.

    Raises:
        ConfigError: No bitstream is set, or it does not exist.
        GraphError: The bitstream has no kernel of a network, the kernel takes other arguments, or it computes other
            numbers than the typed graph.
        MissingToolError: pyxrt cannot be imported.
        ToolError: The card cannot be opened, does not take the bitstream, or failed.
    """
    if settings.xclbin is None:
        raise ConfigError("device xrt has no bitstream", remedy="set xclbin to the file that make kernel wrote")
    if settings.kernel is not None and len(graphs) > 1:
        raise ConfigError(
            f"kernel {settings.kernel} cannot be that of {len(graphs)} networks",
            remedy="leave kernel out: each network has the kernel of its project, hitfabric_<network>_kernel",
        )
    bitstream = Bitstream.load(directory / settings.xclbin)
    plans = {name: _plan(graph, bitstream, settings) for name, graph in graphs.items()}
    library = load_pyxrt()
    device, uuid = open_card(library, settings.card, bitstream.path)
    executors: dict[str, Executor] = {}
    for name, (kernel, buffers) in plans.items():
        unit = ComputeUnit(
            library,
            device=device,
            uuid=uuid,
            bitstream=bitstream,
            kernel=kernel.name,
            unit=kernel.units[_number(instance) % len(kernel.units)],
            buffers=buffers,
            timeout_ms=settings.run_timeout_ms,
        )
        graph = graphs[name]
        executor = XrtExecutor(graph=graph, unit=unit, rows=settings.run_rows)
        prove(executor, what=f"kernel {kernel.name} of {bitstream.path}")
        executors[name] = executor
    return executors


def prove(executor: Executor, *, what: str) -> None:
    """Compare random inputs, some beyond their formats' ranges, with the NumPy executor bit for bit.

    Raises:
        GraphError: A number differs: the kernel is of other weights or of another version.
    """
    graph = executor.graph
    reference = make_executor("numpy", graph)
    for share in PROOF_RANGES:
        inputs = _random_inputs(graph, share)
        expected = reference.run_integers(inputs, [node.name for node in graph.outputs])
        _compare(expected, executor.run_integers(inputs), what=what)


def _compare(expected: Mapping[str, NDArray[np.int64]], found: Mapping[str, NDArray[np.int64]], *, what: str) -> None:
    for name, integers in expected.items():
        if wrong := int(np.count_nonzero(integers != found[name])):
            raise GraphError(
                f"{what} computes other numbers than the typed graph: {wrong} of {integers.size} of {name}",
                remedy="build it from this network with this version of hitfabric",
            )


def _plan(graph: TypedGraph, bitstream: Bitstream, settings: DeviceSettings) -> tuple[Kernel, tuple[WordBuffer, ...]]:
    """The network's kernel, whose arguments are those that the network needs."""
    kernel = bitstream.kernel(settings.kernel or f"hitfabric_{graph.name}_kernel")
    buffers = word_buffers(graph, rows=settings.run_rows)
    wanted = [(buffer.argument, True) for buffer in buffers] + [(COUNT, False)]
    found = [(argument.name, argument.is_buffer) for argument in kernel.arguments]
    if found != wanted:
        raise GraphError(
            f"kernel {kernel.name} of {bitstream.path} takes {_signature(found)}; {graph.name} needs"
            f" {_signature(wanted)}",
            remedy="build it from this network with this version of hitfabric",
        )
    return kernel, buffers


def _signature(arguments: Sequence[tuple[str, bool]]) -> str:
    return f"({', '.join(f'*{name}' if is_buffer else name for name, is_buffer in arguments)})"


def _number(instance: str) -> int:
    found = re.search(r"(\d+)$", instance)
    return int(found[1]) if found else 0


def _random_inputs(graph: TypedGraph, share: float) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(0)
    sizes = {"R": PROOF_ROWS, "N": graph.maxima.nodes, "E": graph.maxima.edges}
    inputs: dict[str, NDArray[Any]] = {}
    for node in graph.inputs:
        form, shape = node.tensor.format, [sizes[str(node.tensor.shape[0])], node.tensor.width]
        if node.tensor.is_index:
            inputs[node.name] = rng.integers(0, sizes["N"], shape)
        else:
            values = rng.uniform(share * form.low, share * form.high, shape)
            inputs[node.name] = (values * form.scale).astype(np.float32)
    return inputs
