"""An hls4ml project on disk: what it holds, and whether it is still what was written."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from ..core import GraphError, StrictModel
from ..quantization import TypedGraph

MANIFEST = "project.json"
GRAPH_FOLDER = "typed_graph"
ENTRY_FILE = "csim_entry.cpp"
REMEDY = "write the project again with hitfabric build"


class ProjectConfig(StrictModel):
    """How a network becomes an hls4ml project.

    Attributes:
        backend: hls4ml backend.
        io_type: `io_stream` (one row, node or edge per packet) or `io_parallel` (everything at once, small networks);
            None takes io_stream for graph networks and io_parallel for networks of rows.
        part: FPGA part.
        clock_period: Target clock period, ns.
        reuse_factor: Multiplications per multiplier; also the initiation interval. The Resource strategy takes the
            nearest factor that each layer allows.
        strategy: hls4ml's strategy for dense layers.
    """

    backend: Literal["Vitis", "Vivado"] = "Vitis"
    io_type: Literal["io_parallel", "io_stream"] | None = None
    part: str = "xcvu13p-flga2577-2-e"
    clock_period: float = Field(default=5.0, gt=0)
    reuse_factor: int = Field(default=1, ge=1)
    strategy: Literal["Latency", "Resource"] = "Latency"

    def resolved(self, graph: TypedGraph) -> ProjectConfig:
        """The same configuration with `io_type` decided for `graph`."""
        if self.io_type is not None:
            return self
        return self.model_copy(update={"io_type": "io_stream" if graph.is_graph_network else "io_parallel"})


class ProjectFile(StrictModel):
    """project.json."""

    schema_version: Literal[1] = 1
    name: str
    config: ProjectConfig
    graph_digest: str
    traced: dict[str, str]
    accumulator_widths: dict[str, int]
    hls4ml_version: str
    sha256: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class HlsProject:
    """An hls4ml project of one network.

    Attributes:
        directory: Its folder; may be moved.
        name: Name of the top function.
        graph: The network.
        config: How it was written.
        traced: Layer that computes each Requantize node, in the order of the C entry's arrays.
        accumulator_widths: Accumulators narrower than proven, by Dense node: planted faults.
    """

    directory: Path
    name: str
    graph: TypedGraph
    config: ProjectConfig
    traced: dict[str, str]
    accumulator_widths: dict[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, directory: Path) -> HlsProject:
        """Read a project, checking that its sources are those written.

        Raises:
            GraphError: A file is missing, malformed or altered.
        """
        stored = _read_manifest(directory)
        for name, digest in stored.sha256.items():
            if _file_hash(directory, name) != digest:
                raise GraphError(f"{directory / name} differs from {MANIFEST}", remedy=REMEDY)
        graph = TypedGraph.load(directory / GRAPH_FOLDER)
        if graph.digest != stored.graph_digest:
            raise GraphError(f"{directory / GRAPH_FOLDER} is not the graph of the project", remedy=REMEDY)
        return cls(
            directory=directory,
            name=stored.name,
            graph=graph,
            config=stored.config,
            traced=stored.traced,
            accumulator_widths=stored.accumulator_widths,
        )


def write_manifest(project: HlsProject) -> None:
    """Write project.json with the hashes of every source that decides results."""
    directory = project.directory
    files = [ENTRY_FILE] + [
        str(path.relative_to(directory))
        for folder in ("firmware", GRAPH_FOLDER)
        for path in sorted((directory / folder).rglob("*"))
        if path.is_file()
    ]
    stored = ProjectFile(
        name=project.name,
        config=project.config,
        graph_digest=project.graph.digest,
        traced=project.traced,
        accumulator_widths=project.accumulator_widths,
        hls4ml_version=version("hls4ml"),
        sha256={file: _file_hash(directory, file) for file in files},
    )
    (directory / MANIFEST).write_text(json.dumps(stored.model_dump(mode="json"), indent=1) + "\n", encoding="utf-8")


def _read_manifest(directory: Path) -> ProjectFile:
    path = directory / MANIFEST
    try:
        return ProjectFile.model_validate_json(path.read_bytes())
    except OSError as error:
        raise GraphError(
            f"cannot read {path}: {error.strerror}", remedy="give a project written by hitfabric build"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise GraphError(f"{path}: {place or 'file'}: {first['msg']}", remedy=REMEDY) from error


def _file_hash(directory: Path, name: str) -> str:
    try:
        return hashlib.sha256((directory / name).read_bytes()).hexdigest()
    except OSError as error:
        raise GraphError(f"cannot read {directory / name}: {error.strerror}", remedy=REMEDY) from error
