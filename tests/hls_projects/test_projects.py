"""Projects on disk: what they hold, corruption, missing tools."""

from __future__ import annotations

import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hitfabric.core import ConfigError, GraphError, ToolError, load_config
from hitfabric.hls_projects import HlsProject, ProjectConfig, compile_csim, write_project
from hitfabric.pipeline.build import BuildConfig, load_networks, network_configs
from hitfabric.pipeline.layout import find_model
from hitfabric.quantization import FixedPoint, GraphBuilder, TypedGraph
from support.hand_graph import hand_graph

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

Vectors = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> HlsProject:
    return write_project(hand_graph(), tmp_path_factory.mktemp("project") / "hand")


@pytest.fixture
def copy(project: HlsProject, tmp_path: Path) -> HlsProject:
    shutil.copytree(project.directory, tmp_path / "hand", ignore=shutil.ignore_patterns("build"))
    return HlsProject.load(tmp_path / "hand")


def test_what_a_project_holds(project: HlsProject) -> None:
    loaded = HlsProject.load(project.directory)
    assert loaded.graph.digest == project.graph.digest == TypedGraph.load(project.directory / "typed_graph").digest
    assert loaded.config == project.config == ProjectConfig(design="dataflow").resolved(project.graph)
    assert loaded.traced == {"edge": "difference", "clipped": "total"}
    present = {path.name for path in project.directory.iterdir()}
    assert {"Makefile", "build_prj.tcl", "firmware", "tb_data", "hitfabric_hand_test.cpp", "project.tcl"} <= present
    assert not list((project.directory / "firmware" / "weights").glob("*.txt"))


def test_a_project_depends_neither_on_its_folder_nor_on_when_it_was_written(
    project: HlsProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uuid, "uuid4", lambda: "12345678")  # hls4ml's stamp, which YAML puts in quotes
    again = write_project(hand_graph(), tmp_path / "again")
    for path in project.directory.rglob("*"):
        if path.is_file() and "build" not in path.parts and path.name not in ("manifest.json", "weights.npz"):
            content = path.read_bytes()
            assert str(project.directory.parent).encode() not in content, path
            if "typed_graph" not in path.parts and path.name != "project.json":
                assert content == (again.directory / path.relative_to(project.directory)).read_bytes(), path


def test_writing_says_nothing_on_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    project = write_project(hand_graph(), tmp_path / "quiet")
    assert capfd.readouterr() == ("", "")
    assert (project.directory / "hls4ml.log").is_file()


def test_types_are_the_graphs_own(project: HlsProject) -> None:
    defines = (project.directory / "firmware" / "defines.h").read_text()
    assert "ap_fixed<16,6>" not in defines  # hls4ml's default
    for node in ("difference", "total"):
        accumulator = project.graph[node].tensor.format.ap_type
        assert f"typedef {accumulator.replace(',AP_TRN,AP_WRAP', '')} {node}_accum_t" in defines.replace(
            ",AP_TRN,AP_WRAP,0", ""
        )
    assert "AP_SAT" in defines


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (
            lambda d: (d / "firmware" / "parameters.h").write_text("// nothing"),
            "parameters.h differs from project.json",
        ),
        (lambda d: (d / "firmware" / "defines.h").unlink(), "cannot read .*defines.h"),
        (lambda d: (d / "project.json").write_text("{"), "project.json: file: Invalid JSON"),
        (lambda d: (d / "project.json").unlink(), "cannot read .*project.json"),
        (lambda d: shutil.rmtree(d / "typed_graph"), "cannot read .*typed_graph"),
    ],
)
def test_a_corrupted_project_is_refused(copy: HlsProject, damage: Callable[[Path], object], named: str) -> None:
    damage(copy.directory)
    with pytest.raises(GraphError, match=named):
        HlsProject.load(copy.directory)


def test_no_compiler(copy: HlsProject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"g\+\+ is needed to compile the C simulation.*apt-get install g\+\+"):
        compile_csim(copy)


def test_compiler_error_is_shown_and_kept(copy: HlsProject) -> None:
    (copy.directory / "firmware" / "defines.h").write_text("#error broken on purpose\n")
    with pytest.raises(ToolError, match=r"g\+\+ failed with code 1: .*broken on purpose") as caught:
        compile_csim(copy)
    log = Path(caught.value.remedy.removeprefix("read "))
    assert "broken on purpose" in log.read_text()
    assert [path.suffix for path in log.parent.iterdir()] == [".log"]


def test_compiled_once(copy: HlsProject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    library = compile_csim(copy)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compile_csim(copy) == library


def test_a_folder_that_may_not_be_written_to(copy: HlsProject) -> None:
    (copy.directory / "build").write_text("in the way")  # the tests' user may write anywhere
    with pytest.raises(ToolError, match=r"cannot write .*build.*; copy the project to a folder that may be written"):
        compile_csim(copy)
    finished = make(copy, "csim")
    assert finished.returncode != 0
    assert "build" in finished.stderr


def make(project: HlsProject, *targets: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(shutil.which("make")), "-C", str(project.directory), *targets]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment or None)


@pytest.mark.parametrize(
    ("backend", "tool", "target"),
    [("Vitis", "vitis-run", "csynth"), ("Vivado", "vivado_hls", "cosim"), ("Quartus", "i++", "csynth")],
)
def test_synthesis_names_the_missing_vendor_tool(backend: str, tool: str, target: str, tmp_path: Path) -> None:
    if shutil.which(tool):
        pytest.skip(f"{tool} is installed")
    config = load_config(ProjectConfig, overrides={"backend": backend})
    finished = make(write_project(hand_graph(), tmp_path / "project", config=config), target)
    assert finished.returncode != 0
    assert f"{tool} was not found: make {target} needs" in finished.stderr


def test_unknown_configuration_key() -> None:
    with pytest.raises(ConfigError, match="clock_period"):
        load_config(ProjectConfig, overrides={"clock_period": -1})
    with pytest.raises(ConfigError, match="frequency"):
        load_config(ProjectConfig, overrides={"frequency": 200})


def test_values_wider_than_doubles(tmp_path: Path) -> None:
    builder = GraphBuilder()
    wide = FixedPoint(signed=True, width=60, integer=30)
    builder.output("result", builder.input("features", shape=("R", 1), format=wide))
    with pytest.raises(GraphError, match="features is 60 bits wide"):
        write_project(TypedGraph.from_builder(builder, name="wide"), tmp_path / "wide")


def test_serving_imports_neither_hls4ml_nor_torch() -> None:
    code = "import sys, hitfabric.hls_projects, hitfabric.emulation.csim; print({'hls4ml', 'torch'} & set(sys.modules))"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "set()"


def test_the_example_configuration_holds_every_field_and_writes_a_project(tmp_path: Path) -> None:
    path = EXAMPLES / "build.yaml"
    config = load_config(BuildConfig, path)
    assert config.project.model_fields_set == set(ProjectConfig.model_fields)
    graphs = load_networks(find_model(None))
    configs = network_configs(config, graphs)
    assert set(configs) == {"filter", "interaction_network"}
    assert (configs["filter"].design, configs["filter"].parallelism) == ("throughput", 1)
    for name, resolved in configs.items():
        project = write_project(graphs[name], tmp_path / name, config=resolved)
        assert HlsProject.load(project.directory).config == resolved
    source = (tmp_path / "interaction_network" / "firmware" / "hitfabric_interaction_network.cpp").read_text()
    assert "depth=64" in source
