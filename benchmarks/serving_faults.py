"""Send mixed requests to the real server while its workers are killed, or its models replaced, and judge every answer.

    python benchmarks/serving_faults.py [--requests N] --json FILE     a worker is killed every second
    python benchmarks/serving_faults.py --soak [MINUTES] --json FILE   the same for some time; memory must stay flat
    python benchmarks/serving_faults.py --reload --json FILE           reloads, new versions, damaged firmware; no kills

Requests of rows, graphs and events of many sizes, some malformed, go over gRPC, HTTP and shared memory, without
retries. Each is right (the integers of the golden executor; for a malformed one a refusal by the tensor's name),
unavailable (the server says so), wrong, lost (no answer, or the connection broke) or hung (no answer within a minute).
Beside them a rude client vanishes in the middle of requests.

The exit status is 1 unless wrong, lost and hung are 0, and with --reload every answer right.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from serving_faults_answers import VERDICTS, Tally
from serving_faults_run import Plan, is_good, run

from hitfabric.core import atomic_file
from hitfabric.models.zoo import zoo_path

SOAK_MINUTES = 30.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, write; the exit status."""
    options = _parse(arguments)
    soak = options.soak is not None
    plan = Plan(
        chain=options.chain,
        requests=None if soak else options.requests,
        minutes=options.soak or 0.0,
        kill_seconds=0.0 if options.reload else options.kill_every,
        reload=options.reload,
        cancels=options.cancel,
        seed=options.seed,
    )
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        total = int(plan.minutes * 60) if soak else options.requests
        task = progress.add_task("soak, seconds" if soak else "requests", total=total)

        def report(seconds: int, tally: Tally) -> None:
            progress.update(task, completed=seconds if soak else tally.total)

        content = run(plan, log=options.log, report=report)
    with atomic_file(options.json) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    _print(console, content)
    return 0 if is_good(content) else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000, help="requests to send, 10000 unless told")
    parser.add_argument("--json", type=Path, required=True, help="file to write")
    parser.add_argument(
        "--soak", type=float, nargs="?", const=SOAK_MINUTES, metavar="MINUTES", help="go on for a time, 30 unless told"
    )
    parser.add_argument("--reload", action="store_true", help="replace models under load instead of killing workers")
    parser.add_argument(
        "--cancel",
        action="store_true",
        help="also cancel gRPC requests, which the wheel's server (2.51) does not survive",
    )
    parser.add_argument("--kill-every", type=float, default=1.0, metavar="SECONDS", help="1 unless told; 0: never")
    parser.add_argument("--chain", type=Path, default=zoo_path("event-pixel"), help="chain, event-pixel unless told")
    parser.add_argument("--log", type=Path, help="keep the server's log there")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers")
    options = parser.parse_args(arguments)
    if options.requests < 1 or options.kill_every < 0 or (options.soak is not None and options.soak <= 0):
        parser.error("requests and minutes must be positive, seconds between kills not negative")
    return options


def _print(console: Console, content: dict[str, Any]) -> None:
    table = Table("", *VERDICTS)
    for name, counts in {**content["by_model"], **content["by_transport"], "all": content}.items():
        table.add_row(name, *(f"{counts.get(verdict, 0):,}" for verdict in VERDICTS))
    console.print(table)
    console.print(f"{content['requests']:,} requests in {content['seconds']} s, {content['kills']} workers killed")
    for name, memory in content["memory"].items():
        console.print(f"{name}: {', '.join(f'{key} {value}' for key, value in memory.items())}", highlight=False)
    for verdict in ("wrong", "lost", "hung"):
        for reason in content["examples"].get(verdict, []):
            console.print(f"{verdict}: {reason}", markup=False)
    if "rollout" in content:
        console.print(f"failed: {content['failed']}; done: {content['rollout']}")
        for error in content["rollout_errors"]:
            console.print(error, markup=False)


if __name__ == "__main__":
    raise SystemExit(main())
