"""The shadow device: native code or a card answers, the C simulation checks a share of it in the background.

An audit of the firmware in production: whatever the C++ that synthesis reads would have answered differently on real
events is counted, logged, and kept with its inputs. Requests are drawn by chance, each with probability `check_share`,
from a generator of `check_seed` and the worker's name. Of a drawn request every call of a network is checked, so that
the whole chain is audited network by network: of rows up to `check_rows` drawn by chance, since the C simulation is
thousands of times slower; of a graph beyond its maxima as many connected components, drawn by chance, as fit.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import ConfigError, cache_directory
from ..emulation import Executor, make_executor
from ..quantization import TypedGraph
from .device_checks import CheckCounter, Checks
from .device_settings import DeviceSettings
from .shadow_pieces import Piece, draw_piece
from .shadow_vectors import Mismatch, save_mismatch
from .signature import Arrays

WAITING_CALLS = 64
WAITING_BYTES = 1 << 28
LOWEST_PRIORITY = 19


@dataclass(frozen=True, kw_only=True)
class _Call:
    """One call of a network, copied."""

    network: str
    piece: Piece


class Audit:
    """Checks calls of the networks of one model, in a thread of its own at the lowest priority.

    An answer never waits for it: what comes while `WAITING_CALLS` calls or `WAITING_BYTES` bytes wait is left out and
    counted, in the log at the 1st, 10th, 100th ... time.

    Args:
        checkers: What computes anew, by name of the network.
        settings: Share, rows and seed.
        folder: Where the vectors of mismatches go; it must exist.
        instance: Name of the worker, for log and files.

    Attributes:
        left_out: Calls that were drawn and not checked, by reason.
    """

    def __init__(
        self, *, checkers: Mapping[str, Executor], settings: DeviceSettings, folder: Path, instance: str
    ) -> None:
        self.left_out: Counter[str] = Counter()
        self._checkers = checkers
        self._settings = settings
        self._folder = folder
        self._instance = instance
        self._checks = CheckCounter()
        seed = [settings.check_seed, zlib.crc32(instance.encode())]
        self._requests = np.random.default_rng([*seed, 0])
        self._rows = np.random.default_rng([*seed, 1])
        self._components = np.random.default_rng([*seed, 2])
        self._drawn = False
        self._lock = threading.Lock()
        self._waiting_bytes = 0
        self._waiting: queue.Queue[_Call] = queue.Queue(WAITING_CALLS)
        threading.Thread(target=self._work, name="shadow", daemon=True).start()

    def begin_request(self) -> None:
        """Draw whether the calls from here to the next request are checked."""
        self._drawn = bool(self._requests.random() < self._settings.check_share)

    def offer(self, network: str, inputs: Arrays, outputs: Arrays) -> None:
        """Take a copy of a call, if its request was drawn and there is room."""
        if not self._drawn:
            return
        if self._waiting.full():  # before anything is copied
            self._leave_out("the queue is full")
            return
        graph = self._checkers[network].graph
        piece = Piece.of_call(graph, inputs, outputs, rows=self._settings.check_rows, rng=self._rows)
        with self._lock:
            fits = self._waiting_bytes + piece.nbytes <= WAITING_BYTES
            self._waiting_bytes += piece.nbytes if fits else 0
        if fits:
            self._waiting.put_nowait(_Call(network=network, piece=piece))  # one producer: there still is room
        else:
            self._leave_out("the memory for waiting calls is full")

    def take_checks(self) -> Checks:
        """Checks finished since the last call."""
        return self._checks.take()

    def wait(self) -> None:
        """Wait until every call offered so far is checked."""
        self._waiting.join()

    def _work(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)  # of this thread alone, on Linux
        while True:
            call = self._waiting.get()
            try:
                self._check(call)
            except Exception as error:  # noqa: BLE001 - whatever one call does, the audit of the others goes on
                self._leave_out(f"the check failed with {type(error).__name__}", f": {error}")
            finally:
                self._release(call.piece)
                self._waiting.task_done()

    def _check(self, call: _Call) -> None:
        checker, piece = self._checkers[call.network], call.piece
        if checker.maxima_limited and checker.graph.is_graph_network:
            part = draw_piece(checker.graph, piece, checker.graph.maxima, self._components)
            if part is None:
                self._leave_out(f"no component of the graph is within {checker.graph.maxima}")
                return
            piece = part
        found = checker.run(piece.inputs)
        wrong = {name: _differing(piece.outputs[name], found[name]) for name in piece.outputs}
        self._checks.add(mismatched=any(wrong.values()))
        if any(wrong.values()):
            self._report(call.network, checker, piece, found, wrong)

    def _report(self, network: str, checker: Executor, piece: Piece, found: Arrays, wrong: Mapping[str, int]) -> None:
        mismatch = Mismatch(
            network=network,
            graph_digest=checker.graph.digest,
            inputs=piece.inputs,
            answered=piece.outputs,
            checked=dict(found),
        )
        try:
            saved = save_mismatch(self._folder, mismatch, instance=self._instance)
            place = f"saved to {saved}" if saved else f"not saved: {self._folder} is full"
        except OSError as error:
            place = f"not saved: {error}"
        counts = ", ".join(f"{count} of {found[name].size} numbers of {name}" for name, count in wrong.items() if count)
        _log(f"{self._instance}: MISMATCH of network {network}: {checker.name} differs in {counts}; {place}")

    def _leave_out(self, reason: str, detail: str = "") -> None:
        self.left_out[reason] += 1
        count = self.left_out[reason]
        if str(count).strip("0") == "1":
            _log(f"{self._instance}: calls drawn and not checked so far: {count}, {reason}{detail}")

    def _release(self, piece: Piece) -> None:
        with self._lock:
            self._waiting_bytes -= piece.nbytes


class AuditedExecutor:
    """An executor whose calls are offered to an audit.

    Args:
        executor: What answers.
        network: Its name in the audit.
        audit: What checks.
    """

    name = "shadow"

    def __init__(self, *, executor: Executor, network: str, audit: Audit) -> None:
        self.executor = executor
        self.graph = executor.graph
        self.maxima_limited = executor.maxima_limited
        self._network = network
        self._audit = audit

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.float32]]:
        """Outputs of the executor."""
        outputs = self.executor.run(inputs)
        self._audit.offer(self._network, inputs, outputs)
        return outputs

    def run_integers(self, inputs: Arrays, nodes: Sequence[str] | None = None) -> dict[str, NDArray[np.int64]]:
        """Integers of the executor, unchecked."""
        return self.executor.run_integers(inputs, nodes)


def open_audit(
    graphs: Mapping[str, TypedGraph], settings: DeviceSettings, *, directory: Path, instance: str
) -> tuple[dict[str, Executor], Audit]:
    """Native executors, or those of a card, under an audit by the C simulation.

    Args:
        graphs: The networks by name.
        settings: What answers and its settings; share, rows, seed and folder of the audit.
        directory: Folder of the model, where the relative path of a bitstream begins.
        instance: Name of the worker.

    Returns:
        Executors by name of the network, and their audit.

    Raises:
        ConfigError: The folder for vectors cannot be written to.
        ToolError: g++ or hls4ml is missing: an audit that does not run would look like one that finds nothing.
        HitfabricError: As `open_kernels`, where a card answers.
    """
    folder = settings.vectors or cache_directory() / "mismatches"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot make {folder} for the vectors of mismatches: {error.strerror}", remedy="set vectors to a folder"
        ) from error
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"cannot write to {folder}", remedy="set vectors to a folder that may be written to")
    checkers = {name: make_executor("csim", graph) for name, graph in graphs.items()}
    audit = Audit(checkers=checkers, settings=settings, folder=folder, instance=instance)
    if settings.answers == "xrt":
        from .xrt_device import open_kernels

        answering = open_kernels(graphs, settings, directory=directory, instance=instance)
    else:
        answering = {name: make_executor("native", graph, threads=settings.threads) for name, graph in graphs.items()}
    executors: dict[str, Executor] = {
        name: AuditedExecutor(executor=executor, network=name, audit=audit) for name, executor in answering.items()
    }
    return executors, audit


def _differing(answered: NDArray[Any], checked: NDArray[Any]) -> int:
    """Numbers whose bits differ; all of them if type or shape does."""
    if answered.dtype != checked.dtype or answered.shape != checked.shape:
        return max(answered.size, checked.size, 1)
    bits = np.dtype(f"u{answered.dtype.itemsize}")
    return int(np.count_nonzero(np.ascontiguousarray(answered).view(bits) != np.ascontiguousarray(checked).view(bits)))


def _log(text: str) -> None:
    """One line in the server's log."""
    print(f"hitfabric worker: shadow: {text}", file=sys.stderr, flush=True)
