"""The state of a training on disk, so that one that was killed continues and ends with the same bits."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..core import CORRUPT, DataError
from .saved_tensors import save_tensors

Content = dict[str, Any]


class TrainingState:
    """What is finished of one training, written after every epoch.

    Args:
        path: File of the state; read where it exists. None keeps nothing.
        key: Names configuration and seed.
        data: Fingerprint of what is learned from and judged on (see `fingerprint`).

    Attributes:
        finished: By name of a phase that ended: its `best` weights, and `early` ones where pruning rewinds to them.
        current: The phase under way: its name, epoch, weights, optimiser, best weights; empty before its first epoch
            ended.
        rows: Rows of the history.

    Raises:
        DataError: The file is no such state, or that of another training, or of other data.
    """

    def __init__(self, path: Path | None, key: str, data: str = "") -> None:
        self.path, self.key, self.data = path, key, data
        self.finished: dict[str, Content] = {}
        self.current: Content = {}
        self.rows: list[Content] = []
        if path is not None and path.exists():
            self._read(path)

    def finish(self, name: str, result: Content) -> None:
        """Note that a phase ended."""
        self.finished[name] = result
        self.current = {}
        self.write()

    def write(self) -> None:
        """Write the state, whole or not at all."""
        if self.path is None:
            return
        names = ("key", "data", "finished", "current", "rows")
        content = {name: getattr(self, name) for name in names}
        save_tensors(content, self.path)

    def _read(self, path: Path) -> None:
        remedy = "remove it to train from the start"
        try:
            content = torch.load(path, weights_only=True, map_location="cpu")
            key, data = content["key"], content["data"]
            self.finished, self.current, self.rows = (content[name] for name in ("finished", "current", "rows"))
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}", remedy=remedy) from error
        except (*CORRUPT, pickle.UnpicklingError) as error:
            raise DataError(f"{path} is no state of a training", remedy=remedy) from error
        if key != self.key:
            raise DataError(
                f"{path} is the state of a training with another configuration or seed",
                remedy="continue with the same settings, or train without --resume",
            )
        if data != self.data:
            # Never trained anew unasked: hours may be in it, and the wrong folder is soon given.
            raise DataError(
                f"{path} is the state of a training on other data, or on what another network before it let through",
                remedy="give the same data, or remove it to train this network from the start",
            )


def fingerprint(arrays: Iterable[NDArray[Any]], *, settings: str = "") -> str:
    """Hash of the data of a training: order, shapes, types and every value count.

    Args:
        arrays: What is learned from and judged on.
        settings: What else the samples depend on.
    """
    digest = hashlib.sha256(settings.encode())
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
