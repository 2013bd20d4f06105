"""What is installed and what is missing: found out, not assumed."""

from __future__ import annotations

import json
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from hitfabric.pipeline import doctor_checks
from hitfabric.pipeline.doctor import PURPOSES, examine


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def pieces(text: str, purpose: str) -> dict[str, dict[str, Any]]:
    sections = {section["name"]: section for section in json.loads(text)["sections"]}
    return {check["name"]: check for check in sections[purpose]["checks"]}


def test_what_the_tests_run_with_is_complete(run) -> None:  # noqa: ANN001 - fixture
    done = run("doctor", "core", "train", "build", "--json")
    found = json.loads(done.out)
    assert (done.code, found["passed"]) == (0, True), done.out
    assert pieces(done.out, "core")["numpy"]["detail"] == metadata.version("numpy")
    assert pieces(done.out, "train")["torch"]["found"]
    assert [section["name"] for section in found["sections"]] == list(PURPOSES)


def test_every_extra_is_a_purpose() -> None:
    extras = set(metadata.metadata("hitfabric").get_all("Provides-Extra") or ()) - {"all", "dev", "docs"}
    assert extras <= set(PURPOSES)
    assert all(section.checks for section in examine().sections)


def test_a_package_missing_or_of_another_version(run, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN001
    real = metadata.version

    def version(name: str) -> str:
        if name == "brevitas":
            raise metadata.PackageNotFoundError(name)
        return "0.1" if name == "torch" else real(name)

    monkeypatch.setattr(doctor_checks.metadata, "version", version)
    assert run("doctor").code == 0, "training was not asked for"
    done = run("doctor", "train", "--json")
    assert done.code == 1
    found = pieces(done.out, "train")
    assert found["brevitas"] | {"use": ""} == {
        "name": "brevitas",
        "found": False,
        "detail": "not installed",
        "use": "",
        "remedy": "run: pip install 'hitfabric[train]'",
        "required": True,
    }
    assert found["torch"]["detail"].startswith("0.1, wanted ==")


def test_no_programs(run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:  # noqa: ANN001
    monkeypatch.setenv("PATH", str(tmp_path))
    done = run("doctor", "--json")
    assert done.code == 0, "NumPy computes the same without a compiler"
    compiler = pieces(done.out, "core")["C++ compiler"]
    assert (compiler["found"], compiler["remedy"]) == (False, "run: apt-get install g++")
    assert run("doctor", "build").code == 1
    shown = run("doctor", "vendor")
    assert shown.code == 1
    assert "settings64.sh" in shown.out


@pytest.mark.parametrize(("name", "code"), [("vitis-run", 0), ("i++", 0), ("v++", 1)])
def test_one_vendor_suffices(run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, code: int) -> None:  # noqa: ANN001
    program = tmp_path / name
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    done = run("doctor", "vendor", "--json")
    assert done.code == code
    found = pieces(done.out, "vendor")
    assert str(program) in [check["detail"] for check in found.values()]


def test_a_program_that_does_not_run(run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:  # noqa: ANN001
    real = shutil.which("g++")
    assert real is not None
    (tmp_path / "g++").symlink_to(real)
    broken = tmp_path / "dot"
    broken.write_text("#!/bin/sh\necho no such library >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    dot = pieces(run("doctor", "--json").out, "core")["dot"]
    assert not dot["found"]
    assert "no such library" in dot["detail"]


def test_a_cache_that_cannot_be_written(run, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN001
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    done = run("doctor", "--json")
    assert done.code == 1
    cache = pieces(done.out, "core")["cache"]
    assert not cache["found"]
    assert "XDG_CACHE_HOME" in cache["remedy"]


def test_an_unknown_purpose(run) -> None:  # noqa: ANN001
    assert "fly is no purpose" in run("doctor", "fly").error
