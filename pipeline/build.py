"""`hitfabric build`: trained networks to hls4ml projects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from ..core import ConfigError, DataError, RunDirectory, StrictModel, find_tool, load_config, progress
from ..fpga_backend import NETWORKS
from ..hls_projects import HlsProject, ProjectConfig, compile_csim, vendor_results, write_project
from ..hls_projects.rtl_config import RtlConfig
from ..quantization import TypedGraph
from ..reports.records import Projects
from .build_rtl import RtlBuild, build_rtl
from .extras import require_extra
from .idle_settings import check_needed, check_sources
from .layout import PROJECTS, SECTOR_NETWORK, Model, find_model
from .networks import select_networks
from .project_vectors import real_vectors, write_test_vectors
from .resources import PROJECTS_FILE, describe_project
from .vectors import Wanted


class BuildConfig(StrictModel):
    """Configuration of `hitfabric build`.

    Attributes:
        model: Run directory of `train`, or a chain directory; None takes the shipped weights.
        out: Run directory to write; the projects go to `projects/<network>`.
        only: Networks to build: those of the model, shipped ones by name, or folders of typed graphs and of runs; none
            given builds all of the model.
        project: Backend, part, clock, design, ... of every network. `parallelism` and `stream_depths` are of graphs,
            which networks of rows do not take from here.
        networks: What differs for a network: `{filter: {reuse_factor: 4}}`.
        events: Folder of events in TrackML CSV layout, whose hits, pairs and graphs join the test bench's vectors.
        graphs: Folder of graphs of the sector workload, for the sector network's test bench.
        hits: Hits from events in the embedding's test bench.
        edges: Pairs from events in the filter's test bench, and edges at least in that of the interaction network.
        graph_count: Graphs in the test bench of an interaction network.
        seed: Seed of the choice of rows.
        compile: Compile each project's C simulation too.
        overwrite: Replace projects that hold what the vendors' tools have made of them.
        verilog: Write the Verilog of each network too, to `rtl/<network>` (`--rtl`).
        rtl: Lanes, register spacing, scatter, maxima, ... of the Verilog.
        synthesise: Count the cells of the Verilog with Yosys.
        place_seeds: Seeds with which nextpnr places the Verilog on an ECP5, for a frequency; none places nothing.
        tool_seconds: Longest time one run of Yosys or nextpnr may take, s.
    """

    model: Path | None = None
    out: Path = Path("runs/build")
    only: tuple[str, ...] = ()
    project: ProjectConfig = ProjectConfig()
    networks: dict[str, dict[str, Any]] = Field(default_factory=dict)
    events: Path | None = None
    graphs: Path | None = None
    hits: int = Field(default=200, ge=1)
    edges: int = Field(default=200, ge=1)
    graph_count: int = Field(default=20, ge=1)
    seed: int = 0
    compile: bool = True
    overwrite: bool = False
    verilog: bool = False
    rtl: RtlConfig = RtlConfig()
    synthesise: bool = False
    place_seeds: tuple[int, ...] = ()
    tool_seconds: float = Field(default=900.0, gt=0, allow_inf_nan=False)


@dataclass(frozen=True, kw_only=True)
class BuildResult:
    """Projects written, by network, and what is known of each; `rtl` is empty where none was asked for."""

    projects: dict[str, HlsProject]
    described: Projects
    rtl: RtlBuild


def load_networks(model: Model) -> dict[str, TypedGraph]:
    """The typed graphs of a model by network, the sector network last if there is one.

    Raises:
        GraphError: One is missing or malformed.
    """
    graphs = {name: TypedGraph.load(model.chain / name) for name in NETWORKS}
    if model.sector is not None:
        graphs[SECTOR_NETWORK] = TypedGraph.load(model.sector)
    return graphs


@dataclass(frozen=True, kw_only=True)
class Networks:
    """Networks that a build knows.

    Attributes:
        graphs: By name: those of the model, and those named beside it.
        chosen: Names of those to build, in the order given; none means all.
        fed: Names of those that events or sector graphs have inputs for.
    """

    graphs: Mapping[str, TypedGraph]
    chosen: tuple[str, ...]
    fed: frozenset[str]


def find_networks(names: Iterable[str], *, path: Path | None) -> Networks:
    """Find networks by name or folder.

    Args:
        names: Networks of the model, shipped ones, or folders of typed graphs, projects and runs.
        path: Run directory of `train`, or a chain directory; None takes the shipped weights.

    Returns:
        The networks.

    Raises:
        ConfigError: Nothing has this name.
        DataError: There is no model, or two networks have the same name.
        GraphError: A typed graph is missing or malformed.
    """
    graphs = load_networks(find_model(path))
    fed, chosen = set(graphs), []
    for name in names:
        if name in graphs:
            found = {name: graphs[name]}
        else:
            found = _elsewhere(name, path)
            graphs |= found
            fed = (fed - set(found)) | (found.keys() & {SECTOR_NETWORK})
        if twice := found.keys() & set(chosen):
            raise DataError(f"two networks are called {min(twice)}", remedy="build them one after the other")
        chosen.extend(found)
    return Networks(graphs=graphs, chosen=tuple(chosen), fed=frozenset(fed))


def _elsewhere(name: str, path: Path | None) -> dict[str, TypedGraph]:
    """Networks that are not of the model; a slash of a shipped chain's network would be a folder of its own."""
    networks = select_networks([name], model=path, projects=None).networks
    return {
        SECTOR_NETWORK if network.feed == "sector" else network.name.replace("/", "-"): TypedGraph.load(network.graph)
        for network in networks
    }


