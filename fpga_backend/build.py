"""Compiles the Triton backend."""

from __future__ import annotations

import hashlib
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..core import ToolError, atomic_directory, find_tool
from .cache import cache_directory, locked
from .repository import BACKEND_NAME

SOURCE_DIRECTORY = Path(__file__).parent / "cpp"
LIBRARY_NAME = f"libtriton_{BACKEND_NAME}.so"
COMPILE_FLAGS = ("-std=c++17", "-O2", "-g1", "-fPIC", "-pthread", "-fvisibility=hidden", "-Wall", "-Wextra")
LINK_FLAGS = ("-shared", "-pthread", "-Wl,--no-undefined-version")
COMPILE_JOBS = 2
COMPILE_TIMEOUT_SECONDS = 600.0


def build_backend() -> Path:
    """Compile the backend unless this very source has been compiled before.

    Safe when several processes build at once: one builds, the others wait and use its result.

    Returns:
        The backend directory to give to the server; the library lies in it as `hitfabric/libtriton_hitfabric.so`.

    Raises:
        ToolError: There is no compiler, or it failed; the first error is in the message.
    """
    compiler = find_tool("g++", purpose="compile the Triton backend")
    name = f"backend-{_source_hash(compiler)}"
    built = cache_directory() / name
    if (built / BACKEND_NAME / LIBRARY_NAME).exists():
        return built
    with locked(name) as target:
        if not (target / BACKEND_NAME / LIBRARY_NAME).exists():
            with atomic_directory(target) as temporary:
                _compile(compiler, temporary)
    return built


def sources() -> list[Path]:
    """C++ files of the backend, sorted."""
    return sorted(SOURCE_DIRECTORY.glob("*.cc"))


def run_compiler(command: list[str], *, what: str) -> None:
    """Run one compiler command.

    Args:
        command: The command line.
        what: What is compiled, for the message.

    Raises:
        ToolError: The command failed; the message holds its first error line.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_TIMEOUT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"compiling {what} failed: {error}", remedy="check the compiler") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        first = next((line for line in lines if "error" in line), lines[0])
        raise ToolError(f"compiling {what} failed: {first}", remedy="use g++ 10 or later")


def _compile(compiler: Path, directory: Path) -> None:
    objects = directory / "objects"
    library = directory / BACKEND_NAME / LIBRARY_NAME
    objects.mkdir()
    library.parent.mkdir()
    outputs = {source: objects / f"{source.stem}.o" for source in sources()}

    def compile_one(source: Path) -> None:
        command = [str(compiler), *COMPILE_FLAGS, "-c", str(source), "-o", str(outputs[source])]
        run_compiler(command, what=source.name)

    with ThreadPoolExecutor(COMPILE_JOBS) as pool:
        list(pool.map(compile_one, outputs))
    exports = f"-Wl,--version-script={SOURCE_DIRECTORY / 'exports.map'}"
    run_compiler(
        [str(compiler), *LINK_FLAGS, exports, "-o", str(library), *map(str, outputs.values())], what=LIBRARY_NAME
    )


def _source_hash(compiler: Path) -> str:
    version = subprocess.run([str(compiler), "--version"], capture_output=True, timeout=60, check=False).stdout
    digest = hashlib.sha256(version)
    digest.update(repr((COMPILE_FLAGS, LINK_FLAGS)).encode())
    for path in sorted(SOURCE_DIRECTORY.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
