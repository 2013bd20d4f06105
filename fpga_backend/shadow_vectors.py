"""Files that keep the vectors of a mismatch, so that it can be computed again."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import CORRUPT, DataError, atomic_file

MAXIMAL_FILES = 100
"""Most files of one folder; further mismatches are only counted and logged."""

GROUPS = ("inputs", "answered", "checked")
_numbers = count()


@dataclass(frozen=True, kw_only=True, eq=False)
class Mismatch:
    """Two executors of one network that differ.

    Attributes:
        network: Name of the network.
        graph_digest: Digest of its typed graph: of these weights, no others.
        inputs: Inputs by name.
        answered: What was answered, by name of the output.
        checked: What the check computed, by name of the output.
    """

    network: str
    graph_digest: str
    inputs: dict[str, NDArray[Any]]
    answered: dict[str, NDArray[Any]]
    checked: dict[str, NDArray[Any]]


def save_mismatch(folder: Path, mismatch: Mismatch, *, instance: str) -> Path | None:
    """Write a mismatch to a file of its own, whole or not at all.

    Args:
        folder: Where it goes.
        mismatch: What is kept.
        instance: Name of the worker, with which the file's name begins.

    Returns:
        The file; None if the folder holds `MAXIMAL_FILES` already.

    Raises:
        OSError: It cannot be written.
    """
    if sum(1 for _ in folder.glob("*.npz")) >= MAXIMAL_FILES:
        return None
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    path = folder / f"{instance}-{mismatch.network}-{moment}-{os.getpid()}-{next(_numbers)}.npz"
    arrays: dict[str, Any] = {
        f"{group}.{name}": array for group in GROUPS for name, array in getattr(mismatch, group).items()
    }
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        np.savez(file, network=mismatch.network, graph_digest=mismatch.graph_digest, **arrays)
    return path


def read_mismatch(path: Path) -> Mismatch:
    """Read a file of `save_mismatch`.

    Raises:
        DataError: It cannot be read, or is no such file.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            groups: dict[str, dict[str, NDArray[Any]]] = {group: {} for group in GROUPS}
            for key in set(file.files) - {"network", "graph_digest"}:
                group, _, name = key.partition(".")
                groups[group][name] = file[key]
            return Mismatch(network=str(file["network"]), graph_digest=str(file["graph_digest"]), **groups)
    except CORRUPT as error:
        raise DataError(f"{path} holds no mismatch: {error}", remedy="give a file that shadow saved") from error
