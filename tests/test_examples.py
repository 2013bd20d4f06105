"""Every example that brings its own network runs, learns something and ends with 0 mismatches."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hitfabric.core import load_config
from hitfabric.detector import read_events
from hitfabric.pipeline.train import TrainConfig

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
RUNS = [
    ("mlp.py",),
    ("interaction_network.py", "--rounds", "3", "--shared", "--skip", "residual", "--both-ends"),
    ("interaction_network.py", "--skip", "concat", "--no-edge-features"),
    ("edge_conv.py",),
    ("gcn.py",),
    ("graph_sage.py",),
    ("pyg_weights.py", "--kind", "gin"),
    ("own_mlp.py",),
    ("own_gnn.py",),
]
ALONE = {"own_events.py", "qonnx_from_elsewhere.py"}
OTHERS = {"common.py", "track_in_process.py", "plain_tritonclient.py"}  # help to the others; need events or a server


def run_example(*call: str | Path, folder: Path) -> str:
    """What an example prints."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / call[0]), *map(str, call[1:])],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_settings_of_a_training_are_accepted() -> None:
    config = load_config(TrainConfig, EXAMPLES / "train.yaml", overrides={"events": "EVENTS"})
    assert config.chain.interaction_network.network.skip == "residual"


@pytest.mark.slow
@pytest.mark.parametrize("run", RUNS, ids=" ".join)
def test_example_ends_with_no_mismatch(run: tuple[str, ...], tmp_path: Path) -> None:
    printed = run_example(*run, "--steps", "20", folder=tmp_path)
    assert re.search(r"^0 mismatches with golden", printed, flags=re.MULTILINE), printed
    rows = re.findall(r"^(brevitas|native) +(\d+) of +(\d+)$", printed, flags=re.MULTILINE)
    assert [row[0] for row in rows] == ["brevitas", "native"]
    assert all(int(mismatches) == 0 and int(values) > 10_000 for _, mismatches, values in rows)


def test_own_events_become_a_folder_and_tracks(tmp_path: Path) -> None:
    printed = run_example("own_events.py", "--out", tmp_path / "events", folder=tmp_path)
    efficiencies = [float(found) for found in re.findall(r"160 hits, efficiency ([\d.]+)", printed)]
    assert len(efficiencies) == 2
    assert min(efficiencies) > 0.7
    events = list(read_events(tmp_path / "events"))
    assert [len(event) for event in events] == [160, 160]
    assert all(event.particles is not None and len(event.particles) == 40 for event in events)


def test_a_file_from_elsewhere_equals_its_own_execution(tmp_path: Path) -> None:
    assert "0 of 1000 values differ from qonnx" in run_example("qonnx_from_elsewhere.py", folder=tmp_path)


def test_every_example_is_run_or_named() -> None:
    names = {path.name for path in EXAMPLES.glob("*.py")}
    assert names == {run[0] for run in RUNS} | ALONE | OTHERS
