"""A run directory says what made it."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from .files import atomic_file

RECORDED_PACKAGES = ("hitfabric", "numpy", "scipy", "torch", "brevitas", "hls4ml", "pyacts", "chromo", "tritonclient")


@dataclass(frozen=True, kw_only=True)
class RunDirectory:
    """Folder of one run; `run.json` inside records the command, configuration, inputs, seed and versions.

    Attributes:
        path: The folder; created when first written to.

    """

    path: Path

    def record(
        self,
        *,
        command: str,
        config: BaseModel | Mapping[str, Any],
        inputs: Sequence[Path] = (),
        seed: int | None = None,
    ) -> Path:
        """Write `run.json`.

        Args:
            command: Command that made the run.
            config: Complete configuration, defaults included.
            inputs: Files or directories read; each is recorded with a hash of its content.
            seed: Random seed, if any.

        Returns:
            Path of the file written.

        """
        values = config.model_dump(mode="json") if isinstance(config, BaseModel) else dict(config)
        return self.write_json(
            "run.json",
            {
                "command": command,
                "config": values,
                "inputs": {str(path): content_hash(path) for path in inputs},
                "seed": seed,
                "versions": versions(),
                "commit": git_commit(),
                "machine": {"platform": platform.platform(), "processor": platform.machine()},
                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            },
        )

    def write_json(self, name: str, value: Any) -> Path:  # noqa: ANN401 - any JSON value
        """Write `value` as indented JSON to `name`, whole or not at all, and return its path."""
        target = self.path / name
        with atomic_file(target) as temporary:
            temporary.write_text(json.dumps(value, indent=2, default=str) + "\n", encoding="utf-8")
        return target


def versions() -> dict[str, str]:
    """Installed versions of Python and of the packages that decide results."""
    found = {"python": platform.python_version()}
    for package in RECORDED_PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_commit() -> str | None:
    """Commit of the checkout this code runs from (with `-dirty` if changed), or None outside one."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def content_hash(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of a directory's files in sorted order."""
    digest = hashlib.sha256()
    files = sorted(item for item in path.rglob("*") if item.is_file()) if path.is_dir() else [path]
    for item in files:
        if path.is_dir():
            digest.update(os.fsencode(item.relative_to(path)))  # a name need not be UTF-8
        with item.open("rb") as stream:
            for block in iter(lambda: stream.read(1 << 20), b""):
                digest.update(block)
    return digest.hexdigest()
