"""A model repository that exists: whose it is, its versions, and how new ones get into it whole."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..core import ConfigError, make_temporary_directory
from ..quantization import TypedGraph
from .names import BACKEND_NAME, CHAIN_FILE
from .signature import FILE_NAME, Signature, network_signature, tracking_signature

CONFIG_FILE = "config.pbtxt"
MODEL_DIRECTORY = "model"
OURS = re.compile(rf'^\s*backend\s*:\s*"{BACKEND_NAME}"', re.MULTILINE)
OLD_SUFFIX = ".old"


def model_names(repository: Path) -> tuple[str, ...]:
    """Models of a repository, sorted: its folders that hold a configuration."""
    return tuple(sorted(path.parent.name for path in repository.glob(f"*/{CONFIG_FILE}")))


def is_repository(directory: Path) -> bool:
    """Whether a directory holds at least one model."""
    return bool(model_names(directory))


def version_numbers(model: Path) -> tuple[int, ...]:
    """Versions of a model's folder, ascending."""
    if not model.is_dir():
        return ()
    names = [path.name for path in model.iterdir() if path.is_dir()]
    return tuple(sorted(int(name) for name in names if name.isdecimal() and not name.startswith("0")))


def check_ours(repository: Path, names: tuple[str, ...]) -> None:
    """Check that models may be written into a directory without destroying what others put there.

    Args:
        repository: The directory; it may be missing or empty.
        names: Models to be written.

    Raises:
        ConfigError: It is a file, a folder of something else, or holds a model of that name that is not ours.
    """
    if not repository.exists():
        return
    if not repository.is_dir():
        raise ConfigError(f"{repository} is a file", remedy="name a folder")
    # What is hidden may be left by a run that was killed.
    visible = any(not path.name.startswith(".") for path in repository.iterdir())
    if visible and not is_repository(repository):
        raise ConfigError(f"{repository} is not empty and no model repository", remedy="name an empty or a new folder")
    for name in names:
        folder = repository / name
        if not folder.exists():
            continue
        config = folder / CONFIG_FILE
        if not config.is_file() or not OURS.search(config.read_text(encoding="utf-8", errors="replace")):
            raise ConfigError(f"{folder} is no model of hitfabric", remedy="choose another name with --name")


def check_versions(model: Path, signature: Signature, version: int) -> None:
    """Check that a version can be served beside those a model has: one configuration describes all of them.

    Args:
        model: The model's folder.
        signature: What the version to be written takes and gives.
        version: Its number.

    Raises:
        ConfigError: Another version takes or gives something else; the difference is named.
        GraphError: Another version cannot be read.
    """
    for other in version_numbers(model):
        if other == version:
            continue
        before = read_signature(model / str(other))
        if difference := _difference(before, signature):
            raise ConfigError(
                f"{model.name}: version {other} has {difference[0]}, version {version} has {difference[1]}",
                remedy="Triton serves both under one description: choose another name with --name",
            )


def read_signature(version: Path) -> Signature:
    """What a version takes and gives, by its signature.json or else by its typed graph.

    Raises:
        GraphError: It is missing or malformed.
    """
    model = version / MODEL_DIRECTORY
    if (version / FILE_NAME).exists():
        return Signature.load(version)
    if (model / CHAIN_FILE).exists():
        return tracking_signature()
    return network_signature(TypedGraph.load(model))


@contextmanager
def staging(repository: Path) -> Iterator[Path]:
    """A folder to prepare models in, on the file system of the repository and out of the sight of a server.

    Args:
        repository: An existing repository.

    Yields:
        The folder; it is removed in the end.
    """
    parent = repository if os.path.ismount(repository) else repository.parent
    folder = make_temporary_directory(parent, repository.name)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def move_in(prepared: Path, target: Path) -> None:
    """Put a prepared folder, on the same file system, where a server finds it; one that is there gives way.

    Each step is a rename, so that whoever reads sees the old one, nothing, or the new one, but no half of any.
    """
    retired = prepared.with_name(prepared.name + OLD_SUFFIX)
    if target.exists():
        os.replace(target, retired)
    try:
        os.replace(prepared, target)
    except BaseException:  # a signal to end, too
        if retired.exists():
            os.replace(retired, target)
        raise
    shutil.rmtree(retired, ignore_errors=True)


def _difference(before: Signature, after: Signature) -> tuple[str, str] | None:
    for kind, olds, news in (("input", before.inputs, after.inputs), ("output", before.outputs, after.outputs)):
        old = ", ".join(f"{tensor.name} {tensor.describe()}" for tensor in olds)
        new = ", ".join(f"{tensor.name} {tensor.describe()}" for tensor in news)
        if olds != news:
            return f"{kind} {old}", f"{kind} {new}"
    if before.max_batch_size != after.max_batch_size:
        return f"max_batch_size {before.max_batch_size}", f"max_batch_size {after.max_batch_size}"
    return None
