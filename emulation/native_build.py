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

from ..core import cache_directory, compile_library, compile_object, compiler_version
from .native_plan import Plan
from .native_source import network_info, network_source, uses_matrices

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
    """Instruction sets that code is made for on this kind of processor, best first."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return ("plain",)
    return tuple(name for name in INSTRUCTIONS if name != "amx" or uses_matrices(plan))


def native_library(plan: Plan, *, extra_flags: Sequence[str] = ()) -> Path:
    """The compiled library of a network; compiled now unless the cache has it.

    Args:
        plan: Plan of the network.
        extra_flags: Further flags of compiler and linker, such as those of a sanitizer.

    Returns:
        Path of the library.

    Raises:
        ToolError: It is not in the cache, and there is no C++ compiler, or it failed, or the cache cannot be written.
    """
    instructions = native_instructions(plan)
    source, info = network_source(plan), network_info(plan, instructions)
    flags = [*FLAGS, *extra_flags, *(flag for name in instructions for flag in (name, *INSTRUCTIONS[name]))]
    network = _digest(source, info, _kernels(), *flags)
    folder = cache_directory() / "native"
    version = compiler_version()
    if version is None:  # a library of any compiler will do
        made = sorted(folder.glob(f"{network}-*.so"))
        if made:
            return made[0]
    library = folder / f"{network}-{_digest(version or 'none')[:8]}.so"
    if not library.exists():
        _compile(source, info, instructions, library, extra_flags)
    return library


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:24]


@cache
def _kernels() -> str:
    return "".join(path.read_text(encoding="utf-8") for path in sorted(KERNELS.iterdir()))


def _compile(source: str, info: str, instructions: Sequence[str], library: Path, extra_flags: Sequence[str]) -> None:
    library.parent.mkdir(parents=True, exist_ok=True)
    log = library.with_suffix(".log")
    entry = _entry(library.parent, extra_flags)
    with tempfile.TemporaryDirectory(dir=library.parent) as name:
        folder = Path(name)
        (folder / "network.cpp").write_text(source, encoding="utf-8")
        (folder / "info.cpp").write_text(info, encoding="utf-8")
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
        compile_library([entry, *compiled], target=library, flags=[*extra_flags, "-pthread"], purpose=PURPOSE)


def _entry(folder: Path, extra_flags: Sequence[str]) -> Path:
    """The object that every network is linked with, compiled once."""
    flags = [*FLAGS, *extra_flags, f"-I{KERNELS}"]
    target = folder / f"entry-{_digest(_kernels(), *FLAGS, *extra_flags, compiler_version() or 'none')}.o"
    if not target.exists():
        compile_object(ENTRY, target=target, flags=flags, purpose=PURPOSE, log=target.with_suffix(".log"))
    return target
