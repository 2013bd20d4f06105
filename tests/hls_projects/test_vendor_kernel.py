"""The AXI kernel of a card, run through raw memory buffers, against golden."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hitfabric.emulation import extreme_vectors, make_executor
from hitfabric.hls_projects import HlsProject, ProjectConfig, pad_inputs, static_shape, write_project, write_vectors
from hitfabric.models.zoo import zoo_path
from hitfabric.quantization import FixedPoint, GraphBuilder, TypedGraph
from support.hand_graph import hand_graph
from support.random_graphs import random_inputs

Vectors = dict[str, NDArray]

GUARD, GUARD_WORD = 64, 0x5A5A5A5A


def wide_rows() -> TypedGraph:
    """A row network whose output needs words of 64 bits, and whose input is unsigned."""
    builder = GraphBuilder()
    rows = builder.input("rows", shape=("R", 3), format=FixedPoint(signed=False, width=16, integer=4))
    weight = np.array([[30000, -32000, 5], [-1, 32767, 32767]])
    form = FixedPoint(signed=True, width=16, integer=16, overflow="SAT_SYM")
    product = builder.dense("product", rows, weight=weight, weight_format=form)
    wide = builder.requantize("wide", product, format=FixedPoint(signed=True, width=40, integer=24))
    builder.output("result", wide)
    return TypedGraph.from_builder(builder, name="wide")


NETWORKS = {
    "filter": lambda: TypedGraph.load(zoo_path("event-pixel") / "filter"),
    "wide": wide_rows,
    "hand": hand_graph,
    "interaction_network": lambda: TypedGraph.load(zoo_path("sector-in-8")),
}
CASES = [
    ("filter", "throughput", 1),
    ("wide", "dataflow", 1),
    ("hand", "dataflow", 3),
    ("interaction_network", "dataflow", 1),
]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join(map(str, case)))
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> HlsProject:
    network, design, parallelism = request.param
    folder = tmp_path_factory.mktemp("kernel") / network
    return write_project(NETWORKS[network](), folder, config=ProjectConfig(design=design, parallelism=parallelism))


def load_kernel(project: HlsProject) -> ctypes._CFuncPtr:  # type: ignore[name-defined] - ctypes has no public name
    """The kernel as a shared library: its own source and the firmware's, nothing of the test bench."""
    library = project.directory / "build" / "kernel.so"
    library.parent.mkdir(exist_ok=True)
    sources = [f"kernel/{project.name}_kernel.cpp", f"firmware/{project.name}.cpp"]
    includes = ["-I.", "-Ikernel", "-Ifirmware/ap_types"]
    # -std=c++11: what the vendor's flow compiles with.
    command = ["g++", "-O1", "-DNDEBUG", "-std=c++11", "-w", "-fPIC", "-shared", *includes, *sources, "-o", library]
    subprocess.run(command, check=True, cwd=project.directory)
    return ctypes.CDLL(str(library))[f"{project.name}_kernel"]


def word_type(width: int) -> type[np.signedinteger]:
    return np.int32 if width <= 32 else np.int64


def draw(graph: TypedGraph) -> list[Vectors]:
    if not graph.is_graph_network:
        return [random_inputs(graph, seed=1, sizes={"R": 200})]
    sizes = [(graph.maxima.nodes, graph.maxima.edges), (0, 0), (graph.maxima.nodes, 0), (2, 5), (3, 1)]
    return [random_inputs(graph, seed=7, sizes={"N": nodes, "E": edges}) for nodes, edges in sizes]


def input_words(project: HlsProject, cases: list[Vectors]) -> dict[str, NDArray]:
    graph, words = project.graph, {}
    for node in graph.inputs:
        parts = []
        for vectors in cases:
            sizes = {"N": 0, "E": 0} | {str(item.tensor.shape[0]): len(vectors[item.name]) for item in graph.inputs}
            lanes = project.config.parallelism
            padded = pad_inputs(graph, vectors, nodes=sizes["N"], edges=sizes["E"], parallelism=lanes)
            parts.append(node.tensor.format.quantize(padded[node.name]).reshape(-1))
        words[node.name] = np.concatenate(parts).astype(word_type(node.tensor.format.width))
    return words


