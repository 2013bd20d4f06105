"""What the benchmark found: ratios, the processor it ran on, and tables."""

from __future__ import annotations

import os
import platform
from collections import defaultdict
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path

from native_measure import Measurement, Skip
from native_run import Plan, headline_edges
from rich.console import Console
from rich.table import Table

PEERS = {
    "onnxruntime_float32": ("onnxruntime_float32", "*"),
    "onnxruntime_int8": ("onnxruntime_int8", "*"),
    "torch_float32": ("torch_float32", "*"),
    "torch_float32_eager": ("torch_float32", "eager*"),
    "torch_float32_compiled": ("torch_float32", "compiled*"),
    "exact_gemm": ("exact_gemm", "*"),
}
"""Family and pattern of the variant by what a ratio's key calls them; the fastest variant counts."""

CALL_PEERS = {
    **PEERS,
    "onnxruntime_float32": ("onnxruntime_float32", "*run"),
    "onnxruntime_float32_io_binding": ("onnxruntime_float32", "*io binding"),
    "onnxruntime_int8": ("onnxruntime_int8", "*run"),
    "onnxruntime_int8_io_binding": ("onnxruntime_int8", "*io binding"),
}
"""The same for single rows, where a call is given new arrays: bound ones, which spare that, are told apart."""

PER_ITEM = ("csim", "golden")
"""Sides of one thread whose time grows with every row: compared by the cost of a row at their own largest size."""

INSTRUCTION_SETS = (
    "avx2",
    "fma",
    "avx_vnni",
    "avx512f",
    "avx512bw",
    "avx512_vnni",
    "avx512_bf16",
    "amx_tile",
    "amx_int8",
)
PACKAGES = ("hitfabric", "numpy", "torch", "onnx", "onnxruntime", "hls4ml", "brevitas")

Ratios = dict[str, float]


class Times:
    """Medians by network, size and threads."""

    def __init__(self, measurements: Sequence[Measurement]) -> None:
        self._all = measurements

    def best(self, side: str, network: str, items: int, threads: int, variant: str = "*") -> float | None:
        """Median of the fastest variant, in seconds a call; None where none was measured."""
        found = (
            each.median
            for each in self._all
            if (each.side, each.network, each.items, each.threads) == (side, network, items, threads)
            and fnmatchcase(each.variant, variant)
        )
        return min(found, default=None)

    def per_item(self, side: str, network: str) -> float | None:
        """Seconds for one row or edge at the largest size measured."""
        found = [each for each in self._all if (each.side, each.network) == (side, network)]
        largest = max(found, key=lambda each: each.items, default=None)
        return None if largest is None else largest.median / largest.items

    def ratios(self, network: str, items: int, threads: int) -> Ratios:
        """Time of each other side over that of native; above 1 where native is faster."""
        native = self.best("native", network, items, threads)
        if native is None:
            return {}
        peers = PEERS if items > 1 else CALL_PEERS
        found = {key: self.best(side, network, items, threads, variant) for key, (side, variant) in peers.items()}
        if items > 1:
            for side in PER_ITEM:
                cost = self.per_item(side, network)
                found[side] = None if cost is None else cost * items
        return {f"native_vs_{key}": seconds / native for key, seconds in found.items() if seconds is not None}


def smallest(found: Iterable[Ratios]) -> Ratios:
    """The smallest of each ratio, of those that every network has."""
    every = list(found)
    keys = [key for key in (every[0] if every else {}) if all(key in ratios for ratios in every)]
    return {key: min(ratios[key] for ratios in every) for key in keys}


