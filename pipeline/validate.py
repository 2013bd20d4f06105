"""`hitfabric validate`: the bit-accuracy ladder, zero mismatches or a named first divergence."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field, NonNegativeInt

from ..core.spreading import SpreadConfig, open_spread
from ..emulation import EXECUTORS, GraphCoverage, Ladder, MutationResult
from ..hls_projects.manifest import MANIFEST
from ..hls_projects.rtl_config import RtlConfig
from ..quantization import TypedGraph
from ..reports.size_record import GraphSizes
from .bench import Bench, BenchConfig, design_of
from .chosen_executors import BREVITAS, RTL, choose_executors
from .comparison import Comparison
from .cycles import CycleCount, count_cycles
from .idle_settings import check_needed, check_sources
from .mutate import Faults, Mutant, mutate_networks
from .networks import Network, select_networks
from .parts import Parts
from .run_key import run_key
from .samples import check_readable
from .verdict import write_results

STALLS = 0.2


class ValidateConfig(SpreadConfig):
    """Configuration of `hitfabric validate`.

    Attributes:
        networks: Names or directories of networks, see `select_networks`; None takes every network of the model.
        model: Run directory of `train`, or a chain directory; None takes the shipped networks.
        events: Folder of events in TrackML CSV layout; None compares on format extremes only.
        graphs: Folder of graphs for the sector network.
        projects: Folder of the projects written by `build`; None writes projects to the cache.
        out: Run directory to write.
        executors: The first is the reference, the others are compared with it; one alone is compared with golden.
            `brevitas` needs the checkpoints of `train`. None compares with golden all that the networks allow.
        event_names: Only these events.
        hits: Hits of real events to compare.
        edges: Edges of real events to compare.
        graph_count: Graphs of real events, and of the sector workload, to compare.
        everything: Compare every hit, hit pair and graph of the events instead.
        random_batches: Batches of random vectors besides the extremes of the formats.
        whole_events: Also compare the graph of one whole event, where executors take more than the maxima.
        bounded: Run the C simulation with streams that hold no more than they would in hardware, where a design has
            streams; a deadlock is an error.
        mutate: Plant faults and check that each is caught.
        mutate_executors: Executors that get the faults; None takes all that are compared.
        rtl: How the RTL is written; what is not given takes its default.
        stalls: Probability of a random gap or of back-pressure in each cycle and on each stream of the RTL simulation.
            Cycles are counted without.
        mutants_per_kind: Faults of one kind in each network for compiled executors, each of which takes a compilation;
            the golden executor gets every fault at every node.
        seed: Seed of random vectors, of the choice of rows and of the places of faults.
        resume: Take what an interrupted run with the same settings finished.
    """

    networks: tuple[str, ...] | None = None
    model: Path | None = None
    events: Path | None = None
    graphs: Path | None = None
    projects: Path | None = None
    out: Path = Path("runs/validate")
    executors: tuple[str, ...] | None = None
    event_names: tuple[str, ...] | None = None
    hits: int = Field(default=20_000, ge=1)
    edges: int = Field(default=20_000, ge=1)
    graph_count: int = Field(default=200, ge=1)
    everything: bool = False
    random_batches: NonNegativeInt = 0
    whole_events: bool = True
    bounded: bool = False
    mutate: bool = False
    mutate_executors: tuple[Mutant, ...] | None = None
    mutants_per_kind: int = Field(default=1, ge=1)
    rtl: RtlConfig = RtlConfig()
    stalls: float = Field(default=STALLS, ge=0, le=0.9)
    seed: int = Field(default=0, ge=0)
    resume: bool = True


@dataclass(frozen=True, kw_only=True)
class ValidateResult:
    """Outcome of a validation.

    Attributes:
        reference: Executor that the others were compared with.
        ladder: One rung per network, executor and visible node.
        coverage: What the vectors reached of each tensor, by network.
        mutations: Planted faults by network; empty unless asked for.
        unexercised: Faults that no vector can show, and that were not planted, by network: kind and node.
        sample: What was compared, in words.
        graph_sizes: Sizes of the graphs of events and sectors.
        cycles: Clock cycles of the RTL by network; empty without the executor rtl.
        resumed: Items taken from an interrupted run.
        seconds: Wall time.
    """

    reference: str
    ladder: Ladder
    coverage: Mapping[str, GraphCoverage]
    mutations: Mapping[str, Sequence[MutationResult]]
    unexercised: Mapping[str, Sequence[tuple[str, str]]]
    sample: str
    graph_sizes: Sequence[GraphSizes] = ()
    cycles: Mapping[str, CycleCount] = field(default_factory=dict)
    resumed: int = 0
    seconds: float = 0.0

    @property
    def tried(self) -> int:
        """Faults planted."""
        return sum(len(results) for results in self.mutations.values())

    @property
    def caught(self) -> int:
        """Faults that the comparison noticed."""
        return sum(result.caught for results in self.mutations.values() for result in results)

    @property
    def passed(self) -> bool:
        """Every node compared without a mismatch, every planted fault caught, and none of the networks without a fault.

        The last where faults were asked for.
        """
        compared = all(rung.compared for rung in self.ladder.rungs)
        planted = all(self.mutations.values())
        if any(count.mismatches for count in self.cycles.values()):
            return False
        return compared and self.ladder.first_divergence is None and self.caught == self.tried and planted


def validate(config: ValidateConfig) -> ValidateResult:
    """Run the same vectors through every executor and write what came of it.

    Writes `ladder.json`, `validation.json`, `junit.xml`, `report.html`, with `mutate` `mutations.json`, and with rtl
    `cycles.json`. Work is spread over processes; the result does not depend on their number. An interrupted run is
    continued.

    Args:
        config: What to compare, on what.

    Returns:
        The outcome; mismatches are no exception.

    Raises:
        ToolError: An extra or the compiler is missing, or a worker process died twice of the same work.
        ConfigError: No such network or executor, or a setting would have no effect.
        DataError: There is no model, or the events are malformed or too few.
        GraphError: A network or project is malformed, or a bounded stream deadlocks.
        ContractError: A checkpoint is not the network the graph was traced from.
    """
    start = time.monotonic()
    _check_settings(config)
    selection = select_networks(config.networks, model=config.model, projects=config.projects)
    check_sources([network.feed for network in selection.networks], events=config.events, graphs=config.graphs)
    executors = choose_executors(config.executors, selection.networks)
    check_readable(events=config.events, graphs=config.graphs, names=config.event_names)
    graphs = {network.name: TypedGraph.load(network.graph) for network in selection.networks}
    streams = any(design_of(network, graphs[network.name]) == "dataflow" for network in selection.networks)
    check_needed("bounded", given=config.bounded, needs="a network in the dataflow design", there=streams)
    written = any(network.rtl_project is None for network in selection.networks)
    check_needed("rtl", given=config.rtl != RtlConfig(), needs="a network without an RTL project", there=written)
    key = run_key(config, graphs, executors, files=_made_from(selection.networks, executors))
    with Parts(config.out, key=key, resume=config.resume) as parts, open_spread(config.where) as spread:
        bench = BenchConfig(
            networks={network.name: network.absolute() for network in selection.networks},
            executors=executors,
            bounded=config.bounded,
            threads=spread.threads,
            seed=config.seed,
            scratch=parts.scratch.resolve(),
            rtl=config.rtl,
            stalls=config.stalls,
        )
        with spread.workers(Bench, bench) as workers:
            run = Comparison(config=config, selection=selection, executors=executors, graphs=graphs, parts=parts)
            run.prepare(workers)
            run.compare(workers)
            faults = Faults()
            if config.mutate:
                chosen = config.mutate_executors or tuple(name for name in executors if name in EXECUTORS)
                faults = mutate_networks(
                    run.format_vectors,
                    workers,
                    parts,
                    executors=chosen,
                    per_kind=config.mutants_per_kind,
                    seed=config.seed,
                )
            cycles: dict[str, CycleCount] = {}
            if RTL in executors:
                cycles = count_cycles(config, selection.networks, graphs, run.format_vectors, workers)
        result = ValidateResult(
            reference=executors[0],
            ladder=Ladder(rungs=[rung for tally in run.tallies.values() for rung in tally.rungs.values()]),
            coverage={name: tally.coverage for name, tally in run.tallies.items()},
            mutations=faults.results,
            unexercised=faults.unexercised,
            sample=run.sample(),
            graph_sizes=tuple(run.graph_sizes()),
            cycles=cycles,
            resumed=run.resumed + faults.resumed,
            seconds=round(time.monotonic() - start, 2),
        )
        write_results(config, result, inputs=[network.graph for network in selection.networks])
    return result


def _check_settings(config: ValidateConfig) -> None:
    """Refuse settings that would have no effect."""
    events = config.events is not None
    with_csim = config.executors is None or "csim" in config.executors
    with_rtl = config.executors is not None and RTL in config.executors
    with_project = with_csim or with_rtl
    check_needed("projects", given=config.projects, needs="the executor csim or rtl", there=with_project)
    check_needed("bounded", given=config.bounded, needs="the executor csim", there=with_csim)
    check_needed("everything", given=config.everything, needs="events or graphs", there=events or config.graphs)
    check_needed("event_names", given=config.event_names, needs="events", there=events)
    check_needed("stalls", given=config.stalls != STALLS, needs="the executor rtl", there=with_rtl)
    check_needed("rtl", given=config.rtl != RtlConfig(), needs="the executor rtl", there=with_rtl)
    check_needed("mutate_executors", given=config.mutate_executors, needs="mutate", there=config.mutate)


def _made_from(networks: Sequence[Network], executors: Sequence[str]) -> list[Path]:
    """Files besides the typed graphs that decide what the executors compute."""
    files: list[Path] = []
    for network in networks:
        if "csim" in executors and network.project is not None:
            files.append(network.project / MANIFEST)  # it holds the hash of every source
        if RTL in executors and network.rtl_project is not None:
            files.append(network.rtl_project / MANIFEST)
        if BREVITAS in executors and network.checkpoint is not None:
            files.append(network.checkpoint)
    return files


def divergences(result: ValidateResult) -> Iterator[str]:
    """One line per network and executor that differs, and one for whatever else keeps a validation from passing."""
    seen = set()
    for rung in result.ladder.rungs:
        if rung.first is None or (rung.network, rung.executor) in seen:
            continue
        seen.add((rung.network, rung.executor))
        first = rung.first
        yield (
            f"{rung.network}: {rung.executor} first differs at node {rung.node}, batch {first.batch}, "
            f"index {list(first.index)}: {result.reference} {first.expected}, {rung.executor} {first.found}"
        )
    for network, count in result.cycles.items():
        if count.mismatches:
            yield f"{network}: rtl gives {count.mismatches} other integers than golden on {count.workload}"
    for rung in result.ladder.rungs:
        if not rung.compared:
            yield f"{rung.network}: nothing was compared with {rung.executor} at node {rung.node}"
    for network, results in result.mutations.items():
        if not results:
            yield f"{network}: the vectors can show no fault: nothing was planted, so that nothing is proven"
        for item in results:
            if not item.caught:
                yield f"{network}: {item.executor} did not notice the planted fault: {item.what}"
