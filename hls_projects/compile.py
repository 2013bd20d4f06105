"""Compiles a project's C simulation to a shared library, once per content."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..core import ToolError, atomic_file, find_tool
from .manifest import MANIFEST
from .precompiled import precompiled_header
from .project import ENTRY_FILE, HlsProject
from .streams import BOUNDED_FOLDER, check_has_streams

# -O2 compiles up to 40 % longer and runs no faster (interaction network: 5.6 s and 6.8 ms a graph with -O1, 7.7 s and
# 8.1 ms with -O2). -fno-gnu-unique keeps two loaded projects from sharing template statics; hidden visibility keeps
# their equally named functions apart.
# -DNDEBUG: ap_types asserts on a rounding position above the source's most significant bit before it handles that case.
FLAGS = ("-O1", "-DNDEBUG", "-std=c++17", "-w", "-fPIC", "-shared", "-fno-gnu-unique", "-fvisibility=hidden")
TYPES = {"Vitis": "ap_types", "Vivado": "ap_types", "Quartus": "ac_types"}  # folders of the numbers' headers
BOUNDED_FLAGS = ("-DHITFABRIC_BOUNDED",)
TIMEOUT_SECONDS = 1800


def compile_csim(project: HlsProject, *, bounded: bool = False) -> Path:
    """Compile the C simulation, or find it compiled already.

    Args:
        project: The project; its `build/` folder receives the library, or the compiler's log.
        bounded: With streams that block at the depths declared for synthesis.

    Returns:
        Path of the shared library with the C function `hitfabric_csim`.

    Raises:
        GraphError: `bounded`, and the project has no streams.
        ToolError: g++ is missing or fails; the message holds its first error and the path of the log.
    """
    if bounded:
        check_has_streams(project)
    hashes = json.loads((project.directory / MANIFEST).read_text(encoding="utf-8"))["sha256"]
    flags = [*FLAGS, *(BOUNDED_FLAGS if bounded else [])]
    key = _content_key(hashes, flags)
    library = project.directory / "build" / f"csim-{key}.so"
    if _is_whole(library):
        return library
    compiler = find_tool("g++", purpose="compile the C simulation")
    types = TYPES[project.config.backend]
    folders = [*([BOUNDED_FOLDER] if bounded else []), ".", f"firmware/{types}"]
    header = precompiled_header(
        project.directory, compiler=compiler, flags=flags, folders=folders, hashes=hashes, types=types
    )
    sources = ["-include", str(header)] if header else []
    sources += [f"-I{project.directory / folder}" for folder in (*(["firmware"] if header else []), *folders)]
    try:
        with atomic_file(library) as temporary:
            command = [str(compiler), *flags, *sources, str(project.directory / ENTRY_FILE), "-o", str(temporary)]
            _run(command, log=library.with_suffix(".log"))
        with atomic_file(_seal(library)) as temporary:
            temporary.write_text(_digest(library), encoding="ascii")
    except OSError as error:
        raise ToolError(
            f"cannot write {error.filename or library.parent}: {error.strerror}",
            remedy="copy the project to a folder that may be written to",
        ) from error
    return library


def _seal(library: Path) -> Path:
    """File that holds the hash of a compiled library."""
    return library.with_suffix(".sha256")


def _is_whole(library: Path) -> bool:
    """Whether a library is there as it was compiled: loading half of one (a copy cut short) is a bus error."""
    try:
        return _seal(library).read_text(encoding="ascii") == _digest(library)
    except (OSError, UnicodeDecodeError):
        return False


def _digest(library: Path) -> str:
    return hashlib.sha256(library.read_bytes()).hexdigest()


def _run(command: list[str], *, log: Path) -> None:
    try:
        finished = subprocess.run(command, capture_output=True, timeout=TIMEOUT_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise ToolError(
            f"g++ took more than {TIMEOUT_SECONDS} s", remedy="use io_stream, or smaller maxima of the graph"
        ) from error
    if finished.returncode == 0:
        return
    text = (finished.stderr + finished.stdout).decode(errors="replace")
    with atomic_file(log) as temporary:
        temporary.write_text(text, encoding="utf-8")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # One mistake in a template header gives pages of notes: the first error is what to read.
    reason = next((line for line in lines if "error:" in line), lines[-1] if lines else "no message")
    raise ToolError(f"g++ failed with code {finished.returncode}: {reason}", remedy=f"read {log}")


def _content_key(hashes: Mapping[str, str], flags: Sequence[str]) -> str:
    """Hash of the sources (through the manifest, checked at load) and of the flags."""
    return hashlib.sha256(json.dumps([hashes, flags], sort_keys=True).encode()).hexdigest()[:16]
