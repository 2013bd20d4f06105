"""The comparison of `hitfabric validate`: batches streamed to the workers, counts summed, each batch once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ..core import progress
from ..core.spread import Workers
from ..fpga_backend import Chain
from ..quantization import TypedGraph
from ..reports.size_record import GraphSizes
from .bench import Arrays, Bench, Compare, FormatVectors, Prepare
from .graph_sizes import network_limit
from .networks import Selection
from .parts import Parts
from .run_key import vectors_digest
from .samples import read_chain_events
from .tally import Tally
from .vectors import Batch, Taken, Wanted, event_batches, random_batch, sector_batches

if TYPE_CHECKING:
    from .validate import ValidateConfig

COMPILED = ("native", "csim")
SECTOR_GRAPH_FILES = 40


class Comparison:
    """One comparison under way.

    Args:
        config: What to compare, on what.
        selection: The networks.
        executors: Names, the reference first.
        graphs: Typed graphs by name of the network.
        parts: Finished batches, taken and added.

    """

    def __init__(
        self,
        *,
        config: ValidateConfig,
        selection: Selection,
        executors: Sequence[str],
        graphs: Mapping[str, TypedGraph],
        parts: Parts,
    ) -> None:
        self.config, self.selection, self.executors, self.graphs, self.parts = (
            config,
            selection,
            executors,
            graphs,
            parts,
        )
        self.tallies = {name: Tally(graph, network=name, executors=executors[1:]) for name, graph in graphs.items()}
        self.format_vectors: dict[str, list[Arrays]] = {}
        self.taken = Taken()
        self.resumed = 0

    def prepare(self, workers: Workers[Bench]) -> None:
        """Compile what has to be compiled, and find the vectors, in parallel over networks."""
        tasks: list[Prepare | FormatVectors] = [
            Prepare(network=name, executor=executor)
            for executor in ("rtl", *reversed(COMPILED))  # the slowest first
            if executor in self.executors
            for name in self.graphs
        ]
        tasks += [FormatVectors(network=name) for name in self.graphs]
        for task, result in progress(workers.run(tasks), description="build executors", total=len(tasks)):
            if isinstance(task, FormatVectors):
                self.format_vectors[task.network] = result

    def compare(self, workers: Workers[Bench]) -> None:
        """Compare every batch, each once, taking what an interrupted run finished."""
        known = sum(len(batches) + self.config.random_batches for batches in self.format_vectors.values())
        total = known if self.config.events is None and self.config.graphs is None else None
        digests: dict[str, str] = {}
        finished = workers.run(self._unfinished(digests))
        for task, record in progress(finished, description="compare batches", total=total):
            item = f"{task.network}/{task.batch}"
            self.parts.add(item, {"vectors": digests.pop(item), **record})
            self.tallies[task.network].merge_record(record)

    def _unfinished(self, digests: dict[str, str]) -> Iterator[Compare]:
        for task in self._batches():
            item, digest = f"{task.network}/{task.batch}", vectors_digest(task.inputs)
            record = self.parts.found.get(item)
            if record is not None and record["vectors"] == digest:
                self.tallies[task.network].merge_record(record)
                self.resumed += 1
                continue
            digests[item] = digest
            yield task

    def _batches(self) -> Iterator[Compare]:
        counts = dict.fromkeys(self.graphs, 0)

        def task(name: str, inputs: Arrays, *, whole: bool = False) -> Compare:
            counts[name] += 1
            return Compare(network=name, batch=counts[name] - 1, inputs=inputs, whole=whole)

        for name, graph in self.graphs.items():
            for inputs in self.format_vectors[name]:
                yield task(name, inputs)
            for number in range(self.config.random_batches):
                yield task(name, random_batch(graph, seed=self.config.seed, number=number))
        feeds = {network.feed: network.name for network in self.selection.networks if network.feed is not None}
        for batch in self._real_batches({feed for feed in feeds if feed is not None}):
            if batch.feed in feeds:
                yield task(feeds[batch.feed], batch.inputs, whole=batch.whole)

    def _real_batches(self, feeds: Iterable[str]) -> Iterator[Batch]:
        config, feeds = self.config, set(feeds)
        wanted = Wanted(
            hits=config.hits if "embedding" in feeds else 0,
            edges=config.edges if {"filter", "interaction_network"} & feeds else 0,
            graphs=config.graph_count if "interaction_network" in feeds else 0,
            everything=config.everything,
        )
        if config.events is not None and self.selection.chain is not None and feeds - {"sector"}:
            chain = Chain.load(self.selection.chain, "native")
            events = read_chain_events(config.events, chain.config, names=config.event_names)
            whole = config.whole_events and self.executors[0] != "csim"
            yield from event_batches(chain, events, wanted, self.taken, seed=config.seed, whole_events=whole)
        sector = next((network.name for network in self.selection.networks if network.feed == "sector"), None)
        if config.graphs is not None and sector is not None:
            maxima = self.graphs[sector].maxima
            wanted = Wanted(hits=0, edges=0, graphs=config.graph_count, everything=config.everything)
            yield from sector_batches(config.graphs, maxima, wanted, self.taken, limit=SECTOR_GRAPH_FILES)

    def graph_sizes(self) -> Iterator[GraphSizes]:
        """Sizes of the graphs of events and sectors: those compared, and those left out as larger than the maxima."""
        for network in self.selection.networks:
            source = self.config.graphs if network.feed == "sector" else self.config.events
            if network.feed is None or source is None:
                continue
            limit = network_limit(self.graphs[network.name].maxima, network.name)
            for kind, counts in (("compared", self.taken.sizes), ("left out", self.taken.beyond)):
                if counts.get(network.feed):
                    kind = f"graph for {network.name}, {kind}"
                    yield GraphSizes.of(counts[network.feed], kind=kind, sample=source.name, limit=limit)

    def sample(self) -> str:
        """What was compared, in words."""
        parts, taken = ["format extremes"], self.taken
        if self.config.random_batches:
            parts.append(f"{self.config.random_batches} random batches of each network")
        if taken.events and self.config.events is not None:
            parts.append(
                f"{taken.hits} hits, {taken.pairs} hit pairs and {taken.graphs} graphs with {taken.edges} edges"
                f" of {taken.events} events in {self.config.events.name}"
            )
        if taken.sectors and self.config.graphs is not None:
            parts.append(f"{taken.sectors} sector graphs of {self.config.graphs.name}")
        if self.config.bounded:
            parts.append("the C simulation with bounded streams")
        return ", ".join(parts)
