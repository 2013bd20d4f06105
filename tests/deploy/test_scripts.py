"""Every script of deploy/ is sound to its shell and to shellcheck."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.supersonic import DEPLOY

SCRIPTS = sorted(path for suffix in (".sh", ".sbatch") for path in DEPLOY.rglob(f"*{suffix}"))
SHELLCHECK = Path(sys.executable).parent / "shellcheck"


def check(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SHELLCHECK, path], capture_output=True, text=True, timeout=60, check=False)


def test_there_are_scripts() -> None:
    assert {path.name for path in SCRIPTS} == {"serve.sh", "health.sh", "post-render.sh", "serve.sbatch"}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_script(path: Path) -> None:
    shell = path.read_text().splitlines()[0].split("/")[-1].split()[-1]
    assert shell in ("sh", "bash")
    parsed = subprocess.run([shell, "-n", path], capture_output=True, text=True, timeout=60, check=False)
    assert parsed.returncode == 0, parsed.stderr
    assert path.suffix == ".sbatch" or path.stat().st_mode & 0o111, "executable"
    done = check(path)
    assert done.returncode == 0, done.stdout


def test_shellcheck_finds_faults(tmp_path: Path) -> None:
    script = tmp_path / "fault.sh"
    script.write_text('#!/bin/sh\nrm -rf $1/*\nif [ "$2" == yes ]; then echo; fi\n')
    done = check(script)
    assert done.returncode == 1
    assert "SC2086" in done.stdout and "SC3014" in done.stdout
