"""Precompiled headers of the C simulation, in the user's cache.

Two thirds of the time to compile a small network go into reading ap_types and hls4ml's headers, the same every time.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..core import atomic_directory, cache_directory
from .lock_file import locked

HEADER = "hls4ml.h"
SYSTEM_HEADERS = ("cstdint", "exception", "functional", "iostream", "map", "memory", "string", "vector")
# What io_parallel and io_stream projects of dense and graph networks include; other headers are read where needed.
NUMBERS = {
    "ap_types": ("ap_fixed.h", "ap_int.h", "hls_stream.h"),
    "ac_types": ("ac_int.h", "ac_fixed.h"),
}
LAYERS = {
    "ap_types": (
        "nnet_helpers.h",
        "nnet_types.h",
        "nnet_dense.h",
        "nnet_dense_compressed.h",
        "nnet_dense_stream.h",
        "nnet_conv1d.h",
        "nnet_merge.h",
        "nnet_merge_stream.h",
        "nnet_sepconv1d_stream.h",
        "nnet_stream.h",
        "nnet_edge.h",
        "nnet_rows.h",
    ),
    "ac_types": (),
}
OF_THE_NETWORK = "firmware/nnet_utils/nnet_code_gen.h"  # the one header of hls4ml's that differs between networks
KEPT = 4
IN_USE_SECONDS = 120  # g++ maps the file at its start


def precompiled_header(
    directory: Path,
    *,
    compiler: Path,
    flags: Sequence[str],
    folders: Sequence[str],
    hashes: Mapping[str, str],
    types: str,
) -> Path | None:
    """The header to `-include` first, precompiled; made where no project with the same headers was compiled before.

    Args:
        directory: A project.
        compiler: g++.
        flags: Flags of the compilation, all of which must be the same.
        folders: Folders of the project that headers are looked for in, in order.
        hashes: Hash of each file of the project that decides results.
        types: Folder of the numbers' headers: `ap_types` or `ac_types`.

    Returns:
        Its path; None where it cannot be made (no room, headers that do not compile), which only costs time: the
        compilation itself reports what is wrong with the headers.
    """
    version = subprocess.run([str(compiler), "--version"], capture_output=True, check=False).stdout.decode()
    headers = tuple(f"{folder}/" for folder in (*folders, "firmware/nnet_utils") if folder != ".")
    shared = {
        name: digest
        for name, digest in hashes.items()
        if name.startswith(headers) and name.endswith(".h") and name != OF_THE_NETWORK
    }
    layers = [f"nnet_utils/{name}" for name in LAYERS[types] if f"firmware/nnet_utils/{name}" in shared]
    text = "".join(f"#include <{name}>\n" for name in SYSTEM_HEADERS)
    text += "".join(f'#include "{name}"\n' for name in (*NUMBERS[types], *layers))
    made_from = json.dumps([version, list(flags), list(folders), shared, text], sort_keys=True)
    place = cache_directory() / "precompiled" / hashlib.sha256(made_from.encode()).hexdigest()[:16]
    try:
        with locked(place.with_name(".lock")):
            if not place.is_dir():
                _make(
                    place,
                    text,
                    [str(compiler), *flags, *(f"-I{directory / folder}" for folder in ("firmware", *folders))],
                )
                _forget_unused(place)
            os.utime(place)
    except (OSError, subprocess.SubprocessError):
        return None
    return place / HEADER


def _make(place: Path, text: str, command: list[str]) -> None:
    with atomic_directory(place) as temporary:
        (temporary / HEADER).write_text(text, encoding="utf-8")
        source, result = str(temporary / HEADER), str(temporary / f"{HEADER}.gch")
        subprocess.run([*command, "-x", "c++-header", source, "-o", result], capture_output=True, check=True)


def _forget_unused(newest: Path) -> None:
    """Keep the cache small: a precompiled header takes 100 MB, and each version of the kernels makes one."""
    found = [path for path in newest.parent.iterdir() if path.is_dir() and not path.name.startswith(".")]
    found.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found[KEPT:]:
        if time.time() - path.stat().st_mtime > IN_USE_SECONDS:
            shutil.rmtree(path, ignore_errors=True)
