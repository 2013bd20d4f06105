"""compile: a network as a library that C programs load."""

from __future__ import annotations

import ctypes
import json
from pathlib import Path

import pytest

from hitfabric.emulation.native_build import KERNELS
from hitfabric.emulation.native_library import NativeLibrary
from hitfabric.quantization import TypedGraph
from support.hand_graph import hand_graph
from support.perceptrons import perceptron


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A typed graph on disk."""
    hand_graph().save(tmp_path / "network")
    return tmp_path / "network"


def test_library_and_header_are_written(run, network: Path, tmp_path: Path) -> None:  # noqa: ANN001 - fixture
    out = tmp_path / "compiled"
    outcome = run("compile", network, "--out", out)
    assert outcome.code == 0, outcome.err
    assert {path.name for path in out.iterdir()} == {"hand.so", "hitfabric_native.h", "run.json"}
    assert (out / "hitfabric_native.h").read_text() == (KERNELS / "hitfabric_native.h").read_text()
    assert "hand.so" in outcome.out and str(out) in outcome.out.replace("\n", "")
    library = ctypes.CDLL(str(out / "hand.so"))
    library.hitfabric_input.restype = ctypes.c_char_p
    assert library.hitfabric_input(1) == b"edge_index E 2 int64"
    assert json.loads((out / "run.json").read_text())["command"] == "compile"


def test_figures_as_json_and_chosen_instructions(run, network: Path, tmp_path: Path) -> None:  # noqa: ANN001
    out = tmp_path / "compiled"
    found = json.loads(run("compile", network, "--out", out, "--instructions", "plain", "--json").out)
    assert found == {
        "hand": {
            "name": "hand",
            "library": str(out / "hand.so"),
            "instructions": ["plain"],
            "inputs": ["nodes [N, 1] float32", "edge_index [E, 2] int64"],
            "outputs": ["result [N, 1] float32"],
            "maximal_edges": None,
            "bytes": (out / "hand.so").stat().st_size,
        }
    }
    assert NativeLibrary(out / "hand.so", None).available == ("plain",)


def test_compiled_again_in_place(run, network: Path, tmp_path: Path) -> None:  # noqa: ANN001
    """The library of a running program is replaced, not written over."""
    out = tmp_path / "compiled"
    run("compile", network, "--out", out, "--instructions", "plain")
    before = (out / "hand.so").stat().st_ino
    loaded = ctypes.CDLL(str(out / "hand.so"))
    hand_graph("max").save(network)
    assert run("compile", network, "--out", out, "--instructions", "plain").code == 0
    assert (out / "hand.so").stat().st_ino != before
    assert loaded.hitfabric_abi_version() == ctypes.CDLL(str(out / "hand.so")).hitfabric_abi_version()
    perceptron(1, layers=1).save(tmp_path / "other")
    assert run("compile", tmp_path / "other", "--out", out, "--instructions", "plain").code == 0
    assert {path.suffix for path in out.iterdir()} == {".so", ".h", ".json"}
    assert len(list(out.glob("*.so"))) == 2


@pytest.mark.slow
def test_every_network_of_the_shipped_chain(run, tmp_path: Path) -> None:  # noqa: ANN001
    found = json.loads(run("compile", "event-pixel", "--out", tmp_path, "--json").out)
    assert list(found) == ["embedding", "filter", "interaction_network"]
    for name, item in found.items():
        assert "plain" in item["instructions"]
        assert NativeLibrary(tmp_path / f"{name}.so", None).available[-1] == "plain"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("nothing",), "no network is called 'nothing'"),
        (("{network}", "--out", "{network}/graph.json"), "is no folder"),
        (("{network}", "--instructions", "sse9"), "no code of hand for sse9; give some of"),
        (("{network}", "--instructions", "plain", "--instructions", "sse9"), "plain, sse9"),
        ((), "NETWORK"),
    ],
)
def test_wrong_calls(run, arguments, named: str, network: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN001
    monkeypatch.chdir(network.parent)
    error = run("compile", *(text.format(network=network) for text in arguments)).error
    assert named in error
    assert [path.name for path in network.parent.iterdir()] == ["network"]
    assert TypedGraph.load(network).digest == hand_graph().digest


def test_without_a_compiler(run, network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN001
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert "apt-get install g++" in run("compile", network, "--out", tmp_path / "out").error
    assert not (tmp_path / "out").exists()
