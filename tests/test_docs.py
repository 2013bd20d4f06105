"""Every bash and python block of the documentation runs, and whatever else a reader may type is understood."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from hitfabric.cli.app import app
from hitfabric.core.dask_clusters import ClusterConfig
from hitfabric.fpga_backend import ClientConfig
from hitfabric.pipeline.build import BuildConfig
from hitfabric.pipeline.evaluate import EvaluateConfig
from hitfabric.pipeline.graphs import GraphsConfig
from hitfabric.pipeline.train import TrainConfig
from support.doc_commands import command_lines, mentioned_commands, mentioned_files

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<code>.*?)^```$", flags=re.MULTILINE | re.DOTALL)
CONFIGURATIONS = {
    "build.md": BuildConfig,
    "clusters.md": ClusterConfig,
    "fifo.md": BuildConfig,
    "graphs.md": GraphsConfig,
    "kernels.md": BuildConfig,
    "metrics.md": EvaluateConfig,
    "serve.md": ClientConfig,
    "train.md": TrainConfig,
}
WRITTEN = sorted(
    [*DOCS.rglob("*.md"), *(ROOT / "models" / "zoo").glob("*/README.md")]
    + [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "examples/README.md", "deploy/README.md")]
)
PROGRAM = typer.main.get_command(app)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, *languages: str) -> list[tuple[str, str]]:
    found = [(found["language"], found["code"]) for found in BLOCK.finditer(page.read_text(encoding="utf-8"))]
    return [(language, code) for language, code in found if language in languages]


PAGES = sorted(page for page in DOCS.glob("*.md") if blocks(page, "bash", "python"))


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_blocks_run_from_top_to_bottom(page: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    found = blocks(page, "bash", "python")
    commands = [["bash", "-euo", "pipefail", "-c", code] for language, code in found if language == "bash"]
    script = "\n".join(code for language, code in found if language == "python")
    if script:
        commands.append([sys.executable, "-c", script])
    for command in commands:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, f"{command[-1]}\n{done.stdout}\n{done.stderr}"


def refusal(arguments: list[str], *, whole: bool) -> str | None:
    """Why the program does not take these arguments, None if it does.

    Of what is not whole, only the command and the names of its options are looked up.
    """
    try:
        context = PROGRAM.make_context("hitfabric", list(arguments))
        words = [*getattr(context, "_protected_args", []), *context.args]
        if not words or words == ["COMMAND"]:
            return None
        name, command, rest = PROGRAM.resolve_command(context, words)
        if whole:
            command.make_context(name, list(rest), parent=context)
    except typer.Exit:  # --help, --version
        return None
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        return f"hitfabric {' '.join(arguments)}: {error.format_message()}"  # pyright: ignore[reportAttributeAccessIssue]
    known = {option for part in command.params for option in (*part.opts, *part.secondary_opts)} | {"-h", "--help"}
    unknown = {word.partition("=")[0] for word in rest if word.startswith("-")} - known
    return f"hitfabric {' '.join(arguments)}: no option {unknown}" if unknown else None


def test_the_check_of_commands_can_fail() -> None:
    assert refusal(["track", "--events", "E", "--no-such-option"], whole=True)
    assert refusal(["no-such-command"], whole=True)
    assert refusal(["track", "--limit", "none"], whole=True)
    assert refusal(["report"], whole=True)
    assert refusal(["report"], whole=False) is None
    assert refusal(["report", "--no-such-option"], whole=False)
    text = (
        "`hitfabric track\n--here`\n\n    hitfabric demo  # now\n\n```console\n$ hitfabric build \\\n    a > b\n```\n"
    )
    assert list(command_lines(text)) == [["build", "a"], ["demo"]]
    assert list(mentioned_commands(text)) == [["track", "--here"]]


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_commands_exist_with_their_options(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    refused = [refusal(arguments, whole=True) for arguments in command_lines(text)]
    refused += [refusal(arguments, whole=False) for arguments in mentioned_commands(text)]
    assert [line for line in refused if line] == []


def test_configurations_are_accepted() -> None:
    shown = {page.name for page in DOCS.glob("*.md") if blocks(page, "yaml")}
    assert shown == set(CONFIGURATIONS)
    for name, model in CONFIGURATIONS.items():
        for _, code in blocks(DOCS / name, "yaml"):
            needed = {"events": "EVENTS"} if model in (GraphsConfig, TrainConfig) else {}
            model.model_validate(needed | yaml.safe_load(code))


def test_json_blocks_are_json() -> None:
    shown = [json.loads(code) for page in DOCS.glob("*.md") for _, code in blocks(page, "json")]
    assert shown


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_named_files_exist(page: Path) -> None:
    named = mentioned_files(page.read_text(encoding="utf-8"))
    assert [path.as_posix() for path in named if not (ROOT / path).exists()] == []


def test_targets_of_make_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", DOCS / "getting_started.md"):
        named = re.findall(r"(?:^    |`)make ([a-z][a-z-]*)", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert set(named) <= targets, page.name


def resolve(path: str) -> Any:
    """The module, class or function of a dotted path."""
    parts = path.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError as error:
            if error.name != ".".join(parts[:count]):
                raise
            continue
        for part in parts[count:]:
            found = getattr(found, part)
        return found
    raise AttributeError(path)


@pytest.mark.slow
def test_named_parts_of_the_library_exist() -> None:
    named = {
        found["path"]
        for page in WRITTEN
        for found in re.finditer(
            r"(?:`|^::: )(?P<path>hitfabric(?:\.\w+)+)", page.read_text("utf-8"), flags=re.MULTILINE
        )
    }
    assert "hitfabric.quantization.folding.fold_batch_norm" in named
    for path in sorted(named):
        resolve(path)


def test_the_pages_named_in_the_documentation_exist() -> None:
    for page in WRITTEN:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_question_of_the_faq_was_asked_by_somebody() -> None:
    questions = (DOCS / "faq.md").read_text(encoding="utf-8").split("\n### ")[1:]
    assert len(questions) >= 20
    for question in questions:
        assert re.search(r"https://github\.com/[\w.-]+/[\w.-]+/(issues|pull)/\d+", question), question.splitlines()[0]
