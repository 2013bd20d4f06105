"""The model that a checkpoint, or a name in a file or package of the user, stands for."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from ..core import DataError, HitfabricError
from .checkpoints import load_checkpoint

FORMS = "give a checkpoint (.pt) of hitfabric train, path/to/file.py:NAME or package.module:NAME"
MODULE_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*\Z")


def load_model(text: str) -> nn.Module:
    """The model that a checkpoint or a name stands for; a file or module named is executed, a checkpoint is not.

    Args:
        text: A checkpoint (.pt) of training, or `path/to/file.py:NAME` or `package.module:NAME`.

    Raises:
        DataError: There is no such model; what was found instead is named.
    """
    source, colon, name = text.rpartition(":")
    if not colon:
        return _from_checkpoint(Path(text))
    if not source or not name.isidentifier():
        raise DataError(f"{text!r} names no model", remedy=FORMS)
    with _search_path(source):
        module = _from_file(Path(source)) if source.endswith(".py") else _from_package(source)
        return _model_of(module, source, name)


def _from_checkpoint(path: Path) -> nn.Module:
    if path.suffix == ".py" or (not path.exists() and path.suffix != ".pt"):
        raise DataError(f"{path} names no model", remedy=FORMS)
    if path.is_dir():
        raise DataError(f"{path} is a folder", remedy=FORMS)
    return load_checkpoint(path)


@contextmanager
def _search_path(source: str) -> Iterator[None]:
    """Imports work as if Python ran the file, or a module from the current folder."""
    folder = str(Path(source).resolve().parent) if source.endswith(".py") else str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        with suppress(ValueError):  # the user's code may have removed it
            sys.path.remove(folder)


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise DataError(f"{path} does not exist", remedy=FORMS)
    name = f"linted_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # as for every file that ends in .py
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # where dataclasses look for annotations
    with _users_code(f"{path} cannot be imported"):
        spec.loader.exec_module(module)
    return module


def _from_package(source: str) -> ModuleType:
    if not MODULE_NAME.match(source):
        raise DataError(f"{source!r} is neither a file that ends in .py nor a module", remedy=FORMS)
    with _users_code(f"module {source} cannot be imported"):
        return importlib.import_module(source)


def _model_of(module: ModuleType, source: str, name: str) -> nn.Module:
    found = getattr(module, name, None)
    if found is None:
        models = [key for key, value in vars(module).items() if _may_be_model(value, module)]
        raise DataError(f"{source} has no {name}", remedy=f"use one of {models}" if models else FORMS)
    if isinstance(found, nn.Module):
        return found
    if not callable(found):
        raise DataError(f"{source}:{name} is {type(found).__name__}, not an nn.Module", remedy=FORMS)
    _check_takes_nothing(found, f"{source}:{name}")
    with _users_code(f"{source}:{name}() failed"):
        made = found()
    if not isinstance(made, nn.Module):
        raise DataError(f"{source}:{name}() gives {type(made).__name__}, not an nn.Module", remedy=FORMS)
    return made


def _may_be_model(value: object, module: ModuleType) -> bool:
    if isinstance(value, nn.Module):
        return True
    return isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == module.__name__


def _check_takes_nothing(call: Any, name: str) -> None:  # noqa: ANN401 - any callable
    try:
        parameters = inspect.signature(call).parameters.values()
    except (TypeError, ValueError):  # some builtin callables have no signature
        return
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [p.name for p in parameters if p.default is inspect.Parameter.empty and p.kind not in optional]
    if needed:
        raise DataError(
            f"{name} needs the arguments {', '.join(needed)}", remedy="name a function that makes the model by itself"
        )


@contextmanager
def _users_code(what: str) -> Iterator[None]:
    """Errors of the user's own code become one line that names it."""
    try:
        yield
    except HitfabricError:
        raise
    except (Exception, SystemExit) as error:
        raise DataError(f"{what}: {type(error).__name__}: {error}", remedy="correct it, and see --debug") from error
