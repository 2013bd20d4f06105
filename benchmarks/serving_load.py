"""One measurement: perf_analyzer against a server, what that counted meanwhile, and the processor time it took."""

from __future__ import annotations

import csv
import http.client
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving_tools import command, environment

from hitfabric.core import ServiceError, ToolError
from hitfabric.fpga_backend import TritonServer
from hitfabric.fpga_backend.ports import LOOPBACK

TRIALS = 3
"""perf_analyzer reports the mean of this many windows, and never of fewer."""
ANY = "1000000"
"""Spread in per cent that it is to accept: a busy machine must not make the benchmark longer."""
TIMEOUT_SECONDS = 600.0
COLUMNS = {
    "client_send_us": "Client Send",
    "network_us": "Network+Server Send/Recv",
    "queue_us": "Server Queue",
    "compute_input_us": "Server Compute Input",
    "compute_infer_us": "Server Compute Infer",
    "compute_output_us": "Server Compute Output",
    "client_receive_us": "Client Recv",
}


@dataclass(frozen=True, kw_only=True)
class Load:
    """What perf_analyzer is to do.

    Attributes:
        model: Name of the served model.
        batch: Rows of a request, 1 where rows are no batch of Triton.
        data: File of inputs.
        concurrency: Requests under way at a time.
        window_seconds: Length of a window; None counts requests instead.
        window_requests: Requests of a window.
        shared_bytes: Size of each output for one row, where tensors go through shared memory; 0 sends them.
    """

    model: str
    batch: int
    data: Path
    concurrency: int
    window_seconds: float | None
    window_requests: int
    shared_bytes: int = 0

    def arguments(self, url: str, result: Path) -> list[str]:
        """Arguments of perf_analyzer."""
        if self.window_seconds is not None:
            window = ["--measurement-interval", str(round(1000 * self.window_seconds))]
        else:
            count = str(self.window_requests)
            window = ["--measurement-mode", "count_windows", "--measurement-request-count", count]
        shared = ["--shared-memory", "system", "--output-shared-memory-size", str(self.shared_bytes)]
        return [
            *("-m", self.model, "-b", str(self.batch), "-i", "grpc", "-u", url),
            *("--concurrency-range", str(self.concurrency), "--input-data", str(self.data), *window),
            *("--stability-percentage", ANY, "--max-trials", str(TRIALS), "--percentile", "99", "-f", str(result)),
            *(shared if self.shared_bytes else ()),
        ]


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What a server has counted for a model, and the processor time it and its workers took."""

    answered: int
    failed: int
    seconds: float


def measure(load: Load, server: TritonServer, *, program: Path, folder: Path) -> dict[str, float]:
    """Run perf_analyzer once.

    Args:
        load: What it is to do.
        server: The server.
        program: Folder of perf_analyzer.
        folder: For its report.

    Returns:
        Fields of `Row` by name: those that a load generator and a server can tell.

    Raises:
        ToolError: perf_analyzer failed; its reason is in the message.
    """
    result = folder / "report.csv"
    result.unlink(missing_ok=True)
    arguments = [command(program), *load.arguments(server.url, result)]
    before = counted(server, load.model)
    try:
        done = subprocess.run(
            arguments, env=environment(program), capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"perf_analyzer failed: {error}", remedy="see benchmarks/README.md") from error
    after = counted(server, load.model)
    if done.returncode != 0 or not result.exists():
        lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise ToolError(f"perf_analyzer on {load.model}: {' | '.join(lines[-3:])}", remedy=f"see {server.log}")
    answered = after.answered - before.answered
    return {
        **parse_report(result.read_text(encoding="utf-8"), batch=load.batch),
        "requests": answered,
        "errors": after.failed - before.failed,
        "cpu_ms": 1e3 * (after.seconds - before.seconds) / max(answered, 1),
    }


def parse_report(text: str, *, batch: int) -> dict[str, float]:
    """Rate, latencies and breakdown of perf_analyzer's report of one load.

    Args:
        text: The CSV file.
        batch: Rows of a request; it counts rows as inferences.

    Raises:
        ToolError: A column is missing or there is not exactly one line.
    """
    lines = list(csv.DictReader(text.splitlines()))
    try:
        (line,) = lines
        found = {name: float(line[column]) for name, column in COLUMNS.items()}
        milliseconds = {f"p{share}_ms": float(line[f"p{share} latency"]) / 1e3 for share in (50, 90, 99)}
        return {"requests_per_s": float(line["Inferences/Second"]) / batch, **milliseconds, **found}
    except (KeyError, TypeError, ValueError) as error:
        raise ToolError(
            f"perf_analyzer's report is not as expected: {error!r}", remedy="use the version named in serving_tools.py"
        ) from error


def counted(server: TritonServer, model: str) -> Counted:
    """Counts of a model so far."""
    statistics = ask(server, f"/v2/models/{model}/stats")["model_stats"]
    counts = [each["inference_stats"] for each in statistics]
    return Counted(
        answered=sum(int(each["success"]["count"]) for each in counts),
        failed=sum(int(each["fail"]["count"]) for each in counts),
        seconds=processor_seconds(server.pid),
    )


def ask(server: TritonServer, path: str) -> Any:  # noqa: ANN401 - JSON
    """What the server answers over HTTP."""
    connection = http.client.HTTPConnection(LOOPBACK, server.ports.http, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        if answer.status != 200:
            raise ServiceError(f"{path}: status {answer.status}", remedy=f"see {server.log}")
        return json.loads(answer.read())
    finally:
        connection.close()


def processor_seconds(process: int) -> float:
    """Processor time so far of a process and of all that descend from it and live."""
    times: dict[int, float] = {}
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        number = int(path.parent.name)
        times[number] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        children.setdefault(int(fields[1]), []).append(number)
    waiting, total = [process], 0.0
    while waiting:
        number = waiting.pop()
        total += times.get(number, 0.0)
        waiting += children.get(number, [])
    return total
