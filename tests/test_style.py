"""The code keeps to what docs/architecture.md and the configuration of the tools say."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 300
ROOMS = (
    "core",
    "quantization",
    "detector",
    "models",
    "hls_projects",
    "emulation",
    "fpga_backend",
    "reports",
    "pipeline",
    "cli",
)
TORCH_PACKAGES = {"torch", "brevitas"}
TORCH_IN_QUANTIZATION = {
    "presets",
    "modules",
    "tracer",
    "walk",
    "fx_nodes",
    "in_place",
    "contract",
    "probes",
    "refusals",
    "linter",
    "folding",
    "reference",
}


def sources(*suffixes: str) -> list[Path]:
    """Files of the repository with these suffixes, tracked or new, that git does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    paths = [ROOT / line for line in listed.stdout.splitlines()]
    return [path for path in paths if path.suffix in suffixes and path.is_file()]


def room_files(room: str) -> list[Path]:
    return [path for path in sources(".py") if path.relative_to(ROOT).parts[0] == room]


def allowed_imports() -> dict[str, set[str]]:
    """The table of docs/architecture.md, room by room."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = {}
    for room in ROOMS:
        row = re.search(rf"^\| {room} \|[^|]*\| ([^|]*) \|$", text, flags=re.MULTILINE)
        assert row is not None, f"docs/architecture.md has no row for {room}"
        words = re.sub(r"\([^)]*\)", "", row[1]).strip()
        if words == "nobody":
            table[room] = set()
        elif words.startswith("all"):
            table[room] = set(ROOMS) - ({"cli"} if "but cli" in words else set())
        else:
            table[room] = {name.strip() for name in words.split(",")}
    return table


def imported_rooms(path: Path) -> set[str]:
    """Rooms that a file imports, anywhere in it."""
    depth = len(path.relative_to(ROOT).parts)
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            found |= {node.module.split(".")[0]} if node.module else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").startswith("hitfabric"):
            found.add(f"absolute import of {node.module}")
        elif isinstance(node, ast.Import):
            found |= {f"absolute import of {a.name}" for a in node.names if a.name.split(".")[0] == "hitfabric"}
    return found


def test_packages_and_rooms_agree() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    assert set(settings["packages"]) == {f"hitfabric.{room}" for room in ROOMS}
    assert settings["package-dir"] == {f"hitfabric.{room}": room for room in ROOMS}
    nested = [path for room in ROOMS for path in room_files(room) if len(path.relative_to(ROOT).parts) > 2]
    assert nested == [], "a subpackage must be listed in pyproject.toml"


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_one_way(room: str) -> None:
    allowed = allowed_imports()[room] | {room}
    wrong = {str(path.relative_to(ROOT)): imported_rooms(path) - allowed for path in room_files(room)}
    assert {path: rooms for path, rooms in wrong.items() if rooms} == {}


def drawn_imports(text: str, arrow: str) -> set[tuple[str, str]]:
    return set(re.findall(rf"(\w+) ?{arrow} ?(\w+)", text))


def test_the_diagram_shows_the_imports() -> None:
    imports = {room: {name for path in room_files(room) for name in imported_rooms(path)} - {room} for room in ROOMS}
    reached: dict[str, set[str]] = {}
    while len(reached) < len(ROOMS):  # ends, as imports point one way
        for room in ROOMS:
            if room not in reached and imports[room] <= set(reached):
                reached[room] = imports[room].union(*(reached[name] for name in imports[room]))
    expected = {
        (room, name)
        for room in ROOMS
        for name in imports[room]
        if not any(name in reached[other] for other in imports[room])
    }
    figures = ROOT / "docs" / "figures"
    assert drawn_imports((figures / "rooms.dot").read_text(encoding="utf-8"), "->") == expected
    assert drawn_imports((figures / "rooms.svg").read_text(encoding="utf-8"), "&#45;&gt;") == expected


def imports_at(tree: ast.Module, *, top_level: bool) -> set[str]:
    """Packages imported absolutely: at the top level of a file, or anywhere."""
    nodes = tree.body if top_level else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_torch_stays_where_it_belongs(room: str) -> None:
    wrong = []
    for path in room_files(room):
        uses = imports_at(ast.parse(path.read_text(encoding="utf-8")), top_level=False) & TORCH_PACKAGES
        allowed = room == "models" or (room == "quantization" and path.stem in TORCH_IN_QUANTIZATION)
        if uses and (not allowed or path.name == "__init__.py"):
            wrong.append(str(path.relative_to(ROOT)))
    assert wrong == []


BLOCKED = """
import importlib, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "brevitas", "hls4ml", "tritonclient", "chromo", "acts"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
for room in sys.argv[1:]:
    importlib.import_module(f"hitfabric.{room}")
"""


def test_rooms_import_without_extras() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, *ROOMS], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr


def test_files_are_short() -> None:
    files = sources(".py", ".c", ".cc", ".cpp", ".h", ".md", ".jinja", ".css", ".sh")
    lengths = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n") for path in files}
    assert {path: length for path, length in lengths.items() if length > LIMIT} == {}


def run_tool(*command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_check() -> None:
    run_tool("ruff", "check", "--no-cache", ".")


def test_ruff_format() -> None:
    run_tool("ruff", "format", "--no-cache", "--check", ".")


def test_pyright() -> None:
    run_tool("pyright", "--pythonpath", sys.executable)


def test_clang_format() -> None:
    files = [str(path) for path in sources(".c", ".cc", ".cpp", ".h")]
    assert files
    executable = Path(sys.executable).parent / "clang-format"
    done = subprocess.run(
        [str(executable), "--dry-run", "-Werror", *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_nothing_names_this_machine() -> None:
    wrong = []
    for path in sources(".py", ".md", ".toml", ".yml", ".yaml", ".c", ".cc", ".h", ".cpp", ".sh", ".json"):
        text = path.read_text(encoding="utf-8")
        if re.search(r"(?<![\w.])/(work|root|home)/", text) and path != Path(__file__):
            wrong.append(str(path.relative_to(ROOT)))
    assert wrong == []
