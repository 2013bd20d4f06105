"""Two-phase training: the float twin, then quantization-aware training from its weights."""

from __future__ import annotations

import copy
import csv
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from ..core import ContractError, DataError, atomic_file, progress
from ..quantization.presets import CALIBRATION_STEPS
from .training_config import ScheduleConfig

Network = TypeVar("Network", bound=nn.Module)


@dataclass(kw_only=True)
class History:
    """Metrics of every epoch.

    Attributes:
        rows: One mapping per epoch: `phase`, `epoch`, `loss`, `seconds` and the metrics of the network.
    """

    rows: list[dict[str, float | int | str]] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write the rows as CSV, whole or not at all."""
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, columns)
            writer.writeheader()
            writer.writerows(self.rows)


@dataclass(frozen=True, kw_only=True)
class Task(Generic[Network]):
    """What is learned.

    Attributes:
        name: Shown in progress and messages.
        make: Makes the quantized network (True) or its float twin (False).
        loss: Loss of one step; draws its own batch.
        evaluate: Metrics on validation data; the network is in evaluation mode.
        score: Name of the metric that decides between epochs.
        higher_is_better: Direction of `score`.
    """

    name: str
    make: Callable[[bool], Network]
    loss: Callable[[Network], Tensor]
    evaluate: Callable[[Network], Mapping[str, float]]
    score: str
    higher_is_better: bool = True


@dataclass(frozen=True, kw_only=True)
class TrainedPair(Generic[Network]):
    """What one training gives; both networks in evaluation mode.

    Attributes:
        network: Quantized network of the best quantized epoch; the float network where `quantized_epochs` is 0.
        float_twin: Float network of the best float epoch, None where `float_epochs` is 0.
    """

    network: Network
    float_twin: Network | None


def train(
    task: Task[Network], schedule: ScheduleConfig, history: History, *, resume: Path | None = None
) -> TrainedPair[Network]:
    """Train a float network and, from its weights, a quantized one.

    Args:
        task: Network, loss and metrics.
        schedule: Epochs and learning rates.
        history: Takes one row per epoch.
        resume: Not read yet.

    Returns:
        The networks of the best epochs.

    Raises:
        DataError: The loss became infinite or NaN.
    """
    with _one_thread():
        return _train(task, schedule, history)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Networks this small lose more to the synchronisation of threads than they gain, above all on busy cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _train(task: Task[Network], schedule: ScheduleConfig, history: History) -> TrainedPair[Network]:
    # Half of the time belongs to each phase, so that a slow machine still quantizes.
    share = schedule.seconds / (2 if schedule.float_epochs and schedule.quantized_epochs else 1)
    twin: Network | None = None
    if schedule.float_epochs:
        phase = _Phase(task, "float", schedule.float_epochs, schedule.steps, schedule.learning_rate, share, history)
        twin = phase.run(task.make(False))
        if not schedule.quantized_epochs:
            return TrainedPair(network=twin, float_twin=twin)
    network = task.make(True)
    if twin is not None:
        _warm_start(network, twin.state_dict())
    calibrate(network, task.loss)
    rate = schedule.quantized_learning_rate if schedule.float_epochs else schedule.learning_rate
    phase = _Phase(task, "quantized", schedule.quantized_epochs, schedule.steps, rate, share, history)
    return TrainedPair(network=phase.run(network), float_twin=twin)


def calibrate(network: Network, loss: Callable[[Network], Tensor]) -> None:
    """Collect activation statistics without learning, until every scale is a power of two."""
    network.train()
    with torch.no_grad():
        for _ in range(CALIBRATION_STEPS + 1):
            loss(network)


def _warm_start(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    result = network.load_state_dict(state, strict=False)
    foreign = [name for name in result.missing_keys if not name.endswith("scaling_impl.value")]
    if foreign or result.unexpected_keys:
        raise ContractError(
            f"parameter {[*foreign, *result.unexpected_keys][0]} has no float twin", remedy="give both the same modules"
        )


@dataclass(frozen=True)
class _Phase(Generic[Network]):
    task: Task[Network]
    name: str
    epochs: int
    steps: int
    learning_rate: float
    seconds: float
    history: History

    def run(self, network: Network) -> Network:
        optimiser = torch.optim.Adam(network.parameters(), self.learning_rate)
        total = self.epochs * self.steps
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _cosine(step / total))
        best, best_state = -math.inf, copy.deepcopy(network.state_dict())
        start = time.monotonic()
        for epoch in progress(range(1, self.epochs + 1), description=f"{self.task.name} ({self.name})"):
            loss = self._epoch(network, optimiser, schedule)
            metrics = self._evaluate(network)
            seconds = time.monotonic() - start
            row = {"phase": self.name, "epoch": epoch, "loss": loss, "seconds": round(seconds, 2)}
            self.history.rows.append({**row, **metrics})
            score = metrics[self.task.score] * (1 if self.task.higher_is_better else -1)
            if score > best:
                best, best_state = score, copy.deepcopy(network.state_dict())
            if seconds > self.seconds and epoch < self.epochs:
                reason = f"{epoch} of {self.epochs} epochs in {seconds:.0f} s: stopped at the time limit"
                print(f"{self.task.name} ({self.name}): {reason}", file=sys.stderr)
                break
        network.load_state_dict(best_state)
        return network.eval()

    def _epoch(
        self, network: Network, optimiser: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LRScheduler
    ) -> float:
        network.train()
        total = 0.0
        for _ in range(self.steps):
            optimiser.zero_grad()
            loss = self.task.loss(network)
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        if not math.isfinite(total):
            raise DataError(
                f"the loss of {self.task.name} is {total}", remedy="lower the learning rate or check the data"
            )
        return total / self.steps

    def _evaluate(self, network: Network) -> Mapping[str, float]:
        network.eval()
        with torch.no_grad():
            return self.task.evaluate(network)


def _cosine(progress_made: float) -> float:
    """Learning rate factor: a short linear warm-up, then a half cosine down to 2 %."""
    warm_up = min(1.0, (progress_made + 0.005) / 0.05)
    return warm_up * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(progress_made, 1.0))))
