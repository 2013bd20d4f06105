"""Compiles the Triton backend."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from ..core import cache_directory, compile_library, find_tool
from .names import BACKEND_NAME

SOURCE_DIRECTORY = Path(__file__).parent / "cpp"
LIBRARY_NAME = f"libtriton_{BACKEND_NAME}.so"
PURPOSE = "compile the Triton backend"
FLAGS = ("-O2", "-pthread", "-fvisibility=hidden")


def build_backend() -> Path:
    """Compile the backend unless this very source has been compiled before.

    Safe when several processes build at once: each gets a whole library.

    Returns:
        The backend directory to give to the server; the library lies in it as `hitfabric/libtriton_hitfabric.so`.

    Raises:
        ToolError: There is no compiler, or it failed; the first error is in the message.
    """
    backends = cache_directory() / f"backend-{_source_hash()}"
    library = backends / BACKEND_NAME / LIBRARY_NAME
    if not library.exists():
        exports = f"-Wl,--version-script={SOURCE_DIRECTORY / 'exports.map'}"
        compile_library(sources(), target=library, flags=(*FLAGS, exports), purpose=PURPOSE)
    return backends


def sources() -> list[Path]:
    """C++ files of the backend, sorted."""
    return sorted(SOURCE_DIRECTORY.glob("*.cc"))


def _source_hash() -> str:
    compiler = find_tool("g++", purpose=PURPOSE)
    version = subprocess.run([str(compiler), "--version"], capture_output=True, timeout=60, check=False).stdout
    digest = hashlib.sha256(version + repr(FLAGS).encode())
    for path in sorted(SOURCE_DIRECTORY.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
