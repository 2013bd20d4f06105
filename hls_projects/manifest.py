"""project.json: what is said of a project on disk, and whether its files are still those that were written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from ..core import GraphError, StrictModel
from ..quantization import TypedGraph
from .lock_file import locked

MANIFEST = "project.json"
GRAPH_FOLDER = "typed_graph"

Stored = TypeVar("Stored", bound=StrictModel)
Project = TypeVar("Project")


def save_manifest(directory: Path, stored: StrictModel) -> None:
    """Write project.json."""
    (directory / MANIFEST).write_text(json.dumps(stored.model_dump(mode="json"), indent=1) + "\n", encoding="utf-8")


def read_manifest(kind: type[Stored], directory: Path, *, command: str) -> Stored:
    """Read project.json.

    Args:
        kind: Its model.
        directory: The project.
        command: What writes such projects, for the remedy.

    Raises:
        GraphError: It is missing or malformed.
    """
    path = directory / MANIFEST
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise GraphError(
            f"cannot read {path}: {error.strerror}", remedy=f"give a project written by {command}"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise GraphError(f"{path}: {place or 'file'}: {first['msg']}", remedy=_again(command)) from error


def checked_graph(directory: Path, sha256: Mapping[str, str], digest: str, *, command: str) -> TypedGraph:
    """The graph of a project, whose files are those written.

    Args:
        directory: The project.
        sha256: Hashes of its files by path.
        digest: Digest of its graph.
        command: As of `read_manifest`.

    Raises:
        GraphError: A file is missing or altered.
    """
    for name, expected in sha256.items():
        if file_hash(directory / name, command=command) != expected:
            raise GraphError(f"{directory / name} differs from {MANIFEST}", remedy=_again(command))
    graph = TypedGraph.load(directory / GRAPH_FOLDER)
    if graph.digest != digest:
        raise GraphError(f"{directory / GRAPH_FOLDER} is not the graph of the project", remedy=_again(command))
    return graph


def file_hash(path: Path, *, command: str) -> str:
    """SHA-256 of a file of a project.

    Raises:
        GraphError: It cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise GraphError(f"cannot read {path}: {error.strerror}", remedy=_again(command)) from error


def load_or_write(place: Path, *, load: Callable[[Path], Project], write: Callable[[Path], Project]) -> Project:
    """A project of the user's cache, written where it is not there or not whole; other processes wait for it."""
    with locked(place.with_name(f".{place.name}.lock")):
        if place.is_dir():
            try:
                return load(place)
            except GraphError:
                pass  # damaged since: a cache is written again
        return write(place)


def _again(command: str) -> str:
    return f"write the project again with {command}"
