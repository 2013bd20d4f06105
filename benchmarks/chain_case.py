"""One case of `chain.py`, in a process of its own: the chain on some events, with its times and its peak memory.

    python benchmarks/chain_case.py '{"chain": "event-full", "events": ["wedge.npy"], ...}'

Prints one line of JSON. The process may use no more cores than the case has threads.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitfabric.detector import embedding_features
from hitfabric.detector.radius_search import open_search
from hitfabric.fpga_backend import Chain
from hitfabric.models.zoo import zoo_path

SAMPLE = 4000
WITHOUT_WINDOW = {"window": None, "max_edges": 10_000_000}


@dataclass(frozen=True, kw_only=True)
class Case:
    """What a process measures.

    Attributes:
        chain: Name of a shipped chain.
        events: Files of float32 [hits, 3].
        threads: Threads, and cores the process may use.
        repeats: Runs of each event that are timed, after one that is not; the events take turns.
        changes: Changes of the chain's configuration.
        candidates: Not timed, but asked for: the changes that give about this many candidate edges without window.
        edges: With `candidates`: how many of them the filter is to keep.
    """

    chain: str
    events: tuple[str, ...]
    threads: int
    repeats: int
    changes: Mapping[str, Any]
    candidates: int = 0
    edges: int = 0


def timed(case: Case, chain: Chain) -> dict[str, Any]:
    """Sizes, seconds of each run by stage, and what the labels are; the events take turns."""
    digest, sizes = hashlib.sha256(), []
    events = [np.load(path) for path in case.events]
    for features in events:
        result = chain.track(features, keep_candidates=True)
        assert result.candidate_edges is not None
        digest.update(result.labels.tobytes())
        sizes.append([len(features), len(result.candidate_edges), len(result.edge_index), int(result.labels.max()) + 1])
        del result  # the memory of the runs below is that of one event
    seconds: list[list[dict[str, float]]] = [[] for _ in events]
    for _ in range(case.repeats):
        for features, runs in zip(events, seconds, strict=True):
            start = time.perf_counter()
            stages = chain.track(features).seconds
            runs.append({**stages, "total": time.perf_counter() - start})
    return {"sizes": sizes, "seconds": seconds, "labels": digest.hexdigest()}


def dense_changes(case: Case, chain: Chain) -> dict[str, Any]:
    """Radius and threshold that give the numbers of candidates and edges asked for."""
    features = np.load(case.events[0])
    embedding = chain.executors["embedding"].run({"features": embedding_features(features)})["embedding"]
    radius = _radius_of(embedding, case.candidates)
    changes: dict[str, Any] = {**WITHOUT_WINDOW, "radius": radius}
    wide = replace(chain, config=chain.config.model_copy(update=changes))
    logits = wide.filter_logits(features, wide.candidate_edges(features))
    return {**changes, "filter_threshold": float(np.partition(logits, len(logits) - case.edges)[-case.edges])}


def _radius_of(embedding: NDArray[np.float32], pairs: int) -> float:
    """Radius with about that many pairs, by bisection on a sample of hits."""
    sample = embedding[np.random.default_rng(0).permutation(len(embedding))[:SAMPLE]]
    low, high = 1e-3, 10.0
    with open_search(embedding) as search:
        for _ in range(30):
            middle = float(np.sqrt(low * high))
            found = (search.neighbours(sample, middle) - len(sample)) * len(embedding) / len(sample) / 2
            low, high = (middle, high) if found < pairs else (low, middle)
    return low


def peak_mebibytes() -> float:
    """Largest resident memory of this process so far; what getrusage tells includes the parent's."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024  # pyright: ignore[reportOptionalSubscript]


def main(text: str) -> None:
    """Run the case and print what was found."""
    values = json.loads(text)
    case = Case(**{**values, "events": tuple(values["events"])})
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: case.threads])
    chain = Chain.load(Path(zoo_path(case.chain)), threads=case.threads)
    chain = replace(chain, config=chain.config.model_copy(update=dict(case.changes)))
    found = dense_changes(case, chain) if case.candidates else timed(case, chain)
    sys.stdout.write(json.dumps({**found, "peak_mebibytes": peak_mebibytes()}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
