"""The checks of `hitfabric doctor`."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from ..core import HitfabricError, ToolError, cache_directory, cache_error, compile_library, find_tool

DISTRIBUTION = "hitfabric"
LEAST_FREE_BYTES = 2 << 30
SECONDS = 20.0
PROBE = 'extern "C" int answer() { return 42; }\n'
ANSWER = 42
HLS_TOOLS = ("vitis-run", "vitis_hls", "i++")
VENDOR_TOOLS = {
    "v++": ("bitstreams (.xclbin)", "install AMD Vitis and source its settings64.sh"),
    "vivado": ("frequency, resources after placement", "install AMD Vivado and source its settings64.sh"),
    "xbutil": ("cards in this machine (device xrt)", "install AMD XRT and source its setup.sh"),
}


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing looked for.

    Attributes:
        name: Package, tool, or what else it is.
        found: Whether it is there and works.
        detail: Version, place, or what is wrong with it.
        use: What it is for, where the purpose does not say it.
        remedy: How to get it; empty where it is there.
        required: Whether the purpose cannot do without.
    """

    name: str
    found: bool
    detail: str = ""
    use: str = ""
    remedy: str = ""
    required: bool = True


def packages(extra: str | None) -> list[Check]:
    """Packages of an extra, or those always needed, by the requirements that hitfabric was installed with."""
    install = f"run: pip install '{DISTRIBUTION}[{extra}]'" if extra else f"run: pip install {DISTRIBUTION}"
    requirements = map(Requirement, metadata.requires(DISTRIBUTION) or ())
    return [_package(requirement, install) for requirement in requirements if _belongs(requirement, extra)]


def _belongs(requirement: Requirement, extra: str | None) -> bool:
    """Whether a requirement is one of an extra, or of none."""
    marker = requirement.marker
    always = marker is None or marker.evaluate({"extra": ""})
    if extra is None or marker is None:
        return always and extra is None
    return not always and marker.evaluate({"extra": extra})


def _package(requirement: Requirement, install: str) -> Check:
    name = requirement.name
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Check(name=name, found=False, detail="not installed", remedy=install)
    if requirement.specifier.contains(version, prereleases=True):
        return Check(name=name, found=True, detail=version)
    return Check(name=name, found=False, detail=f"{version}, wanted {requirement.specifier}", remedy=install)


def core_checks() -> list[Check]:
    """Compiler, cache, room, drawing."""
    cache = _try("cache", _write_to_cache, use="compiled code")
    return [
        _try("C++ compiler", _compile, use="fast tracking; without it NumPy computes the same", required=False),
        cache,
        _try("room", _room, use="compiled code and projects", required=False),
        _tool("dot", "draw a network (describe --svg)", flag="-V"),
    ]


def build_checks() -> list[Check]:
    """What projects need besides packages."""
    return [
        _try("C++ compiler", _compile, use="C simulation"),
        _tool("make", "the Makefile of a project"),
    ]


def rtl_checks() -> list[Check]:
    """Simulation and open synthesis."""
    from ..hls_projects.rtl_open_tools import find_open_tool

    return [
        _try("C++ compiler", _compile, use="models of Verilator"),
        _try("yosys", lambda: find_open_tool("yosys").version, use="LUT, FF, memories", required=False),
        _try("nextpnr-ecp5", lambda: find_open_tool("nextpnr-ecp5").version, use="frequency", required=False),
        _tool("setpriv", "tools that end with the program"),
    ]


def serve_checks() -> list[Check]:
    """Server, backend, and what keeps them."""
    from ..fpga_backend.triton_install import find_triton

    return [
        _try("tritonserver", lambda: str(find_triton(install=False)), use="development server", required=False),
        _try("C++ compiler", _compile, use="the backend"),
        _tool("setpriv", "a server that ends with the program", required=True),
    ]


def vendor_checks() -> list[Check]:
    """Tools with a licence, found on PATH: one that synthesises C++, and what comes after it."""
    synthesis = next((place for name in HLS_TOOLS if (place := shutil.which(name)) is not None), None)
    remedy = "install AMD Vitis (settings64.sh), or Intel's HLS compiler (init_hls.sh), and source the script named"
    checks = [_vendor_tool("synthesis of C++", synthesis, "csynth and cosim of projects", remedy, required=True)]
    for name, (use, remedy) in VENDOR_TOOLS.items():
        checks.append(_vendor_tool(name, shutil.which(name), use, remedy, required=False))
    return checks


def _vendor_tool(name: str, place: str | None, use: str, remedy: str, *, required: bool) -> Check:
    if place is None:
        return Check(name=name, found=False, detail="not on PATH", use=use, remedy=remedy, required=required)
    return Check(name=name, found=True, detail=place, use=use, required=required)


def machine() -> dict[str, object]:
    """Facts that decide how fast it is."""
    flags = set(re.findall(r"\b(?:avx2|avx512_vnni|amx_int8)\b", _cpu_information()))
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "instructions": sorted(flags),
    }


def _cpu_information() -> str:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""


def _try(name: str, look: Callable[[], str], *, use: str, required: bool = True) -> Check:
    try:
        return Check(name=name, found=True, detail=look(), use=use, required=required)
    except HitfabricError as error:
        return Check(name=name, found=False, detail=error.message, use=use, remedy=error.remedy, required=required)


def _tool(name: str, use: str, *, flag: str = "--version", required: bool = False) -> Check:
    def look() -> str:
        path = find_tool(name, purpose=use)
        try:
            done = subprocess.run(
                [str(path), flag], capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ToolError(f"{path} does not run: {error}", remedy=f"install {name} again") from error
        lines = (done.stdout + done.stderr).strip().splitlines()
        if done.returncode != 0:
            said = lines[-1] if lines else f"exit code {done.returncode}"
            raise ToolError(f"{path} does not run: {said}", remedy=f"install {name} again")
        return lines[0] if lines else str(path)

    return _try(name, look, use=use, required=required)


def _compile() -> str:
    """Compile a library and call it."""
    compiler = find_tool("g++", purpose="compile C++")
    try:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "probe.cpp"
            source.write_text(PROBE, encoding="utf-8")
            library = compile_library([source], target=source.with_suffix(".so"), flags=(), purpose="compile C++")
            if ctypes.CDLL(str(library)).answer() != ANSWER:
                raise ToolError(f"{compiler} makes libraries that compute wrongly", remedy="install another g++")
    except OSError as error:
        raise ToolError(
            f"cannot write to {tempfile.gettempdir()}: {error.strerror or error}",
            remedy="make room, or set TMPDIR to another folder",
        ) from error
    done = subprocess.run([str(compiler), "-dumpfullversion"], capture_output=True, text=True, check=False)
    return f"g++ {done.stdout.strip()}"


def _write_to_cache() -> str:
    folder = cache_directory()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as stream:
            stream.write(b"hitfabric")
    except OSError as error:
        raise cache_error(error, folder) from error
    return str(folder)


def _room() -> str:
    places = {place: shutil.disk_usage(place).free for place in (Path.cwd(), Path(tempfile.gettempdir()))}
    for place, free in places.items():
        if free < LEAST_FREE_BYTES:
            raise ToolError(f"{free / 2**30:.1f} GiB free in {place}", remedy="make room, or set TMPDIR")
    return ", ".join(f"{free / 2**30:.0f} GiB in {place}" for place, free in places.items())
