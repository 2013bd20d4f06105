"""One run: a server, its load, what hurts it, and the report."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving_faults_answers import VERDICTS, Tally
from serving_faults_load import ANSWER_SECONDS, OPENERS, Budget, Client, RudeClient, open_transport
from serving_faults_mix import make_mix
from serving_faults_processes import Killer, Watch
from serving_faults_rollout import Rollout

from hitfabric.fpga_backend import Chain, TritonServer, write_repository

WORKER_TIMEOUT_MS = 1500
SPARED = ("filter", "tracking")
"""In a soak these workers are not killed, so that their memory can be seen to stay flat."""
REPORT_SECONDS = 0.25


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run does.

    Attributes:
        chain: Chain directory to serve.
        requests: Requests to send; with `reload` more, until every model was replaced. None: until `minutes` are over.
        minutes: How long a soak takes.
        kill_seconds: Seconds between two kills; 0: none.
        reload: Whether models are reloaded and replaced meanwhile; then nothing is killed.
        cancels: Whether one client cancels its requests, see `RudeClient`.
        device: Executor of the workers.
        clients: Connections that send at the same time, of the kinds of `OPENERS` in turn.
        seed: Of the random numbers.
    """

    chain: Path
    requests: int | None = 10_000
    minutes: float = 0.0
    kill_seconds: float = 1.0
    reload: bool = False
    cancels: bool = False
    device: str = "native"
    clients: int = len(OPENERS)
    seed: int = 0

    @property
    def spared(self) -> tuple[str, ...]:
        """Models whose workers nobody kills."""
        return SPARED if self.requests is None else ()


class ReloadingServer(TritonServer):
    """A server whose models are loaded and unloaded by request."""

    def _command(self, executable: Path, backends: Path) -> list[str]:
        return [*super()._command(executable, backends), "--model-control-mode=explicit", "--load-model=*"]


def run(
    plan: Plan, *, log: Path | None = None, report: Callable[[int, Tally], None] = lambda *_: None
) -> dict[str, Any]:
    """Serve, send, hurt, and count.

    Args:
        plan: What to do.
        log: Where the server's log is kept; None drops it.
        report: Called several times a second with the seconds so far and the counts.

    Returns:
        Content of the JSON file.
    """
    mix, tally = make_mix(Chain.load(plan.chain, device="golden"), seed=plan.seed), Tally()
    begin = time.monotonic()
    ends = begin + 60 * plan.minutes if plan.requests is None else float("inf")
    budget = Budget(requests=plan.requests, ends=ends)
    with tempfile.TemporaryDirectory(prefix="hitfabric-faults-") as scratch:
        repository = write_repository(
            Path(scratch) / "models", plan.chain, device=plan.device, worker_timeout_ms=WORKER_TIMEOUT_MS
        )
        server_log = log or Path(scratch) / "server.log"
        kind = ReloadingServer if plan.reload else TritonServer
        with kind(repository=repository, log=server_log) as server:
            pid = server.pid
            clients = [
                Client(
                    mix=mix,
                    budget=budget,
                    tally=tally,
                    transport=open_transport(OPENERS[number % len(OPENERS)], server),
                    seed=plan.seed + number,
                )
                for number in range(plan.clients)
            ]
            rude = RudeClient(
                mix=mix, server=server, tally=tally, budget=budget, seed=plan.seed + 2**31, cancels=plan.cancels
            )
            killer = Killer(server=pid, seconds=plan.kill_seconds or 1.0, spared=plan.spared, seed=plan.seed)
            rollout = Rollout(url=server.url, repository=repository)
            if plan.reload:
                budget.more = rollout.in_first_round
            hurting: list[Killer | Rollout] = [rollout] if plan.reload else [killer] if plan.kill_seconds else []
            watch = Watch(server=pid, spared=plan.spared)
            begin = time.monotonic()
            with _running(watch, rude, *hurting):
                for client in clients:
                    client.start()
                _await(clients, lambda: report(int(time.monotonic() - begin), tally), budget)
            seconds = time.monotonic() - begin
            watch.act()
            alive = _is_alive(server)
    # A client that still waits has no answer now that all is over.
    lost = sum(client.is_alive() for client in clients)
    tally.verdicts["lost"] += lost
    return {
        **{verdict: tally.verdicts[verdict] for verdict in VERDICTS},
        "kills": killer.kills,
        "stops": killer.stops,
        "requests": budget.begun,
        "seconds": round(seconds, 1),
        "server_alive": alive,
        "by_model": {model: dict(counts) for model, counts in sorted(tally.by_model.items())},
        "by_transport": {name: dict(counts) for name, counts in sorted(tally.by_transport.items())},
        "rude": dict(rude.counts),
        "memory": watch.memory.report(),
        "examples": tally.examples,
        **(_rollout_report(rollout, tally, budget) if plan.reload else {}),
    }


def is_good(content: dict[str, Any]) -> bool:
    """Whether nothing was wrong, lost or hung, and under reload nothing failed at all."""
    clean = not any(content[verdict] for verdict in ("wrong", "lost", "hung")) and content["server_alive"]
    answered = sum(content[verdict] for verdict in VERDICTS) == content["requests"]
    return clean and answered and not content.get("failed", 0) and not content.get("rollout_errors", [])


def _rollout_report(rollout: Rollout, tally: Tally, budget: Budget) -> dict[str, Any]:
    return {
        "failed": budget.begun - tally.verdicts["right"],
        "rollout": dict(rollout.done.counts),
        "rollout_errors": rollout.done.errors,
        "refusals_of_damaged_firmware": sorted(set(rollout.done.reasons)),
    }


@contextmanager
def _running(*threads: Watch | RudeClient | Killer | Rollout) -> Iterator[None]:
    """Started threads, stopped at the end; the last started is the first stopped."""
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in reversed(threads):
            thread.stop()


def _await(clients: list[Client], report: Callable[[], None], budget: Budget) -> None:
    """Wait for the clients, but not for those that got stuck."""
    last, since = -1, time.monotonic()
    while any(client.is_alive() for client in clients):
        time.sleep(REPORT_SECONDS)
        report()
        if budget.begun != last:
            last, since = budget.begun, time.monotonic()
        elif time.monotonic() - since > 2 * ANSWER_SECONDS:
            return


def _is_alive(server: TritonServer) -> bool:
    return Path(f"/proc/{server.pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "Z"
