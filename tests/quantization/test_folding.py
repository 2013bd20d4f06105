"""BatchNorm folding: the same function, the same names, and a warm start of a quantized network."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import prune

from hitfabric.core import ContractError
from hitfabric.quantization.folding import fold_batch_norm
from hitfabric.quantization.presets import quantized_mlp


def normalised(*, bias: bool = True, affine: bool = True, seed: int = 0) -> nn.Sequential:
    """Two normalised layers whose statistics and parameters are far from the defaults."""
    torch.manual_seed(seed)
    layers = OrderedDict(
        dense0=nn.Linear(3, 5, bias=bias),
        norm0=nn.BatchNorm1d(5, affine=affine),
        relu0=nn.ReLU(),
        dense1=nn.Linear(5, 2, bias=bias),
        dropout=nn.Dropout(0.2),
        norm1=nn.BatchNorm1d(2, affine=affine),
    )
    model = nn.Sequential(layers)
    for _ in range(20):
        model(torch.randn(64, 3) * 3 + 1)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "norm" in name:
                value.add_(torch.randn_like(value))
    return model.eval()


@settings(max_examples=20)
@given(bias=st.booleans(), affine=st.booleans(), seed=st.integers(0, 999))
def test_folding_keeps_the_function(bias: bool, affine: bool, seed: int) -> None:
    model = normalised(bias=bias, affine=affine, seed=seed).double()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    folded = fold_batch_norm(model)
    rows = torch.randn(50, 3, dtype=torch.float64)
    assert torch.allclose(folded(rows), model(rows), rtol=1e-12, atol=1e-12)
    assert not any(isinstance(module, nn.BatchNorm1d) for module in folded.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items()), (
        "the model is left alone"
    )


def test_folded_weights_are_rounded_once() -> None:
    model = normalised()
    exact, single = fold_batch_norm(normalised().double()), fold_batch_norm(model)
    for name, value in single.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, exact.state_dict()[name].float())


def test_the_folded_state_is_a_warm_start() -> None:
    state = fold_batch_norm(normalised()).state_dict()
    network = quantized_mlp((3, 5, 2), weight_bits=8, activation_bits=8)
    result = network.load_state_dict(state, strict=False)
    assert not result.unexpected_keys
    assert all(name.endswith("scaling_impl.value") for name in result.missing_keys)


class Wired(nn.Module):
    def __init__(self, **parts: Any) -> None:
        super().__init__()
        self.dense, self.other = nn.Linear(3, 3), nn.Linear(3, 3)
        self.norm = nn.BatchNorm1d(3)
        for name, part in parts.items():
            setattr(self, name, part)

    def run(self, x: Tensor) -> Tensor:
        return self.norm(self.dense(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.run(x)


def test_a_layer_used_twice_through_its_norm() -> None:
    class Twice(Wired):
        def run(self, x: Tensor) -> Tensor:
            return self.norm(self.dense(torch.relu(self.norm(self.dense(x)))))

    model = Twice().eval()
    rows = torch.randn(9, 3)
    assert torch.allclose(fold_batch_norm(model)(rows), model(rows), atol=1e-6)


def wired(run: Any, **parts: Any) -> nn.Module:
    return type("Given", (Wired,), {"run": run})(**parts)


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (wired(lambda s, x: s.dense(s.norm(x))), "norm is a BatchNorm1d that follows no linear layer"),
        (wired(lambda s, x: s.norm(torch.relu(s.dense(x)))), "norm is a BatchNorm1d that follows no linear layer"),
        (wired(lambda s, x: s.norm(s.dense(x)) + s.norm(s.other(x))), "norm follows several layers"),
        (wired(lambda s, x: s.norm(s.dense(x)) + s.dense(x)), "dense is read by add without its BatchNorm1d"),
        (wired(Wired.run, norm=nn.BatchNorm1d(3, track_running_stats=False)), "norm keeps no running statistics"),
    ],
)
def test_what_cannot_be_folded(model: nn.Module, named: str) -> None:
    with pytest.raises(ContractError, match=named):
        fold_batch_norm(model)


def test_a_pruning_mask_comes_off_first() -> None:
    model = normalised()
    layer: Any = model.dense0
    prune.l1_unstructured(layer, "weight", amount=0.5)
    with pytest.raises(ContractError, match="dense0 has its pruning mask on"):
        fold_batch_norm(model)
    prune.remove(layer, "weight")
    rows = torch.randn(9, 3)
    folded: Any = fold_batch_norm(model)
    assert torch.allclose(folded(rows), model(rows), atol=1e-5)
    assert int((folded.dense0.weight == 0).sum()) >= 7
