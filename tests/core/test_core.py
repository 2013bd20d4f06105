"""Errors, configuration, atomic files, run records and tools."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from hitfabric.core import (
    ConfigError,
    DataError,
    RunDirectory,
    StrictModel,
    ToolError,
    atomic_directory,
    atomic_file,
    compile_library,
    find_tool,
    load_config,
    progress,
)


class Inner(StrictModel):
    epochs: int = 3


class Settings(StrictModel):
    name: str = "a"
    inner: Inner = Inner()


def test_error_is_one_line_with_remedy_and_survives_pickling() -> None:
    error = DataError("no hits", remedy="give a file with hits")
    assert str(error) == "no hits; give a file with hits"
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is DataError
    assert str(again) == str(error)


def test_load_config_reads_file_and_dotted_overrides(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("name: b\ninner: {epochs: 5}\n")
    assert load_config(Settings, path, {"inner.epochs": 7, "name": None}) == Settings(name="b", inner=Inner(epochs=7))


@pytest.mark.parametrize(
    ("text", "named"),
    [("nam: b", "nam"), ("inner: {epoch: 1}", "inner.epoch"), ("inner: {epochs: x}", "inner.epochs"), ("- 1", "list")],
)
def test_load_config_names_what_is_wrong(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=named):
        load_config(Settings, path)


def test_load_config_missing_and_malformed_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        load_config(Settings, tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [1")
    with pytest.raises(ConfigError, match="not YAML"):
        load_config(Settings, tmp_path / "bad.yaml")


def test_atomic_file_leaves_nothing_on_failure(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_file(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_atomic_directory_replaces_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "run"
    with atomic_directory(target) as temporary:
        (temporary / "a").write_text("1")
    with pytest.raises(RuntimeError), atomic_directory(target) as temporary:
        (temporary / "b").write_text("2")
        raise RuntimeError
    assert [path.name for path in target.iterdir()] == ["a"]
    with atomic_directory(target) as temporary:
        (temporary / "b").write_text("2")
    assert [path.name for path in target.iterdir()] == ["b"]
    assert list(tmp_path.iterdir()) == [target]


def test_run_directory_records_what_made_it(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("1")
    path = RunDirectory(path=tmp_path / "run").record(command="train", config=Settings(), inputs=[source], seed=4)
    record = json.loads(path.read_text())
    assert record["config"] == {"name": "a", "inner": {"epochs": 3}}
    assert len(record["inputs"][str(source)]) == 64
    assert record["seed"] == 4
    assert record["versions"]["python"].startswith("3.")


def test_find_tool_names_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"apt-get install graphviz"):
        find_tool("dot", purpose="draw the graph")


def test_compile_library_keeps_the_log_of_a_failure(tmp_path: Path) -> None:
    source = tmp_path / "a.cpp"
    source.write_text("int f() { return missing; }")
    with pytest.raises(ToolError, match="missing"):
        compile_library([source], target=tmp_path / "a.so", flags=(), purpose="compile a test")
    assert not (tmp_path / "a.so").exists()
    assert "missing" in (tmp_path / "a.log").read_text()


def test_progress_passes_items_through(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(iter([1, 2]), description="work", total=2)) == [1, 2]
    assert "work: 2/2 done" in capsys.readouterr().err


KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
from hitfabric.core import atomic_directory, atomic_file
with atomic_directory(Path(sys.argv[1], "folder")) as folder, atomic_file(Path(sys.argv[1], "file")) as file:
    (folder / "half").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED_WRITER, str(tmp_path)], check=False)
    left = sorted(tmp_path.iterdir())
    assert [path.name.split(".")[1] for path in left] == ["file", "folder"]
    elsewhere = tmp_path / ".file.0123abcd-1.abcdefgh"
    elsewhere.touch()
    with atomic_file(tmp_path / "other") as mine:
        assert sorted(tmp_path.iterdir()) == sorted((elsewhere, mine))


def test_a_directory_that_was_set_aside_comes_back_where_the_new_one_never_came(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED_WRITER, str(tmp_path)], check=False)
    (new,) = tmp_path.glob(".folder.*")
    old = new.with_name(new.name + ".old")
    old.mkdir()
    (old / "whole").touch()
    with atomic_file(tmp_path / "other"):
        assert [path.name for path in tmp_path.rglob("*") if not path.name.startswith(".")] == ["folder", "whole"]


def test_what_others_still_write_stays(tmp_path: Path) -> None:
    with atomic_file(tmp_path / "one") as one:
        code = "import sys; from pathlib import Path; from hitfabric.core import RunDirectory as R;"
        code += "R(path=Path(sys.argv[1])).write_json('two', 2)"
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
        assert one.is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]
