"""Random choices, and layers of Brevitas made of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch
from brevitas.nn import QuantIdentity, QuantLinear, QuantReLU
from torch import nn
from torch.nn.utils import prune

from hitfabric.quantization.presets import preset

LEARNED_BITS = 14
"""Most bits a learned width starts at, so that it stays within 16."""


class Draw:
    """Random choices, and the layers made of them; `notes` says what was chosen."""

    def __init__(self, generator: np.random.Generator) -> None:
        self.generator = generator
        self.notes: list[str] = []
        self.learned = self.chance(0.25)
        self.rounding = self.one_of(("", "H"))
        self.notes.append(f"learned bits: {self.learned}, rounding: {'half-even' if self.rounding else 'floor'}")

    def integer(self, low: int, high: int) -> int:
        """An integer of [low, high]."""
        return int(self.generator.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        """True with a probability."""
        return bool(self.generator.random() < probability)

    def one_of(self, choices: Sequence):  # noqa: ANN201 - one of the choices
        """One of the choices."""
        return choices[self.integer(0, len(choices) - 1)]

    def bits(self) -> int:
        """2 to 16, small widths as likely as all the rest."""
        return self.integer(2, 6) if self.chance(0.5) else self.integer(2, 16)

    def _name(self, form: str) -> str:
        learned = self.learned and self.chance(0.7)
        name = form.format(min(self.bits(), LEARNED_BITS) if learned else self.bits()) + ("L" if learned else "")
        self.notes.append(name)
        return name

    def linear(self, inputs: int, outputs: int) -> QuantLinear:
        """A layer with or without bias, per tensor or per channel, now and then pruned."""
        weight = self._name("W{}" + self.one_of(("", "C")))
        bias = self._name("B{}") if self.chance(0.7) else None
        layer = QuantLinear(
            inputs,
            outputs,
            bias=bias is not None,
            weight_quant=preset(weight),
            bias_quant=None if bias is None else preset(bias),
        )
        with torch.no_grad():
            layer.weight.mul_(2.0 ** self.integer(-2, 2))
            if self.chance(0.5):  # channels of different spread make per-channel scales differ
                layer.weight.mul_(torch.tensor(2.0 ** self.generator.integers(-3, 3, (outputs, 1)), dtype=torch.float))
        if inputs * outputs > 1 and self.chance(0.25):
            prune.l1_unstructured(layer, "weight", amount=0.5)
            if self.chance(0.5):
                prune.remove(layer, "weight")
            self.notes.append("pruned")
        return layer

    def relu(self) -> QuantReLU:
        """An unsigned activation."""
        return QuantReLU(act_quant=preset(self._name("A{}" + self.rounding)))

    def identity(self, *, signed: bool = True) -> QuantIdentity:
        """A requantization."""
        return QuantIdentity(act_quant=preset(self._name("A{}" + ("S" if signed else "") + self.rounding)))

    def mlp(self, inputs: int, outputs: int, *, layers: int, activation: bool) -> nn.Sequential:
        """Dense layers with ReLUs between them, dropout now and then."""
        modules: OrderedDict[str, nn.Module] = OrderedDict()
        for number in range(layers):
            last = number == layers - 1
            width = outputs if last else self.integer(1, 8)
            modules[f"dense{number}"] = self.linear(inputs, width)
            if not last or activation:
                modules[f"relu{number}"] = self.relu()
                if self.chance(0.2):
                    modules[f"dropout{number}"] = nn.Dropout(0.1)
            inputs = width
        return nn.Sequential(modules)
