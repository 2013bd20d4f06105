"""Writes the Triton model repository of a chain."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from ..core import ConfigError, atomic_directory
from .chain import check_interfaces, load_config, load_graphs
from .device_names import DEVICES
from .names import BACKEND_NAME, NETWORKS, TRACKING
from .signature import Signature, Tensor, network_signature, tracking_signature

VERSION_DIRECTORY = "1"
MODEL_DIRECTORY = "model"


def write_repository(
    directory: Path,
    chain_directory: Path,
    *,
    device: str = "native",
    instances: int = 1,
    python: Path | str = sys.executable,
    worker_timeout_ms: int = 60_000,
    worker_start_timeout_ms: int = 300_000,
) -> Path:
    """Write a repository of the models `embedding`, `filter`, `interaction_network` and `tracking`.

    Everything the workers need is copied into it, so that the repository can be moved or mounted as a whole.

    Args:
        directory: Repository to write, whole or not at all; an existing one is replaced.
        chain_directory: Chain to serve.
        device: Executor of the workers (native, numpy, csim or golden).
        instances: Worker processes per model.
        python: Python interpreter of the workers, with hitfabric installed.
        worker_timeout_ms: Longest time one batch may take before its worker is replaced.
        worker_start_timeout_ms: Longest time a worker may take to load its model.

    Returns:
        `directory`.

    Raises:
        ConfigError: Unknown device, or a number that is not positive.
        GraphError: The chain directory is incomplete or malformed.
    """
    if device not in DEVICES:
        raise ConfigError(f"unknown device {device!r}", remedy=f"use one of {', '.join(DEVICES)}")
    if min(instances, worker_timeout_ms, worker_start_timeout_ms) < 1:
        raise ConfigError("instances and timeouts must be positive", remedy="give at least 1")
    graphs = load_graphs(chain_directory)
    check_interfaces(graphs, load_config(chain_directory))
    signatures = {name: network_signature(graphs[name], device=device) for name in NETWORKS}
    signatures[TRACKING] = tracking_signature()
    parameters = {
        "device": device,
        "python": str(python),
        "worker_timeout_ms": str(worker_timeout_ms),
        "worker_start_timeout_ms": str(worker_start_timeout_ms),
    }
    with atomic_directory(directory) as temporary:
        for name, signature in signatures.items():
            version = temporary / name / VERSION_DIRECTORY
            source = chain_directory if name == TRACKING else chain_directory / name
            shutil.copytree(source, version / MODEL_DIRECTORY)
            signature.save(version)
            config = model_config(name, signature, instances=instances, parameters=parameters)
            (temporary / name / "config.pbtxt").write_text(config, encoding="utf-8")
    return directory


def model_config(name: str, signature: Signature, *, instances: int, parameters: dict[str, str]) -> str:
    """Text of `config.pbtxt`.

    Args:
        name: Model name.
        signature: What the model takes and gives.
        instances: Worker processes.
        parameters: Parameters of the backend by name.

    Returns:
        A ModelConfig in protobuf text format.
    """
    batched = signature.max_batch_size > 0
    lines = [
        f"name: {_quoted(name)}",
        f"backend: {_quoted(BACKEND_NAME)}",
        f"max_batch_size: {signature.max_batch_size}",
        *_tensor_lines("input", signature.inputs, batched),
        *_tensor_lines("output", signature.outputs, batched),
        # Without the kind the server looks for a GPU.
        f"instance_group [ {{ kind: KIND_CPU count: {instances} }} ]",
    ]
    if batched:
        lines.append("dynamic_batching { }")
    lines += [
        f"parameters {{ key: {_quoted(key)} value {{ string_value: {_quoted(value)} }} }}"
        for key, value in parameters.items()
    ]
    return "\n".join(lines) + "\n"


def _tensor_lines(kind: str, tensors: Iterable[Tensor], batched: bool) -> list[str]:
    lines = []
    for tensor in tensors:
        shape = tensor.shape[1:] if batched else tensor.shape
        dims = ", ".join(str(size) if isinstance(size, int) else "-1" for size in shape)
        optional = " optional: true" if tensor.optional else ""
        lines.append(
            f"{kind} [ {{ name: {_quoted(tensor.name)} data_type: {tensor.data_type} dims: [ {dims} ]{optional} }} ]"
        )
    return lines


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
