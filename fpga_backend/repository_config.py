"""Text of a model's `config.pbtxt`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .names import BACKEND_NAME
from .signature import Signature, Tensor


def model_config(
    name: str,
    signature: Signature,
    *,
    instances: int,
    parameters: Mapping[str, str],
    max_queue_size: int | None = None,
    max_queue_delay_us: int | None = None,
    versions: int | None = None,
) -> str:
    """Text of `config.pbtxt`.

    Args:
        name: Model name.
        signature: What the model takes and gives.
        instances: Worker processes.
        parameters: Parameters of the backend by name.
        max_queue_size: Most requests that wait; one more is answered UNAVAILABLE. None sets no limit.
        max_queue_delay_us: How long, in us, a batch waits for more requests; only for models whose rows are batched.
        versions: The newest so many versions are served; None serves all.

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
        # Triton's own default is the newest version alone.
        f"version_policy {{ {'all { }' if versions is None else f'latest {{ num_versions: {versions} }}'} }}",
        *_queue_lines(batched, max_queue_size, max_queue_delay_us),
    ]
    lines += [
        f"parameters {{ key: {_quoted(key)} value {{ string_value: {_quoted(value)} }} }}"
        for key, value in parameters.items()
    ]
    return "\n".join(lines) + "\n"


def _queue_lines(batched: bool, size: int | None, delay: int | None) -> list[str]:
    # Only the dynamic batcher has a bounded queue; with max_batch_size 0 its batches are single requests.
    if not batched and size is None:
        return []
    fields = []
    if batched and delay is not None:
        fields.append(f"max_queue_delay_microseconds: {delay}")
    if size is not None:
        fields.append(f"default_queue_policy {{ max_queue_size: {size} }}")
    return [" ".join(("dynamic_batching {", *fields, "}"))]


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
