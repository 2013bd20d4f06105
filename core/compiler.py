"""Compiling C++ once: shared libraries cached by content, safe under concurrent builds."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .errors import ToolError
from .files import atomic_file
from .tools import find_tool


def cache_directory() -> Path:
    """Folder for compiled libraries and fetched tools: `$XDG_CACHE_HOME/hitfabric`, by default `~/.cache/hitfabric`."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "hitfabric"


def processor_fingerprint() -> str:
    """Identifies the processor's instruction sets, for code compiled with `-march=native`."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return os.uname().machine
    flags = [line for line in lines if line.startswith(("flags", "Features"))]
    return hashlib.sha256((os.uname().machine + "".join(flags[:1])).encode()).hexdigest()[:12]


def compile_library(
    sources: Sequence[Path], *, target: Path, flags: Sequence[str], purpose: str, timeout_seconds: float = 900.0
) -> Path:
    """Compile C++ sources to a shared library, whole or not at all.

    Args:
        sources: C++ files.
        target: Library to write; its folder is created.
        flags: Further compiler flags.
        purpose: What the library is for, as a phrase for the error message.
        timeout_seconds: Longest time the compiler may take.

    Returns:
        `target`.

    Raises:
        ToolError: No compiler, or it failed; its full output is kept beside the target as `.log`.

    """
    compiler = find_tool("g++", purpose=purpose)
    with atomic_file(target) as temporary:
        command = [str(compiler), "-std=c++17", "-shared", "-fPIC", *flags, "-o", str(temporary), *map(str, sources)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_seconds, check=False)
        except subprocess.TimeoutExpired as error:
            raise ToolError(
                f"g++ took more than {timeout_seconds:.0f} s to {purpose}", remedy="build a smaller network"
            ) from error
        if done.returncode != 0:
            log = target.with_suffix(".log")
            log.write_text(" ".join(command) + "\n" + done.stderr, encoding="utf-8")
            reason = next(
                (line for line in done.stderr.splitlines() if "error" in line), f"exit code {done.returncode}"
            )
            raise ToolError(f"g++ could not {purpose}: {reason.strip()}", remedy=f"see {log}")
    return target
