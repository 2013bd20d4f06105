"""An RTL project on disk: what it holds, and whether it is still what was written."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from ..core import GraphError, StrictModel, cache_directory
from ..quantization import TypedGraph
from .manifest import GRAPH_FOLDER, checked_graph, file_hash, load_or_write, read_manifest, save_manifest
from .rtl_config import RtlConfig
from .rtl_fields import Core, Field
from .rtl_passes import Domain

ENGINE_TOP = "hitfabric_engine"
ROOM = Path(__file__).parent
WRITERS = ("rtl_engine*.py", "rtl_core*.py", "rtl_passes.py", "rtl_accumulators.py", "rtl_fields.py", "rtl_config.py")
WRITERS += ("rtl_project.py",)
COMMAND = "hitfabric build --rtl"


@dataclass(frozen=True, kw_only=True)
class RtlStream:
    """An AXI4-Stream of rows: some lanes per beat, the lowest first, and `tlast` on the last beat of a graph.

    Attributes:
        name: Prefix of its ports, such as `s_axis_nodes`.
        direction: `in` or `out`, seen from the engine.
        domain: What a row is: `"N"` node, `"E"` edge, `"R"` independent row.
        lanes: Rows per beat; those beyond the count of the graph mean nothing.
        word_bits: Bits of one lane, a multiple of 8: the fields, the first lowest, then zeros.
        fields: Tensors of a row; an edge index is one field of two features, sender and receiver.
    """

    name: str
    direction: Literal["in", "out"]
    domain: Domain
    lanes: int
    word_bits: int
    fields: tuple[Field, ...]

    @classmethod
    def of(
        cls, name: str, *, direction: Literal["in", "out"], domain: Domain, lanes: int, fields: tuple[Field, ...]
    ) -> RtlStream:
        """A stream whose words hold `fields` and end at a whole byte."""
        bits = sum(field.width for field in fields)
        return cls(
            name=name, direction=direction, domain=domain, lanes=lanes, word_bits=-(-bits // 8) * 8, fields=fields
        )


@dataclass(frozen=True, kw_only=True)
class RtlPass:
    """A pass as it was built.

    Attributes:
        name: Such as `edges1`.
        domain: What its rows are.
        lanes: Rows per cycle.
        latency: Cycles from the issue of a row until its results can be read, or have entered the output FIFO.
        buffers: Graphs whose results it can hold at a time.
    """

    name: str
    domain: Domain
    lanes: int
    latency: int
    buffers: int


@dataclass(frozen=True, kw_only=True)
class RtlProject:
    """The RTL of one network.

    Attributes:
        directory: Its folder; may be moved.
        top: Name of the top module.
        graph: The network, for the maxima built.
        sources: Verilog files, absolute.
        streams: Streams of rows; besides them there are `s_axis_graph` (headers) and `m_axis_status`.
        config: How it was written.
        passes: Passes in order.
        cores: Cores, one for each pass that computes.
        edge_order: None where edges may come in any order; else the column of the edge index by which the edges of
            a graph must ascend (padding last). What does not is flagged in the status, and that graph's results are
            wrong.
    """

    directory: Path
    top: str
    graph: TypedGraph
    sources: tuple[Path, ...]
    streams: tuple[RtlStream, ...]
    config: RtlConfig
    passes: tuple[RtlPass, ...]
    cores: tuple[Core, ...]
    edge_order: Literal[0, 1] | None = None

    def stream(self, name: str) -> RtlStream:
        """The stream of a name.

        Raises:
            GraphError: The engine of this network has none of that name.
        """
        for stream in self.streams:
            if stream.name == name:
                return stream
        names = [stream.name for stream in self.streams]
        raise GraphError(f"the engine of {self.graph.name} has no stream {name}", remedy=f"use one of {names}")

    @classmethod
    def load(cls, directory: Path) -> RtlProject:
        """Read a project, checking that its files are those written.

        Raises:
            GraphError: A file is missing, malformed or altered.
        """
        directory = directory.absolute()
        stored = read_manifest(RtlProjectFile, directory, command=COMMAND)
        return cls(
            directory=directory,
            top=stored.top,
            graph=checked_graph(directory, stored.sha256, stored.graph_digest, command=COMMAND),
            sources=tuple(directory / name for name in stored.sources),
            streams=stored.streams,
            config=stored.config,
            passes=stored.passes,
            cores=tuple(_moved(core, directory) for core in stored.cores),
            edge_order=stored.edge_order,
        )


class RtlProjectFile(StrictModel):
    """project.json."""

    schema_version: Literal[1] = 1
    kind: Literal["rtl"] = "rtl"
    top: str
    config: RtlConfig
    graph_digest: str
    sources: tuple[str, ...]
    streams: tuple[RtlStream, ...]
    passes: tuple[RtlPass, ...]
    cores: tuple[Core, ...]
    edge_order: Literal[0, 1] | None
    sha256: dict[str, str]


def write_rtl_manifest(project: RtlProject) -> None:
    """Write project.json with the hashes of every file that decides results, paths within the project's folder."""
    directory = project.directory
    names = [path.relative_to(directory).as_posix() for path in project.sources]
    kept = sorted(path.relative_to(directory).as_posix() for path in (directory / GRAPH_FOLDER).rglob("*"))
    stored = RtlProjectFile(
        top=project.top,
        config=project.config,
        graph_digest=project.graph.digest,
        sources=tuple(names),
        streams=project.streams,
        passes=project.passes,
        cores=tuple(_moved(core, directory, inside=True) for core in project.cores),
        edge_order=project.edge_order,
        sha256={name: file_hash(directory / name, command=COMMAND) for name in [*names, *kept]},
    )
    save_manifest(directory, stored)


