"""What people install works away from the repository: source distribution and wheel, in a clean environment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ROOMS = set(PROJECT["tool"]["setuptools"]["package-dir"].values())
OURS = ("PYTHONPATH", "VIRTUAL_ENV")


def call(*command: str | Path, cwd: Path, timeout: float = 300) -> str:
    """Standard output of a command that must succeed, without the environment that the tests run in."""
    environment = {name: value for name, value in os.environ.items() if name not in OURS}
    environment["PATH"] = os.pathsep.join(
        folder for folder in os.environ["PATH"].split(os.pathsep) if Path(folder) != Path(sys.executable).parent
    )
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def repository_files() -> list[str]:
    """Files that belong to the repository: tracked, or new and not ignored."""
    listed = call("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).splitlines()
    return [name for name in listed if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Source distribution, and the wheel built from it, from a copy of the repository."""
    folder = tmp_path_factory.mktemp("distributions")
    for name in repository_files():
        target = folder / "source" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    call(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, "source", cwd=folder)
    (source,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return source, wheel


@pytest.fixture(scope="module")
def installed(distributions: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`bin` of an environment that holds the wheel and what the demo needs, in the versions of the lock."""
    folder = tmp_path_factory.mktemp("clean")
    call(sys.executable, "-m", "venv", "environment", cwd=folder)
    tools = folder / "environment" / "bin"
    wanted = f"{distributions[1]}[train,build,serve]"
    lock = ROOT / "requirements.lock"
    call(tools / "python", "-m", "pip", "install", "--no-input", "-c", lock, wanted, cwd=folder, timeout=600)
    return tools


@pytest.mark.slow
def test_the_wheel_holds_the_rooms_and_nothing_else(distributions: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(distributions[1]) as wheel:
        found = {name.removeprefix("hitfabric/") for name in wheel.namelist() if name.startswith("hitfabric/")}
    assert found == {name for name in repository_files() if name.split("/")[0] in ROOMS}
    assert {f"{room}/py.typed" for room in ROOMS} <= found


@pytest.mark.slow
def test_the_source_distribution_holds_tests_examples_and_pages(distributions: tuple[Path, Path]) -> None:
    with tarfile.open(distributions[0]) as archive:
        found = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    hidden = {name for name in repository_files() if name.startswith(".")}
    assert set(repository_files()) - hidden <= found


@pytest.mark.slow
def test_dependencies_agree(installed: Path, tmp_path: Path) -> None:
    assert "No broken requirements" in call(installed / "python", "-m", "pip", "check", cwd=tmp_path)


@pytest.mark.slow
def test_the_demo_runs_outside_of_the_repository(installed: Path, tmp_path: Path) -> None:
    where = call(installed / "python", "-c", "import hitfabric.core; print(hitfabric.core.__file__)", cwd=tmp_path)
    assert where.startswith(str(installed.parent))
    call(installed / "hitfabric", "demo", "--quick", cwd=tmp_path, timeout=600)
    run = tmp_path / "runs" / "demo"
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    assert {count for executors in summary["mismatches"].values() for count in executors.values()} == {0}
    assert summary["serving"]["labels_equal"] is True
    assert (run / "report.html").stat().st_size > 100_000
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


@pytest.mark.slow
def test_users_get_types(installed: Path, tmp_path: Path) -> None:
    program = "from hitfabric.core import HitfabricError\n\nHitfabricError('text', remedy=3)\n"
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    pyright = Path(sys.executable).parent / "pyright"
    done = subprocess.run(
        [pyright, "--pythonpath", installed / "python", "--outputjson", "program.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    (problem,) = json.loads(done.stdout)["generalDiagnostics"]
    assert problem["rule"] == "reportArgumentType"
    assert problem["range"]["start"]["line"] == 2
