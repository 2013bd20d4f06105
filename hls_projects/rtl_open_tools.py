"""Yosys and nextpnr: from their wheels (YoWASP) or installed; run with a time limit, in a folder of their own."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from ..core import ConfigError, MissingToolError, StrictModel, ToolError, atomic_file, cache_directory, find_tool
from .lock_file import locked

Result = TypeVar("Result", bound=StrictModel)


@dataclass(frozen=True, kw_only=True)
class OpenTool:
    """An open tool as it can be called.

    Attributes:
        name: `yosys` or `nextpnr-ecp5`.
        command: Words before its arguments.
        version: What it says of itself, with where it comes from.
    """

    name: str
    command: tuple[str, ...]
    version: str

    def run(self, arguments: Sequence[str], *, folder: Path, seconds: float, purpose: str) -> str:
        """Run the tool to its end.

        Args:
            arguments: Its arguments; paths relative to `folder`, for a wheel sees no other `/tmp` than its own.
            folder: Where it runs.
            seconds: It is killed after so long.
            purpose: What it does, as a phrase for the error messages.

        Returns:
            All it printed.

        Raises:
            ToolError: It failed, or took too long.
        """
        # The tool ends with this program, which may be killed in the middle of a sweep, and (by a session of its own)
        # what it starts (abc) ends with it.
        setpriv = find_tool("setpriv", purpose=f"end {self.name} with this program")
        command = [str(setpriv), "--pdeathsig", "KILL", "--", *self.command, *arguments]
        with subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        ) as process:
            try:
                output, _ = process.communicate(timeout=seconds)
            except BaseException as error:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                if isinstance(error, subprocess.TimeoutExpired):
                    raise ToolError(
                        f"{self.name} took more than {seconds:g} s to {purpose}",
                        remedy="allow more seconds, or take fewer lanes or a narrower network",
                    ) from error
                raise
        text = output.decode(errors="replace")
        if process.returncode < 0:  # the tool itself says nothing then
            raise ToolError(
                f"{self.name} was ended by {signal.Signals(-process.returncode).name}, unable to {purpose}",
                remedy="see whether memory ran out, and run it again",
            )
        if process.returncode != 0:
            raise ToolError(f"{self.name} could not {purpose}: {first_error(text)}", remedy="see the sources named")
        return text


def first_error(text: str) -> str:
    """The first error that a tool printed, or its last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "ERROR" in line), lines[-1] if lines else "no message")


@cache
def find_open_tool(name: str) -> OpenTool:
    """Find Yosys or nextpnr: that of the wheel before an installed one, whose version nobody pinned.

    Args:
        name: `yosys` or `nextpnr-ecp5`.

    Raises:
        MissingToolError: There is neither.
    """
    package = f"yowasp_{name.replace('-', '_')}"
    if find_spec(package) is not None:
        entry = f"_run_{name.replace('-', '_')}_argv"
        code = f"import {package} as tool; tool.{entry}()"
        wheel = f"yowasp-{name} {version(package.replace('_', '-'))}"
        return OpenTool(name=name, command=(sys.executable, "-c", code), version=wheel)
    found = shutil.which(name)
    if found is None:
        raise MissingToolError(f"{name} was not found", remedy=f"run: pip install yowasp-{name}")
    done = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).strip().splitlines()
    return OpenTool(name=name, command=(found,), version=said[0] if said else found)


@contextmanager
def staged(sources: Sequence[Path]) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Copy sources into a temporary folder, as a tool that sees only its own folder needs them.

    Args:
        sources: Verilog files, and what they include or read by name.

    Yields:
        The folder, and the names of the Verilog files among them in the order given.

    Raises:
        ConfigError: Two files have one name, or there is no Verilog.
        ToolError: A file cannot be read.
    """
    names = [path.name for path in sources]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two sources are called {name}", remedy="give each file a name of its own")
    verilog = tuple(name for name in names if name.endswith((".v", ".sv")))
    if not verilog:
        raise ConfigError("there is no Verilog among the sources", remedy="give .v or .sv files")
    with tempfile.TemporaryDirectory(prefix="hitfabric-") as folder:
        for path in sources:
            try:
                shutil.copyfile(path, Path(folder) / path.name)
            except OSError as error:
                raise ToolError(f"cannot read {path}: {error.strerror}", remedy="write the project again") from error
        yield Path(folder), verilog


def cached_result(
    kind: type[Result], name: str, *, folder: Path, made_from: Sequence[str], make: Callable[[], Result]
) -> Result:
    """The result of a tool from the user's cache; made now where it is not there, or damaged.

    Args:
        kind: Model of the result.
        name: What it is of, for the name of the file.
        folder: Folder of the staged sources; their content decides, and not where they came from.
        made_from: What else decides: script, options, versions of the tools.
        make: Makes it.
    """
    digest = hashlib.sha256("\0".join(made_from).encode())
    for path in sorted(folder.iterdir()):
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    place = cache_directory() / "synthesis" / f"{name}-{digest.hexdigest()[:16]}.json"
    with locked(place.with_name(f".{place.name}.lock")):
        try:
            return kind.model_validate_json(place.read_bytes())
        except (OSError, ValidationError):
            pass
        result = make()
        with atomic_file(place) as temporary:
            temporary.write_text(result.model_dump_json(indent=1) + "\n", encoding="utf-8")
        return result


def keep_modules(names: Sequence[str]) -> str:
    """The Yosys command that keeps modules as they are when the rest is flattened; empty for none."""
    # A module with parameters is renamed $paramod$HASH\NAME or $paramod\NAME\PARAMETERS; `?` stands for the backslash.
    patterns = [pattern for name in names for pattern in (name, f"$paramod*?{name}", f"$paramod*?{name}?*")]
    return f"setattr -mod -set keep_hierarchy 1 {' '.join(patterns)}" if patterns else ""


def set_parameters(top: str, parameters: Mapping[str, int]) -> str:
    """The Yosys commands that set parameters of a module."""
    return "\n".join(f"chparam -set {name} {value} {top}" for name, value in sorted(parameters.items()))
