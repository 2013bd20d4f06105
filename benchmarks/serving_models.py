"""Repositories that serve the same model by our backend, by Triton's Python backend, and as an ensemble of steps."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving_tools import find_python_backend, find_stub_numpy

from hitfabric.core import StrictModel
from hitfabric.fpga_backend import TritonServer, write_repository
from hitfabric.fpga_backend.names import BACKEND_NAME, MODELS, TRACKING
from hitfabric.fpga_backend.repository import VERSION_DIRECTORY
from hitfabric.fpga_backend.signature import Signature

PYTHON, ENSEMBLE = "python", "ensemble"
MODEL_FILE = """import site
import sys

sys.path[:0] = {paths!r}
site.addsitedir({packages!r})
from serving_python_model import TritonPythonModel
"""


class Port(StrictModel):
    """A tensor of a model's configuration.

    Attributes:
        name: Its name.
        data_type: Triton's name of its type.
        dims: Sizes; -1 varies.
        optional: Whether a request may leave it out.
    """

    name: str
    data_type: str
    dims: tuple[int, ...]
    optional: bool = False


@dataclass(frozen=True, kw_only=True)
class Step:
    """One model of the ensemble.

    Attributes:
        name: A key of `serving_steps.STEPS`.
        inputs: Tensors it takes.
        outputs: Tensors it gives.
    """

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


FEATURES = Port(name="FEATURES", data_type="TYPE_FP32", dims=(-1, 3))
LABELS = Port(name="LABELS", data_type="TYPE_INT64", dims=(-1,))
EDGE_INDEX = Port(name="EDGE_INDEX", data_type="TYPE_INT64", dims=(-1, 2))
SCORES = Port(name="SCORES", data_type="TYPE_FP32", dims=(-1,))
EMBEDDING = Port(name="EMBEDDING", data_type="TYPE_FP32", dims=(-1, -1))
STEPS = (
    Step(name="embed", inputs=(FEATURES,), outputs=(EMBEDDING,)),
    Step(name="select", inputs=(FEATURES, EMBEDDING), outputs=(EDGE_INDEX,)),
    Step(name="connect", inputs=(FEATURES, EDGE_INDEX), outputs=(SCORES, LABELS)),
)


def write_models(directory: Path, chain: Path, *, models: Sequence[str], instances: int) -> Path:
    """Repository of some models of a chain, by our backend and by the Python backend; `tracking` as ensemble too.

    Args:
        directory: Repository to write.
        chain: Chain directory.
        models: Some of embedding, filter, interaction_network and tracking.
        instances: Instances of every model; of the ensemble, of each of its steps.

    Returns:
        `directory`.
    """
    write_repository(directory, chain, instances=instances)
    for name in set(MODELS) - set(models):
        shutil.rmtree(directory / name)
    for name in models:
        version = directory / name / VERSION_DIRECTORY
        signature = Signature.load(version)
        batch = signature.max_batch_size
        inputs, outputs = ports(signature, "inputs"), ports(signature, "outputs")
        parameters = {"step": "whole", "directory": str(version / "model")}
        config = [*head(f"{name}_{PYTHON}", batch), *tensors(inputs, outputs), *python_lines(parameters, instances)]
        _write(directory, f"{name}_{PYTHON}", [*config, *(["dynamic_batching { }"] if batch else [])], python=True)
        if name == TRACKING:
            _write_ensemble(directory, version / "model", outputs, instances)
    return directory


def ports(signature: Signature, which: str) -> tuple[Port, ...]:
    """Tensors of a signature as a configuration has them: without the dimension of the batch."""
    start = int(signature.max_batch_size > 0)
    return tuple(
        Port(
            name=tensor.name,
            data_type=tensor.data_type,
            dims=tuple(size if isinstance(size, int) else -1 for size in tensor.shape[start:]),
            optional=tensor.optional,
        )
        for tensor in getattr(signature, which)
    )


def head(name: str, batch: int) -> list[str]:
    """First lines of a configuration."""
    return [f'name: "{name}"', f"max_batch_size: {batch}"]


def tensors(inputs: Sequence[Port], outputs: Sequence[Port]) -> list[str]:
    """Lines of the inputs and outputs."""
    return [
        f'{kind} [ {{ name: "{port.name}" data_type: {port.data_type} dims: [ {", ".join(map(str, port.dims))} ]'
        f"{' optional: true' if port.optional else ''} }} ]"
        for kind, group in (("input", inputs), ("output", outputs))
        for port in group
    ]


def python_lines(parameters: Mapping[str, str], instances: int) -> list[str]:
    """Lines of a model of the Python backend."""
    lines = ['backend: "python"', f"instance_group [ {{ kind: KIND_CPU count: {instances} }} ]"]
    return lines + [
        f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}' for key, value in parameters.items()
    ]


def ensemble_lines(steps: Sequence[Step], given: Sequence[Port]) -> list[str]:
    """Lines that join steps by the names of their tensors; Triton refuses an output that nobody takes."""
    used = {port.name for port in (*given, *(port for step in steps for port in step.inputs))}
    lines = ['platform: "ensemble"', "ensemble_scheduling {"]
    for step in steps:
        maps = [
            f'{kind} {{ key: "{port.name}" value: "{port.name}" }}'
            for kind, group in (("input_map", step.inputs), ("output_map", step.outputs))
            for port in group
            if port.name in used
        ]
        lines.append(f'  step [ {{ model_name: "step_{step.name}" model_version: -1 {" ".join(maps)} }} ]')
    return [*lines, "}"]


@contextmanager
def serve(repository: Path, folder: Path) -> Iterator[TritonServer]:
    """Server of such a repository; what it logs is kept in `folder`."""
    backends = folder / "backends"
    python = backends / "python"
    if not backends.exists():
        python.mkdir(parents=True)
        for name, path in find_python_backend().items():
            (python / name).symlink_to(path)
    before = os.environ.get("LD_LIBRARY_PATH")
    # The stub is linked with libpython: that of this interpreter, whose packages the models import.
    os.environ["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, [sysconfig.get_config_var("LIBDIR"), before]))
    try:
        with _Server(repository=repository, log=folder / f"{repository.name}.log", backends=backends) as server:
            yield server
    finally:
        if before is None:
            del os.environ["LD_LIBRARY_PATH"]
        else:
            os.environ["LD_LIBRARY_PATH"] = before


@dataclass(kw_only=True)
class _Server(TritonServer):
    """The server, with a folder of backends that holds the Python backend beside ours."""

    backends: Path

    def _command(self, *arguments: Any, **named: Any) -> list[str]:  # noqa: ANN401 - handed on as they come
        option = "--backend-directory="
        found = super()._command(*arguments, **named)
        ours = next(Path(each.removeprefix(option)) for each in found if each.startswith(option))
        link = self.backends / BACKEND_NAME
        link.unlink(missing_ok=True)
        link.symlink_to(ours / BACKEND_NAME)
        kept = [each for each in found if not each.startswith(option)]
        return [*kept, f"{option}{self.backends}"]


def _write_ensemble(directory: Path, chain: Path, outputs: Sequence[Port], instances: int) -> None:
    for step in STEPS:
        lines = [*head(f"step_{step.name}", 0), *tensors(step.inputs, step.outputs)]
        parameters = {"step": step.name, "directory": str(chain)}
        _write(directory, f"step_{step.name}", [*lines, *python_lines(parameters, instances)], python=True)
    made = {port.name for step in STEPS for port in step.outputs}
    given = [port for port in outputs if port.name in made]  # an ensemble cannot echo an input that may be left out
    name = f"{TRACKING}_{ENSEMBLE}"
    _write(directory, name, [*head(name, 0), *tensors((FEATURES,), given), *ensemble_lines(STEPS, given)], python=False)


def _write(directory: Path, name: str, lines: Sequence[str], *, python: bool) -> None:
    version = directory / name / VERSION_DIRECTORY
    version.mkdir(parents=True)
    (directory / name / "config.pbtxt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if python:
        paths = [str(find_stub_numpy()), str(Path(__file__).parent), *filter(os.path.isdir, sys.path)]
        text = MODEL_FILE.format(paths=paths, packages=sysconfig.get_path("purelib"))
        (version / "model.py").write_text(text, encoding="utf-8")
