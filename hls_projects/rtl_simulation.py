"""Verilator models of RTL designs: compiled with g++ directly, once per content."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from ..core import (
    ToolError,
    atomic_directory,
    cache_directory,
    cache_error,
    compile_library,
    compile_object,
    compiler_version,
    find_tool,
)
from .lock_file import locked
from .rtl_verilator import (
    COMPACT,
    GROUP_BYTES,
    RANDOM_START,
    SPLIT,
    Verilator,
    Waveform,
    find_verilator,
    runtime_sources,
    verilate,
)

PURPOSE = "compile the RTL simulation"
DRIVERS = Path(__file__).parent / "rtl"
FAILURES = DRIVERS / "driver_failures.cpp"
LIBRARY, SEAL = "model.so", "content.sha256"

# -fno-gnu-unique and hidden visibility keep the models in one process, perhaps of two Verilators, from sharing symbols.
FLAGS = ("-O2", "-fvisibility=hidden", "-fno-gnu-unique", "-DVERILATOR=1", "-DVL_USER_FATAL", "-DVL_USER_STOP")
GENERATED_FLAGS = ("-O1", "-w")
SLOW_FLAGS = ("-O0", "-w")  # of what runs at the start alone
DRIVER_FLAGS = ("-Wall", "-Wextra", "-Werror")
DAY = 86_400.0  # seconds; no build takes as long
WAVEFORM_HEADERS = {"zlib.h": "zlib1g-dev", "lz4.h": "liblz4-dev"}

Driver = str | Path
"""C++ of a driver: the path of a source, or its text."""


def build_model(
    sources: Sequence[Path],
    top: str,
    *,
    driver: Driver | Sequence[Driver],
    waveform: Waveform | None = None,
    parameters: Mapping[str, int] | None = None,
    verilator: Verilator | Path | None = None,
    cache: Path | None = None,
) -> Path:
    """Compile a simulation of a Verilog module together with the C++ that drives it, or find it compiled already.

    The driver includes `Vmodel.h`, the module's class by Verilator, and exports C functions. Failures of the model
    ($stop, no convergence) are C++ exceptions, `std::runtime_error`. All state starts random, by the seed that the
    driver sets in the context.

    Args:
        sources: Verilog files.
        top: Module to simulate.
        driver: C++ sources, compiled without a warning; headers beside the drivers of this package are found.
        waveform: Format of the waveforms that the driver writes, if any (macros VM_TRACE_FST, VM_TRACE_VCD).
        parameters: Values of the module's parameters, where they are not the default.
        verilator: Installation, or its program; None takes the one `find_verilator` finds.
        cache: Where to keep it; None takes the user's cache.

    Returns:
        The shared library, named by the content of all it is made from.

    Raises:
        ToolError: Verilator or g++ is missing or fails, or the cache cannot be written.
    """
    tool = verilator if isinstance(verilator, Verilator) else find_verilator(verilator)
    find_tool("g++", purpose=PURPOSE)  # before anything is generated
    texts = [_text(part) for part in ([driver] if isinstance(driver, str | Path) else driver)]
    key = _key(sources, top, texts, waveform, parameters, tool)
    folder = cache or cache_directory() / "rtl" / "models"
    place = folder / f"{top}-{key}"
    if _is_whole(place):  # without a lock: a model is renamed into place
        return place / LIBRARY
    try:
        with locked(folder / f".{place.name}.lock"):
            if not _is_whole(place):
                _forget_unfinished(place)
                runtime = _runtime_objects(tool, waveform)
                with atomic_directory(place) as temporary:
                    build = temporary / "build"
                    build.mkdir()
                    log = folder / f"{place.name}.log"
                    generated = verilate(
                        tool, sources, top, directory=build, log=log, parameters=parameters, waveform=waveform
                    )
                    objects = _compile_all(tool, generated, texts, build, waveform=waveform, log=log)
                    flags = ["-pthread", *_waveform_libraries(tool, waveform)]
                    compile_library([*objects, *runtime], target=temporary / LIBRARY, flags=flags, purpose=PURPOSE)
                    shutil.rmtree(build)
                    _seal(temporary)
    except OSError as error:
        raise cache_error(error, folder) from error
    return place / LIBRARY


def _text(driver: Driver) -> str:
    return driver.read_text(encoding="utf-8") if isinstance(driver, Path) else driver


def _key(
    sources: Sequence[Path],
    top: str,
    drivers: Sequence[str],
    waveform: Waveform | None,
    parameters: Mapping[str, int] | None,
    verilator: Verilator,
) -> str:
    """Hash of everything that decides what the library does."""
    try:
        contents = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sources]
    except OSError as error:
        raise ToolError(
            f"cannot read {error.filename}: {error.strerror}", remedy="write the RTL project again"
        ) from error
    headers = [path.read_text(encoding="utf-8") for path in (*sorted(DRIVERS.glob("driver*.h")), FAILURES)]
    tools = [verilator.version, str(verilator.root), compiler_version(), *SPLIT, *COMPACT, *RANDOM_START]
    flags = [*FLAGS, *GENERATED_FLAGS, *SLOW_FLAGS, *DRIVER_FLAGS, GROUP_BYTES]
    made_from = [contents, top, list(drivers), headers, waveform, sorted((parameters or {}).items()), tools, flags]
    return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:20]


def _is_whole(place: Path) -> bool:
    """Whether a folder is as it was compiled: loading half of a library is a bus error."""
    try:
        return (place / SEAL).read_text(encoding="ascii") == _digest(place)
    except (OSError, UnicodeDecodeError):
        return False


def _digest(place: Path) -> str:
    """Hash of the files of a folder besides the seal."""
    digest = hashlib.sha256()
    for path in sorted(place.iterdir()):
        if path.name != SEAL:
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _seal(place: Path) -> None:
    (place / SEAL).write_text(_digest(place), encoding="ascii")


def _forget_unfinished(place: Path) -> None:
    """Remove what killed builds left: of this place, whose lock the caller holds, and of any that is a day old."""
    for left in place.parent.glob(".*"):
        with suppress(FileNotFoundError):  # another build is over
            old = time.time() - left.stat().st_mtime > DAY
            if left.is_dir() and (old or left.name.startswith(f".{place.name}.")):
                shutil.rmtree(left, ignore_errors=True)


def _flags(verilator: Verilator, waveform: Waveform | None) -> list[str]:
    traced = {name: int(waveform == name.lower()) for name in ("FST", "VCD")}
    macros = [f"-DVM_TRACE={int(waveform is not None)}", *(f"-DVM_TRACE_{name}={on}" for name, on in traced.items())]
    macros += [f"-DVM_{name}=0" for name in ("COVERAGE", "SC", "TIMING")]
    folders = [verilator.include, verilator.include / "vltstd"]
    return [*FLAGS, *macros, *(argument for folder in folders for argument in ("-isystem", str(folder)))]


def _runtime_objects(verilator: Verilator, waveform: Waveform | None) -> list[Path]:
    """Objects of Verilator's runtime, compiled once for all models."""
    flags = [*_flags(verilator, waveform), *GENERATED_FLAGS]
    made_from = [verilator.version, str(verilator.root), compiler_version(), flags]
    key = hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:20]
    folder = cache_directory() / "rtl" / "runtime"
    place = folder / key
    sources = runtime_sources(verilator, waveform)
    with locked(folder / f".{key}.lock"):
        if not _is_whole(place):
            _forget_unfinished(place)
            with atomic_directory(place) as temporary:
                jobs = [(source, temporary / f"{source.stem}.o", flags) for source in sources]
                try:
                    _compile_jobs(jobs, log=folder / f"{key}.log")
                except ToolError as error:
                    raise _named(error, folder / f"{key}.log") from error
                _seal(temporary)
    return [place / f"{source.stem}.o" for source in sources]


