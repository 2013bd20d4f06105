"""Training of one network: the float twin, pruning, then quantization-aware training from its weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

import torch
from torch import Tensor, nn

from ..core import ConfigError, ContractError
from .calibration import calibrate, refine_scales
from .pruning import Masks, choose_masks, sparsity_of_round
from .training_config import PruningConfig, ScheduleConfig
from .training_phase import Phase, Run
from .training_state import TrainingState
from .training_task import History, Network, Task, TrainedPair

__all__ = ["History", "Network", "Task", "TrainedPair", "calibrate", "choose_device", "train", "warm_start"]


def train(
    task: Task[Network], schedule: ScheduleConfig, history: History, *, resume: Path | None = None
) -> TrainedPair[Network]:
    """Train a float network, prune it, and train a quantized one from its weights.

    Args:
        task: Network, loss and metrics.
        schedule: Epochs, learning rates, pruning.
        history: Takes one row per epoch.
        resume: File of the training's state, written after every epoch. Where it exists, the training goes on from
            there and gives the very result of one that was never interrupted (on the CPU).

    Returns:
        The networks of the best epochs.

    Raises:
        DataError: The loss became infinite or NaN; or `resume` is the state of another training, or of other data.
        ConfigError: The device is not there.
        ContractError: The accumulators cannot be bounded (see `models.accumulators`).
    """
    key = f"{task.name} {task.key} {schedule.model_dump_json()}"
    state = TrainingState(resume, key, "" if resume is None else task.data())
    run = Run(state=state, history=history, device=choose_device(schedule.device))
    history.rows[:] = run.state.rows
    with _one_thread():
        return _Training(task=task, schedule=schedule, run=run, seed=torch.initial_seed()).train()


def choose_device(name: str) -> torch.device:
    """The device of a name; `auto` takes an accelerator where torch finds one.

    Raises:
        ConfigError: There is no such device.
    """
    found = torch.accelerator.current_accelerator(check_available=True)
    if name == "auto":
        return found or torch.device("cpu")
    known = ["auto", "cpu", *([found.type] if found is not None else [])]
    if name.partition(":")[0] not in known:
        raise ConfigError(f"torch finds no device {name}", remedy=f"use one of {', '.join(known)}")
    return torch.device(name)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Networks this small lose more to the synchronisation of threads than they gain, above all on busy cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@dataclass(kw_only=True)
class _Training(Generic[Network]):
    """The phases of one training, in order."""

    task: Task[Network]
    schedule: ScheduleConfig
    run: Run
    seed: int
    number: int = 0

    def train(self) -> TrainedPair[Network]:
        schedule, twin, start = self.schedule, None, None
        masks: Masks = {}
        if schedule.float_epochs:
            twin = start = self._float("float", self._make_float)
            if self.task.narrow is not None:
                narrower = self.task.narrow(twin.cpu())
                start = self._float("narrow", lambda: narrower)
            if schedule.pruning is not None:
                start, masks = self._prune(start, schedule.pruning)
        network = start
        if schedule.quantized_epochs:
            network = self._quantize(start, masks)
        assert network is not None  # the schedule has epochs
        return TrainedPair(network=network.cpu(), float_twin=None if twin is None else twin.cpu())

    def _float(self, name: str, make: Callable[[], Network]) -> Network:
        pruning = self.schedule.pruning
        early = None if pruning is None else pruning.rewind_epoch
        phase = self._phase(name, self.schedule.float_epochs, self.schedule.learning_rate, early_epoch=early)
        return phase.run(make, lambda network: None, self.run)

    def _prune(self, network: Network, config: PruningConfig) -> tuple[Network, Masks]:
        before = "narrow" if self.task.narrow is not None else "float"
        early = self.run.state.finished[before]["early"]
        masks: Masks = {}
        for number in range(1, config.rounds + 1):
            masks = choose_masks(network.cpu(), config, sparsity_of_round(config, number))
            start = early or {name: value.clone() for name, value in network.state_dict().items()}
            phase = self._phase(f"pruned {number}", config.epochs, self.schedule.learning_rate, masks=masks)
            network = phase.run(self._make_like(network), lambda made, start=start: _load(made, start), self.run)
        return network, masks

    def _quantize(self, start: Network | None, masks: Masks) -> Network:
        schedule = self.schedule
        rate = schedule.learning_rate if start is None else schedule.quantized_learning_rate
        phase = self._phase("quantized", schedule.quantized_epochs, rate, masks=masks)

        def prepare(network: Network) -> None:
            if start is not None:
                warm_start(network, start.state_dict())
            calibrate(network, self.task.loss)
            if schedule.calibration == "loss":
                refine_scales(network, self.task.loss, restart=lambda: self.task.begin(phase.number, 0))

        return phase.run(lambda: self._seeded(lambda: self.task.make(True)), prepare, self.run)

    def _phase(
        self, name: str, epochs: int, rate: float, *, masks: Masks | None = None, early_epoch: int | None = None
    ) -> Phase[Network]:
        self.number += 1
        return Phase(
            task=self.task,
            schedule=self.schedule,
            name=name,
            number=self.number,
            epochs=epochs,
            learning_rate=rate,
            seconds=self.schedule.seconds / self._phases(),
            masks=masks or {},
            early_epoch=early_epoch,
        )

    def _phases(self) -> int:
        """Phases of the whole training: each may take the same share of the time, so that a slow machine quantizes."""
        schedule = self.schedule
        count = bool(schedule.quantized_epochs)
        if schedule.float_epochs:
            count += 1 + (self.task.narrow is not None) + (schedule.pruning.rounds if schedule.pruning else 0)
        return count

    def _make_float(self) -> Network:
        return self._seeded(lambda: self.task.make(False))

    def _make_like(self, network: Network) -> Callable[[], Network]:
        """Makes copies of a float network, whose shapes a narrowed one has from its weights alone."""
        return lambda: copy.deepcopy(network)

    def _seeded(self, make: Callable[[], Network]) -> Network:
        """Make a network from the seed alone, whether or not the phases before it were trained in this process."""
        torch.manual_seed(self.seed + self.number)
        return make()


def warm_start(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Give a quantized network the weights of a float twin; scales are left to calibration.

    Raises:
        ContractError: The two have different parameters.
    """
    result = network.load_state_dict(state, strict=False)
    foreign = [name for name in result.missing_keys if not name.endswith("scaling_impl.value")]
    if foreign or result.unexpected_keys:
        raise ContractError(
            f"parameter {[*foreign, *result.unexpected_keys][0]} has no float twin", remedy="give both the same modules"
        )


def _load(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    network.load_state_dict(dict(state))
