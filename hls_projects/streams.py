"""The streams of a dataflow design: their depths, and the top function with bounded streams for simulation.

What is simulated is derived from the written top function, the text that synthesis reads, so that layers, streams and
depths are declared in one place only.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core import GraphError
from .project import HlsProject, ProjectConfig

BOUNDED_FOLDER = "bounded"
HEADERS = Path(__file__).parent / "kernels" / BOUNDED_FOLDER
BACKENDS = ("Vitis", "Vivado")

_TOP = re.compile(r"^void (?P<name>\w+)\((?P<arguments>[^)]*)\) \{\n(?P<body>.*?)^\}", flags=re.MULTILINE | re.DOTALL)
_PORT = re.compile(r"hls::stream<\w+> &(\w+)")
_STREAM = re.compile(r'(hls::stream<\w+>) (?P<name>\w+)\("(?P=name)"\);')
_DEPTH = re.compile(r"#pragma HLS STREAM variable=(?P<name>\w+) depth=(?P<depth>[1-9]\d*)")
_CALL = re.compile(r"(?P<call>[\w:]+(?:<[^()]*>)?\((?P<arguments>[^()]*)\);)(?: // (?P<layer>\w+))?")
_TRACE = re.compile(r'nnet::save_layer_output<\w+>\((?P<stream>\w+), "(?P<layer>\w+)", [\d*]+\);')
_IGNORED = re.compile(r"|#pragma HLS (INTERFACE|DATAFLOW).*|#ifndef __SYNTHESIS__|#endif|// .*")
_LAYER = re.compile(r"// (\w+)")


@dataclass(frozen=True, kw_only=True)
class Stream:
    """A FIFO between two layers.

    Attributes:
        name: Its name in the C++.
        kind: Its C++ type.
        depth: Packets it holds, as declared for synthesis.
        writer: Layer that writes it.
        reader: Layer that reads it.
    """

    name: str
    kind: str
    depth: int
    writer: str
    reader: str

    def __str__(self) -> str:
        return f"{self.name} ({self.writer} to {self.reader})"


@dataclass(frozen=True, kw_only=True)
class _Call:
    layer: str
    text: str
    streams: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Dataflow:
    """A dataflow top function.

    Attributes:
        name: Name of the function.
        arguments: Its arguments, as written.
        streams: Its FIFOs in the order declared.
        calls: Its processes in the order of data flow.
        inputs: Names of the ports it reads.
        traced: Stream whose packets are the values of a traced layer, by layer.
    """

    name: str
    arguments: str
    streams: tuple[Stream, ...]
    calls: tuple[_Call, ...]
    inputs: tuple[str, ...]
    traced: Mapping[str, str]


def project_streams(project: HlsProject) -> tuple[Stream, ...]:
    """The FIFOs of a project, in the order of the C entry's arrays.

    Raises:
        GraphError: The project is no dataflow design of a backend whose streams are known.
    """
    check_has_streams(project)
    return _read_project(project.directory, project.name, inputs=len(project.graph.inputs)).streams


def check_has_streams(project: HlsProject) -> None:
    """Refuse a project without FIFOs.

    Raises:
        GraphError: As described.
    """
    if project.config.io_type != "io_stream":
        raise GraphError(f"{project.name} is io_parallel: it has no FIFOs", remedy="use the dataflow design")
    if project.config.backend not in BACKENDS:
        raise GraphError(
            f"bounded FIFOs are not simulated for the {project.config.backend} backend",
            remedy=f"use one of {', '.join(BACKENDS)}",
        )


def set_stream_depths(model: Any, config: ProjectConfig) -> None:  # noqa: ANN401 - hls4ml is untyped
    """Set what an hls4ml model declares to synthesis as depths of its streams.

    Args:
        model: The model, before it is written.
        config: Its `stream_depths` name a layer (the stream behind it and, where several layers read that, the copies
            made of it) or one stream, as errors and `stream_usage` name them; a stream's entry goes before its layer's.

    Raises:
        GraphError: A name is neither, or a port, or the backend is none of those whose streams are known.
    """
    depths = config.stream_depths
    if not depths:
        return
    if config.backend not in BACKENDS:
        raise GraphError(
            f"stream_depths cannot be set for the {config.backend} backend", remedy=f"use {' or '.join(BACKENDS)}"
        )
    ports = {variable.name for variable in (*model.get_input_variables(), *model.get_output_variables())}
    variables: dict[str, list[Any]] = {}
    for layer in model.get_layers():
        source = layer.get_input_node().name if layer.class_name == "Clone" else layer.name
        for variable in layer.get_variables():
            if variable.name not in ports and isinstance(variable.pragma, tuple) and variable.pragma[0] == "stream":
                for name in {layer.name, source}:
                    variables.setdefault(name, []).append(variable)
    streams = {variable.name: [variable] for found in variables.values() for variable in found}
    unknown = sorted(set(depths) - set(variables) - set(streams))
    if unknown:
        raise GraphError(
            f"stream_depths names {', '.join(unknown)}, but no stream is behind a layer of that name",
            remedy=f"use some of {', '.join(variables)}",
        )
    for known in (variables, streams):
        for name in known.keys() & depths.keys():
            for variable in known[name]:
                variable.pragma = ("stream", depths[name])


def write_bounded(directory: Path, name: str, *, inputs: int) -> None:
    """Write the top function with bounded streams, beside the firmware it is derived from.

    Args:
        directory: Folder of an io_stream project whose firmware is written.
        name: Name of the top function.
        inputs: How many of its ports are inputs; they come first.

    Raises:
        GraphError: The firmware holds a line that this cannot be derived from.
    """
    dataflow = _read_project(directory, name, inputs=inputs)
    folder = directory / BOUNDED_FOLDER
    folder.mkdir()
    for header in sorted(HEADERS.glob("*.h")):
        shutil.copyfile(header, folder / header.name)
    (folder / f"{name}.cpp").write_text(_source(dataflow), encoding="utf-8")


def _read_project(directory: Path, name: str, *, inputs: int) -> Dataflow:
    path = directory / "firmware" / f"{name}.cpp"
    try:
        return read_dataflow(path.read_text(encoding="utf-8"), inputs=inputs)
    except OSError as error:
        raise GraphError(f"cannot read {path}: {error.strerror}", remedy="write the project again") from error


def read_dataflow(text: str, *, inputs: int) -> Dataflow:
    """Read a dataflow top function as hls4ml writes it.

    Args:
        text: C++ source.
        inputs: How many of its ports are inputs; they come first.

    Returns:
        Its streams and calls.

    Raises:
        GraphError: A line is not known, a stream has no depth, or not one writer and one reader.
    """
    top = _TOP.search(text)
    if top is None or "#pragma HLS DATAFLOW" not in top["body"]:
        raise _unexpected("no top function with DATAFLOW")
    ports = _PORT.findall(top["arguments"])
    kinds: dict[str, str] = {}
    depths: dict[str, int] = {}
    calls: list[_Call] = []
    traced: dict[str, str] = {}
    layer = ""
    for line in (line.strip() for line in top["body"].splitlines()):
        if found := _STREAM.fullmatch(line):
            kinds[found["name"]] = found[1]
        elif found := _DEPTH.fullmatch(line):
            depths[found["name"]] = int(found["depth"])
        elif found := _TRACE.fullmatch(line):
            traced[found["layer"]] = found["stream"]
        elif found := _CALL.fullmatch(line):
            used = [argument.strip() for argument in found["arguments"].split(",")]
            streams = tuple(argument for argument in used if argument in kinds or argument in ports)
            calls.append(_Call(layer=found["layer"] or layer, text=found["call"], streams=streams))
        elif found := _LAYER.fullmatch(line):
            layer = found[1]  # hls4ml names a layer of several calls in a line before them
        elif not _IGNORED.fullmatch(line):
            raise _unexpected(f"the line {line!r}")
    if kinds.keys() != depths.keys():
        raise _unexpected(f"streams without a depth: {sorted(kinds.keys() ^ depths.keys())}")
    return Dataflow(
        name=top["name"],
        arguments=top["arguments"],
        streams=tuple(_stream(name, kinds[name], depths[name], calls) for name in kinds),
        calls=tuple(calls),
        inputs=tuple(ports[:inputs]),
        traced=traced,
    )


def _stream(name: str, kind: str, depth: int, calls: list[_Call]) -> Stream:
    users = [call.layer for call in calls if name in call.streams]
    if len(users) != 2:
        raise _unexpected(f"stream {name} used by {users or 'nobody'}")
    return Stream(name=name, kind=kind, depth=depth, writer=users[0], reader=users[1])


def _unexpected(what: str) -> GraphError:
    return GraphError(f"the firmware has {what}, not known as a dataflow design", remedy="install hls4ml 1.3.0")


def _source(dataflow: Dataflow) -> str:
    """C++ of the same top function, each call a process."""
    lines = [
        f"// firmware/{dataflow.name}.cpp for simulation with streams of the depths declared there: each call is a",
        "// process that blocks where hardware would. Written by hitfabric; not synthesised.",
        "",
        f'#include "../firmware/{dataflow.name}.h"',
        '#include "../firmware/parameters.h"',
        '#include "process_network.h"',
        "",
        f"void {dataflow.name}({dataflow.arguments}) {{",
        "    auto trace = [](const char *layer) -> double * {",
        "        if (!nnet::trace_enabled || nnet::trace_outputs == nullptr || !nnet::trace_outputs->count(layer))",
        "            return nullptr;",
        "        return static_cast<double *>((*nnet::trace_outputs)[layer]);",
        "    };",
    ]
    for stream in dataflow.streams:
        lines.append(f'    {stream.kind} {stream.name}("{stream.name}");')
    for layer, stream in dataflow.traced.items():
        lines.append(f'    if (double *target = trace("{layer}")) {stream}.tap(target);')
    lines.append("    hitfabric::Network network;")
    for stream in dataflow.streams:
        writer, reader = (k for k, call in enumerate(dataflow.calls) if stream.name in call.streams)
        lines.append(f"    network.declare({stream.name}.fifo(), {stream.depth}, {writer}, {reader});")
    for call in dataflow.calls:
        reads_port = str(any(name in dataflow.inputs for name in call.streams)).lower()
        lines.append(f'    network.process("{call.layer}", {reads_port}, [&] {{ {call.text} }});')
    return "\n".join([*lines, "    network.run();", "}", ""])
