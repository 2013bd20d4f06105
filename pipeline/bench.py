"""What a worker of `hitfabric validate` does: it builds its own executors and runs one task at a time."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..emulation import (
    Mutation,
    MutationResult,
    format_vectors,
    make_executor,
    plan_mutations,
    try_mutation,
)
from ..emulation.compare import Comparable, compare_values
from ..emulation.golden import GoldenExecutor
from ..emulation.mutations import MutationPlan, golden_mutant
from ..emulation.rtl import RtlExecutor
from ..emulation.rtl_faults import narrow_accumulators
from ..hls_projects import HlsProject, ProjectConfig
from ..hls_projects.rtl_config import RtlConfig
from ..hls_projects.rtl_project import RtlProject
from ..quantization import TypedGraph
from .networks import Network
from .tally import Tally

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """What every worker knows.

    Attributes:
        networks: Networks by name.
        executors: Names; the first is the reference.
        bounded: C simulation with bounded streams, where the design has streams.
        threads: Threads of one executor.
        seed: Seed of vectors and of the places of faults.
        scratch: Folder for the projects of mutants.
        rtl: How RTL projects are written.
        stalls: Probability of a gap or of back-pressure in a cycle of an RTL simulation.
    """

    networks: dict[str, Network]
    executors: tuple[str, ...]
    bounded: bool
    threads: int
    seed: int
    scratch: Path
    rtl: RtlConfig = field(default_factory=RtlConfig)
    stalls: float = 0.0


class Bench:
    """Executors of a worker, built when first asked for.

    Args:
        config: What every worker knows.

    """

    def __init__(self, config: BenchConfig) -> None:
        self.config = config
        os.environ.setdefault("OMP_NUM_THREADS", str(config.threads))  # read by torch, where it is used
        self._graphs: dict[str, TypedGraph] = {}
        self._executors: dict[tuple[str, str], Comparable] = {}

    def graph(self, network: str) -> TypedGraph:
        """Typed graph of a network."""
        if network not in self._graphs:
            self._graphs[network] = TypedGraph.load(self.config.networks[network].graph)
        return self._graphs[network]

    def executor(self, network: str, kind: str) -> Comparable:
        """Executor of a network."""
        if (network, kind) not in self._executors:
            self._executors[network, kind] = self._make(self.config.networks[network], kind)
        return self._executors[network, kind]

    def golden(self, network: str) -> GoldenExecutor:
        """The golden model of a network, which also shows hidden nodes."""
        executor = self.executor(network, "golden")
        assert isinstance(executor, GoldenExecutor)
        return executor

    def rtl(self, network: str) -> RtlExecutor:
        """The RTL of a network, which also counts cycles."""
        executor = self.executor(network, "rtl")
        assert isinstance(executor, RtlExecutor)
        return executor

    def _make(self, network: Network, kind: str) -> Comparable:
        graph = self.graph(network.name)
        if kind == "brevitas":
            from ..models.checkpoints import load_checkpoint
            from ..quantization.reference import BrevitasReference

            assert network.checkpoint is not None
            return BrevitasReference(load_checkpoint(network.checkpoint), graph)
        options: dict[str, Any] = {}
        if kind in ("native", "numpy"):
            options["threads"] = self.config.threads
        if kind == "rtl":
            options |= self._rtl_options(network)
            if network.rtl_project is not None:
                options["project"] = network.rtl_project
        if kind == "csim":
            if network.project is not None:
                options["project"] = network.project
            options["bounded"] = self._bounded(network, graph)
        return make_executor(kind, graph, **options)

    def mutant(self, mutation: Mutation, kind: str, *, network: str, directory: Path) -> Comparable:
        """Executor with a fault in place; its project goes to `directory`."""
        if not mutation.is_built(self.graph(network)):
            return self.executor(network, kind)
        if kind == "golden":
            return golden_mutant(mutation)
        if kind in ("native", "numpy"):
            return make_executor(kind, mutation.graph, threads=self.config.threads)
        if kind == "rtl":
            graph = narrow_accumulators(mutation.graph, mutation.accumulator_widths)
            models = self.config.scratch / "models"  # gone with the run
            return make_executor(
                kind, graph, directory=directory, models=models, **self._rtl_options(self.config.networks[network])
            )
        project = self.config.networks[network].project
        bounded = self._bounded(self.config.networks[network], mutation.graph)
        return make_executor(
            kind,
            mutation.graph,
            directory=directory,
            config=None if project is None else _without_depths(HlsProject.load(project).config),
            accumulator_widths=mutation.accumulator_widths or None,
            bounded=bounded,
        )

    def _rtl_options(self, network: Network) -> dict[str, Any]:
        config = rtl_config_of(network, self.config.rtl)
        return {"config": config, "stalls": self.config.stalls, "seed": self.config.seed}

    def _bounded(self, network: Network, graph: TypedGraph) -> bool:
        return self.config.bounded and design_of(network, graph) == "dataflow"


def _without_depths(config: ProjectConfig) -> ProjectConfig:
    """Depths name streams of the sound network: a faulty one may have others, and no number depends on them."""
    return config.model_copy(update={"stream_depths": {}})


def design_of(network: Network, graph: TypedGraph) -> str | None:
    """Design of a network's project, or the one it gets by default."""
    config = ProjectConfig() if network.project is None else HlsProject.load(network.project).config
    return config.resolved(graph).design


