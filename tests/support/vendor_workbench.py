"""A project's Makefile with stand-ins for the vendors' tools, which record how they were called.

The stand-ins write their reports where the vendors' tools write them; no vendor's tool has run here.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from hitfabric.hls_projects import ProjectConfig
from hitfabric.hls_projects.project import Backend
from hitfabric.hls_projects.vendor import write_vendor_files
from hitfabric.quantization import TypedGraph
from support.hand_graph import hand_graph

NAME = "hitfabric_hand"
REPORT = f"{NAME}_prj/solution1"

# Each records its arguments and the stage, and writes the reports of the stage below the folder it is called in.
HLS_TOOL = f"""
case "$HITFABRIC_STAGE" in
    csynth) file={REPORT}/syn/report/{NAME}_csynth.xml ;;
    cosim) file={REPORT}/sim/report/{NAME}_cosim.rpt ;;
    export) file={REPORT}/impl/ip/component.xml ;;
    impl) file={REPORT}/impl/report/verilog/export_impl.xml ;;
esac
mkdir -p "$(dirname "$file")"
echo report > "$file"
"""
VPP = 'while [ $# -gt 0 ]; do [ "$1" = -o ] && echo object > "$2"; shift; done'
IXX = f"""
mkdir -p {NAME}-fpga.prj/reports/lib {NAME}-fpga.prj/quartus
echo report > {NAME}-fpga.prj/reports/lib/report_data.js
printf '#!/bin/sh\\necho ran >> "$LOG"\\necho report > $1\\n' > {NAME}-fpga
sed -i 's#$1#{NAME}-fpga.prj/reports/lib/verification_data.js#' {NAME}-fpga
chmod +x {NAME}-fpga
"""
QUARTUS = "echo report > ../reports/lib/quartus_data.js"


@dataclass(frozen=True, kw_only=True)
class Workbench:
    """A project's Makefile and scripts, and a PATH with stand-ins alone beside the system's own tools."""

    directory: Path
    tools: Path

    def install(self, name: str, body: str = "", *, status: int = 0) -> None:
        """Put a stand-in on the PATH."""
        script = self.tools / name
        script.write_text(f'#!/bin/sh\necho "{name} $* [$HITFABRIC_STAGE]" >> "$LOG"\n{body}\nexit {status}\n')
        script.chmod(0o755)

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run make."""
        environment = {"PATH": f"{self.tools}:/usr/bin:/bin", "LOG": str(self.log)}
        command = ["/usr/bin/make", "-C", str(self.directory), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    @property
    def log(self) -> Path:
        """File of the calls."""
        return self.tools.parent / "log"

    @property
    def calls(self) -> list[str]:
        """Calls of the stand-ins in order."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    def files(self) -> set[str]:
        """Everything in the project."""
        return {str(path.relative_to(self.directory)) for path in self.directory.rglob("*")}


def make_workbench(folder: Path, backend: Backend) -> Workbench:
    """The vendor files of a small project, and no tools yet."""
    directory = folder / "project"
    for path in (f"firmware/{NAME}.cpp", f"{NAME}_test.cpp", "project.tcl", "tb_data/nodes.txt"):
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text("1\n")
    config = ProjectConfig(backend=backend).resolved(hand_graph())
    write_vendor_files(directory, name=NAME, graph=hand_graph(), config=config, model=Model(hand_graph()))
    tools = folder / "tools"
    tools.mkdir()
    return Workbench(directory=directory, tools=tools)


class Model:
    """The part of hls4ml's model that the kernel reads: its variables."""

    def __init__(self, graph: TypedGraph) -> None:
        self.graph = graph

    def get_input_variables(self) -> list[Variable]:
        """As of hls4ml."""
        return [Variable(node.name) for node in self.graph.inputs]

    def get_output_variables(self) -> list[Variable]:
        """As of hls4ml."""
        return [Variable(node.name) for node in self.graph.outputs]


class Variable:
    """One argument of the top function."""

    def __init__(self, name: str) -> None:
        self.name = f"{name}_in"
        self.type = type("Type", (), {"name": f"{name}_t"})()

    def size(self) -> int:
        """Numbers in it."""
        return 4
