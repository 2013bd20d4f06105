"""`hitfabric lint`: checkpoints, files and modules; tables, JSON and exit codes; every bad form in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from hitfabric.models.checkpoints import save_checkpoint
from hitfabric.models.config import FilterConfig
from hitfabric.models.networks import FilterNetwork
from hitfabric.models.training_loop import calibrate

SOURCE = """
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from helper import BITS
from hitfabric.quantization.presets import quantized_identity, quantized_mlp

@dataclass
class Options:
    width: int = 3

class Float(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x):
        return torch.sigmoid(self.layer(x))

def make(scored=False):
    torch.manual_seed(0)
    layers = [quantized_identity(BITS), quantized_mlp((3, 2), weight_bits=4, activation_bits=4)]
    model = nn.Sequential(*layers, *([nn.Sigmoid()] if scored else []))
    for _ in range(21):
        model(torch.randn(9, 3))
    return model

def scored():
    return make(scored=True)

def needs(width):
    return width

def fails():
    raise RuntimeError("no weights here [bold]")

def wrong():
    return "a model"

good, number = make(), 3
"""


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A user's file, with a module beside it."""
    (tmp_path / "helper.py").write_text("BITS = 6\n")
    (tmp_path / "broken.py").write_text("import nothing_of_this_name\n")
    path = tmp_path / "networks.py"
    path.write_text(SOURCE)
    return path


@pytest.mark.parametrize("name", ["good", "make"])
def test_a_model_that_keeps_the_contract(run, models: Path, name: str) -> None:  # noqa: ANN001 - fixture
    outcome = run("lint", f"{models}:{name}")
    assert outcome.code == 0, outcome
    assert "0 violations, 0 warnings: can become firmware" in outcome.out


def test_violations_are_a_table_and_json(run, models: Path) -> None:  # noqa: ANN001
    table = run("lint", f"{models}:scored")
    assert table.code == 1
    assert "Sigmoid" in table.out and "1 violations" in table.out
    outcome = run("lint", f"{models}:scored", "--json")
    assert outcome.code == 1
    found = json.loads(outcome.out)
    assert (found["passed"], found["warnings"]) == (False, [])
    assert [item["module"] for item in found["violations"]] == ["2"]
    assert set(found["violations"][0]) == {"module", "rule", "remedy"}


def test_a_float_model(run, models: Path) -> None:  # noqa: ANN001
    outcome = run("lint", f"{models}:Float", "--json")
    assert outcome.code == 1
    violations = json.loads(outcome.out)["violations"]
    assert len(violations) == 1 and "presets" in violations[0]["remedy"]
    table = run("lint", f"{models}:Float").out
    assert "…" not in table  # the names to import are there to the end


def test_a_checkpoint(run, tmp_path: Path) -> None:  # noqa: ANN001
    network = FilterNetwork(config=FilterConfig(hidden=(4,)))
    calibrate(network, lambda model: model(torch.randn(20, 12)).sum())
    save_checkpoint(network, tmp_path / "filter.pt")
    outcome = run("lint", tmp_path / "filter.pt", "--json")
    assert outcome.code == 0, outcome
    assert json.loads(outcome.out)["violations"] == []


def test_a_module_of_the_current_folder(run, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN001
    monkeypatch.chdir(models.parent)
    assert run("lint", "networks:good").code == 0


@pytest.mark.parametrize(
    ("model", "named"),
    [
        ("nothing", "nothing names no model"),
        ("nothing.pt", "cannot read"),
        ("{folder}", "is a folder"),
        ("{folder}/networks.py", "names no model"),
        ("{folder}/helper.pt", "cannot read"),
        ("{folder}/absent.py:good", "absent.py does not exist"),
        ("{folder}/broken.py:good", "broken.py cannot be imported: ModuleNotFoundError"),
        ("{folder}/networks.py:absent", "has no absent; use one of ['Float', 'good']"),
        ("{folder}/networks.py:number", "is int, not an nn.Module"),
        ("{folder}/networks.py:needs", "needs the arguments width"),
        ("{folder}/networks.py:fails", "fails() failed: RuntimeError: no weights here [bold]"),
        ("{folder}/networks.py:wrong", "gives str, not an nn.Module"),
        ("{folder}/networks.py:", "names no model"),
        (":good", "names no model"),
        ("no.such.package:good", "module no.such.package cannot be imported"),
        ("not a module:good", "neither a file that ends in .py nor a module"),
    ],
)
def test_bad_models_are_one_line(run, models: Path, model: str, named: str) -> None:  # noqa: ANN001
    assert named in run("lint", model.format(folder=models.parent)).error


def test_a_file_that_is_no_checkpoint(run, tmp_path: Path) -> None:  # noqa: ANN001
    (tmp_path / "text.pt").write_text("no checkpoint")
    assert "is no checkpoint" in run("lint", tmp_path / "text.pt").error
