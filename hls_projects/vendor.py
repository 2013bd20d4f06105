"""What a written project holds for the vendors' tools: the Makefile."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

from ..quantization import TypedGraph
from .project import ProjectConfig

TEMPLATES = Path(__file__).parent / "templates"
VENDOR = {
    "Vitis": {
        "tool": "vitis-run",
        "product": "AMD Vitis HLS 2023.2 or later",
        "command": "printf 'array set opt { reset 1 csim 0 synth 1 cosim %s validation 0 export %s vsynth 0"
        " fifo_opt 0 }\\n' $(COSIM) $(EXPORT) > build_opt.tcl\n\tvitis-run --mode hls --tcl build_prj.tcl",
    },
    "Vivado": {
        "tool": "vivado_hls",
        "product": "Xilinx Vivado HLS 2020.1 or earlier",
        "command": 'vivado_hls -f build_prj.tcl "reset=1 csim=0 synth=1 cosim=$(COSIM) validation=0 export=$(EXPORT)'
        ' vsynth=0 fifo_opt=0"',
    },
}


def makefile_text(project_name: str, config: ProjectConfig) -> str:
    """The Makefile of a project."""
    makefile = string.Template((TEMPLATES / "Makefile.in").read_text(encoding="utf-8"))
    return makefile.substitute(project=project_name, **VENDOR[config.backend])


def write_vendor_files(
    directory: Path,
    *,
    name: str,
    graph: TypedGraph,
    config: ProjectConfig,
    model: Any,  # noqa: ANN401 - hls4ml is untyped
) -> None:
    """Write the files of a project that drive the vendors' tools.

    Args:
        directory: Folder of the project, with hls4ml's files in it.
        name: Name of the project and of its top function.
        graph: The network.
        config: How the project is written, resolved.
        model: hls4ml's model, whose variables are the arguments of the top function.
    """
    (directory / "Makefile").write_text(makefile_text(name, config), encoding="utf-8")
