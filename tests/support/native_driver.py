"""The program of tests/emulation/cpp/call_native.cpp: a compiled network called from many threads, without Python."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from numpy.typing import NDArray

from hitfabric.emulation import Sizes
from hitfabric.emulation.native_build import KERNELS
from hitfabric.quantization import Node, TypedGraph
from support.random_graphs import Vectors

SOURCE = Path(__file__).parents[1] / "emulation" / "cpp" / "call_native.cpp"


@dataclass(frozen=True, kw_only=True, eq=False)
class CaseResult:
    """What the program got for one case with one instruction set; nothing where the status is not 0."""

    instructions: str
    number: int
    status: int
    outputs: dict[str, NDArray[np.float32]]
    taps: dict[str, NDArray[np.int64]]


@cache
def driver(flags: tuple[str, ...]) -> Path:
    """The program, compiled with these flags."""
    program = Path(mkdtemp(prefix="call_native")) / "call_native"
    command = ["g++", "-std=c++17", "-O1", "-g", "-Wall", "-Wextra", "-Werror", *flags, f"-I{KERNELS}", str(SOURCE)]
    subprocess.run([*command, "-o", str(program), "-ldl", "-pthread"], check=True, timeout=300)
    return program


def call_native(
    library: Path,
    graph: TypedGraph,
    cases: Sequence[Vectors],
    folder: Path,
    *,
    flags: Sequence[str] = (),
    callers: int = 3,
    threads: int = 4,
    environment: Mapping[str, str] | None = None,
    timeout: float = 600.0,
) -> list[CaseResult]:
    """Every case, by every instruction set that library and processor have, `callers` calls at the same time.

    Args:
        library: The compiled network.
        graph: The network.
        cases: Inputs of each call.
        folder: Scratch.
        flags: Flags of the program's compiler; those of a sanitizer must be the library's.
        callers: Threads that call.
        threads: Threads of each call.
        environment: Further variables of the program's environment.
        timeout: Longest time for all, in seconds.

    Raises:
        AssertionError: The program failed, which a sanitizer's report makes it do too.
    """
    given, found = folder / "cases", folder / "results"
    given.write_bytes(np.int64(len(cases)).tobytes() + b"".join(_packed(graph, case) for case in cases))
    done = subprocess.run(
        [str(driver(tuple(flags))), str(library), str(given), str(found), str(callers), str(threads)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **(environment or {})},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), f"exit code {done.returncode}\n{done.stderr[:5000]}"
    data, at, results = found.read_bytes(), 0, []
    for instructions in done.stdout.split():
        for number, case in enumerate(cases):
            sizes, status = _sizes(graph, case), int(np.frombuffer(data, np.int64, 1, at)[0])
            at += 8
            taken: list[dict[str, NDArray[np.generic]]] = [{}, {}]
            for place, nodes, kind in ((0, graph.outputs, np.float32), (1, graph.visible, np.int64)):
                for node in nodes if status == 0 else ():
                    shape = (sizes.of(node.tensor.shape[0]), node.tensor.width)
                    array = np.frombuffer(data, kind, shape[0] * shape[1], at).reshape(shape)
                    taken[place][node.name], at = array, at + array.nbytes
            results.append(
                CaseResult(instructions=instructions, number=number, status=status, outputs=taken[0], taps=taken[1])  # type: ignore[arg-type] - by place
            )
    assert at == len(data)
    return results


def _sizes(graph: TypedGraph, case: Vectors) -> Sizes:
    found = {str(node.tensor.shape[0]): len(case[node.name]) for node in graph.inputs}
    return Sizes(rows=found.get("R", 0), nodes=found.get("N", 0), edges=found.get("E", 0))


def _packed(graph: TypedGraph, case: Vectors) -> bytes:
    sizes = _sizes(graph, case)
    numbers = np.array([sizes.rows, sizes.nodes, sizes.edges], dtype=np.int64)
    return numbers.tobytes() + b"".join(_bytes(node, case) for node in graph.inputs)


def _bytes(node: Node, case: Vectors) -> bytes:
    return case[node.name].astype(np.int64 if node.tensor.is_index else np.float32).tobytes()
