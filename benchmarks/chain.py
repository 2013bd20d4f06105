"""Time the event chain, stage by stage: embedding, radius graph, filter, interaction network, track building.

    python benchmarks/chain.py [--quick] [--events DIR] [--json FILE]

Both shipped chains run on one event of about 1e5 hits (of all layers; the pixel chain takes its pixels): the last one
of --events, or one that is simulated (ideal helices). Every case is a process of its own, held to as many cores as it
has threads. Times are wall times, the median of several runs, with the distance of their quartiles over it as spread.

- whole event: by stage, with 1 and 2 threads, which must give the same labels; peak memory of the process.
- wedges, whole slices in phi, hence as dense as the event. growth is the time per hit of the whole event over theirs;
  and over that of a thin event of a tenth of the particles (a tenth of the pile-up, hence far fewer pairs a hit).
  All of these take turns in one process.
- dense: the event with about 6e6 candidate edges, 1e6 of them kept by the filter; peak memory.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from chosen_event import choose_event
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from hitfabric.core import atomic_file
from hitfabric.detector import Event
from hitfabric.fpga_backend.chain import load_config
from hitfabric.models.zoo import zoo_path
from hitfabric.pipeline.samples import ChainEvent

CHAINS = ("event-full", "event-pixel")
STAGES = ("embedding", "radius_graph", "filter", "interaction_network", "track_building")
HOST = ("radius_graph", "track_building")
THREADS = (1, 2)
WEDGE_HITS = (10_000, 25_000, 50_000)
WEDGES = 4
DENSE_CANDIDATES, DENSE_EDGES = 6_000_000, 1_000_000
THIN = 0.1
Row = dict[str, Any]


def run_case(**case: Any) -> Row:  # noqa: ANN401 - fields of chain_case.Case
    """Run a case in a process of its own and read what it prints."""
    script = Path(__file__).with_name("chain_case.py")
    done = subprocess.run(
        [sys.executable, str(script), json.dumps({"changes": {}, "repeats": 1, **case})],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": str(case["threads"])},
    )
    return json.loads(done.stdout)


def summary(found: Row, chosen: Sequence[int]) -> Row:
    """Medians and spread of some of a case's events; of several, their mean."""
    runs = [found["seconds"][number] for number in chosen]
    medians = {stage: sum(statistics.median(run[stage] for run in event) for event in runs) for stage in runs[0][0]}
    totals = [[run["total"] for run in event] for event in runs]
    spreads = [float(np.subtract(*np.percentile(event, [75, 25])) / statistics.median(event)) for event in totals]
    sizes = np.array(found["sizes"])[list(chosen)]
    hits, candidates, edges, tracks = sizes.mean(axis=0).tolist()
    return {
        "events": len(runs), "hits": hits, "candidates": candidates, "edges": edges, "tracks": tracks,
        "seconds": medians["total"] / len(runs), "fastest": sum(map(min, totals)) / len(runs), "spread": max(spreads),
        "stages": {stage: medians[stage] / len(runs) for stage in STAGES},
        "microseconds_per_hit": 1e6 * medians["total"] / int(sizes[:, 0].sum()),
    }  # fmt: skip


def wedges(features: NDArray[np.float32], hits: int) -> list[NDArray[np.float32]]:
    """Up to four phi wedges of about that many hits each, spread over the event."""
    count = max(round(len(features) / hits), 1)
    slice_of_hit = np.minimum(np.mod(features[:, 1], 2 * np.pi) / (2 * np.pi) * count, count - 1).astype(np.int64)
    chosen = np.unique(np.linspace(0, count - 1, min(WEDGES, count)).astype(np.int64))
    return [features[slice_of_hit == number] for number in chosen]


def thinned(event: Event, share: float) -> Event:
    """A share of the particles, and of the hits without particle."""
    assert event.particle_id is not None
    generator = np.random.default_rng(0)
    particles, row = np.unique(event.particle_id, return_inverse=True)
    kept = (generator.random(len(particles)) < share)[row]
    noise = event.particle_row < 0
    return event.take(np.flatnonzero(np.where(noise, generator.random(len(event)) < share, kept)))


def grouped(found: Row, groups: Mapping[str, int], threads: int) -> list[Row]:
    """One row for each group of a case's events; the first is the whole event, to which growth is counted."""
    rows: list[Row] = []
    start = 0
    for name, count in groups.items():
        rows.append({"case": name, "threads": threads, **summary(found, range(start, start + count))})
        start += count
    rows[0]["peak_mebibytes"] = found["peak_mebibytes"]
    for row in rows[1:]:
        row["growth_to_whole"] = rows[0]["microseconds_per_hit"] / row["microseconds_per_hit"]
    return rows