def make_ratios(plan: Plan, measurements: Sequence[Measurement]) -> tuple[Ratios, dict[str, Ratios]]:
    """Headline ratios, each the smallest over its networks, and the same by network.

    The key without suffix is of the networks with all their weights, the headline number of rows and the most threads.
    """
    times, by_network = Times(measurements), defaultdict[str, Ratios](dict)
    headline: Ratios = {}
    most = plan.threads[-1]
    dense = [spec.name for spec in plan.row_networks if not spec.sparsity]
    sparse = [spec.name for spec in plan.row_networks if spec.sparsity]
    graphs, edges = plan.graph_networks, headline_edges(plan)
    least_edges = min((size[1] for size in plan.graph_sizes), default=0)
    scopes: list[tuple[str, Sequence[str], int, Sequence[int]]] = [
        ("", dense, plan.headline_rows, (most,)),
        ("_1_thread", dense, plan.headline_rows, (1,)),
        ("_sparse", sparse, plan.headline_rows, (most,)),
        ("_sparse_1_thread", sparse, plan.headline_rows, (1,)),
        ("_batch1", dense, 1, plan.threads),
        ("_sparse_batch1", sparse, 1, plan.threads),
        ("_interaction_network", graphs, edges, (most,)),
        ("_interaction_network_1_thread", graphs, edges, (1,)),
        ("_interaction_network_small", graphs, least_edges, (most,)),
    ]
    for suffix, networks, items, threads in scopes:
        found = {network: smallest(times.ratios(network, items, count) for count in threads) for network in networks}
        headline |= {f"{key}{suffix}": ratio for key, ratio in smallest(found.values()).items()}
        for network, ratios in found.items():
            by_network[network] |= {f"{key}{suffix}": ratio for key, ratio in ratios.items()}
    return headline, dict(by_network)


def processor() -> dict[str, object]:
    """Model, instruction sets that matter here, and cores this process may use."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    flags = fields.get("flags", fields.get("Features", "")).split()
    return {
        "model": fields.get("model name", platform.processor() or platform.machine()),
        "instruction_sets": [name for name in INSTRUCTION_SETS if name in flags],
        "cores": len(os.sched_getaffinity(0)),
    }


def versions() -> dict[str, str]:
    """Versions of what is compared."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def print_times(console: Console, measurements: Sequence[Measurement]) -> None:
    """One table for each network and number of threads: sides by size."""
    groups: dict[tuple[str, int], list[Measurement]] = defaultdict(list)
    for each in measurements:
        groups[each.network, each.threads].append(each)
    for (network, threads), group in groups.items():
        sizes = sorted({(each.items, each.nodes) for each in group})
        unit = "edges" if sizes[0][1] else "rows"
        title = f"{network}, {threads} {'thread' if threads == 1 else 'threads'}: median time of a call, spread"
        table = Table("side", title=title, title_justify="left")
        for items, _ in sizes:
            table.add_column(f"{items:,} {unit}", justify="right")
        cells = {(f"{each.side}, {each.variant}".rstrip(", "), each.items): each for each in group}
        for name in dict.fromkeys(name for name, _ in cells):
            table.add_row(name, *(_cell(cells.get((name, items))) for items, _ in sizes))
        console.print(table)


def print_ratios(console: Console, ratios: Ratios, by_network: dict[str, Ratios]) -> None:
    """The headline ratios and those of each network."""
    table = Table("ratio", title="time of the other side over that of native", title_justify="left")
    table.add_column("smallest", justify="right")
    table.add_column("by network")
    for key, ratio in ratios.items():
        each = ", ".join(f"{network}: {found[key]:,.2f}" for network, found in by_network.items() if key in found)
        table.add_row(key, f"{ratio:,.2f}", each)
    console.print(table)


def print_skips(console: Console, skipped: Sequence[Skip]) -> None:
    """What was left out, and why."""
    for each in skipped:
        threads = f"{each.threads} {'thread' if each.threads == 1 else 'threads'}"
        console.print(
            f"left out: {each.side}, {each.network}, {each.items:,}, {threads}: {each.reason}", highlight=False
        )


def _cell(each: Measurement | None) -> str:
    if each is None:
        return "-"
    seconds = each.median
    scale, unit = next((s, u) for s, u in ((1, "s"), (1e3, "ms"), (1e6, "us")) if seconds * s >= 1 or u == "us")
    return f"{seconds * scale:.3g} {unit} {each.spread:.0%}"
