"""A perceptron written with Brevitas' own defaults: what keeps it from firmware, and the way there.

python examples/own_mlp.py [--steps 60] [--csim]
"""

from __future__ import annotations

import torch
from brevitas.nn import QuantIdentity, QuantLinear, QuantReLU
from common import arguments, prove, train
from torch import Tensor, nn

from hitfabric.quantization.linter import lint
from hitfabric.quantization.presets import preset


class Mine(nn.Module):
    """As Brevitas' tutorials write it: every scale is a real number."""

    def __init__(self) -> None:
        super().__init__()
        self.input_shapes = {"points": ("R", 2)}
        self.quantize = QuantIdentity(bit_width=8)
        self.hidden = QuantLinear(2, 16, bias=True, weight_bit_width=6)
        self.relu = QuantReLU(bit_width=6)
        self.score = QuantLinear(16, 1, bias=True, weight_bit_width=6)

    def forward(self, points: Tensor) -> Tensor:
        """[R, 2] -> logits [R, 1]."""
        return self.score(self.relu(self.hidden(self.quantize(points))))


class Firmware(Mine):
    """The same network; quantizers by name have scales that are powers of two, which firmware has for nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.quantize = QuantIdentity(act_quant=preset("A8S"))
        self.hidden = QuantLinear(2, 16, bias=True, weight_quant=preset("W6"), bias_quant=preset("B8"))
        self.relu = QuantReLU(act_quant=preset("A6"))
        self.score = QuantLinear(16, 1, bias=True, weight_quant=preset("W6"), bias_quant=preset("B8"))


def rows(step: int) -> tuple[Tensor, Tensor]:
    """Points of the plane, and whether they lie on the ring between two circles."""
    points = 4 * torch.rand(256, 2, generator=torch.Generator().manual_seed(step)) - 2
    radius = points.norm(dim=1)
    return points, ((radius > 0.7) & (radius < 1.5)).float()


def right(model: nn.Module) -> float:
    """Share of new points that the model is right about."""
    points, inside = rows(10_000)
    with torch.no_grad():
        return float(((model(points).squeeze(-1) > 0) == (inside > 0)).float().mean())


def main() -> None:
    """Train as it is, ask the linter, take the weights over, train on, prove."""
    options = arguments(__doc__)

    def fit(model: nn.Module) -> None:
        def loss(step: int) -> Tensor:
            points, inside = rows(step)
            return nn.functional.binary_cross_entropy_with_logits(model(points).squeeze(-1), inside)

        train(model, loss, steps=options.steps)

    mine = Mine()
    fit(mine)
    refused = lint(mine)
    assert not refused.passed
    for violation in refused.violations:
        print(f"{violation.module}: {violation.rule}; {violation.remedy}")

    model = Firmware()
    learned = {name: value for name, value in mine.state_dict().items() if name.endswith((".weight", ".bias"))}
    model.load_state_dict(learned, strict=False)  # the scales are calibrated anew
    fit(model)
    print(f"right on {right(mine):.0%} of new points before, {right(model):.0%} as firmware")
    prove(model, [(rows(10_000)[0],)], name="own_mlp", csim=options.csim)


if __name__ == "__main__":
    main()
