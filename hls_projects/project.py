"""An hls4ml project on disk: what it holds, and whether it is still what was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ..core import ConfigError, StrictModel
from ..quantization import TypedGraph
from .manifest import GRAPH_FOLDER, checked_graph, file_hash, read_manifest, save_manifest

ENTRY_FILE = "csim_entry.cpp"
MAXIMAL_PARALLELISM = 64  # lanes; the aggregate keeps a bank of the node memory for each of them
COMMAND = "hitfabric build"

Backend = Literal["Vitis", "Vivado", "Quartus"]
Design = Literal["throughput", "dataflow"]
IoType = Literal["io_parallel", "io_stream"]
IO_TYPES: Mapping[Design, IoType] = {"throughput": "io_parallel", "dataflow": "io_stream"}
DESIGNS: Mapping[IoType, Design] = {io_type: design for design, io_type in IO_TYPES.items()}
PARTS: Mapping[Backend, str] = {
    "Vitis": "xcvu13p-flga2577-2-e",
    "Vivado": "xcvu13p-flga2577-2-e",
    "Quartus": "Arria10",
}


class ProjectConfig(StrictModel):
    """How a network becomes an hls4ml project.

    `resolved(graph)` fills what is None: graph networks become `dataflow`, networks of rows `throughput`.

    Attributes:
        backend: hls4ml backend.
        design: `throughput` (everything at once in registers, small networks) or `dataflow` (streams of nodes and
            edges through memories).
        io_type: hls4ml's name of the design's interface: `io_parallel` for throughput, `io_stream` for dataflow.
        part: FPGA part; None takes the backend's usual one.
        clock_period: Target clock period, ns.
        reuse_factor: Multiplications per multiplier; also the initiation interval. The Resource strategy takes the
            nearest factor that each layer allows.
        parallelism: Lanes of the dataflow design: nodes or edges per packet, and per cycle.
        strategy: hls4ml's strategy for dense layers; the Quartus backend has Resource alone.
        stream_depths: Depth of the stream behind a layer, by layer name; hls4ml's own choice where a layer is not
            named. Dataflow only.
    """

    backend: Backend = "Vitis"
    design: Design | None = None
    io_type: IoType | None = None
    part: str | None = Field(default=None, pattern=r"^[\w.+-]+$")  # it stands in Tcl and make
    clock_period: float = Field(default=5.0, gt=0, allow_inf_nan=False)
    reuse_factor: int = Field(default=1, ge=1)
    parallelism: int = Field(default=1, ge=1, le=MAXIMAL_PARALLELISM)
    strategy: Literal["Latency", "Resource"] = "Latency"
    stream_depths: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> ProjectConfig:
        design = self.design or (DESIGNS[self.io_type] if self.io_type else None)
        if self.design and self.io_type and IO_TYPES[self.design] != self.io_type:
            raise ValueError(
                f"design {self.design} is {IO_TYPES[self.design]}, not {self.io_type}; give one of design and io_type"
            )
        if design == "throughput" and self.parallelism > 1:
            raise ValueError(
                f"parallelism {self.parallelism} is of the dataflow design; throughput takes a whole graph at once"
            )
        if design == "throughput" and self.stream_depths:
            raise ValueError("stream_depths are of the dataflow design; throughput has no streams")
        if self.backend == "Quartus" and self.parallelism > 1:
            raise ValueError(f"parallelism {self.parallelism}: the Quartus kernels have one lane")
        if self.backend == "Quartus" and self.strategy == "Latency" and "strategy" in self.model_fields_set:
            raise ValueError("strategy Latency: hls4ml's Quartus backend has Resource alone")
        return self

    def resolved(self, graph: TypedGraph) -> ProjectConfig:
        """The same configuration with design, io_type and part decided for `graph`.

        Raises:
            ConfigError: The configuration asks for what a network of this kind does not have.
        """
        dataflow = self.parallelism > 1 or bool(self.stream_depths) or graph.is_graph_network
        design = self.design or (DESIGNS[self.io_type] if self.io_type else "dataflow" if dataflow else "throughput")
        if self.parallelism > 1 and not graph.is_graph_network:
            raise ConfigError(
                f"parallelism {self.parallelism}: {graph.name} takes independent rows, one per call",
                remedy="set parallelism to 1, or use the throughput design",
            )
        filled = {"design": design, "io_type": IO_TYPES[design], "part": self.part or PARTS[self.backend]}
        if self.backend == "Quartus":
            filled["strategy"] = "Resource"
        return self.model_copy(update=filled)


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
        accumulator_widths: Accumulators narrower than proven, by Dense or EdgeAggregate node: planted faults.
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
        stored = read_manifest(ProjectFile, directory, command=COMMAND)
        return cls(
            directory=directory,
            name=stored.name,
            graph=checked_graph(directory, stored.sha256, stored.graph_digest, command=COMMAND),
            config=stored.config,
            traced=stored.traced,
            accumulator_widths=stored.accumulator_widths,
        )


def write_manifest(project: HlsProject) -> None:
    """Write project.json with the hashes of every source that decides results."""
    directory = project.directory
    files = [ENTRY_FILE] + [
        str(path.relative_to(directory))
        for folder in ("firmware", "bounded", GRAPH_FOLDER)
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
        sha256={file: file_hash(directory / file, command=COMMAND) for file in files},
    )
    save_manifest(directory, stored)
