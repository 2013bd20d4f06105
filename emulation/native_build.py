"""Compiling the native executor: one library per network with code for several instruction sets, cached by content."""

from __future__ import annotations

import hashlib
import os
import platform
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from ..core import ToolError, cache_directory, cache_error, compile_library, compile_object, compiler_version, find_tool
from .native_library import NativeLibrary, NoCodeError
from .native_plan import Plan
from .native_source import network_info, network_source, processor_info, uses_matrices

PURPOSE = "compile the native executor"
KERNELS = Path(__file__).parent / "cpp"
ENTRY = KERNELS / "native_entry.cpp"

FLAGS = (
    "-O2",
    "-ftree-vectorize",
    "-fvect-cost-model=dynamic",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-strict-aliasing",
    "-fvisibility=hidden",
)
"""As fast as -O3, in little more than half its compile time. Tiles are read as dwords and as their elements; nothing
relies on errno or floating-point traps."""

INSTRUCTIONS = {
    "amx": ("-march=x86-64-v4", "-mavx512vnni", "-mprefer-vector-width=512", "-mamx-tile", "-mamx-int8"),
    "avx512vnni": ("-march=x86-64-v4", "-mavx512vnni", "-mprefer-vector-width=512"),
    "avx2": ("-march=x86-64-v3",),
    "plain": (),
}
"""Compiler flags of each instruction set, best first."""


def native_instructions(plan: Plan) -> tuple[str, ...]:
    """Instruction sets that code can be made for on this kind of processor, best first."""
    return tuple(name for name in _instructions_of_machine() if name != "amx" or uses_matrices(plan))


def native_library(plan: Plan, *, instructions: Sequence[str] | None = None, extra_flags: Sequence[str] = ()) -> Path:
    """The compiled library of a network; compiled now unless the cache has it.

    Args:
        plan: Plan of the network.
        instructions: Instruction sets to have code for, best first; None takes all of `native_instructions`, for a
            library that runs on every processor of this kind.
        extra_flags: Further flags of compiler and linker, such as those of a sanitizer.

    Returns:
        Path of the library.

    Raises:
        ToolError: It is not in the cache, and there is no C++ compiler, or it failed, or the cache cannot be written.
    """
    found, target = _find(plan, instructions or native_instructions(plan), extra_flags)
    return found or _compile(plan, instructions or native_instructions(plan), target, extra_flags)


def native_library_here(plan: Plan, *, extra_flags: Sequence[str] = ()) -> Path:
    """As `native_library`, with code for this processor's best instruction set alone unless the cache has more.

    Compiling for one instruction set takes a third of the time.
    """
    found, _ = _find(plan, native_instructions(plan), extra_flags)
    if found is None and compiler_version() is None:  # one made earlier, perhaps on another processor
        alone = (_find(plan, (name,), extra_flags)[0] for name in INSTRUCTIONS)
        found = next((path for path in alone if path is not None and _runs_here(path)), None)
    return found or native_library(plan, instructions=(_best(plan),), extra_flags=extra_flags)


def _runs_here(path: Path) -> bool:
    try:
        NativeLibrary(path, None)
    except NoCodeError:
        return False
    return True


def _best(plan: Plan) -> str:
    able = _instructions_of_processor()
    return next(name for name in native_instructions(plan) if name in able)


def _find(plan: Plan, instructions: Sequence[str], extra_flags: Sequence[str]) -> tuple[Path | None, Path]:
    """The library if the cache has it, and where it goes otherwise."""
    flags = [*FLAGS, *extra_flags, *(flag for name in instructions for flag in (name, *INSTRUCTIONS[name]))]
    network = _digest(network_source(plan), network_info(plan, instructions), _kernels(), *flags)
    folder = cache_directory() / "native"
    version = compiler_version()
    target = folder / f"{network}-{_digest(version or 'none')[:8]}.so"
    if version is None:  # a library of any compiler will do
        return next(iter(sorted(folder.glob(f"{network}-*.so"))), None), target
    return (target if target.exists() else None), target


@cache
def _instructions_of_machine() -> tuple[str, ...]:
    return tuple(INSTRUCTIONS) if platform.machine() in ("x86_64", "AMD64") else ("plain",)


@cache
def _instructions_of_processor() -> tuple[str, ...]:
    """What the processor has, as the entry of every library sees it: asked of a library of no network."""
    names = _instructions_of_machine()
    folder = cache_directory() / "native"
    library = folder / f"processor-{_digest(_kernels(), compiler_version() or 'none')}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=_made(folder)) as name:
            source = Path(name) / "processor.cpp"
            source.write_text(processor_info(names), encoding="utf-8")
            flags = [*FLAGS, f"-I{KERNELS}", "-pthread"]
            compile_library([_entry(folder, ()), source], target=library, flags=flags, purpose=PURPOSE)
    return NativeLibrary(library, None).available


def _made(folder: Path) -> Path:
    """The folder, where there is a compiler to write to it: without one it does not matter that it is read-only."""
    find_tool("g++", purpose=PURPOSE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cache_error(error, folder) from error
    if not os.access(folder, os.W_OK):
        raise ToolError(f"cannot write to {folder}", remedy="set XDG_CACHE_HOME, or compile before it is read-only")
    return folder


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:24]


@cache
def _kernels() -> str:
    return "".join(path.read_text(encoding="utf-8") for path in sorted(KERNELS.iterdir()))


def _compile(plan: Plan, instructions: Sequence[str], library: Path, extra_flags: Sequence[str]) -> Path:
    log = library.with_suffix(".log")
    entry = _entry(_made(library.parent), extra_flags)
    with tempfile.TemporaryDirectory(dir=library.parent) as name:
        folder = Path(name)
        (folder / "network.cpp").write_text(network_source(plan), encoding="utf-8")
        (folder / "info.cpp").write_text(network_info(plan, instructions), encoding="utf-8")
        flags = [*FLAGS, *extra_flags, f"-I{KERNELS}"]
        parts = [
            (folder / "network.cpp", folder / f"{name}.o", [*flags, *INSTRUCTIONS[name], f"-DHITFABRIC_{name.upper()}"])
            for name in instructions
        ]
        parts.append((folder / "info.cpp", folder / "info.o", flags))

        def compile_part(part: tuple[Path, Path, list[str]]) -> Path:
            return compile_object(part[0], target=part[1], flags=part[2], purpose=PURPOSE, log=log)

        with ThreadPoolExecutor(max_workers=max(1, len(os.sched_getaffinity(0)))) as pool:
            compiled = list(pool.map(compile_part, parts))
        return compile_library([entry, *compiled], target=library, flags=[*extra_flags, "-pthread"], purpose=PURPOSE)


def _entry(folder: Path, extra_flags: Sequence[str]) -> Path:
    """The object that every network is linked with, compiled once."""
    flags = [*FLAGS, *extra_flags, f"-I{KERNELS}"]
    target = folder / f"entry-{_digest(_kernels(), *FLAGS, *extra_flags, compiler_version() or 'none')}.o"
    if not target.exists():
        compile_object(ENTRY, target=target, flags=flags, purpose=PURPOSE, log=target.with_suffix(".log"))
    return target