class Bench:
    """Cases of one event, and the files they read.

    Args:
        event: The event.
        folder: For the files.
        quick: Fewer repeats and sizes.
    """

    def __init__(self, event: Event, folder: Path, *, quick: bool) -> None:
        self.event, self.folder, self.quick = event, folder, quick
        self.repeats = 5 if quick else 15

    def files(self, name: str, arrays: Sequence[NDArray[np.float32]]) -> list[str]:
        """Write features, and give the paths."""
        paths = [self.folder / f"{name}-{number}.npy" for number in range(len(arrays))]
        for path, array in zip(paths, arrays, strict=True):
            np.save(path, array)
        return list(map(str, paths))

    def measure(self, chain: str) -> Row:
        """All cases of one chain."""
        config = load_config(zoo_path(chain))
        whole = ChainEvent.select(self.event, config).features
        groups = {"whole event": [whole]}
        for hits in WEDGE_HITS[:1] if self.quick else WEDGE_HITS:
            if round(len(whole) / hits) > 1:
                groups[f"wedges of {hits // 1000}k"] = wedges(whole, hits)
        if self.event.particle_id is not None:
            groups[f"{THIN:.0%} of particles"] = [ChainEvent.select(thinned(self.event, THIN), config).features]
        paths = self.files(chain, [features for group in groups.values() for features in group])
        rows: list[Row] = []
        labels = set()
        for threads in THREADS:
            found = run_case(chain=chain, events=paths, threads=threads, repeats=self.repeats)
            labels.add(found["labels"])
            rows += grouped(found, {name: len(group) for name, group in groups.items()}, threads)
        if len(labels) != 1:
            raise SystemExit(f"{chain}: the labels depend on the number of threads")
        return {"chain": chain, "rows": [*rows, self.dense(chain, paths[:1])]}

    def dense(self, chain: str, path: list[str]) -> Row:
        """The event with far more candidates and edges than the shipped settings give."""
        threads = THREADS[-1]
        changes = run_case(chain=chain, events=path, threads=threads, candidates=DENSE_CANDIDATES, edges=DENSE_EDGES)
        peak = changes.pop("peak_mebibytes")
        found = run_case(chain=chain, events=path, threads=threads, repeats=2, changes=changes)
        row = {"case": "dense", "threads": threads, "changes": changes, "peak_mebibytes_of_choosing_them": peak}
        return {**row, **summary(found, [0]), "peak_mebibytes": found["peak_mebibytes"]}


def headline(results: Sequence[Row]) -> dict[str, float]:
    """The figures that have targets, by chain."""
    found = {}
    for result in results:
        chain = result["chain"]
        for row in result["rows"]:
            if row["case"] in ("whole event", "dense"):
                name = f"{chain}_{row['case'].split()[0]}_{row['threads']}_threads"
                found[f"seconds_{name}"] = row["seconds"]
                found[f"host_seconds_{name}"] = sum(row["stages"][stage] for stage in HOST)
                found[f"peak_gibibytes_{name}"] = row["peak_mebibytes"] / 1024
            elif row["case"].startswith("wedges"):
                name = f"growth_{chain}_{row['threads']}_threads"
                found.setdefault(name, row["growth_to_whole"])  # the smallest wedges come first
    return found


def show(console: Console, result: Row) -> None:
    """Print the table of one chain."""
    table = Table("case", "threads", "hits", "candidates", "edges", *(stage.replace("_", " ") for stage in STAGES))
    for column in ("all, ms", "fastest", "spread", "us/hit", "growth", "peak, MiB"):
        table.add_column(column, justify="right")
    table.title = f"{result['chain']}, ms"
    for row in result["rows"]:
        stages = (f"{1e3 * row['stages'][stage]:.1f}" for stage in STAGES)
        growth = f"{row['growth_to_whole']:.2f}" if "growth_to_whole" in row else ""
        peak = f"{row['peak_mebibytes']:.0f}" if "peak_mebibytes" in row else ""
        table.add_row(
            row["case"], str(row["threads"]), *(f"{row[size]:,.0f}" for size in ("hits", "candidates", "edges")),
            *stages, f"{1e3 * row['seconds']:.1f}", f"{1e3 * row['fastest']:.1f}", f"{row['spread']:.0%}",
            f"{row['microseconds_per_hit']:.2f}", growth, peak,
        )  # fmt: skip
    console.print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer repeats, wedges of 1e4 hits only")
    parser.add_argument("--events", type=Path, help="folder of events; the last one is taken")
    parser.add_argument("--pile-up", type=float, default=330.0, help="of the simulated event")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    event = choose_event(options.events, pile_up=options.pile_up)
    console = Console(width=200)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(event, Path(folder), quick=options.quick)
        for chain in CHAINS:
            results.append(bench.measure(chain))
            show(console, results[-1])
    figures = headline(results)
    for name, value in figures.items():
        console.print(f"{name}: {value:.3g}")
    if options.json:
        record = {"event": event.name, "cores": os.cpu_count(), "figures": figures, "results": results}
        with atomic_file(options.json) as temporary:
            temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
