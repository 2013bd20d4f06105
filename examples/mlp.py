"""A multilayer perceptron from presets by name: quantization-aware training, lint, trace, proof.

python examples/mlp.py [--steps 60] [--csim]
"""

from __future__ import annotations

import torch
from brevitas.nn import QuantIdentity, QuantLinear, QuantReLU
from common import arguments, prove, train
from torch import Tensor, nn

from hitfabric.quantization.presets import preset


def layer(inputs: int, outputs: int) -> QuantLinear:
    """Weights of 5 bits with one scale per output channel, biases of 8 bits."""
    return QuantLinear(inputs, outputs, bias=True, weight_quant=preset("W5C"), bias_quant=preset("B8"))


def main() -> None:
    """Learn whether a point of the plane lies on the ring between two circles."""
    options = arguments(__doc__)
    model = nn.Sequential(
        QuantIdentity(act_quant=preset("A10S")),
        layer(2, 16),
        QuantReLU(act_quant=preset("A6L")),  # starts with 6 bits; training may give it more or fewer
        layer(16, 16),
        QuantReLU(act_quant=preset("A6")),
        layer(16, 1),
    )

    def rows(step: int) -> tuple[Tensor, Tensor]:
        points = 4 * torch.rand(256, 2, generator=torch.Generator().manual_seed(step)) - 2
        radius = points.norm(dim=1)
        return points, ((radius > 0.7) & (radius < 1.5)).float()

    def loss(step: int) -> Tensor:
        points, inside = rows(step)
        return nn.functional.binary_cross_entropy_with_logits(model(points).squeeze(-1), inside)

    train(model, loss, steps=options.steps)
    points, inside = rows(10_000)
    right = ((model(points).squeeze(-1) > 0) == (inside > 0)).float().mean()
    print(f"right on {right:.0%} of new points")
    prove(model, [(points,)], name="mlp", csim=options.csim)


if __name__ == "__main__":
    main()
