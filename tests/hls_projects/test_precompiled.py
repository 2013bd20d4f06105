"""The precompiled header: made once, shared, forgotten, done without."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from hitfabric.core import ToolError
from hitfabric.hls_projects import HlsProject, ProjectConfig, compile_csim, precompiled, write_project
from hitfabric.quantization import GraphBuilder, TypedGraph
from support.hand_graph import A8, U4, hand_graph


def small(directory: Path) -> HlsProject:
    builder = GraphBuilder()
    builder.output("out", builder.requantize("same", builder.input("x", shape=("R", 2), format=A8), format=U4))
    return write_project(TypedGraph.from_builder(builder, name="rows"), directory, config=ProjectConfig())


@pytest.mark.slow
def test_networks_share_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    place = tmp_path / "cache" / "hitfabric" / "precompiled"
    compile_csim(small(tmp_path / "rows"))
    (made,) = (path for path in place.iterdir() if path.is_dir())
    before = (made / f"{precompiled.HEADER}.gch").stat().st_mtime_ns
    compile_csim(write_project(hand_graph(), tmp_path / "hand"))
    assert [path for path in place.iterdir() if path.is_dir()] == [made]
    assert (made / f"{precompiled.HEADER}.gch").stat().st_mtime_ns == before


def test_without_a_cache_it_compiles_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert compile_csim(small(tmp_path / "rows")).is_file()


def test_headers_that_do_not_compile_are_named_and_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    project = small(tmp_path / "rows")
    (project.directory / "firmware" / "nnet_utils" / "nnet_types.h").write_text("#error broken header\n")
    with pytest.raises(ToolError, match=r"error: #error broken header; read .*log"):
        compile_csim(project)
    assert [path.suffix for path in (project.directory / "build").iterdir()] == [".log"]
    assert not [path for path in (tmp_path / "cache" / "hitfabric" / "precompiled").iterdir() if path.is_dir()]


def test_only_the_last_are_kept_and_those_in_use(tmp_path: Path) -> None:
    ages = {"a": 10_000, "b": 9_000, "c": 8_000, "d": 7_000, "used": 60, "new": 0}
    for name, age in ages.items():
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age, time.time() - age))
    precompiled._forget_unused(tmp_path / "new")
    assert {path.name for path in tmp_path.iterdir()} == {"c", "d", "used", "new"}
