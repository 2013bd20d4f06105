"""One phase of a training: epochs of one network from one learning rate."""

from __future__ import annotations

import copy
import math
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic

import torch
from torch import Tensor, nn

from ..core import DataError, progress
from .accumulators import bound_accumulators
from .pruning import Masks, apply_masks
from .training_config import ScheduleConfig
from .training_cost import network_cost
from .training_state import Content, TrainingState
from .training_task import History, Network, Row, Task

State = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Phase(Generic[Network]):
    """Epochs of one network.

    Attributes:
        task: Network, loss and metrics.
        schedule: Steps, patience, accumulator bound.
        name: Name in the history and in the state.
        number: Number of the phase: part of the seed of its samples.
        epochs: Epochs at most.
        learning_rate: Peak of the cosine cycle.
        seconds: Time limit.
        masks: Weights held at 0.
        early_epoch: Epoch whose weights are kept for rewinding.
    """

    task: Task[Network]
    schedule: ScheduleConfig
    name: str
    number: int
    epochs: int
    learning_rate: float
    seconds: float
    masks: Masks = field(default_factory=dict)
    early_epoch: int | None = None

    def run(self, make: Callable[[], Network], prepare: Callable[[Network], None], run: Run) -> Network:
        """Train, or continue, or take what is finished.

        Args:
            make: Makes the network.
            prepare: Brings a network just made to the weights it starts from; not called where one continues.
            run: State, history and device.

        Returns:
            The network of the best epoch, in evaluation mode.
        """
        network = make()
        if self.name in run.state.finished:
            network.load_state_dict(run.state.finished[self.name]["best"])
            return network.to(run.device).eval()
        if run.state.current.get("name") == self.name:
            network.load_state_dict(run.state.current["network"])
            network.to(run.device)
        else:
            network.to(run.device)
            self.task.begin(self.number, 0)
            prepare(network)
            apply_masks(network, self._masks(run))
        self._epochs(network, run)
        return network.eval()

    def _epochs(self, network: Network, run: Run) -> None:
        optimiser = torch.optim.Adam(network.parameters(), self.learning_rate)
        at = _Progress.start(run.state.current, self.name, network, optimiser)
        masks = self._masks(run)
        start = time.monotonic() - at.seconds
        # A training that continues still says how much of the phase is done.
        for epoch in progress(range(at.epoch + 1, self.epochs + 1), description=f"{self.task.name} ({self.name})"):
            if self._is_over(at):
                break
            self.task.begin(self.number, epoch)
            loss = self._train(network, optimiser, masks, epoch)
            if self.schedule.accumulator_bits is not None and self.name == "quantized":
                bound_accumulators(network, self.schedule.accumulator_bits)
            metrics = self._evaluate(network)
            at.epoch, at.seconds = epoch, time.monotonic() - start
            row: Row = {"phase": self.name, "epoch": epoch, "loss": loss, "seconds": round(at.seconds, 2)}
            run.history.add({**row, **metrics, **network_cost(network)})
            at.judge(metrics[self.task.score] * (1 if self.task.higher_is_better else -1), network)
            if epoch == self.early_epoch:
                at.early = copy.deepcopy(network.state_dict())
            run.state.rows = run.history.rows
            run.state.current = at.content(self.name, network, optimiser)
            run.state.write()
        network.load_state_dict(at.best)
        run.state.finish(self.name, {"best": at.best, "early": at.early})

    def _is_over(self, at: _Progress) -> bool:
        """Whether time or patience is used up, said on standard error."""
        patience = self.schedule.patience
        if patience is not None and at.epoch - at.best_epoch >= patience:
            reason = f"no better epoch since {at.best_epoch}"
        elif at.seconds > self.seconds:
            reason = f"{at.epoch} of {self.epochs} epochs in {at.seconds:.0f} s: stopped at the time limit"
        else:
            return False
        print(f"{self.task.name} ({self.name}): {reason}", file=sys.stderr)
        return True

    def _train(self, network: Network, optimiser: torch.optim.Optimizer, masks: Masks, epoch: int) -> float:
        """Mean loss of one epoch."""
        network.train()
        total, steps = 0.0, self.schedule.steps
        for step in range((epoch - 1) * steps, epoch * steps):
            for group in optimiser.param_groups:
                group["lr"] = self.learning_rate * learning_rate_factor(step / (self.epochs * steps))
            optimiser.zero_grad()
            loss = self.task.loss(network)
            loss.backward()
            optimiser.step()
            apply_masks(network, masks)
            total += loss.item()
        if not math.isfinite(total):
            raise DataError(
                f"the loss of {self.task.name} is {total}", remedy="lower the learning rate or check the data"
            )
        return total / steps

    def _evaluate(self, network: Network) -> Mapping[str, float]:
        network.eval()
        with torch.no_grad():
            return self.task.evaluate(network)

    def _masks(self, run: Run) -> Masks:
        return {name: mask.to(run.device) for name, mask in self.masks.items()}


@dataclass(frozen=True, kw_only=True)
class Run:
    """What the phases of one training share.

    Attributes:
        state: What is finished.
        history: Takes one row per epoch.
        device: Where networks are trained.
    """

    state: TrainingState
    history: History
    device: torch.device


@dataclass(kw_only=True)
class _Progress:
    """How far a phase is."""

    epoch: int = 0
    seconds: float = 0.0
    best_score: float = -math.inf
    best_epoch: int = 0
    best: Content
    early: Content | None = None

    @classmethod
    def start(cls, current: Content, name: str, network: nn.Module, optimiser: torch.optim.Optimizer) -> _Progress:
        """Where the state left the phase, or its beginning."""
        if current.get("name") != name:
            return cls(best=copy.deepcopy(network.state_dict()))
        optimiser.load_state_dict(current["optimiser"])
        return cls(**current["progress"], best=current["best"], early=current["early"])

    def judge(self, score: float, network: nn.Module) -> None:
        """Keep the weights of this epoch if it is the best."""
        if score > self.best_score:
            self.best_score, self.best_epoch, self.best = score, self.epoch, copy.deepcopy(network.state_dict())

    def content(self, name: str, network: nn.Module, optimiser: torch.optim.Optimizer) -> Content:
        """What a training that continues needs."""
        numbers = ("epoch", "seconds", "best_score", "best_epoch")
        return {
            "name": name,
            "progress": {number: getattr(self, number) for number in numbers},
            "network": network.state_dict(),
            "optimiser": optimiser.state_dict(),
            "best": self.best,
            "early": self.early,
        }


def learning_rate_factor(progress_made: float) -> float:
    """Learning rate factor: a short linear warm-up, then a half cosine down to 2 %."""
    warm_up = min(1.0, (progress_made + 0.005) / 0.05)
    return warm_up * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(progress_made, 1.0))))
