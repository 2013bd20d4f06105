"""`hitfabric validate`: the bit-accuracy ladder, zero mismatches or a named first divergence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain as joined
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray
from pydantic import Field

from ..core import DataError, RunDirectory, StrictModel, find_tool, progress
from ..emulation import Executor, Ladder, MutationResult, Rung, compare_executors, extreme_vectors, make_executor
from ..fpga_backend import Chain
from ..quantization import TypedGraph
from ..reports import records
from .build import load_networks
from .extras import require_extra
from .layout import PROJECTS, SECTOR_NETWORK, Model, find_model
from .mutate import Mutant, mutate_network
from .samples import read_chain_events
from .vectors import Arrays, event_vectors, sector_vectors

Checked = Literal["brevitas", "native", "csim"]
REFERENCE = "golden"
SECTOR_GRAPH_FILES = 40


class ValidateConfig(StrictModel):
    """Configuration of `hitfabric validate`.

    Attributes:
        model: Run directory of `train`, or a chain directory; None takes the shipped weights.
        events: Folder of events in TrackML CSV layout; None compares on format extremes only.
        graphs: Folder of graphs for the sector network.
        projects: Folder of the projects written by `build`; None writes projects to the cache.
        out: Run directory to write.
        executors: What is compared with the golden executor; `brevitas` needs the checkpoints of `train`.
            None takes all that the model allows: a bare chain directory has no checkpoints.
        event_names: Only these events.
        hits: Hits of real events to compare.
        edges: Edges of real events to compare.
        graph_count: Graphs of real events to compare.
        whole_events: Also compare Brevitas and native on the graph of one whole event, beyond the firmware's maxima.
        mutate: Plant faults and check that each is caught.
        mutate_executors: Executors that get the faults; each fault in `csim` takes a compilation.
        seed: Seed of random vectors and of the choice of rows.
    """

    model: Path | None = None
    events: Path | None = None
    graphs: Path | None = None
    projects: Path | None = None
    out: Path = Path("runs/validate")
    executors: tuple[Checked, ...] | None = None
    event_names: tuple[str, ...] | None = None
    hits: int = Field(default=20_000, ge=1)
    edges: int = Field(default=20_000, ge=1)
    graph_count: int = Field(default=200, ge=1)
    whole_events: bool = True
    mutate: bool = False
    mutate_executors: tuple[Mutant, ...] = ("golden", "native", "csim")
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class ValidateResult:
    """Outcome of a validation.

    Attributes:
        ladder: One rung per network, executor and visible node.
        mutations: Planted faults by network; empty unless asked for.
        sample: What was compared, in words.
    """

    ladder: Ladder
    mutations: Mapping[str, Sequence[MutationResult]]
    sample: str

    @property
    def passed(self) -> bool:
        """No mismatch, and every planted fault caught."""
        caught = all(result.caught for results in self.mutations.values() for result in results)
        return self.ladder.first_divergence is None and caught


def validate(config: ValidateConfig) -> ValidateResult:
    """Run the same vectors through every executor and write `ladder.json`.

    Args:
        config: What to compare, on what.

    Returns:
        The outcome; mismatches are no exception.

    Raises:
        ToolError: An extra or the compiler is missing.
        DataError: There is no model, or the events are malformed or too few.
        ContractError: A checkpoint is not the network the graph was traced from.
    """
    model = find_model(config.model)
    executors = _choose_executors(config.executors, model)
    graphs = load_networks(model)
    vectors, sample = _real_vectors(config, model, graphs)
    rungs: list[Rung] = []
    faults: dict[str, list[MutationResult]] = {}
    for name, graph in graphs.items():
        others = [_executor(kind, name, graph, model, config) for kind in executors]
        batches = joined(vectors.get(name, ()), extreme_vectors(graph, seed=config.seed))
        total = len(vectors.get(name, ())) + sum(1 for _ in extreme_vectors(graph, seed=config.seed))
        rungs += compare(graph, others, progress(batches, description=f"validate {name}", total=total))
        if name == "interaction_network" and "whole" in vectors:
            dynamic = [other for other in others if other.name != "csim"]
            rungs = merge(rungs, compare(graph, dynamic, vectors["whole"]))
        if config.mutate:
            given = vectors.get(name) or list(extreme_vectors(graph, seed=config.seed))
            faults[name] = mutate_network(graph, given, executors=config.mutate_executors, seed=config.seed)
    result = ValidateResult(ladder=Ladder(rungs=rungs), mutations=faults, sample=sample)
    _write(config, model, result)
    return result


def compare(graph: TypedGraph, others: Sequence[Any], batches: Iterable[Arrays]) -> list[Rung]:
    """Rungs of one network against the golden executor."""
    return compare_executors(make_executor(REFERENCE, graph), others, batches).rungs


def merge(rungs: Iterable[Rung], more: Iterable[Rung]) -> list[Rung]:
    """Add the counts of `more` to the rungs of the same network, node and executor."""
    found = {(rung.network, rung.node, rung.executor): rung for rung in rungs}
    for extra in more:
        rung = found[extra.network, extra.node, extra.executor]
        rung.compared += extra.compared
        rung.mismatches += extra.mismatches
        rung.saturated += extra.saturated
        rung.first = rung.first or extra.first
        rung.reached_low = min(
            (value for value in (rung.reached_low, extra.reached_low) if value is not None), default=None
        )
        rung.reached_high = max(
            (value for value in (rung.reached_high, extra.reached_high) if value is not None), default=None
        )
    return list(found.values())


def _choose_executors(wanted: Sequence[Checked] | None, model: Model) -> Sequence[Checked]:
    if wanted is None:
        chosen: Sequence[Checked] = ("native", "csim") if model.checkpoints is None else ("brevitas", "native", "csim")
    else:
        chosen = wanted
    if "brevitas" in chosen:
        require_extra("train")
        if model.checkpoints is None:
            raise DataError(
                f"{model.chain} has no checkpoints beside it", remedy="give the --out folder of hitfabric train"
            )
    if "csim" in chosen:
        require_extra("build")
    if {"native", "csim"} & set(chosen):
        find_tool("g++", purpose="compile the executors")
    return chosen


def _executor(kind: Checked, name: str, graph: TypedGraph, model: Model, config: ValidateConfig) -> Executor:
    if kind == "brevitas":
        from ..models.checkpoints import load_checkpoint
        from ..quantization.reference import BrevitasReference

        assert model.checkpoints is not None
        return BrevitasReference(load_checkpoint(model.checkpoints / f"{name}.pt"), graph)
    if kind == "csim" and config.projects is not None:
        folder = config.projects / PROJECTS if (config.projects / PROJECTS).is_dir() else config.projects
        return make_executor(kind, graph, project=folder / name)
    return make_executor(kind, graph)


def _real_vectors(
    config: ValidateConfig, model: Model, graphs: Mapping[str, TypedGraph]
) -> tuple[dict[str, list[dict[str, NDArray[Any]]]], str]:
    vectors: dict[str, list[Arrays]] = {}
    parts = ["format extremes"]
    if config.events is not None:
        chain = Chain.load(model.chain, "native")
        events = read_chain_events(config.events, chain.config, names=config.event_names)
        found = event_vectors(
            chain, events, hits=config.hits, edges=config.edges, graphs=config.graph_count, seed=config.seed
        )
        vectors |= {"embedding": found.embedding, "filter": found.filter, "interaction_network": found.pieces}
        if config.whole_events:
            vectors["whole"] = found.whole
        parts.append(
            f"{found.hits} hits, {found.pairs} hit pairs and {len(found.pieces)} graphs with {found.edges} edges"
            f" of events in {config.events.name}"
        )
    if config.graphs is not None and SECTOR_NETWORK in graphs:
        maxima = graphs[SECTOR_NETWORK].maxima
        vectors[SECTOR_NETWORK] = sector_vectors(
            config.graphs, maxima, graphs=config.graph_count, limit=SECTOR_GRAPH_FILES
        )
        parts.append(f"{config.graph_count} sector graphs of {config.graphs.name}")
    return vectors, ", ".join(parts)


def _write(config: ValidateConfig, model: Model, result: ValidateResult) -> None:
    run = RunDirectory(path=config.out)
    rows = tuple(_row(rung) for rung in result.ladder.rungs)
    ladder = records.Ladder(reference=REFERENCE, sample=result.sample, rows=rows)
    run.write_json("ladder.json", ladder.model_dump(mode="json"))
    if config.mutate:
        faults = {name: [asdict(item) for item in items] for name, items in result.mutations.items()}
        run.write_json("mutations.json", faults)
    run.record(command="validate", config=config, inputs=[model.chain], seed=config.seed)


def _row(rung: Rung) -> records.LadderRow:
    first = None
    if rung.first is not None:
        first = records.FirstMismatch(**asdict(rung.first))
    values = {key: value for key, value in asdict(rung).items() if key != "first"}
    return records.LadderRow(**values, first=first)


def divergences(result: ValidateResult) -> Iterator[str]:
    """One line per network and executor that differs: first diverging node, index, both integers."""
    seen = set()
    for rung in result.ladder.rungs:
        if rung.first is None or (rung.network, rung.executor) in seen:
            continue
        seen.add((rung.network, rung.executor))
        first = rung.first
        yield (
            f"{rung.network}: {rung.executor} first differs at node {rung.node}, batch {first.batch}, "
            f"index {list(first.index)}: {REFERENCE} {first.expected}, {rung.executor} {first.found}"
        )
    for network, results in result.mutations.items():
        for item in results:
            if not item.caught:
                yield f"{network}: {item.executor} did not notice the planted fault: {item.what}"
