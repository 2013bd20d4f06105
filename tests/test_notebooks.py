"""The notebooks run from top to bottom, and git holds them without outputs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[1] / "examples" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
ROLES = {"physicist_trains", "engineer_synthesises", "operator_serves"}
LARGEST = 30_000  # bytes


def executed(path: Path) -> str:
    """What the cells print; an error in one is raised."""
    notebook: Any = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(FOLDER)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.get("text", "") for output in outputs)


@pytest.fixture(autouse=True)
def _one_core_and_no_folder_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(variable, "1")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))


def test_there_is_one_for_each_role() -> None:
    assert {path.stem for path in NOTEBOOKS} == ROLES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_git_holds_no_outputs(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(FOLDER / "strip.py"), str(path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert path.stat().st_size < LARGEST


@pytest.mark.slow
def test_the_physicist_trains() -> None:
    printed = executed(FOLDER / "physicist_trains.ipynb")
    values = dict(line.split() for line in printed.splitlines() if line.startswith(("efficiency ", "fake_rate ")))
    assert float(values["efficiency"]) > 0.5
    assert float(values["fake_rate"]) < 0.5


@pytest.mark.slow
def test_the_engineer_synthesises() -> None:
    printed = executed(FOLDER / "engineer_synthesises.ipynb")
    assert "{'filter': {'native': 0, 'csim': 0}}" in printed
    assert "planted faults caught" in printed
    assert "estimated: " in printed
    assert "create_clock -period $clock_period" in printed, "what the HLS tool is told"
    assert "reuse factor 4: 350 multipliers" in printed
    assert re.search(r"^LUT +\d+ +synthesised \(Yosys\)$", printed, flags=re.MULTILINE)
    assert re.search(
        r"^\d+ integers of the Verilog compared: {'sector_interaction_network': {'rtl': 0}}$", printed, flags=re.M
    )
    assert "CycleFigures(graphs=10, " in printed


@pytest.mark.slow
def test_the_operator_serves() -> None:
    printed = executed(FOLDER / "operator_serves.ipynb")
    assert printed.count(" tracks, ") == 3  # two events in Python, one in C++
    assert "restarts: 0 -> 1" in printed
