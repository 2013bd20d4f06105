"""What the result of a validation depends on, as one hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from ..core.run_directory import content_hash, versions
from ..quantization import TypedGraph

SOURCE = Path(__file__).resolve().parents[1]
ROOMS = ("quantization", "hls_projects", "emulation", "fpga_backend", "pipeline")
SUFFIXES = {".py", ".h", ".cpp", ".v", ".in"}
# What changes how a result is found, not the result.
INDIFFERENT = {"out", "jobs", "dask", "cluster", "resume"}


def run_key(
    config: BaseModel, graphs: Mapping[str, TypedGraph], executors: Sequence[str], *, files: Sequence[Path] = ()
) -> str:
    """Hash of the networks, the settings, the versions installed and the code.

    The vectors are not in it: each finished batch carries the hash of its own.

    Args:
        config: Settings.
        graphs: Networks by name.
        executors: Executors, the reference first.
        files: Files that executors are made from besides: manifests of projects, checkpoints.

    Returns:
        16 hexadecimal digits.
    """
    made_from = {
        "graphs": {name: graph.digest for name, graph in graphs.items()},
        "config": config.model_dump(mode="json", exclude=INDIFFERENT),
        "executors": list(executors),
        "versions": versions(),
        "code": [
            content_hash(path)
            for room in ROOMS
            for path in sorted((SOURCE / room).rglob("*"))
            if path.suffix in SUFFIXES
        ],
        "files": [content_hash(path) for path in files],
    }
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:16]


def vectors_digest(inputs: Mapping[str, NDArray[Any]]) -> str:
    """Hash of a batch: names, types, shapes and values."""
    digest = hashlib.sha256()
    for name, array in sorted(inputs.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
