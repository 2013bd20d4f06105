"""An RTL project can be moved and loaded again, and what was altered is refused."""

from __future__ import annotations

import ast
import json
import shutil
from pathlib import Path

import pytest

from hitfabric.core import GraphError
from hitfabric.hls_projects.rtl_config import RtlConfig
from hitfabric.hls_projects.rtl_project import ROOM, RtlProject, cached_rtl_project, rtl_writers, write_rtl_project
from hitfabric.quantization import Maxima
from support.hand_graph import hand_graph

CONFIG = RtlConfig(edge_lanes=2, node_lanes=2)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> RtlProject:
    return write_rtl_project(hand_graph(), tmp_path_factory.mktemp("rtl") / "project", config=CONFIG)


@pytest.fixture
def copy(written: RtlProject, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written.directory, tmp_path / "moved"))


def test_a_moved_project_is_the_same(written: RtlProject, copy: Path) -> None:
    loaded = RtlProject.load(copy)
    assert [path.relative_to(copy) for path in loaded.sources] == [
        path.relative_to(written.directory) for path in written.sources
    ]
    assert all(path.is_relative_to(copy) and path.is_file() for core in loaded.cores for path in core.sources)
    assert (loaded.streams, loaded.passes, loaded.config) == (written.streams, written.passes, written.config)
    assert loaded.graph.digest == written.graph.digest


def test_streams_say_what_a_word_is(written: RtlProject) -> None:
    edges, nodes = written.stream("s_axis_edges"), written.stream("s_axis_nodes")
    assert [(field.tensor, field.features, field.bits) for field in edges.fields] == [("edge_index", 2, 3)]
    assert (edges.word_bits, edges.lanes, nodes.word_bits) == (8, 2, 8)
    assert [field.tensor for field in written.stream("m_axis_nodes").fields] == ["result"]
    with pytest.raises(GraphError, match="no stream m_axis_edges"):
        written.stream("m_axis_edges")


def test_maxima_of_the_configuration_are_built(tmp_path: Path) -> None:
    config = RtlConfig(edge_lanes=2, node_lanes=2, maxima=Maxima(nodes=40, edges=9))
    project = write_rtl_project(hand_graph(), tmp_path / "project", config=config)
    assert project.graph.maxima == Maxima(nodes=40, edges=9)
    assert project.stream("s_axis_edges").fields[0].bits == 6


def test_altered_sources_are_refused(copy: Path) -> None:
    top = copy / "rtl" / "hitfabric_engine.v"
    top.write_text(top.read_text(encoding="ascii") + "// altered\n", encoding="ascii")
    with pytest.raises(GraphError, match=r"differs from project\.json"):
        RtlProject.load(copy)


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / "rtl" / "hitfabric_fifo.v").unlink()
    with pytest.raises(GraphError, match=r"hitfabric_fifo\.v"):
        RtlProject.load(copy)


@pytest.mark.parametrize(
    ("change", "message"), [({"kind": "hls"}, "kind"), ({"graph_digest": "0"}, "not the graph"), ({"more": 1}, "more")]
)
def test_a_malformed_manifest_is_refused(copy: Path, change: dict[str, object], message: str) -> None:
    path = copy / "project.json"
    stored = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(stored | change), encoding="utf-8")
    with pytest.raises(GraphError, match=message):
        RtlProject.load(copy)


def test_no_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="cannot read"):
        RtlProject.load(tmp_path)


def test_the_cache_writes_a_damaged_project_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = cached_rtl_project(hand_graph(), config=CONFIG)
    fifo = first.directory / "rtl" / "hitfabric_fifo.v"
    text, written = fifo.read_bytes(), fifo.stat().st_ino
    assert cached_rtl_project(hand_graph(), config=CONFIG).directory == first.directory
    assert fifo.stat().st_ino == written, "found, not written again"
    fifo.write_bytes(b"")
    assert cached_rtl_project(hand_graph(), config=CONFIG).directory == first.directory
    assert fifo.read_bytes() == text
    other = cached_rtl_project(hand_graph(), config=RtlConfig(edge_lanes=3, node_lanes=2))
    assert other.directory != first.directory


def imported(path: Path) -> set[Path]:
    """Modules of the RTL that a module of the same room imports."""
    names = {node.module for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.ImportFrom)}
    return {ROOM / f"{name}.py" for name in names if name is not None and name.startswith("rtl_")}


def test_the_digest_is_of_all_that_writes_and_of_nothing_else(written: RtlProject) -> None:
    reached, waiting = set(), [ROOM / "rtl_engine.py", ROOM / "rtl_core_worker.py"]  # the worker is a process
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting += imported(path)
    modules = {path for path in rtl_writers() if path.suffix == ".py"}
    assert modules == reached
    shipped = {path.name for path in rtl_writers()} - {path.name for path in modules}
    assert {path.name for path in written.sources if path.name in shipped}, "templates are copied into projects"
    assert all(path.name in shipped for path in written.sources if (ROOM / "rtl" / path.name).is_file())
