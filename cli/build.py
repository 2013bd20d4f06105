"""`hitfabric build` and `hitfabric resources`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import AsJson, ConfigFile, Events, Graphs, ModelPath, Out, Overrides, configure
from .printing import print_json
from .projects import print_projects, print_resources
from .rtl_tables import print_rtl


def build(
    network: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NETWORK]...",
            help="Networks to build: of --model, shipped ones (sector-in-4bit), or folders of typed graphs and of"
            " hitfabric train. Default: all of --model.",
            show_default=False,
        ),
    ] = None,
    model: ModelPath = None,
    out: Out = None,
    backend: Annotated[
        str | None, typer.Option("--backend", metavar="Vitis|Vivado|Quartus", help="hls4ml backend. Default: Vitis.")
    ] = None,
    design: Annotated[
        str | None,
        typer.Option(
            "--design",
            metavar="throughput|dataflow",
            help="All at once in registers, or streams. Default: dataflow for graph networks.",
        ),
    ] = None,
    parallelism: Annotated[
        int | None, typer.Option("--parallelism", min=1, help="Lanes of graph networks in the dataflow design.")
    ] = None,
    events: Events = None,
    graphs: Graphs = None,
    compile_csim: Annotated[
        bool | None, typer.Option("--compile/--no-compile", help="Compile each C simulation too. Default: yes.")
    ] = None,
    rtl: Annotated[bool | None, typer.Option("--rtl", help="Write the Verilog engine of each network too.")] = None,
    lanes: Annotated[
        int | None,
        typer.Option("--lanes", min=1, help="Edges and nodes (or rows) per cycle of the Verilog: 1, 2, 4, ..."),
    ] = None,
    synthesise: Annotated[
        bool | None, typer.Option("--synthesise", help="Count LUT, FF, memories, DSP of the Verilog with Yosys.")
    ] = None,
    overwrite: Annotated[
        bool | None, typer.Option("--overwrite", help="Replace projects that hold results of vendors' tools.")
    ] = None,
    config: ConfigFile = None,
    assignments: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Write one hls4ml project per network.

    Each project holds the C++ that synthesis reads, a self-checking test bench with format extremes and, with --events
    and --graphs, what the network sees in real events, and a Makefile: csim, csynth, cosim, impl, kernel. Part, clock,
    reuse factor and what differs between networks are set in YAML or with --set (project.part=..., networks.filter...).

    With --rtl each network also becomes a Verilog engine with AXI4-Stream ports, which needs no vendor's tool to be
    simulated or counted; --set rtl.register_spacing=2, rtl.scatter=ordered, rtl.edge_lanes=4,
    rtl.maxima.nodes=512, ..., and place_seeds=[1,2,3] for its frequency on an ECP5.
    """
    from ..pipeline.build import BuildConfig
    from ..pipeline.build import build as run
    from ..pipeline.layout import PROJECTS, RTL

    options = {
        "only": network,
        "model": model,
        "out": out,
        "project.backend": backend,
        "project.design": design,
        "project.parallelism": parallelism,
        "events": events,
        "graphs": graphs,
        "compile": compile_csim,
        "overwrite": overwrite,
        "verilog": rtl,
        "rtl.edge_lanes": lanes,
        "rtl.node_lanes": lanes,
        "rtl.row_lanes": lanes,
        "synthesise": synthesise,
    }
    settings = configure(BuildConfig, config, assignments, options)
    result = run(settings)
    folders = {name: str(project.directory) for name, project in result.projects.items()}
    if as_json:
        records = [record.model_dump(mode="json") for record in result.rtl.records]
        print_json({"projects": folders, "rtl": records} if settings.verilog else folders)
        return
    print_projects(result, folder=settings.out / PROJECTS)
    if settings.verilog:
        print_rtl(result.rtl, folder=settings.out / RTL)


def resources(
    project: Annotated[
        list[Path],
        typer.Argument(metavar="PROJECT...", help="Projects, or --out folders of hitfabric build.", show_default=False),
    ],
    as_json: AsJson = False,
) -> None:
    """Show what projects cost: estimates next to whatever the vendors' reports say.

    Reads the reports of csynth, cosim and impl where those stages have been run. What needs a vendor's tool and has not
    been run is named as not measured. The projects.json of an --out folder, which the HTML report draws, is updated.
    """
    from ..pipeline.resources import resources as run

    found = run(project)
    if as_json:
        print_json(found.model_dump(mode="json")["projects"])
    else:
        print_resources(found)
