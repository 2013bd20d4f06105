"""The files of a project one joins agree with each other: hooks, continuous integration, templates, versions."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = Path(sys.prefix)
HOOKS = ROOT / ".pre-commit-config.yaml"
TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, timeout=300)


def version() -> str:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def test_words_are_spelt() -> None:
    files = [name for name in run("git", "ls-files").stdout.splitlines() if (ROOT / name).is_file()]
    if not files:
        pytest.skip("not a git checkout")
    done = run(ENVIRONMENT / "bin" / "codespell", *files)
    assert done.returncode == 0, done.stdout + done.stderr


def test_hooks_are_tools_of_the_lock() -> None:
    locked = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE))
    (repository,) = read_yaml(HOOKS)["repos"]
    assert repository["repo"] == "local"
    tools = {shlex.split(hook["entry"])[0] for hook in repository["hooks"]}
    assert (
        {Path(tool).name for tool in tools} - {"python"} == {"ruff", "pyright", "clang-format", "codespell"} <= locked
    )
    assert all(tool.startswith(".venv/bin/") and (ENVIRONMENT / "bin" / Path(tool).name).exists() for tool in tools)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A git checkout with our hooks and settings, and one file for each hook to stop at."""
    for name in (".pre-commit-config.yaml", ".clang-format", "pyproject.toml", "examples/notebooks/strip.py"):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    (tmp_path / ".venv").symlink_to(ENVIRONMENT)
    (tmp_path / ".gitignore").write_text(".venv\n.cache\n")
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "sizes.py").write_text('"""Sizes."""\n\nimport os\n\nSIZE: int = "3"\n')
    (tmp_path / "core" / "places.py").write_text('"""Places."""\n\nPLACES = [1,2]\n')
    (tmp_path / "main.cpp").write_text("int main( ) {return 0;}\n")
    misspelt = "reveicer"[::-1]  # turned around, as the hook reads this file too
    (tmp_path / "page.md").write_text(f"The {misspelt}.\n")
    output = {"output_type": "stream", "name": "stdout", "text": ["1"]}
    cell = {"cell_type": "code", "id": "a", "execution_count": 1, "metadata": {}, "source": [], "outputs": [output]}
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "run.ipynb").write_text(json.dumps(notebook))
    for command in (("init", "--quiet"), ("add", ".")):
        run("git", *command, cwd=tmp_path)
    return tmp_path


def test_every_hook_stops_a_commit(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRE_COMMIT_HOME", str(checkout / ".cache"))
    call = (ENVIRONMENT / "bin" / "pre-commit", "run", "--all-files", "--color", "never")
    first = run(*call, cwd=checkout)
    names = {hook["name"] for hook in read_yaml(HOOKS)["repos"][0]["hooks"]}
    failed = {name for name in names if re.search(rf"^{re.escape(name)}\.+Failed$", first.stdout, re.MULTILINE)}
    assert failed == names, first.stdout + first.stderr
    assert (checkout / "core" / "places.py").read_text() == '"""Places."""\n\nPLACES = [1, 2]\n'
    assert (checkout / "main.cpp").read_text() == "int main() { return 0; }\n"
    (checkout / "core" / "sizes.py").write_text('"""Sizes."""\n\nSIZE: int = 3\n')
    (checkout / "page.md").write_text("The receiver.\n")
    second = run(*call, cwd=checkout)
    assert second.returncode == 0, second.stdout + second.stderr


def test_continuous_integration_is_one_script() -> None:
    (job,) = read_yaml(ROOT / ".github" / "workflows" / "ci.yml")["jobs"].values()
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert commands[-1] == ".ci/run"
    assert not any(re.search(r"pytest|\bmake (?!python)|pip ", command) for command in commands)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_issue_templates_are_forms(path: Path) -> None:
    form = read_yaml(path)
    if path.stem == "config":
        assert set(form) <= {"blank_issues_enabled", "contact_links"}
        return
    assert form["name"] and form["description"]
    identifiers = [item["id"] for item in form["body"]]
    assert len(identifiers) == len(set(identifiers)) > 0
    for item in form["body"]:
        assert item["type"] in {"textarea", "input", "dropdown", "checkboxes"}
        assert item["attributes"]["label"]
        assert set(item) <= {"type", "id", "attributes", "validations"}


def test_versions_agree() -> None:
    citation = read_yaml(ROOT / "CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["version"] == version()
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == version()
    assert re.fullmatch(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?", version())


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "examples/README.md"])
def test_links_of_pages_lead_somewhere(name: str) -> None:
    page = ROOT / name
    for target, anchor in re.findall(r"\]\(([^)#\s]+)(#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert "://" in target or (page.parent / target).exists(), f"{name}: {target}"
        if anchor and "://" not in target:
            titles = re.findall(r"^#+ (.*)$", (page.parent / target).read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor[1:] in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}, anchor
