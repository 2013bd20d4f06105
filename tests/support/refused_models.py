"""Models that the tracer and the linter have to refuse."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hitfabric.core import ContractError
from hitfabric.quantization.linter import lint
from hitfabric.quantization.presets import CALIBRATION_STEPS
from hitfabric.quantization.tracer import trace


def settled(model: nn.Module, *inputs: Tensor, passes: int = CALIBRATION_STEPS + 1) -> nn.Module:
    """The model, calibrated by forward passes in training mode."""
    model.train()
    with torch.no_grad():
        for _ in range(passes):
            model(*inputs)
    return model.eval()


def refusal(model: nn.Module, **options: Any) -> ContractError:
    """Why the tracer refuses a model; the linter names the same rule first."""
    with pytest.raises(ContractError) as caught:
        trace(model, name="network", **options)
    report = lint(model, **options)
    assert not report.passed
    assert caught.value.message.startswith(report.violations[0].rule)
    return caught.value
