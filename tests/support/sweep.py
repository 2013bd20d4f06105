"""Bit accuracy of random trained networks: Brevitas == golden == C simulation == native code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hitfabric.emulation import compare_executors, extreme_vectors, make_executor
from hitfabric.hls_projects import ProjectConfig, write_project
from hitfabric.quantization import TypedGraph
from hitfabric.quantization.reference import BrevitasReference
from hitfabric.quantization.tracer import trace
from support.native_sets import native_executor, native_sets_of
from support.random_graphs import Vectors, random_inputs
from support.random_models import random_model


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """Outcome of one network.

    Attributes:
        what: Network and project configuration, in words.
        compared: Integers compared over all executors.
        mismatches: Differing integers by executor.
        first: First divergence in words, or None.
    """

    what: str
    compared: int
    mismatches: dict[str, int]
    first: str | None


def check_network(seed: int, folder: Path) -> SweepResult:
    """Draw a network and a project configuration by a seed, and compare every executor with the golden one.

    Args:
        seed: Decides everything.
        folder: Where the project is written.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # tensors of a few rows: more threads only wait for each other
    try:
        return _check(seed, folder)
    finally:
        torch.set_num_threads(threads)


def _check(seed: int, folder: Path) -> SweepResult:
    drawn = random_model(seed)
    graph = trace(drawn.model, name="network", maxima=drawn.maxima)
    config = random_config(graph, seed=seed)
    project = write_project(graph, folder / f"seed{seed}", config=config)
    others: list[Any] = [BrevitasReference(drawn.model, graph), make_executor("csim", graph, project=project)]
    instructions = instructions_of(graph, seed=seed)
    others.append(native_executor(graph, instructions))
    ladder = compare_executors(make_executor("golden", graph), others, vectors(graph, seed=seed))
    rung = ladder.first_divergence
    return SweepResult(
        what=f"{drawn.description}; {config.model_dump(exclude_defaults=True)}; {instructions}",
        compared=ladder.compared,
        mismatches=ladder.mismatches[graph.name],
        first=f"{rung.executor} at {rung.node}: {rung.first}" if rung else None,
    )


def instructions_of(graph: TypedGraph, *, seed: int) -> str:
    """The instruction set of the native code: each in turn, from seed to seed."""
    able = native_sets_of(graph)
    return able[seed % len(able)]


def random_config(graph: TypedGraph, *, seed: int) -> ProjectConfig:
    """A project configuration: backend, design, lanes, strategy, reuse factor."""
    generator = np.random.default_rng([seed, 1])
    backend = str(generator.choice(["Vitis", "Vivado", "Quartus"], p=[0.4, 0.25, 0.35]))
    dataflow = bool(generator.random() < (0.7 if graph.is_graph_network else 0.4))
    chosen: dict[str, Any] = {"backend": backend, "design": "dataflow" if dataflow else "throughput"}
    if backend != "Quartus":
        if dataflow and graph.is_graph_network and generator.random() < 0.5:
            chosen["parallelism"] = int(generator.integers(2, 5))
        if generator.random() < 0.25:
            chosen |= {"strategy": "Resource", "reuse_factor": int(generator.integers(1, 9))}
    return ProjectConfig.model_validate(chosen)


def vectors(graph: TypedGraph, *, seed: int) -> Iterator[Vectors]:
    """The extremes of every format, then random vectors, full and partly filled graphs."""
    yield from extreme_vectors(graph, seed=seed, random_rows=200)
    generator = np.random.default_rng([seed, 2])
    for number in range(4):
        nodes, edges = graph.maxima.nodes, graph.maxima.edges
        sizes = {"R": 50, "N": int(generator.integers(1, nodes + 1)), "E": int(generator.integers(0, edges + 1))}
        yield random_inputs(graph, seed=seed + number, sizes=sizes)
