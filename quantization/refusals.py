"""What firmware has no node for, and what to use instead: one remedy for each kind of module and function."""

from __future__ import annotations

import brevitas.nn as qnn
from torch import nn

PRESETS_REMEDY = "use the presets in hitfabric.quantization.presets"
SUPPORTED = "use QuantLinear, QuantReLU, QuantIdentity, EdgeGather, EdgeAggregate, torch.cat(dim=-1) and +"
LOGITS = "return logits and put the threshold in logit space"
FOLD = "fold it with hitfabric.quantization.folding.fold_batch_norm before quantization-aware training"
NORMALISE = "remove it, or use BatchNorm1d while training in float and fold it with fold_batch_norm"
SUM = "use EdgeAggregate(mode='sum') and a QuantIdentity, whose learned scale takes the place of the division"
FLAT = "keep tensors two-dimensional: [rows, features], [nodes, features], [edges, features]"
SCALE = "put the factor into the weights of the QuantLinear before or after"
SUBTRACT = "put the difference into the weights: W [a, b - a] = [W_a - W_b, W_b] [a, b] (see examples/edge_conv.py)"

IDENTITY_METHODS = ("contiguous", "clone", "detach")
"""Methods of tensors that change no value."""

MODULES: tuple[tuple[tuple[type[nn.Module], ...], str], ...] = (
    ((nn.Linear,), "use brevitas.nn.QuantLinear with the presets in hitfabric.quantization.presets"),
    ((nn.ReLU,), "use brevitas.nn.QuantReLU with an unsigned preset"),
    ((nn.Sigmoid, nn.Softmax, nn.LogSigmoid, nn.LogSoftmax, qnn.QuantSigmoid), LOGITS),
    ((nn.BatchNorm1d,), FOLD),
    ((nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._NormBase, qnn.BatchNorm1dToQuantScaleBias), NORMALISE),
    ((nn.Hardtanh, qnn.QuantHardTanh), "use QuantIdentity, which saturates at the ends of its format"),
    ((nn.Tanh, nn.GELU, nn.SiLU, nn.ELU, nn.LeakyReLU, nn.PReLU, nn.Softplus, qnn.QuantTanh), "use QuantReLU"),
    ((qnn.QuantEltwiseAdd,), "write + and put a QuantIdentity after it"),
    ((qnn.QuantCat,), "write torch.cat(dim=-1)"),
    ((nn.Flatten, nn.Unflatten), FLAT),
    ((nn.Conv1d, nn.Conv2d, nn.Conv3d), "use QuantLinear on [rows, features]"),
)

FUNCTIONS: dict[str, str] = {
    **dict.fromkeys(("sigmoid", "softmax", "log_softmax", "logsigmoid", "expit"), LOGITS),
    **dict.fromkeys(("relu", "relu_", "relu6", "clamp", "clamp_min", "maximum"), "use brevitas.nn.QuantReLU"),
    **dict.fromkeys(("tanh", "gelu", "silu", "elu", "leaky_relu", "softplus", "exp", "log"), "use QuantReLU"),
    "hardtanh": "use QuantIdentity, which saturates at the ends of its format",
    **dict.fromkeys(
        ("linear", "matmul", "mm", "bmm", "addmm", "einsum", "dot"), "use QuantLinear with trained weights"
    ),
    **dict.fromkeys(("mul", "mul_", "imul", "multiply", "neg"), SCALE),
    **dict.fromkeys(("truediv", "div", "div_", "itruediv", "divide", "floordiv"), SCALE),
    **dict.fromkeys(("mean", "scatter_mean", "norm", "normalize"), SUM),
    **dict.fromkeys(("sub", "sub_", "isub", "subtract", "rsub"), SUBTRACT),
    **dict.fromkeys(("view", "reshape", "flatten", "unsqueeze", "squeeze", "transpose", "permute", "t"), FLAT),
    **dict.fromkeys(("stack", "hstack", "vstack"), "use torch.cat(dim=-1)"),
    **dict.fromkeys(("sum", "scatter_add", "index_add", "scatter_reduce", "scatter"), "use EdgeAggregate"),
    **dict.fromkeys(("max", "amax"), "use EdgeAggregate(mode='max')"),
    **dict.fromkeys(("index_select", "gather", "embedding"), "use EdgeGather"),
    "getitem": "give the parts as inputs of their own, or use EdgeGather for nodes of edges",
    **dict.fromkeys(("layer_norm", "group_norm"), NORMALISE),
    "batch_norm": FOLD,
    "dropout": "pass training=self.training, or use nn.Dropout",
    "getattr": "take sizes from the configuration, not from tensors",
    "size": "take sizes from the configuration, not from tensors",
    **dict.fromkeys(("to", "float", "double", "half", "type"), "convert the inputs before the model"),
}


def module_remedy(module: nn.Module) -> str:
    """What to use instead of a module that firmware has no node for."""
    return next((remedy for kinds, remedy in MODULES if isinstance(module, kinds)), SUPPORTED)


def function_remedy(name: str) -> str:
    """What to use instead of a function or method of tensors."""
    return FUNCTIONS.get(name, SUPPORTED)