def rtl_config_of(network: Network, default: RtlConfig) -> RtlConfig:
    """How the RTL of a network is written: as its project was, if it has one."""
    return default if network.rtl_project is None else RtlProject.load(network.rtl_project).config


@dataclass(frozen=True, kw_only=True)
class Prepare:
    """Compiles an executor, once before several workers load it."""

    network: str
    executor: str

    @property
    def label(self) -> str:
        """What it is."""
        return f"building {self.executor} of {self.network}"

    def run(self, bench: Bench) -> None:
        """Build it."""
        bench.executor(self.network, self.executor)


@dataclass(frozen=True, kw_only=True)
class FormatVectors:
    """Finds vectors at the extremes of a network's formats."""

    network: str

    @property
    def label(self) -> str:
        """What it is."""
        return f"vectors of {self.network}"

    def run(self, bench: Bench) -> list[Arrays]:
        """The batches."""
        return list(format_vectors(bench.graph(self.network), seed=bench.config.seed))


@dataclass(frozen=True, kw_only=True, eq=False)
class Compare:
    """Runs one batch through every executor.

    Attributes:
        network: Name of the network.
        batch: Number of the batch.
        inputs: The batch.
        whole: Whether it may be larger than the maxima: the coverage and executors of static size leave it out.
    """

    network: str
    batch: int
    inputs: Arrays
    whole: bool = False

    @property
    def label(self) -> str:
        """What it is."""
        return f"batch {self.batch} of {self.network}"

    def run(self, bench: Bench) -> dict[str, Any]:
        """Record of a `Tally`."""
        reference, *others = bench.config.executors
        graph = bench.graph(self.network)
        tally = Tally(graph, network=self.network, executors=others)
        values = bench.golden(self.network).run_all(self.inputs)
        if not self.whole:
            tally.coverage.add(self.inputs, values)
        expected = self._integers(bench, reference, values)
        for other in others:
            if self.whole and getattr(bench.executor(self.network, other), "maxima_limited", False):
                continue
            found = self._integers(bench, other, values)
            compare_values(tally.rungs, graph, other, expected=expected, found=found, batch=self.batch)
        return tally.to_record()

    def _integers(
        self, bench: Bench, executor: str, golden: dict[str, NDArray[np.int64]]
    ) -> dict[str, NDArray[np.int64]]:
        if executor == "golden":
            return {node.name: golden[node.name] for node in bench.graph(self.network).visible}
        return bench.executor(self.network, executor).run_integers(self.inputs)


@dataclass(frozen=True, kw_only=True, eq=False)
class PlanMutations:
    """Chooses the faults of a network."""

    network: str
    batches: Sequence[Arrays]
    outputs: bool = False

    @property
    def label(self) -> str:
        """What it is."""
        return f"choosing faults of {self.network}"

    def run(self, bench: Bench) -> MutationPlan:
        """The plan."""
        return plan_mutations(bench.graph(self.network), self.batches, seed=bench.config.seed, outputs=self.outputs)


@dataclass(frozen=True, kw_only=True, eq=False)
class TryMutation:
    """Plants one fault in one executor and compares it with the reference."""

    network: str
    executor: str
    mutation: Mutation
    inputs: Arrays

    @property
    def label(self) -> str:
        """What it is."""
        return f"{self.mutation.what}, planted in {self.executor} of {self.network}"

    def run(self, bench: Bench) -> MutationResult:
        """The outcome."""
        with tempfile.TemporaryDirectory(dir=bench.config.scratch) as scratch:
            mutant = bench.mutant(
                self.mutation, self.executor, network=self.network, directory=Path(scratch) / "project"
            )
            reference = bench.executor(self.network, bench.config.executors[0])
            return try_mutation(self.mutation, reference=reference, mutant=mutant, vectors=self.inputs)