def test_kernel_equals_golden_through_memory(project: HlsProject) -> None:
    graph, golden = project.graph, make_executor("golden", project.graph)
    cases = draw(graph)
    inputs = input_words(project, cases)
    counts = [len(next(iter(vectors.values()))) if not graph.is_graph_network else 1 for vectors in cases]
    (output,) = graph.outputs
    rows = static_shape(graph, output, parallelism=project.config.parallelism)[0] if graph.is_graph_network else 1
    size = rows * output.tensor.width
    found = np.full(sum(counts) * size + GUARD, GUARD_WORD, dtype=word_type(output.tensor.format.width))
    buffers = [*(inputs[node.name] for node in graph.inputs), found]
    before = [buffer.copy() for buffer in buffers[:-1]]
    kernel, pointers = load_kernel(project), [ctypes.c_void_p(buffer.ctypes.data) for buffer in buffers]
    kernel(*pointers, ctypes.c_uint(0))
    assert (found == GUARD_WORD).all(), "no calls, nothing written"
    kernel(*pointers, ctypes.c_uint(sum(counts)))
    assert (found[-GUARD:] == GUARD_WORD).all(), "wrote beyond the buffer"
    assert all(np.array_equal(old, new) for old, new in zip(before, buffers, strict=False)), "wrote to an input"
    tensors = found[:-GUARD].reshape(sum(counts), rows, output.tensor.width)
    start, compared = 0, 0
    for vectors, count in zip(cases, counts, strict=True):
        expected = golden.run_integers(vectors)[output.name]
        part = tensors[start : start + count]
        part = part[0, : len(expected)] if graph.is_graph_network else part[:, 0]
        assert np.array_equal(part, expected)
        start, compared = start + count, compared + expected.size
    assert compared > 0
    assert len(np.unique(found[:-GUARD])) >= 2, "the vectors exercise the network"


def kernel_csim(directory: Path) -> subprocess.CompletedProcess[str]:
    command = [str(shutil.which("make")), "-C", str(directory), "kernel-csim"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def hand(tmp_path: Path) -> HlsProject:
    project = write_project(hand_graph(), tmp_path / "hand")
    golden = make_executor("golden", project.graph)
    write_vectors(project, [(vectors, golden.run(vectors)) for vectors in extreme_vectors(project.graph)])
    return project


def test_the_kernels_test_bench_checks_itself(hand: HlsProject) -> None:
    right = kernel_csim(hand.directory)
    assert right.returncode == 0, right.stderr
    lines = len((hand.directory / "tb_data" / "result.txt").read_text().splitlines())
    assert f"hitfabric_hand_kernel: {lines} rows or graphs, 0 mismatches" in right.stdout
    expected = hand.directory / "tb_data" / "result.txt"
    expected.write_text(expected.read_text().replace("15", "14"))
    wrong = kernel_csim(hand.directory)
    assert wrong.returncode != 0
    assert "result, word" in wrong.stderr
    expected.write_text("".join(expected.read_text().splitlines(keepends=True)[1:]))
    assert "another number of lines" in kernel_csim(hand.directory).stderr
    for path in (hand.directory / "tb_data").glob("*.txt"):
        path.unlink()
    nothing = kernel_csim(hand.directory)
    assert nothing.returncode != 0
    assert "nothing was compared" in nothing.stderr


def test_a_kernel_that_writes_too_far_is_caught(hand: HlsProject) -> None:
    source = hand.directory / "kernel" / "hitfabric_hand_kernel.cpp"
    text = source.read_text()
    source.write_text(
        text.replace("write_packets<4 ", "write_packets<1 ").replace("result_words, layer", "result_words + 1, layer")
    )
    caught = kernel_csim(hand.directory)
    assert caught.returncode != 0
    assert "result, word" in caught.stderr


def test_each_buffer_has_a_port_and_a_bank(hand: HlsProject) -> None:
    folder = hand.directory / "kernel"
    source = (folder / "hitfabric_hand_kernel.cpp").read_text()
    buffers = ("nodes_words", "edge_index_words", "result_words")
    for place, name in enumerate(buffers):
        assert f"m_axi port={name} offset=slave bundle=gmem_{name.removesuffix('_words')}" in source
        assert f"s_axilite port={name} bundle=control" in source
        assert f"sp=hand_1.{name}:HBM[{place}]" in (folder / "link_HBM.cfg").read_text()
        bank = 1 if name == "result_words" else 0
        assert f"sp=hand_1.{name}:DDR[{bank}]" in (folder / "link_DDR.cfg").read_text()
    assert "clock=200000000:hitfabric_hand_kernel" in (folder / "compile.cfg").read_text()


@pytest.mark.parametrize("backend", ["Vivado"])
def test_other_backends_say_that_they_have_no_kernel(backend: str, tmp_path: Path) -> None:
    project = write_project(hand_graph(), tmp_path / "hand", config=ProjectConfig(backend=backend))  # type: ignore[arg-type] - a literal
    assert not (project.directory / "kernel").exists()
    refused = kernel_csim(project.directory)
    assert refused.returncode != 0
    assert f"make kernel-csim needs backend Vitis, this project is for {backend}" in refused.stderr
