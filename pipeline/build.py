"""`hitfabric build`: trained networks to hls4ml projects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..core import RunDirectory, StrictModel, find_tool, progress
from ..emulation import extreme_vectors, make_executor
from ..fpga_backend import NETWORKS
from ..hls_projects import HlsProject, ProjectConfig, compile_csim, write_project, write_vectors
from ..quantization import TypedGraph
from ..quantization.cost import graph_cost
from ..reports.records import Project, ProjectFigure, Projects
from .extras import require_extra
from .layout import PROJECTS, SECTOR_NETWORK, Model, find_model

TEST_BENCH_ROWS = 200


class BuildConfig(StrictModel):
    """Configuration of `hitfabric build`.

    Attributes:
        model: Run directory of `train`, or a chain directory; None takes the shipped weights.
        out: Run directory to write; the projects go to `projects/<network>`.
        project: Backend, part, clock, stream or parallel.
        compile: Compile each project's C simulation too.
    """

    model: Path | None = None
    out: Path = Path("runs/build")
    project: ProjectConfig = ProjectConfig()
    compile: bool = True


@dataclass(frozen=True, kw_only=True)
class BuildResult:
    """Projects written, by network."""

    projects: dict[str, HlsProject]


def load_networks(model: Model) -> dict[str, TypedGraph]:
    """The typed graphs of a model by network, the sector network last if there is one.

    Raises:
        GraphError: One is missing or malformed.
    """
    graphs = {name: TypedGraph.load(model.chain / name) for name in NETWORKS}
    if model.sector is not None:
        graphs[SECTOR_NETWORK] = TypedGraph.load(model.sector)
    return graphs


def build(config: BuildConfig) -> BuildResult:
    """Write one hls4ml project per network, and `projects.json` with what is known of each.

    Args:
        config: What to build, to where.

    Returns:
        The projects.

    Raises:
        ToolError: The extra `build` is not installed, or the compiler is missing or fails.
        DataError: There is no model.
        GraphError: hls4ml cannot hold a network.
    """
    require_extra("build")
    if config.compile:
        find_tool("g++", purpose="compile the C simulation")
    model = find_model(config.model)
    graphs = load_networks(model)
    projects: dict[str, HlsProject] = {}
    for name, graph in progress(graphs.items(), description="hls4ml projects", total=len(graphs)):
        projects[name] = write_project(graph, config.out / PROJECTS / name, config=config.project)
        write_test_vectors(projects[name])
        if config.compile:
            compile_csim(projects[name])
    run = RunDirectory(path=config.out)
    run.write_json("projects.json", describe(projects).model_dump(mode="json"))
    run.record(command="build", config=config, inputs=[model.chain])
    return BuildResult(projects=projects)


def write_test_vectors(project: HlsProject) -> None:
    """Give the project's test bench the extremes of every format, with what the golden executor makes of them."""
    golden = make_executor("golden", project.graph)
    vectors = extreme_vectors(project.graph, random_rows=TEST_BENCH_ROWS)
    write_vectors(project, [(inputs, golden.run(inputs)) for inputs in vectors])


def describe(projects: dict[str, HlsProject]) -> Projects:
    """What is counted in each project; what only synthesis tells is named as not measured."""
    return Projects(projects=tuple(_describe(name, project) for name, project in projects.items()))


def _describe(name: str, project: HlsProject) -> Project:
    graph = project.graph
    cost = graph_cost(graph)
    per = "at maxima" if graph.is_graph_network else "per row"
    unmeasured = ProjectFigure(value=None, kind="not measured")
    figures = {
        f"MACs {per}": _counted(cost.macs),
        "weights": _counted(cost.weights),
        "weights not 0": _counted(cost.nonzero_weights),
        "weight bits": _counted(cost.weight_bits, unit="bit"),
        "latency": unmeasured,
        "LUT": unmeasured,
    }
    return Project(
        network=name,
        io_type=project.config.io_type or "",
        reuse_factor=project.config.reuse_factor,
        figures=figures,
    )


def _counted(value: int, *, unit: str = "") -> ProjectFigure:
    return ProjectFigure(value=float(value), kind="counted", unit=unit)
