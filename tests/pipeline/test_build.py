"""Building projects: configurations per network, vectors from events, figures from estimates and reports."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hitfabric.core import ConfigError, DataError, ToolError, load_config
from hitfabric.emulation.golden import GoldenExecutor
from hitfabric.hls_projects import HlsProject, ProjectConfig, write_project
from hitfabric.models.zoo import zoo_path
from hitfabric.pipeline.build import BuildConfig, BuildResult, build, find_networks, load_networks, network_configs
from hitfabric.pipeline.layout import find_model
from hitfabric.pipeline.project_vectors import write_test_vectors
from hitfabric.pipeline.resources import resources
from hitfabric.quantization import FixedPoint, GraphBuilder, TypedGraph
from hitfabric.reports.records import Projects
from support.tiny import Tiny, make_tiny

FIXTURES = Path(__file__).parents[1] / "hls_projects" / "fixtures"
GRAPHS = load_networks(find_model(None))


def configs(**overrides: Any) -> dict[str, ProjectConfig]:
    return network_configs(load_config(BuildConfig, overrides=overrides), GRAPHS)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("tiny"))


def test_every_network_by_default() -> None:
    found = configs()
    assert list(found) == list(GRAPHS)
    assert {name: item.design for name, item in found.items()} == {
        "embedding": "throughput",
        "filter": "throughput",
        "interaction_network": "dataflow",
        "sector_interaction_network": "dataflow",
    }


def test_what_differs_for_a_network_wins() -> None:
    found = configs(
        project={"reuse_factor": 2, "parallelism": 4, "part": "xcu55c-fsvh2892-2L-e"},
        networks={"filter": {"reuse_factor": 8, "clock_period": 3.0}, "interaction_network": {"parallelism": 2}},
    )
    assert {name: item.reuse_factor for name, item in found.items()} == {
        "embedding": 2,
        "filter": 8,
        "interaction_network": 2,
        "sector_interaction_network": 2,
    }
    assert found["filter"].clock_period == 3.0
    assert [found[name].parallelism for name in found] == [1, 1, 2, 4], "lanes are of graph networks"
    assert {item.part for item in found.values()} == {"xcu55c-fsvh2892-2L-e"}


def test_only_some_networks() -> None:
    assert list(configs(only=("filter",))) == ["filter"]


def test_networks_beside_those_of_the_model(tmp_path: Path) -> None:
    own, sector_run = tmp_path / "own", tmp_path / "run"
    builder = GraphBuilder()
    source = builder.input("x", shape=("R", 4), format=FixedPoint(signed=True, width=8, integer=3))
    builder.output("y", builder.requantize("narrow", source, format=FixedPoint(signed=True, width=4, integer=3)))
    TypedGraph.from_builder(builder, name="own_network").save(own)
    shutil.copytree(zoo_path("sector-in-4bit"), sector_run / "sector_interaction_network")
    found = find_networks(["filter", str(own), "sector-in-40", "event-full/filter", str(sector_run)], path=None)
    assert found.chosen == ("filter", "own_network", "sector-in-40", "event-full-filter", "sector_interaction_network")
    assert found.fed == set(GRAPHS), "events have no inputs for the others"
    shipped = TypedGraph.load(zoo_path("sector-in-4bit"))
    assert found.graphs["sector_interaction_network"].digest == shipped.digest
    result = build(BuildConfig(only=(str(own),), out=tmp_path / "out", compile=False))
    assert list(result.projects) == ["own_network"]
    assert (tmp_path / "out" / "projects" / "own_network" / "vendor.tcl").is_file()


def test_a_network_by_name_and_one_of_the_same_name_by_folder(tmp_path: Path) -> None:
    shutil.copytree(zoo_path("event-full") / "filter", tmp_path / "filter")
    (name,) = find_networks([str(tmp_path / "filter")], path=None).chosen
    assert name == "filter"
    with pytest.raises(DataError, match="two networks are called filter"):
        find_networks(["filter", str(tmp_path / "filter")], path=None)
    with pytest.raises(ConfigError, match="no network is called 'nonsense'; give one of embedding"):
        find_networks(["nonsense"], path=None)


def test_a_run_of_the_sector_network_alone_is_no_model(tmp_path: Path) -> None:
    shutil.copytree(zoo_path("sector-in-4bit"), tmp_path / "sector_interaction_network")
    with pytest.raises(DataError, match=r"but the sector network alone; name .*sector_interaction_network"):
        find_networks([], path=tmp_path)


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        ({"only": ("nonsense",)}, "no network is called 'nonsense'; use embedding, filter,"),
        ({"networks": {"filtre": {"reuse_factor": 4}}}, "no network is called 'filtre'"),
        ({"networks": {"filter": {"reuse": 4}}}, "network filter: .*reuse: Extra inputs"),
        ({"networks": {"filter": {"parallelism": 4}}}, "network filter: .*parallelism 4"),
        (
            {"networks": {"filter": {"design": "throughput", "io_type": "io_stream"}}},
            "network filter: .*design throughput",
        ),
        ({"networks": {"filter": 4}}, "networks.filter"),
        ({"project": {"backend": "Catapult"}}, "project.backend"),
        ({"project": {"clock_period": float("inf")}}, "project.clock_period"),
        ({"project": {"part": "xc; rm"}}, "project.part"),
        ({"hits": 0}, "hits"),
    ],
)
def test_wrong_configurations_are_named(overrides: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        configs(**overrides)


def test_vectors_of_real_events_join_the_extremes(tiny: Tiny, tmp_path: Path) -> None:
    common: dict[str, Any] = {"model": tiny.run, "compile": False, "only": ("filter", "interaction_network")}
    bare = build(BuildConfig(out=tmp_path / "bare", **common))
    real = build(BuildConfig(out=tmp_path / "real", events=tiny.events, hits=50, edges=40, graph_count=3, **common))

    def lines(result: BuildResult, network: str, tensor: str) -> list[str]:
        path = result.projects[network].directory / "tb_data" / f"{tensor}.txt"
        return path.read_text().splitlines()

    for network, tensor, more in (("filter", "pairs", 40), ("interaction_network", "nodes", 3)):
        extremes, joined = lines(bare, network, tensor), lines(real, network, tensor)
        assert joined[: len(extremes)] == extremes
        assert len(joined) >= len(extremes) + more
    assert len(lines(real, "filter", "logits")) == len(lines(real, "filter", "pairs"))
    recorded = json.loads((tmp_path / "real" / "run.json").read_text())
    assert any(str(tiny.events) in path for path in recorded["inputs"])


def test_expected_outputs_are_exact_beyond_the_24_bits_of_a_float32(tmp_path: Path) -> None:
    builder, generator = GraphBuilder(), np.random.default_rng(0)
    source = builder.input("x", shape=("R", 4), format=FixedPoint(signed=True, width=16, integer=3))
    weight_format = FixedPoint(signed=True, width=16, integer=1, overflow="SAT_SYM")
    weight = generator.integers(weight_format.low, weight_format.high + 1, (2, 4))
    builder.output("y", builder.dense("sums", source, weight=weight, weight_format=weight_format))
    project = write_project(TypedGraph.from_builder(builder, name="wide"), tmp_path / "wide")
    write_test_vectors(project, [])
    (form,) = (node.tensor.format for node in project.graph.outputs)
    assert form.width > 30
    inputs, outputs = (np.loadtxt(project.directory / "tb_data" / f"{name}.txt") for name in "xy")
    expected = GoldenExecutor(project.graph).run_integers({"x": inputs.astype(np.float32)})["y"]
    assert np.array_equal(outputs * 2.0**form.fraction, expected)


@pytest.mark.parametrize(("source", "only"), [("events", "sector_interaction_network"), ("graphs", "filter")])
def test_vectors_that_no_network_takes(source: str, only: str, tmp_path: Path) -> None:
    config = BuildConfig(out=tmp_path / "out", only=(only,), compile=False, **{source: tmp_path})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="no network chosen takes"):
        build(config)
    assert not (tmp_path / "out").exists()


def test_too_few_events(tiny: Tiny, tmp_path: Path) -> None:
    config = BuildConfig(model=tiny.run, out=tmp_path / "out", events=tiny.events, hits=10**9, compile=False)
    with pytest.raises(DataError, match="lower hits"):
        build(config)
    assert not (tmp_path / "out" / "projects").exists()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built")
    build(BuildConfig(out=out, compile=False, only=("filter", "sector_interaction_network")))
    return out


def report(project: Path, fixture: str, *where: str) -> None:
    name = HlsProject.load(project).name
    path = project.joinpath(f"{name}_prj", "solution1", *where[:-1], where[-1].format(name))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((FIXTURES / fixture).read_text().replace("hitfabric_hand", name))


def test_estimates_stand_next_to_reports(built: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(built, run)
    before = Projects.model_validate_json((run / "projects.json").read_bytes())
    assert [item.network for item in before.projects] == ["filter", "sector_interaction_network"]
    assert before.projects[0].figures["LUT"][0].kind == "not measured"
    project = run / "projects" / "filter"
    report(project, "csynth_2024.xml", "syn", "report", "{}_csynth.xml")
    report(project, "cosim_2019.rpt", "sim", "report", "{}_cosim.rpt")
    report(project, "export_impl_2024.xml", "impl", "report", "verilog", "export_impl.xml")
    (alone,) = resources([project]).projects
    assert alone.network == "filter"
    assert Projects.model_validate_json((run / "projects.json").read_bytes()) == before, "not the run's record"
    found = resources([run])
    assert found == Projects.model_validate_json((run / "projects.json").read_bytes())
    figures = {name: {item.kind: item.value for item in items} for name, items in found.projects[0].figures.items()}
    assert figures["LUT"] == {"synthesised (HLS estimate)": 2204, "implemented": 1498}
    assert figures["LUT + 55 DSP"] == {
        "estimated": before.projects[0].figures["LUT + 55 DSP"][0].value,
        "synthesised (HLS estimate)": 2204 + 2 * 55,
        "implemented": 1498 + 2 * 55,
    }
    assert figures["latency max"] == {
        "estimated": figures["latency max"]["estimated"],
        "simulated (C/RTL cosimulation)": 34,
    }
    assert figures["WNS"] == {"implemented": -0.204}
    assert found.projects[1].figures["LUT"][0].kind == "not measured"
    assert {item.source for item in found.projects[0].figures["WNS"]} == {
        "hitfabric_filter_prj/solution1/impl/report/verilog/export_impl.xml"
    }


def test_a_damaged_report_is_an_error_and_loses_nothing(built: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(built, run)
    before = (run / "projects.json").read_bytes()
    report(run / "projects" / "filter", "cosim_2019.rpt", "sim", "report", "{}_cosim.rpt")
    path = run / "projects" / "filter" / "hitfabric_filter_prj" / "solution1" / "sim" / "report"
    (path / "hitfabric_filter_cosim.rpt").write_text("Report time\n")
    with pytest.raises(ToolError, match="run make cosim again"):
        resources([run])
    assert (run / "projects.json").read_bytes() == before


def test_results_of_vendors_tools_are_not_replaced_unasked(built: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(built, run)
    report(run / "projects" / "filter", "csynth_2024.xml", "syn", "report", "{}_csynth.xml")
    again = BuildConfig(out=run, compile=False, only=("sector_interaction_network", "filter"))
    with pytest.raises(ConfigError, match=r"filter holds hitfabric_filter_prj.*--overwrite"):
        build(again)
    assert (run / "projects" / "filter" / "hitfabric_filter_prj").is_dir()
    build(again.model_copy(update={"overwrite": True}))
    assert not (run / "projects" / "filter" / "hitfabric_filter_prj").exists()


def test_no_project(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no project; give a project, or the --out folder"):
        resources([tmp_path])
