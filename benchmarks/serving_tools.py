"""Finds or installs what the benchmark of serving needs besides the server: perf_analyzer and Triton's Python backend.

perf_analyzer is the load generator of Triton, a program inside an old wheel of tritonclient. It wants two libraries
that this wheel does not bring; they are unpacked beside it, as any user may. The Python backend wants a NumPy of its
time: with NumPy 2 it answers with empty tensors, and says nothing.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from hitfabric.core import ToolError, atomic_directory, cache_directory
from hitfabric.fpga_backend.triton_install import find_triton

CLIENT_WHEEL = "tritonclient==2.51.0"
CUDA_WHEEL = "nvidia-cuda-runtime-cu12==12.6.77"
BASE64_PACKAGE = "libb64-0d"
ENTRY = "perf-analyzer-2.51.0"
PROGRAM = Path("tritonclient-2.51.0.data/data/bin/perf_analyzer")
LIBRARIES = {"libb64.so.0d": Path("usr/lib/x86_64-linux-gnu"), "libcudart.so.12": Path("nvidia/cuda_runtime/lib")}
"""Libraries that perf_analyzer is linked with and its wheel lacks, and the folders they are unpacked to."""
WANTED = (str(PROGRAM), "tritonclient-2.51.0.data/data/LICENSE.txt", "nvidia/cuda_runtime/lib/libcudart.so.12")
VARIABLE = "HITFABRIC_PERF_ANALYZER"
DOWNLOAD_TIMEOUT_SECONDS = 300.0
STUB = "triton_python_backend_stub"
NUMPY_WHEEL = "numpy==1.26.4"
PYTHON_BACKEND = ("libtriton_python.so", "triton_python_backend_utils.py")


def find_perf_analyzer(*, install: bool = True) -> Path:
    """Folder that holds perf_analyzer and its libraries.

    `$HITFABRIC_PERF_ANALYZER` names it; otherwise it is looked for in the cache, and installed there.

    Args:
        install: Download it where it is missing.

    Returns:
        The folder, for `command` and `environment`.

    Raises:
        ToolError: It is not there and cannot be installed, or does not start.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if (Path(named) / PROGRAM).is_file():
            return Path(named)
        raise ToolError(f"{VARIABLE}={named} holds no {PROGRAM}", remedy="name its folder, or unset the variable")
    return _cached(ENTRY, PROGRAM, _install if install else None)


def command(folder: Path) -> str:
    """The program of a folder that `find_perf_analyzer` gave."""
    return str(folder / PROGRAM)


def environment(folder: Path) -> dict[str, str]:
    """Environment in which it finds its libraries."""
    places = [str(folder / place) for place in LIBRARIES.values()]
    return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(places)}


def find_python_backend() -> dict[str, Path]:
    """Files of Triton's Python backend for this interpreter, by the name they have in a backend's folder.

    Raises:
        ToolError: The installed server has none, or none for this version of Python.
    """
    root = find_triton().parents[1]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    files = {name: root / "backends" / "python" / name for name in PYTHON_BACKEND}
    files[STUB] = root / "python_backend_stubs" / version / STUB
    for path in files.values():
        if not path.is_file():
            raise ToolError(
                f"the server of {root} has no Python backend for Python {version}: {path.name} is missing",
                remedy="remove that folder so that the server is installed again, or name the unpacked wheel "
                "of nvidia-pytriton by HITFABRIC_TRITON",
            )
    files[STUB].chmod(0o755)
    return files


def find_stub_numpy() -> Path:
    """Folder of the NumPy that models of the Python backend import; installed where it is missing.

    Raises:
        ToolError: It cannot be installed.
    """
    entry = f"{NUMPY_WHEEL.replace('==', '-')}-{sys.implementation.cache_tag}"
    return _cached(entry, Path("numpy/__init__.py"), lambda folder: _unpack_wheels([NUMPY_WHEEL], folder, wanted=("",)))


def _cached(entry: str, marker: Path, install: Callable[[Path], None] | None) -> Path:
    """Folder of the cache; made by `install`, whole or not at all, where it lacks the marker."""
    target = cache_directory() / entry
    if (target / marker).is_file():
        return target
    if install is None:
        raise ToolError(f"{entry} is not installed", remedy="run benchmarks/serving.py where there is a network")
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f".{entry}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several processes one downloads, the others wait
        if not (target / marker).is_file():
            with atomic_directory(target) as temporary:
                install(temporary)
    return target


def _install(folder: Path) -> None:
    _unpack_wheels([CLIENT_WHEEL, CUDA_WHEEL], folder, wanted=WANTED)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        downloads = Path(name)
        by_hand = f"on Debian and its kin run: sudo apt-get update; elsewhere put libb64.so.0d where {VARIABLE} says"
        _run(["apt-get", "download", BASE64_PACKAGE], downloads, remedy=by_hand)
        for path in downloads.glob("*.deb"):
            _run(["dpkg", "-x", str(path), str(folder)], downloads, remedy=by_hand)
    for library, place in LIBRARIES.items():
        if not (folder / place / library).exists():
            raise ToolError(f"{library} is in none of the packages", remedy="this platform has no perf_analyzer")
        ctypes.CDLL(str(folder / place / library))
    (folder / PROGRAM).chmod(0o755)


def _unpack_wheels(wheels: Sequence[str], folder: Path, *, wanted: tuple[str, ...]) -> None:
    """Unpack the files whose names begin so."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        for wheel in wheels:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
            _run(
                [*pip, "--dest", name, wheel], folder, remedy="check the network, and that this platform has the wheel"
            )
        for path in Path(name).glob("*.whl"):
            with zipfile.ZipFile(path) as archive:
                archive.extractall(folder, members=[each for each in archive.namelist() if each.startswith(wanted)])


def _run(arguments: Sequence[str], folder: Path, *, remedy: str) -> None:
    what = f"{Path(arguments[0]).name} {arguments[-1]}"
    try:
        done = subprocess.run(
            arguments, cwd=folder, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"{what} failed: {error}", remedy=remedy) from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["it gave no reason"]
        raise ToolError(f"{what} failed: {lines[-1]}", remedy=remedy)
