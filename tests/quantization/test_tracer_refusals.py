"""What breaks the contract is refused by name: module or operation, rule, remedy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import brevitas.nn as qnn
import pytest
import torch
from brevitas.inject.enum import FloatToIntImplType, RestrictValueType, ScalingPerOutputType
from brevitas.quant import Int8Bias
from brevitas.quant.fixed_point import Int8ActPerTensorFixedPoint
from brevitas.quant.shifted_scaled_int import ShiftedUint8ActPerTensorFloat
from torch import Tensor, nn
from torch.nn.functional import dropout, layer_norm, relu

from hitfabric.quantization.linter import lint
from hitfabric.quantization.presets import preset, quantized_identity, quantized_mlp
from support.refused_models import refusal, settled

torch.set_num_threads(1)


class Net(nn.Module):
    """quantize -> first -> relu -> `operation` -> last, each replaceable."""

    def __init__(self, operation: Callable[[Any], Any] | None = None, **parts: nn.Module) -> None:
        super().__init__()
        self.operation = operation or (lambda x: x)
        self.quantize: nn.Module = quantized_identity(6)
        self.first: nn.Module = qnn.QuantLinear(3, 4, bias=True, weight_quant=preset("W4"), bias_quant=preset("B6"))
        self.relu: nn.Module = qnn.QuantReLU(act_quant=preset("A5"))
        self.last: nn.Module = qnn.QuantLinear(4, 2, bias=False, weight_quant=preset("W4"))
        for name, part in parts.items():
            setattr(self, name, part)
        self.table = nn.Parameter(torch.ones(4))

    def forward(self, features: Tensor) -> Tensor:
        return self.last(self.operation(self.relu(self.first(self.quantize(features)))))


class PerChannel(Int8ActPerTensorFixedPoint):
    scaling_per_output_type = ScalingPerOutputType.CHANNEL
    per_channel_broadcastable_shape = (1, 4)
    scaling_stats_permute_dims = (1, 0)
    collect_stats_steps = 5


class Ceil(Int8ActPerTensorFixedPoint):
    float_to_int_impl_type = FloatToIntImplType.CEIL
    collect_stats_steps = 5


class FloatScale(Int8ActPerTensorFixedPoint):
    restrict_scaling_type = RestrictValueType.FP
    collect_stats_steps = 5


class Narrow(preset("A5")):
    narrow_range = True


class Rescaled(qnn.QuantLinear):
    def forward(self, input: Any) -> Any:
        return 2 * super().forward(input)


def linear(**options: Any) -> qnn.QuantLinear:
    settings = {"bias": True, "weight_quant": preset("W4"), "bias_quant": preset("B6")}
    return qnn.QuantLinear(3, 4, **{**settings, **options})


PARTS: list[tuple[dict[str, nn.Module], str, str]] = [
    ({"last": nn.Linear(4, 2)}, "module last is Linear", "QuantLinear"),
    ({"relu": nn.ReLU()}, "module relu is ReLU", "QuantReLU"),
    ({"relu": nn.Tanh()}, "module relu is Tanh", "QuantReLU"),
    ({"relu": nn.Softmax(dim=1)}, "module relu is Softmax", "logit"),
    ({"relu": nn.BatchNorm1d(4)}, "module relu is BatchNorm1d", "fold_batch_norm"),
    ({"relu": nn.LayerNorm(4)}, "module relu is LayerNorm", "remove it"),
    ({"relu": qnn.QuantSigmoid()}, "module relu is QuantSigmoid", "logit"),
    ({"relu": qnn.QuantReLU(act_quant=None)}, "module relu does not quantize", "presets"),
    ({"relu": qnn.QuantReLU(act_quant=preset("A5S"))}, "module relu is a signed QuantReLU", "unsigned"),
    ({"relu": qnn.QuantReLU(act_quant=Narrow)}, "module relu is unsigned and narrow", "narrow_range"),
    ({"relu": qnn.QuantReLU()}, "module relu has a scale that is not a power of two", "presets"),
    (
        {"relu": qnn.QuantIdentity(act_quant=FloatScale)},
        "module relu has a scale that is not a power of two",
        "presets",
    ),
    ({"relu": qnn.QuantIdentity(act_quant=PerChannel)}, "module relu has one scale per channel", "per-tensor"),
    ({"relu": qnn.QuantIdentity(act_quant=Ceil)}, "module relu rounds by CEIL", "FLOOR or ROUND"),
    ({"relu": qnn.QuantIdentity(act_quant=ShiftedUint8ActPerTensorFloat)}, "module relu has a", ""),
    ({"first": linear(bias_quant=None)}, "module first has a float bias", "presets"),
    ({"first": linear(bias_quant=Int8Bias)}, "module first has a bias scaled by its input", "internal scaling"),
    ({"first": linear(weight_quant=None)}, "module first has float weights", "presets"),
    ({"first": linear(output_quant=preset("A5S"))}, "module first has an output_quant", "QuantIdentity"),
    ({"first": linear(input_quant=preset("A5S"))}, "module first has an input_quant", "QuantIdentity"),
    ({"first": Rescaled(3, 4, bias=False, weight_quant=preset("W4"))}, "module first overrides the forward", "itself"),
    ({"quantize": nn.Identity()}, "input features is not quantized by one QuantIdentity", "one QuantIdentity"),
    ({"last": qnn.QuantLinear(3, 2, bias=False, weight_quant=preset("W4"))}, "module last takes 3 features", "in_feat"),
]


@pytest.mark.parametrize("case", range(len(PARTS)))
def test_modules(case: int) -> None:
    torch.manual_seed(0)
    parts, rule, remedy = PARTS[case]
    model = Net(**parts)
    runs = "takes 3" not in rule and "scaled by its input" not in rule
    error = refusal(settled(model, torch.randn(40, 3)) if runs else model_of_settled_parts(model, set(parts)))
    assert error.message.startswith(rule)
    assert remedy in error.remedy


def model_of_settled_parts(model: Net, changed: set[str]) -> nn.Module:
    """For networks that cannot run: calibrate with the changed parts put back, then change them again."""
    kept = {name: getattr(model, name) for name in changed}
    healthy = Net()
    for name in changed:
        setattr(model, name, getattr(healthy, name))
    settled(model, torch.randn(40, 3))
    for name, part in kept.items():
        setattr(model, name, part)
    return model.eval()


OPERATIONS: list[tuple[Callable[[Any], Any], str, str]] = [
    (torch.sigmoid, "sigmoid", "logit"),
    (relu, "relu", "QuantReLU"),
    (lambda x: x.tanh(), "tanh", "QuantReLU"),
    (lambda x: x.softmax(dim=-1), "softmax", "logit"),
    (lambda x: layer_norm(x, (4,)), "layer_norm", "remove it"),
    (lambda x: x @ x, "matmul", "QuantLinear"),
    (lambda x: 2 * x, "mul", "weights"),
    (lambda x: x / 4, "truediv", "weights"),
    (lambda x: x - x, "sub", "difference into the weights"),
    (lambda x: x.view(-1, 4), "view", "two-dimensional"),
    (lambda x: x.reshape(-1, 4), "reshape", "two-dimensional"),
    (lambda x: x[:, :4], "getitem", "inputs of their own"),
    (lambda x: x + 1.0, "add", "bias"),
    (lambda x: torch.add(x, x, alpha=2), "add", "weights"),
    (lambda x: torch.cat([x, x], dim=0), "cat", "dim=-1"),
    (lambda x: dropout(x), "dropout", "training"),
    (lambda x: x.add_(x), "add_", "assign"),
    (lambda x: x.mean(dim=1, keepdim=True), "mean", "EdgeAggregate"),
]


@pytest.mark.parametrize("case", range(len(OPERATIONS)))
def test_operations(case: int) -> None:
    torch.manual_seed(0)
    operation, rule, remedy = OPERATIONS[case]
    model: Any = settled(Net(), torch.randn(40, 3))
    model.operation = operation
    error = refusal(model)
    assert error.message.startswith(f"{rule} (node")
    assert remedy in error.remedy


def test_an_addition_in_place_of_what_is_read_again() -> None:
    def operation(x: Any) -> Any:
        kept = x
        x += x
        return x + kept

    model: Any = settled(Net(), torch.randn(40, 3))
    model.operation = operation
    assert "changes a tensor that is read again" in refusal(model).message


HARDTANH = nn.Hardtanh(0.0, 0.1, inplace=True)


def into_another(x: Any) -> Any:
    other = x + x
    torch.add(x, x, out=other)
    return other


def dropped(change: Callable[[Any], object]) -> Callable[[Any], Any]:
    """An operation whose result nothing reads, so that torch.fx alone would drop it."""

    def operation(x: Any) -> Any:
        change(x)
        return x

    return operation


@pytest.mark.parametrize(
    "operation",
    [
        into_another,
        dropped(lambda x: relu(x, inplace=True)),
        dropped(lambda x: torch.clamp_(x, 0.0, 0.1)),
        dropped(HARDTANH),
    ],
)
def test_what_writes_into_a_tensor(operation: Callable[[Any], Any]) -> None:
    model: Any = settled(Net(), torch.randn(40, 3))
    model.hardtanh = HARDTANH
    model.operation = operation
    assert "changes a tensor in place" in refusal(model).message


def test_weights_that_no_format_holds() -> None:
    model: Any = settled(Net(), torch.randn(40, 3))
    with torch.no_grad():
        model.first.weight.fill_(float("nan"))
    assert refusal(model).message == "module first has a scale of NaN or infinity"

    class Free(preset("W8C")):
        scaling_min_val = 2.0**-40

    model = settled(Net(first=linear(weight_quant=Free)), torch.randn(40, 3))
    with torch.no_grad():
        model.first.weight.mul_(torch.tensor([[2.0**-30], [1.0], [1.0], [2.0**38]]))
    error = refusal(model)
    assert error.message.startswith("module first: weight fits no format") and "nearer" in error.remedy


def test_wrappers_are_named() -> None:
    model = settled(Net(), torch.randn(40, 3))
    assert refusal(nn.DataParallel(model)).remedy.endswith("its attribute module")
    wrapped: Any = torch.compile(model)
    assert refusal(wrapped).remedy.endswith("its attribute _orig_mod")
    scripted: Any = torch.jit.trace(nn.Linear(3, 1), torch.ones(2, 3))
    assert "TorchScript" in refusal(scripted).message


@pytest.mark.parametrize("result", ["kept", "x"])
def test_an_addition_in_place_behind_dropout(result: str) -> None:
    """In eager torch `+=` changes every name of the tensor; torch.fx alone would not see it."""

    def operation(x: Any) -> Any:
        kept = dropout(x, training=False)
        x += x
        return kept if result == "kept" else x

    model: Any = settled(Net(), torch.randn(40, 3))
    model.operation = operation
    if result == "kept":
        assert "changes a tensor that is read again" in refusal(model).message
    else:
        assert lint(model).passed


def test_a_parameter_outside_a_layer() -> None:
    model: Any = settled(Net(), torch.randn(40, 3))
    model.operation = lambda x: x + model.table
    assert "reads a parameter or buffer" in refusal(model).message


def test_what_is_not_calibrated() -> None:
    error = refusal(settled(Net(), torch.randn(40, 3), passes=5))
    assert error.message.startswith("module quantize is not calibrated: 5 of 21")
    assert "21 forward passes" in error.remedy


def test_a_float_model_is_pointed_to_the_presets() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    error = refusal(model)
    assert error.message == "Sequential is a float model: none of its 3 layers is quantized"
    assert "hitfabric.quantization.presets" in error.remedy
    assert len(lint(model).violations) == 1


def test_control_flow_on_data_and_the_modules_behind_it() -> None:
    class Branching(Net):
        def forward(self, features: Tensor) -> Tensor:
            return super().forward(features) if features.sum() > 0 else features

    model = settled(Branching(last=nn.Linear(4, 2)), torch.ones(4, 3))
    assert "cannot be traced: TraceError" in refusal(model).message
    assert [violation.module for violation in lint(model).violations] == ["Branching", "last"]


def test_every_violation_is_listed_once_in_order() -> None:
    model = settled(Net(lambda x: torch.sigmoid(x), first=linear(weight_quant=None, bias_quant=None)), torch.ones(9, 3))
    report = lint(model)
    rules = [(violation.module, violation.rule.split(" (")[0]) for violation in report.violations]
    assert rules == [
        ("first", "module first has float weights"),
        ("first", "module first has a float bias"),
        ("forward", "sigmoid"),
    ]
    assert str(refusal(model)).startswith("module first has float weights (2 more")


def test_wide_sums_are_a_warning() -> None:
    wide = nn.Sequential(quantized_identity(16), quantized_mlp((8, 1), weight_bits=12, activation_bits=8))
    slim = nn.Sequential(quantized_identity(8), quantized_mlp((8, 1), weight_bits=8, activation_bits=8))
    torch.manual_seed(0)
    reports = [lint(settled(model, torch.randn(40, 8))) for model in (wide, slim)]
    assert [len(report.warnings) for report in reports] == [1, 0]
    assert all(report.passed for report in reports)
    assert reports[0].warnings[0].module == "1.dense0" and "float32" in reports[0].warnings[0].rule