def write_rtl_project(graph: TypedGraph, directory: Path, *, config: RtlConfig | None = None) -> RtlProject:
    """Write the RTL of a network, whole or not at all.

    Args:
        graph: The network.
        directory: Folder to write; an existing one is replaced.
        config: How to write it.

    Returns:
        The project, whose top module is `hitfabric_engine`.

    Raises:
        GraphError: The engine cannot hold the network; the message names what.
        ToolError: da4ml is not installed.
    """
    from .rtl_engine import write_engine

    return write_engine(graph, directory.absolute(), config=config or RtlConfig())


def cached_rtl_project(graph: TypedGraph, *, config: RtlConfig | None = None) -> RtlProject:
    """The RTL project of a network in the user's cache; written where it is not there, or not whole.

    Args:
        graph: The network.
        config: How to write it.

    Returns:
        The project, in `$XDG_CACHE_HOME/hitfabric/rtl` (or below `~/.cache`), named by everything it is made from.

    Raises:
        GraphError: The engine cannot hold the network.
        ToolError: da4ml is not installed.
    """
    config = config or RtlConfig()
    made_from = [graph.digest, config.model_dump(mode="json"), rtl_writer_digest()]
    key = hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:16]
    place = cache_directory() / "rtl" / f"{graph.name}-{key}"
    return load_or_write(
        place, load=RtlProject.load, write=lambda folder: write_rtl_project(graph, folder, config=config)
    )


def rtl_writers() -> list[Path]:
    """The code that decides what a project holds; simulation, estimates and the rest of the chain do not."""
    return sorted([*(path for name in WRITERS for path in ROOM.glob(name)), *(ROOM / "rtl").glob("hitfabric_*.v")])


def rtl_writer_digest() -> str:
    """Hash of the code that writes RTL, so that a new version does not find the projects of an old one."""
    digest = hashlib.sha256()
    for path in rtl_writers():
        digest.update(path.read_bytes())
    try:
        digest.update(version("da4ml").encode())
    except PackageNotFoundError:  # cores of shift-add form need none
        digest.update(b"none")
    return digest.hexdigest()


def _moved(core: Core, directory: Path, *, inside: bool = False) -> Core:
    """A core whose files are named within the project's folder, or from the root again."""
    paths = tuple(path.relative_to(directory) if inside else directory / path for path in core.sources)
    return replace(core, sources=paths)
