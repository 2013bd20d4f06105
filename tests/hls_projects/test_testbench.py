"""The self-checking test bench of every backend and design: moved, copied, with wrong or damaged vectors."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hitfabric.emulation import extreme_vectors, make_executor
from hitfabric.hls_projects import HlsProject, ProjectConfig, write_project, write_vectors
from support.hand_graph import hand_graph

CONFIGS = [
    {"backend": backend, "design": design}
    for backend in ("Vitis", "Vivado", "Quartus")
    for design in ("throughput", "dataflow")
]


def make(directory: Path, *arguments: str, target: str = "csim") -> subprocess.CompletedProcess[str]:
    command = ["make", "-C", str(directory), target, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module", params=CONFIGS, ids=lambda config: "-".join(config.values()))
def moved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project moved to another folder, its test bench built there, and nothing left where it was written."""
    folder = tmp_path_factory.mktemp("projects")
    project = write_project(hand_graph(), folder / "first", config=ProjectConfig(**request.param))
    golden = make_executor("golden", project.graph)
    cases = [(vectors, golden.run(vectors)) for vectors in extreme_vectors(project.graph)]
    write_vectors(project, cases)
    place = folder / "elsewhere with space"
    shutil.move(project.directory, place)
    right = make(place)
    assert right.returncode == 0, right.stderr
    assert f"{len(cases)} rows or graphs, 0 mismatches" in right.stdout
    return place


@pytest.fixture
def vectors(moved: Path, tmp_path: Path) -> Iterator[Path]:
    """The vectors of `moved`, put back after the test."""
    shutil.copytree(moved / "tb_data", tmp_path / "kept")
    yield moved / "tb_data"
    shutil.rmtree(moved / "tb_data")
    shutil.copytree(tmp_path / "kept", moved / "tb_data")


def test_a_copy_compiles_and_passes_by_itself(moved: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(moved, copy, ignore=shutil.ignore_patterns("build"))
    finished = make(copy, f"BUILD={tmp_path / 'built'}")
    assert finished.returncode == 0, finished.stderr
    assert "0 mismatches" in finished.stdout
    assert not (copy / "build").exists()  # it may be a folder that nobody may write to


def test_a_changed_header_is_compiled(moved: Path) -> None:
    """Who edits the firmware by hand does not get the result of what it was before."""
    for pattern in ("parameters.h", "nnet_utils/nnet_edge.h", "weights/w*.h"):
        path = next((moved / "firmware").glob(pattern))
        before = path.stat()
        assert make(moved, "-q", target="build/csim").returncode == 0, "up to date"
        os.utime(path)
        try:
            assert make(moved, "-q", target="build/csim").returncode == 1, path
        finally:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_streams_of_their_depth(moved: Path) -> None:
    config = HlsProject.load(moved).config
    finished = make(moved, target="csim-bounded")
    if config.design == "dataflow" and config.backend != "Quartus":
        assert finished.returncode == 0, finished.stderr
        assert "0 mismatches" in finished.stdout
    else:
        assert finished.returncode != 0
        assert f"this project is {config.io_type} for {config.backend}; write the project again" in finished.stderr


def _edit(name: str, change: Callable[[str], str]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).write_text(change((folder / name).read_text()))

    return damage


def _wrong_value(text: str) -> str:
    lines = text.splitlines(keepends=True)
    row = next(k for k, line in enumerate(lines) if line[0].isdigit())
    return "".join([*lines[:row], "3.5" + lines[row][lines[row].index(" ") :], *lines[row + 1 :]])


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (_edit("result.txt", _wrong_value), "result of row .*, element 0: expected 3.5, got"),
        (_edit("result.txt", lambda text: text[: text.rindex("\n", 0, -1) + 1]), "result.txt .* fewer lines"),
        (_edit("nodes.txt", lambda text: text[: text.rindex("\n", 0, -1) + 1]), "nodes.txt .* fewer lines"),
        (_edit("result.txt", lambda text: text[:-3]), "result.txt ends within a line"),
        (_edit("nodes.txt", lambda text: text[2:]), "nodes.txt has a line of 3 values, expected 4"),
        (_edit("edge_index.txt", lambda text: "x" + text), "edge_index.txt holds x.*, which is no number"),
        (lambda folder: (folder / "result.txt").unlink(), "result.txt is missing"),
        (lambda folder: [(path.write_text("")) for path in folder.glob("*.txt")], "nothing was compared"),
        (lambda folder: [path.unlink() for path in folder.glob("*.txt")], "nothing was compared"),
    ],
)
def test_wrong_or_damaged_vectors(damage: Callable[[Path], object], named: str, vectors: Path) -> None:
    damage(vectors)
    finished = make(vectors.parent)
    assert finished.returncode != 0
    assert re.search(named, finished.stderr), finished.stderr
