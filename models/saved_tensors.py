"""Files of torch, written whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from ..core import atomic_file


def save_tensors(content: Any, path: Path) -> None:  # noqa: ANN401 - whatever torch.save takes
    """Write what `torch.load(weights_only=True)` reads.

    Torch writes to a file by itself and turns a full disk into a RuntimeError; written from memory it stays what it is.

    Raises:
        OSError: The file cannot be written; what was there before is still there.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with atomic_file(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())
