"""Time ways to compute one quantized layer: BLAS, torch, oneDNN, ONNX Runtime, straight-line C++, the executors.

    python benchmarks/dense_kernels.py [--rows N] [--repeats N] [--threads 1,2] [--json FILE]

Integer activations (uint8 or int16) times int8 weights, requantized to uint8. Every side computes the same rows and is
compared with int64 in the same run; one that differs is named. Each number of threads is measured in a process of its
own, since BLAS reads it once; there all sides take turns, and the median is shown. What one side stores as bytes
another stores as float32: each has its own natural storage, and the executors also quantize and convert.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROWS = 100_000
REPEATS = 7
WORKER = "--worker"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def measure(rows: int, repeats: int, threads: int, folder: Path) -> list[dict[str, Any]]:
    """One record per layer and side."""
    from dense_generated import generated_sides
    from dense_layers import Absent, Side, layers
    from dense_libraries import executor_sides, library_sides

    found: list[dict[str, Any]] = []
    for layer in layers(rows):
        sides = [*generated_sides(layer, threads, folder), *executor_sides(layer, threads)]
        if not layer.sparsity:  # a library multiplies zeros like any other number
            sides = [*library_sides(layer, threads), *sides]
        times = in_turns({side.name: side.run for side in sides if isinstance(side, Side)}, repeats)
        for side in sides:
            record: dict[str, Any] = {"layer": layer.name, "side": side.name, "threads": threads}
            if isinstance(side, Absent):
                found.append({**record, "absent": side.reason})
                continue
            median = statistics.median(times[side.name])
            spread = (max(times[side.name]) - min(times[side.name])) / median
            differing = int((side.result() != layer.expected).sum())
            record |= {"rows_per_second": rows / median, "spread": spread, "differing": differing}
            record["best_rows_per_second"] = rows / min(times[side.name])
            found.append({**record, "proven": side.proven, **side.notes})
        print(f"{layer.name}, {threads} threads: measured", file=sys.stderr)
    return found


def in_turns(works: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Wall times in seconds; every round runs each once, and the first round only warms up."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for repeat in range(repeats + 1):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            if repeat:
                times[name].append(time.perf_counter() - start)
    return times


def in_process(arguments: Sequence[str], threads: int, **variables: str) -> str:
    """Standard output of this program in a process with a number of threads."""
    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads)), **variables}
    command = [sys.executable, __file__, *arguments]
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def kernels() -> dict[str, list[str]]:
    """Which implementations oneDNN says it takes, by layer."""
    found: dict[str, list[str]] = {}
    current = ""
    for line in in_process([WORKER, "kernels"], 1, ONEDNN_VERBOSE="1").splitlines():
        fields = line.split(",")
        if line.startswith("layer "):
            current = line.removeprefix("layer ")
        elif fields[0] == "onednn_verbose" and "exec" in fields and "reorder" not in fields:
            after = fields[fields.index("exec") + 2 :]
            name = f"{after[0]} {after[1]}".strip()
            if name not in found.setdefault(current, []):
                found[current].append(name)
    return found


def run_onednn() -> None:
    """Run what goes through oneDNN once per layer, for its own report."""
    from dense_layers import BLOCK, Side, layers
    from dense_libraries import library_sides

    for layer in layers(BLOCK):
        if layer.sparsity:
            continue
        for side in library_sides(layer, 1):
            if isinstance(side, Side) and ("torch" in side.name):
                print(f"layer {layer.name}: {side.name}", flush=True)
                side.run()


def markdown(results: Sequence[dict[str, Any]]) -> str:
    """Table: one row per side, one column per layer; million rows per second, one thread and more."""
    layers = list(dict.fromkeys(row["layer"] for row in results))
    names = list(dict.fromkeys(row["side"] for row in results))
    threads = sorted({row["threads"] for row in results})
    head = ["side", *layers]
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * len(layers)}"]
    for name in names:
        cells = [_cell([r for r in results if (r["side"], r["layer"]) == (name, layer)]) for layer in layers]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    note = f"Million rows/s on {' / '.join(map(str, threads))} threads. * exact here, not by proof; ! not exact."
    return "\n".join([*lines, "", note, "", *_code_table(results)])


def _cell(rows: Sequence[dict[str, Any]]) -> str:
    timed = sorted((row for row in rows if "rows_per_second" in row), key=lambda row: row["threads"])
    if not timed:
        return "-"
    text = " / ".join(f"{row['rows_per_second'] / 1e6:.3g}" for row in timed)
    if any(row["differing"] for row in timed):
        return f"{text} !"
    return text if timed[0]["proven"] else f"{text} *"


def _code_table(results: Sequence[dict[str, Any]]) -> list[str]:
    lines = ["| generated C++ | layer | compile (CPU s) | code (kB) |", "|---|---|---:|---:|"]
    for row in results:
        if "code_bytes" in row and row["threads"] == results[0]["threads"]:
            kind = row["side"].removeprefix("generated C++, ")
            size = f"{row['code_bytes'] / 1e3:,.0f}"
            lines.append(f"| {kind} | {row['layer']} | {row['compile_seconds']:.1f} | {size} |")
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--threads", default="1,2", help="numbers of threads, separated by commas")
    parser.add_argument("--json", type=Path)
    parser.add_argument(WORKER, choices=("times", "kernels"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker == "kernels":
        run_onednn()
    elif options.worker == "times":
        print(json.dumps(measure(options.rows, options.repeats, int(options.threads), options.folder)))
    else:
        _parent(options)


def _parent(options: argparse.Namespace) -> None:
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for threads in map(int, options.threads.split(",")):
            call = ["--rows", options.rows, "--repeats", options.repeats, "--threads", threads, "--folder", folder]
            results += json.loads(in_process([WORKER, "times", *map(str, call)], threads))
    taken = kernels()
    print(markdown(results))
    for layer, names in taken.items():
        print(f"oneDNN, {layer}: {', '.join(names)}")
    for row in results:
        if row.get("differing"):
            print(f"not exact: {row['side']}, {row['layer']}: {row['differing']} integers differ")
        if "absent" in row and row["threads"] == results[0]["threads"]:
            print(f"absent: {row['side']}, {row['layer']}: {row['absent']}")
    if options.json:
        options.json.write_text(
            json.dumps({"rows": options.rows, "onednn": taken, "results": results}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
