"""Bit widths layer by layer: how much accuracy each effective bit operation (EBOP) is worth.

Greedy, from a trained quantized network downwards. A round takes one bit away from each weight tensor and each
activation in turn and trains that candidate shortly from the weights of its parent. The changes that lose least of the
score per EBOP saved are then made together, trained longer, and become the parent of the next round. Every candidate is
a point of accuracy against EBOPs; those that no other beats in both are the Pareto front.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from ..core import DataError, atomic_file
from .accumulators import bound_accumulators
from .layer_bits import activation_layers, weight_layers
from .pruning import apply_masks
from .saved_tensors import save_tensors
from .search_config import Candidate, LayerBits, SearchSettings
from .training_cost import network_cost
from .training_loop import calibrate, warm_start
from .training_phase import learning_rate_factor
from .training_task import Network, Task


def layer_bits(network: nn.Module) -> LayerBits:
    """The bit widths of a quantized network."""
    layers: Any = network.get_submodule
    return LayerBits(
        weights={path: int(layers(path).weight_quant.bit_width()) for path in weight_layers(network)},
        activations={path: int(layers(path).act_quant.bit_width()) for path in activation_layers(network)},
    )


@dataclass(kw_only=True)
class BitSearch(Generic[Network]):
    """The search; iterate over `run()`.

    Attributes:
        make_task: Makes the task of a network with these bit widths.
        start: Trained quantized network, on the CPU.
        settings: How the search goes on.
        seed: Seed of weights that are drawn and not trained before.
        keep_zeros: Weights that are 0 stay 0: for pruned networks.
        accumulator_bits: Bound on the accumulators of every candidate (see `models.accumulators`); None sets none.
        directory: Where finished candidates are kept; what is there already is not computed again.
    """

    make_task: Callable[[LayerBits], Task[Network]]
    start: Network
    settings: SearchSettings
    seed: int
    keep_zeros: bool = False
    accumulator_bits: int | None = None
    directory: Path

    def run(self) -> Iterator[Candidate]:
        """Yield every candidate when it is known, those of earlier, interrupted searches included.

        Raises:
            DataError: A file of the directory is damaged.
            ContractError: The accumulators of a candidate cannot be bounded.
        """
        settings, task = self.settings, self.make_task(layer_bits(self.start))
        sign = 1 if task.higher_is_better else -1
        weights: Mapping[str, Tensor] = self.start.state_dict()
        parent = first = self._start(task)
        yield parent
        for number in range(1, settings.rounds + 1):
            tried: list[Candidate] = []
            for change in parent.bits.changes(settings.minimum_bits):
                tried.append(self._candidate(number, (change,), parent, weights, accepted=False)[0])
                yield tried[-1]
            useful = [item for item in tried if item.ebops < parent.ebops]
            if not useful:
                return
            useful.sort(key=lambda item: sign * (parent.score - item.score) / (parent.ebops - item.ebops))
            changes = tuple(item.changes[0] for item in useful[: settings.changes])
            parent, found = self._candidate(number, changes, parent, weights, accepted=True)
            yield parent
            if sign * (first.score - parent.score) > settings.largest_loss:
                return
            assert found is not None
            weights = found

    def _start(self, task: Task[Network]) -> Candidate:
        self.start.eval()
        with torch.no_grad():
            score = task.evaluate(self.start)[task.score]
        return _judged(self.start, round=0, changes=(), accepted=True, bits=layer_bits(self.start), score=score)

    def _candidate(
        self, number: int, changes: tuple[str, ...], parent: Candidate, weights: Mapping[str, Tensor], *, accepted: bool
    ) -> tuple[Candidate, Mapping[str, Tensor] | None]:
        """A candidate and, where it is accepted, its weights: from disk, or trained and kept there."""
        name = f"{number:03d}-{'accepted' if accepted else changes[0].replace(':', '-')}"
        record, state = self.directory / f"{name}.json", self.directory / f"{name}.pt"
        if record.exists():
            candidate = _read(record)
            if candidate.bits != parent.bits.without(changes):
                raise DataError(f"{record} is of another search", remedy="remove the folder, or give another --out")
            return candidate, _read_weights(state) if accepted else None
        bits = parent.bits.without(changes)
        network, score = self._train(number, bits, weights, steps=self._steps(accepted))
        candidate = _judged(network, round=number, changes=changes, accepted=accepted, bits=bits, score=score)
        if accepted:
            save_tensors(network.state_dict(), state)
        # Last, since its presence says that the candidate is finished.
        with atomic_file(record) as temporary:
            temporary.write_text(candidate.model_dump_json(indent=2) + "\n", encoding="utf-8")
        return candidate, network.state_dict() if accepted else None

    def _steps(self, accepted: bool) -> int:
        return self.settings.accepted_steps if accepted else self.settings.steps

    def _train(
        self, number: int, bits: LayerBits, weights: Mapping[str, Tensor], *, steps: int
    ) -> tuple[Network, float]:
        task, rate = self.make_task(bits), self.settings.learning_rate
        torch.manual_seed(self.seed)
        network = task.make(True)
        # Scales are calibrated anew: with another width the old ones would cover another range.
        warm_start(network, {name: value for name, value in weights.items() if not name.endswith("scaling_impl.value")})
        masks = {}
        if self.keep_zeros:
            masks = {f"{path}.weight": network.get_parameter(f"{path}.weight") != 0 for path in weight_layers(network)}
        task.begin(number, 0)
        calibrate(network, task.loss)
        task.begin(number, 1)
        optimiser = torch.optim.Adam(network.parameters(), rate)
        for step in range(steps):
            for group in optimiser.param_groups:
                group["lr"] = rate * learning_rate_factor(step / steps)
            optimiser.zero_grad()
            task.loss(network).backward()
            optimiser.step()
            apply_masks(network, masks)
        if self.accumulator_bits is not None:
            bound_accumulators(network, self.accumulator_bits)
        network.eval()
        with torch.no_grad():
            return network, float(task.evaluate(network)[task.score])


def _judged(network: nn.Module, **values: Any) -> Candidate:  # noqa: ANN401 - fields of Candidate
    cost = network_cost(network)
    return Candidate(**values, ebops=cost["ebops"], bops=cost["bops"])


def _read(path: Path) -> Candidate:
    try:
        return Candidate.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path} is no candidate of a search: {reason}", remedy="remove the file") from error


def _read_weights(path: Path) -> Mapping[str, Tensor]:
    try:
        return torch.load(path, weights_only=True)
    except Exception as error:
        raise DataError(f"cannot read the weights {path}", remedy="remove it and the .json beside it") from error
