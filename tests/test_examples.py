"""Every example that brings its own network runs, learns something and ends with 0 mismatches."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
RUNS = [
    ("mlp.py",),
    ("interaction_network.py", "--rounds", "3", "--shared", "--skip", "residual", "--both-ends"),
    ("interaction_network.py", "--skip", "concat", "--no-edge-features"),
    ("edge_conv.py",),
    ("gcn.py",),
    ("graph_sage.py",),
    ("pyg_weights.py", "--kind", "gin"),
]
OTHERS = {"common.py", "track_in_process.py", "plain_tritonclient.py"}  # help to the others; need events or a server


@pytest.mark.slow
@pytest.mark.parametrize("run", RUNS, ids=" ".join)
def test_example_ends_with_no_mismatch(run: tuple[str, ...], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / run[0]), *run[1:], "--steps", "20"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^0 mismatches with golden", done.stdout, flags=re.MULTILINE), done.stdout
    rows = re.findall(r"^(brevitas|native) +(\d+) of +(\d+)$", done.stdout, flags=re.MULTILINE)
    assert [row[0] for row in rows] == ["brevitas", "native"]
    assert all(int(mismatches) == 0 and int(values) > 10_000 for _, mismatches, values in rows)


def test_every_example_is_run_or_named() -> None:
    names = {path.name for path in EXAMPLES.glob("*.py")}
    assert names == {run[0] for run in RUNS} | OTHERS
