"""The AXI wrapper that makes a network a kernel of an Alveo card, and its test bench.

The wrapper has one memory buffer per tensor and calls the network once per row or graph: read, network and write are
processes of one dataflow region. It is C++ for `v++`, and for g++ with the bundled ap_types.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..quantization import Input, Output, TypedGraph
from .project import ProjectConfig

TEMPLATES = Path(__file__).parent / "templates"
FOLDER = "kernel"
WORD_BITS = 32
STREAM_DEPTH = 64  # of the streams between memory and network: covers a burst of 64 beats


@dataclass(frozen=True, kw_only=True)
class Port:
    """One buffer of the kernel, and the argument of the top function that it feeds or takes.

    Attributes:
        tensor: Name of the graph's input or output.
        argument: Name of the stream or array in the kernel.
        stream_type: C++ type of what travels in the stream: a packet (io_stream) or one number.
        number_type: C++ type of one number.
        size: Numbers per row or graph.
        word: C++ type of a word.
        is_input: Whether the kernel reads it.
    """

    tensor: str
    argument: str
    stream_type: str
    number_type: str
    size: int
    word: str
    is_input: bool

    @property
    def buffer(self) -> str:
        """Name of the kernel's argument."""
        return f"{self.tensor}_words"


def word_bits(node: Input | Output) -> int:
    """Bits of a buffer's word: 32, or 64 where the tensor's format is wider."""
    return WORD_BITS if node.tensor.format.width <= WORD_BITS else 2 * WORD_BITS


def write_kernel(directory: Path, *, name: str, graph: TypedGraph, config: ProjectConfig, model: Any) -> None:  # noqa: ANN401 - hls4ml is untyped
    """Write the kernel, its test bench and the configurations of v++ to `kernel/`.

    Args:
        directory: Folder of the project.
        name: Name of the project; the kernel is `<name>_kernel`.
        graph: The network.
        config: How the project is written, resolved.
        model: hls4ml's model, whose variables are the arguments of the top function.
    """
    ports = _ports(graph, model, streams=config.io_type == "io_stream")
    folder = directory / FOLDER
    folder.mkdir()
    (folder / "axi_words.h").write_text(_template("axi_words.h"), encoding="utf-8")
    kernel = kernel_source(name, graph, ports, streams=config.io_type == "io_stream")
    (folder / f"{name}_kernel.cpp").write_text(kernel, encoding="utf-8")
    (folder / f"{name}_kernel_test.cpp").write_text(kernel_test_source(name, ports), encoding="utf-8")
    hertz = round(1e9 / config.clock_period)
    (folder / "compile.cfg").write_text(f"[hls]\nclock={hertz}:{name}_kernel\n", encoding="utf-8")
    for memory in ("HBM", "DDR"):
        text = link_config(name, ports, memory=memory, hertz=hertz)
        (folder / f"link_{memory}.cfg").write_text(text, encoding="utf-8")


def kernel_source(name: str, graph: TypedGraph, ports: list[Port], *, streams: bool) -> str:
    """C++ of the kernel."""
    processes = [_process(port, read=True, streams=streams) for port in ports if port.is_input]
    processes.append(f"run_network({', '.join(port.argument for port in ports)}, count);")
    processes += [_process(port, read=False, streams=streams) for port in ports if not port.is_input]
    declarations = []
    for port in ports:
        declarations.append(f'hls::stream<{port.stream_type}> {port.argument}("{port.argument}");')
        declarations.append(f"#pragma HLS STREAM variable={port.argument} depth={STREAM_DEPTH}")
    interfaces = [
        line
        for port in ports
        for line in (
            f"#pragma HLS INTERFACE m_axi port={port.buffer} offset=slave bundle=gmem_{port.tensor}",
            f"#pragma HLS INTERFACE s_axilite port={port.buffer} bundle=control",
        )
    ]
    return string.Template(_template("kernel.cpp.in")).substitute(
        project=name,
        buffers="\n".join(f"//   {port.buffer}: {port.size} {port.word} each" for port in ports),
        padding=graph.maxima.nodes,
        streams=", ".join(f"hls::stream<{port.stream_type}> &{port.argument}" for port in ports),
        network=_lines(_network(name, ports, streams=streams), spaces=8),
        arguments=_arguments(ports),
        interfaces=_lines(interfaces),
        declarations=_lines(declarations),
        body=_lines(processes),
    )


