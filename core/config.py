"""Strict configuration: YAML validated by pydantic, unknown keys are errors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from .errors import ConfigError


class StrictModel(BaseModel):
    """Base of every configuration model: frozen, no unknown keys, defaults validated."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


Model = TypeVar("Model", bound=StrictModel)


def load_config(model: type[Model], path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Model:
    """Read and validate a YAML configuration.

    Args:
        model: Configuration model to validate against.
        path: YAML file; None takes the defaults.
        overrides: Values that win over the file; keys may be dotted (`"training.epochs"`). None values are ignored.

    Returns:
        The validated, frozen configuration.

    Raises:
        ConfigError: The file is missing, is not YAML, or a key or value is not accepted (each one named).

    """
    values = _read_mapping(path) if path is not None else {}
    for dotted, value in (overrides or {}).items():
        if value is not None:
            _assign(values, dotted.split("."), value)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        details = ", ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'configuration'}: {item['msg']}"
            for item in error.errors()
        )
        source = str(path) if path is not None else "options"
        raise ConfigError(
            f"{source}: {details}", remedy=f"correct the named keys ({', '.join(model.model_fields)} are accepted)"
        ) from error


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", remedy="give the path of a YAML file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path} is not YAML: {reason}", remedy="correct the file at the place named") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path} holds {type(loaded).__name__}", remedy="write a mapping of keys to values")
    return loaded


def _assign(values: dict[str, Any], keys: list[str], value: Any) -> None:  # noqa: ANN401 - YAML values have any type
    for key in keys[:-1]:
        values = values.setdefault(key, {})
    values[keys[-1]] = value
