"""Checkpoints are whole, or an error of the system and the file of before."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hitfabric.models.saved_tensors import save_tensors


def test_what_is_saved_is_read(tmp_path: Path) -> None:
    save_tensors({"weights": torch.arange(5), "kind": "filter"}, tmp_path / "a.pt")
    found = torch.load(tmp_path / "a.pt", weights_only=True)
    assert found["kind"] == "filter" and torch.equal(found["weights"], torch.arange(5))


@pytest.mark.slow
def test_a_full_disk_is_an_error_of_the_system(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    save_tensors({"weights": torch.arange(5)}, path)
    before = path.read_bytes()
    code = f"""
import signal, resource, torch
from pathlib import Path
from hitfabric.models.saved_tensors import save_tensors
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, {resource.RLIM_INFINITY}))
try:
    save_tensors({{"weights": torch.zeros(100000)}}, Path({str(path)!r}))
except OSError as error:
    raise SystemExit(17)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 17, done.stderr
    assert path.read_bytes() == before and [item.name for item in tmp_path.iterdir()] == ["a.pt"]
