"""What a training is made of: the task, the curves, and the networks that come out."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from torch import Tensor, nn

from ..core import atomic_file
from .training_log import EventWriter

Network = TypeVar("Network", bound=nn.Module)
Row = dict[str, float | int | str]


@dataclass(kw_only=True)
class History:
    """Metrics of every epoch.

    Attributes:
        rows: One mapping per epoch: `phase`, `epoch`, `loss`, `seconds`, the metrics of the network, and its cost
            (`macs`, `bops`, `ebops`, `nonzero_weights`) where it can be counted.
        tensorboard: Folder of TensorBoard event files to write while training, None for none; needs tensorboardX.
    """

    rows: list[Row] = field(default_factory=list)
    tensorboard: Path | None = None

    def add(self, row: Row) -> None:
        """Append the row of one epoch, and show it in TensorBoard."""
        self.rows.append(row)
        if self.tensorboard is not None:
            with EventWriter(self.tensorboard, suffix=str(len(self.rows))) as writer:
                writer.add(row, step=len(self.rows))

    def write(self, path: Path) -> None:
        """Write the rows as CSV, whole or not at all."""
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, columns)
            writer.writeheader()
            writer.writerows(self.rows)


def _nothing_to_prepare(phase: int, epoch: int) -> None:
    pass


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
        begin: Called with the numbers of phase and epoch before each epoch (0: calibration). What `loss` draws from
            then on must depend on them and the seed alone, so that a training that continues draws the same.
        narrow: Makes the float network of the units worth keeping from the trained float twin; None keeps them all.
        key: Names configuration and seed: only a training of the same key can be continued.
        data: Makes the fingerprint of what is learned from and judged on, which must be the same too; called once,
            where a state is kept.
    """

    name: str
    make: Callable[[bool], Network]
    loss: Callable[[Network], Tensor]
    evaluate: Callable[[Network], Mapping[str, float]]
    score: str
    higher_is_better: bool = True
    begin: Callable[[int, int], None] = _nothing_to_prepare
    narrow: Callable[[Network], Network] | None = None
    key: str = ""
    data: Callable[[], str] = str


@dataclass(frozen=True, kw_only=True)
class TrainedPair(Generic[Network]):
    """What one training gives; both networks in evaluation mode, on the CPU.

    Attributes:
        network: Quantized network of the best quantized epoch; a float network where `quantized_epochs` is 0.
        float_twin: Float network of the best float epoch, before any pruning; None where `float_epochs` is 0.
    """

    network: Network
    float_twin: Network | None
