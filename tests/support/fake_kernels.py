"""What the kernels of a fake card compute: the kernel's own C++ on device memory, or golden on the words in it."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hitfabric.core import atomic_file
from hitfabric.emulation import make_executor
from hitfabric.hls_projects import HlsProject
from hitfabric.quantization import TypedGraph

from .fake_xclbin import FakeBitstream, FakeKernel
from .fake_xrt import Compute

Memory = Mapping[str, NDArray[np.uint8]]


def kernel_of(graph: TypedGraph, *, units: int = 1, first_bank: int = 0) -> FakeKernel:
    """A network's kernel as the linker describes it, with a bank for each buffer."""
    tensors = [node.name for node in (*graph.inputs, *graph.outputs)]
    banks = [first_bank + place for place in range(len(tensors))]
    name = f"hitfabric_{graph.name}_kernel"
    return FakeKernel(
        name=name,
        arguments=[*((f"{tensor}_words", True) for tensor in tensors), ("count", False)],
        units={f"{graph.name}_{number + 1}": list(banks) for number in range(units)},
    )


def bitstream_of(*graphs: TypedGraph, units: int = 1) -> FakeBitstream:
    """A bitstream with the kernels of networks."""
    return FakeBitstream(kernels=[kernel_of(graph, units=units) for graph in graphs])


def golden_kernel(graph: TypedGraph, *, parallelism: int = 1) -> Compute:
    """Golden on the words of memory: decoded by their definition, not by hitfabric's own packing."""
    golden = make_executor("golden", graph)

    def rows(name: str, count: int) -> tuple[int, ...]:
        node = graph[name]
        if not graph.is_graph_network:
            return (count, node.tensor.width)
        maximum = {"N": graph.maxima.nodes, "E": graph.maxima.edges}[str(node.tensor.shape[0])]
        return (-(-maximum // parallelism) * parallelism, node.tensor.width)

    def word(name: str) -> type[np.signedinteger]:
        return np.int32 if graph[name].tensor.format.width <= 32 else np.int64

    def compute(memory: Memory, count: int) -> None:
        assert count == 1 or not graph.is_graph_network
        inputs = {}
        for node in graph.inputs:
            form, shape = node.tensor.format, rows(node.name, count)
            words = memory[f"{node.name}_words"].view(word(node.name))[: shape[0] * shape[1]].reshape(shape)
            bits = words.astype(np.int64) & ((1 << form.width) - 1)  # what does not fit is cut off
            integers = bits - ((bits >> (form.width - 1)) << form.width) if form.signed else bits
            if node.tensor.shape[0] == "N":  # nodes that fill up a packet are none: their number is padding
                integers = integers[: graph.maxima.nodes]
            values = integers * 2.0**-form.fraction
            inputs[node.name] = integers if node.tensor.is_index else values.astype(np.float32)
        for node in graph.outputs:
            found = golden.run_integers(inputs, [node.name])[node.name].reshape(-1)
            memory[f"{node.name}_words"].view(word(node.name))[: found.size] = found

    return compute


def compiled_kernel(project: HlsProject) -> Compute:
    """The very source of the project's kernel, compiled with g++ once per project."""
    library = project.directory / "build" / "fake-card.so"
    if not library.exists():
        _compile(project, library)
    function = ctypes.CDLL(str(library))[f"{project.name}_kernel"]
    names = [f"{node.name}_words" for node in (*project.graph.inputs, *project.graph.outputs)]

    def compute(memory: Memory, count: int) -> None:
        function(*(ctypes.c_void_p(memory[name].ctypes.data) for name in names), ctypes.c_uint(count))

    return compute


def _compile(project: HlsProject, library: Path) -> None:
    sources = [f"kernel/{project.name}_kernel.cpp", f"firmware/{project.name}.cpp"]
    includes = ["-I.", "-Ikernel", "-Ifirmware/ap_types"]
    with atomic_file(library) as temporary:
        command = ["g++", "-O1", "-DNDEBUG", "-std=c++11", "-w", "-fPIC", "-shared", *includes, *sources, "-o"]
        subprocess.run([*command, str(temporary)], check=True, cwd=project.directory)


def golden_kernels(graphs: Mapping[str, TypedGraph], *, parallelism: int = 1) -> dict[str, Compute]:
    """Kernels of networks by name, on golden; those of graphs with so many lanes."""
    lanes = {name: parallelism if graph.is_graph_network else 1 for name, graph in graphs.items()}
    return {
        f"hitfabric_{graph.name}_kernel": golden_kernel(graph, parallelism=lanes[name])
        for name, graph in graphs.items()
    }