def build(config: BuildConfig) -> BuildResult:
    """Write one hls4ml project per network, and `projects.json` with what is known of each.

    Args:
        config: What to build, to where.

    Returns:
        The projects.

    Raises:
        ToolError: The extra `build`, or `rtl` for the Verilog, is not installed, or the compiler, Yosys or nextpnr is
            missing or fails.
        ConfigError: A network is unknown, its configuration is not one for it, no network takes the vectors, or results
            of the vendors' tools would be lost.
        DataError: There is no model, or there are too few events or graphs.
        GraphError: hls4ml cannot hold a network.
    """
    require_extra("build")
    check_needed("synthesise", given=config.synthesise, needs="--rtl", there=config.verilog)
    check_needed("place_seeds", given=config.place_seeds, needs="synthesise", there=config.synthesise)
    check_needed("rtl", given=config.rtl != RtlConfig(), needs="--rtl", there=config.verilog)
    if config.verilog:
        require_extra("rtl")
    if config.compile:
        find_tool("g++", purpose="compile the C simulation")
    model = find_model(config.model)
    networks = find_networks(config.only, path=config.model)
    configs = network_configs(config.model_copy(update={"only": networks.chosen}), networks.graphs)
    chosen = {name: networks.graphs[name] for name in configs}
    fed = {name: graph for name, graph in chosen.items() if name in networks.fed}
    feeds = ["sector" if name == SECTOR_NETWORK else name for name in fed]
    check_sources(feeds, events=config.events, graphs=config.graphs)
    if not config.overwrite:
        _keep_results([config.out / PROJECTS / name for name in chosen])
    wanted = Wanted(hits=config.hits, edges=config.edges, graphs=config.graph_count)
    real = real_vectors(model, fed, wanted, events=config.events, graphs=config.graphs, seed=config.seed)
    projects: dict[str, HlsProject] = {}
    for name, graph in progress(chosen.items(), description="hls4ml projects", total=len(chosen)):
        projects[name] = write_project(graph, config.out / PROJECTS / name, config=configs[name])
        write_test_vectors(projects[name], real.get(name, []))
        if config.compile:
            compile_csim(projects[name])
    described = Projects(projects=tuple(describe_project(name, project) for name, project in projects.items()))
    rtl = RtlBuild()
    if config.verilog:
        rtl = build_rtl(
            chosen,
            config.out,
            config.rtl,
            synthesise=config.synthesise,
            place_seeds=config.place_seeds,
            seconds=config.tool_seconds,
        )
    run = RunDirectory(path=config.out)
    run.write_json(PROJECTS_FILE, described.model_dump(mode="json"))
    inputs = [path for path in (model.chain, config.events, config.graphs) if path is not None]
    run.record(command="build", config=config, inputs=inputs)
    return BuildResult(projects=projects, described=described, rtl=rtl)


def _keep_results(directories: Iterable[Path]) -> None:
    for directory in directories:
        for found in vendor_results(directory):
            raise ConfigError(
                f"{directory} holds {found.name}, which a vendor's tool made and a new project would replace",
                remedy="give another --out, or --overwrite",
            )


def network_configs(config: BuildConfig, graphs: Mapping[str, TypedGraph]) -> dict[str, ProjectConfig]:
    """How each network that is to be built becomes a project.

    Args:
        config: What to build.
        graphs: All networks of the model.

    Returns:
        Resolved configurations, in the order of `graphs`.

    Raises:
        ConfigError: A network is unknown, or its configuration is not one for it; the message names it.
    """
    for name in (*config.only, *config.networks):
        if name not in graphs:
            raise ConfigError(f"no network is called {name!r}", remedy=f"use {', '.join(graphs)}")
    return {
        name: _project_config(name, graph, config)
        for name, graph in graphs.items()
        if not config.only or name in config.only
    }


def _project_config(name: str, graph: TypedGraph, config: BuildConfig) -> ProjectConfig:
    common = config.project.model_dump(exclude_unset=True)
    if not graph.is_graph_network:
        common = {key: value for key, value in common.items() if key not in ("parallelism", "stream_depths")}
    try:
        return load_config(ProjectConfig, overrides=common | config.networks.get(name, {})).resolved(graph)
    except ConfigError as error:
        raise ConfigError(f"network {name}: {error.message}", remedy=error.remedy) from error
