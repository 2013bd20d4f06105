"""A host without a compiler: the commands work, and say once what computes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from support.tiny import Tiny

PROGRAM = [sys.executable, "-c", "from hitfabric.cli import main; main()"]


def test_numpy_tracks_alike_and_it_is_said_once(run, tiny: Tiny, tmp_path: Path) -> None:  # noqa: ANN001
    call = ["track", "--model", str(tiny.run), "--events", str(tiny.events), "--limit", "1", "--json"]
    bare = {**os.environ, "PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    found = subprocess.run(
        [*PROGRAM, *call, "--out", str(tmp_path / "bare")], env=bare, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    told = [line for line in found.stderr.splitlines() if "NumPy executor" in line]
    assert len(told) == 1
    assert told[0].startswith("warning: no C++ compiler")
    assert told[0].endswith("run: apt-get install g++")
    assert len(json.loads(found.stdout)) == 1
    asked = run(*call, "--device", "numpy", "--out", tmp_path / "asked")
    assert asked.code == 0 and "NumPy executor" not in asked.err
    golden = run(*call, "--device", "golden", "--out", tmp_path / "golden")
    assert golden.code == 0
    texts = []
    for name in ("bare", "asked", "golden"):
        (labels,) = (tmp_path / name / "labels").iterdir()
        texts.append(labels.read_text())
    assert texts[0] == texts[1] == texts[2]