def kernel_test_source(name: str, ports: list[Port]) -> str:
    """C++ of the kernel's test bench, which reads what `write_vectors` writes."""
    tables, checks, comparisons = [], [], []
    for port in ports:
        tables.append(f'const Table {port.tensor} = read_table("{port.tensor}", {port.size});')
        checks.append(f"if ({port.tensor}.values.size() != count * {port.size}) {{")
        checks.append(f'    std::cerr << "tb_data/{port.tensor}.txt has another number of lines than the first\\n";')
        checks.append("    return 2;")
        checks.append("}")
        if port.is_input:
            checks.append(f"auto {port.buffer} = to_buffer<{port.number_type}, {port.word}>({port.tensor});")
        else:
            filled = f"(count * {port.size} + GUARD, {port.word}(GUARD_WORD))"
            checks.append(f"std::vector<{port.word}> {port.buffer}{filled};")
            comparisons.append(
                f'mismatches += check<{port.number_type}>("{port.tensor}", {port.tensor}, {port.buffer});'
            )
    return string.Template(_template("kernel_test.cpp.in")).substitute(
        project=name,
        arguments=_arguments(ports),
        tables=_lines(tables),
        first=ports[0].tensor,
        first_size=ports[0].size,
        checks=_lines(checks),
        buffers=", ".join(f"{port.buffer}.data()" for port in ports),
        comparisons=_lines(comparisons),
    )


def link_config(name: str, ports: list[Port], *, memory: str, hertz: int) -> str:
    """Configuration of `v++ -l`: banks and clock.

    HBM gives each buffer a channel of its own; DDR, of which the smallest cards have two banks, keeps inputs and
    outputs apart.
    """
    # A bitstream has 63 characters for the names of kernel and unit together.
    unit = f"{name.removeprefix('hitfabric_')}_1"
    lines = ["[connectivity]", f"nk={name}_kernel:1:{unit}"]
    for place, port in enumerate(ports):
        bank = place if memory == "HBM" else int(not port.is_input)
        lines.append(f"sp={unit}.{port.buffer}:{memory}[{bank}]")
    return "\n".join([*lines, "", "[clock]", f"freqHz={hertz}:{unit}", ""])


def _ports(graph: TypedGraph, model: Any, *, streams: bool) -> list[Port]:  # noqa: ANN401 - hls4ml is untyped
    nodes: list[Input | Output] = [*graph.inputs, *graph.outputs]
    variables = [*model.get_input_variables(), *model.get_output_variables()]
    return [
        Port(
            tensor=node.name,
            argument=variable.name,
            stream_type=variable.type.name,
            number_type=f"{variable.type.name}::value_type" if streams else variable.type.name,
            size=int(variable.size()),
            word=f"int{word_bits(node)}_t",
            is_input=isinstance(node, Input),
        )
        for node, variable in zip(nodes, variables, strict=True)
    ]


def _process(port: Port, *, read: bool, streams: bool) -> str:
    verb = "read" if read else "write"
    call = f"{verb}_packets<{port.size} / {port.stream_type}::size>" if streams else f"{verb}_numbers<{port.size}>"
    return f"hitfabric::{call}({port.buffer}, {port.argument}, count);"


def _network(name: str, ports: list[Port], *, streams: bool) -> list[str]:
    if streams:
        return [f"{name}({', '.join(port.argument for port in ports)});"]
    lines = []
    for port in ports:
        lines.append(f"{port.number_type} {port.argument}_row[{port.size}];")
        lines.append(f"#pragma HLS ARRAY_PARTITION variable={port.argument}_row complete dim=0")
    for port in ports:
        if port.is_input:
            lines.append(f"hitfabric::gather_row<{port.size}>({port.argument}, {port.argument}_row);")
    lines.append(f"{name}({', '.join(f'{port.argument}_row' for port in ports)});")
    for port in ports:
        if not port.is_input:
            lines.append(f"hitfabric::scatter_row<{port.size}>({port.argument}_row, {port.argument});")
    return lines


def _arguments(ports: list[Port]) -> str:
    return ", ".join(f"{'const ' if port.is_input else ''}{port.word} *{port.buffer}" for port in ports)


def _template(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _lines(lines: list[str], *, spaces: int = 4) -> str:
    return "\n".join(" " * spaces + line for line in lines)
