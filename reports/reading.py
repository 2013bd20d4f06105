"""Reading JSON records: validated whole, and an error that names the file and the key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from ..core import DataError

Record = TypeVar("Record", bound=BaseModel)
REMEDY = "write the file again with the command that made it, or remove it from the run directory"
SHOWN_ERRORS = 3


def read_record(model: type[Record], path: Path) -> Record | None:
    """Read one JSON file of a run directory.

    Args:
        model: Record that the file must match; unknown keys and inexact types are errors.
        path: The file.

    Returns:
        The record, or None where there is no such file.

    Raises:
        DataError: The file cannot be read, is not JSON, or does not match; the message names file and keys.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", remedy=REMEDY) from error
    try:
        return model.model_validate_json(_valid_text(text), strict=True)
    except ValidationError as error:
        raise DataError(f"{path}: {_describe(error)}", remedy=REMEDY) from error


def _valid_text(text: bytes) -> bytes:
    """The JSON with a question mark for each byte of a path that is not UTF-8: pydantic refuses lone surrogates."""
    if b"\\udc" not in text.lower():
        return text
    try:
        return json.dumps(json.loads(text), ensure_ascii=False).encode("utf-8", "replace")
    except ValueError:
        return text  # pydantic says what is wrong with it


def _describe(error: ValidationError) -> str:
    items = error.errors(include_url=False)
    described = [
        f"{'.'.join(map(str, item['loc'])) or 'the whole file'}: {item['msg']}" for item in items[:SHOWN_ERRORS]
    ]
    if len(items) > SHOWN_ERRORS:
        described.append(f"and {len(items) - SHOWN_ERRORS} more")
    return ", ".join(described)