def _named(error: ToolError, log: Path) -> ToolError:
    """The error for a runtime that does not compile, with the package of a header that is missing."""
    text = log.read_text(encoding="utf-8") if log.exists() else ""
    for header, package in WAVEFORM_HEADERS.items():
        if f"{header}: No such file" in text:
            return ToolError(
                f"waveforms of this Verilator need {header}", remedy=f"run: apt-get install {package}, or write .vcd"
            )
    return error


def _compile_all(
    verilator: Verilator,
    generated: Sequence[Path],
    drivers: Sequence[str],
    build: Path,
    *,
    waveform: Waveform | None,
    log: Path,
) -> list[Path]:
    flags = _flags(verilator, waveform)
    jobs = []
    for source in generated:
        level = SLOW_FLAGS if source.stem.endswith("_slow") else GENERATED_FLAGS
        jobs.append((source, source.with_suffix(".o"), [*flags, *level]))
    own = [*flags, *DRIVER_FLAGS, "-isystem", str(build), f"-I{DRIVERS}"]
    for number, text in enumerate([*drivers, FAILURES.read_text(encoding="utf-8")]):
        source = build / f"driver{number}.cc"
        source.write_text(text, encoding="utf-8")
        jobs.append((source, source.with_suffix(".o"), own))
    return _compile_jobs(jobs, log=log)


def _compile_jobs(jobs: Sequence[tuple[Path, Path, list[str]]], *, log: Path) -> list[Path]:
    """Compile (source, object, flags) on all usable cores."""

    def compile_one(job: tuple[Path, Path, list[str]]) -> Path:
        source, target, flags = job
        return compile_object(source, target=target, flags=flags, purpose=PURPOSE, log=log)

    with ThreadPoolExecutor(max_workers=max(1, len(os.sched_getaffinity(0)))) as pool:
        return list(pool.map(compile_one, jobs))


def _waveform_libraries(verilator: Verilator, waveform: Waveform | None) -> list[str]:
    if waveform != "fst":
        return []
    bundled = (verilator.include / "gtkwave" / "lz4.c").is_file()
    return ["-Wl,--no-as-needed", "-lz", *([] if bundled else ["-llz4"])]
