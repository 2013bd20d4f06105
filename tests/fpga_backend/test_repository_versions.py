"""Versions and detectors side by side in one repository, and what is not ours in it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from hitfabric.core import ConfigError, GraphError
from hitfabric.fpga_backend import MODELS, ChainConfig, save_chain, write_repository
from hitfabric.fpga_backend.repository import ModelOptions
from hitfabric.fpga_backend.repository_versions import model_names, version_numbers
from hitfabric.quantization import TypedGraph

Content = dict[str, bytes]


def _content(folder: Path) -> Content:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def wider(
    tmp_path: Path,
    config: ChainConfig,
    graphs: dict[str, TypedGraph],
    make_interaction_network: Callable[..., TypedGraph],
) -> Path:
    """A chain whose interaction network takes six features of an edge."""
    network = make_interaction_network(5, 6)
    directory = tmp_path / "wider"
    changed = config.model_copy(update={"edge_inputs": "track"})
    save_chain(directory, config=changed, graphs={**graphs, "interaction_network": network})
    return directory


def test_a_version_is_added_beside_the_others(chain_directory: Path, tmp_path: Path) -> None:
    repository = write_repository(tmp_path / "models", chain_directory, version=3)
    before = _content(repository / "tracking" / "3")
    write_repository(repository, chain_directory, version=12, options=ModelOptions(device="golden", versions=2))
    for name in MODELS:
        assert version_numbers(repository / name) == (3, 12)
    assert _content(repository / "tracking" / "3") == before == _content(repository / "tracking" / "12")
    config = text_format.Parse((repository / "tracking" / "config.pbtxt").read_text(), ModelConfig())
    assert config.version_policy.latest.num_versions == 2
    assert config.parameters["device"].string_value == "golden"
    assert [path.name for path in tmp_path.iterdir()] == ["models"]


def test_an_existing_version_is_replaced_only_when_asked(chain_directory: Path, tmp_path: Path) -> None:
    repository = write_repository(tmp_path / "models", chain_directory, version=2)
    mark = repository / "filter" / "2" / "mark"
    mark.touch()
    with pytest.raises(ConfigError, match="version 2 already"):
        write_repository(repository, chain_directory, version=2)
    assert mark.exists()
    write_repository(repository, chain_directory, version=2, replace=True)
    assert not mark.exists()
    assert sorted(path.name for path in (repository / "filter").iterdir()) == ["2", "config.pbtxt"]


def test_detectors_stand_side_by_side(chain_directory: Path, tmp_path: Path) -> None:
    repository = write_repository(tmp_path / "models", chain_directory, name="itk")
    before = _content(repository)
    write_repository(repository, chain_directory, name="odd-2")
    assert model_names(repository) == tuple(sorted(f"{name}_{model}" for name in ("itk", "odd-2") for model in MODELS))
    assert {path: text for path, text in _content(repository).items() if path.startswith("itk_")} == before
    config = text_format.Parse((repository / "odd-2_filter" / "config.pbtxt").read_text(), ModelConfig())
    assert config.name == "odd-2_filter"


@pytest.mark.parametrize("signed", [True, False])
def test_versions_that_differ_in_their_tensors_are_refused(
    chain_directory: Path, wider: Path, tmp_path: Path, signed: bool
) -> None:
    repository = write_repository(tmp_path / "models", chain_directory)
    if not signed:  # the backend completes it from the typed graph, and so does the check
        for file in repository.rglob("signature.json"):
            file.unlink()
    before = _content(repository)
    with pytest.raises(ConfigError, match=r"interaction_network: version 1 has .*edges FP32 \[E, 4\].*\[E, 6\]"):
        write_repository(repository, wider, version=2)
    assert _content(repository) == before
    write_repository(repository, wider, version=1, replace=True)  # alone it may be served
    write_repository(repository, chain_directory, name="other", version=2)


def test_nothing_changes_when_a_version_cannot_be_written(chain_directory: Path, tmp_path: Path) -> None:
    repository = write_repository(tmp_path / "models", chain_directory)
    broken = tmp_path / "broken"
    shutil.copytree(chain_directory, broken)
    (broken / "filter" / "weights.npz").write_bytes(b"no archive")
    before = _content(repository)
    with pytest.raises(GraphError):
        write_repository(repository, broken, version=2)
    assert _content(repository) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken", "models"]


def test_foreign_folders_are_refused(chain_directory: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("Once")
    with pytest.raises(ConfigError, match="not empty and no model repository"):
        write_repository(tmp_path / "thesis", chain_directory)
    with pytest.raises(ConfigError, match="is a file"):
        write_repository(tmp_path / "thesis" / "chapter1.tex", chain_directory)
    assert _content(tmp_path) == {"thesis/chapter1.tex": b"Once"}


@pytest.mark.parametrize("version", [None, 2])
def test_a_model_of_somebody_else_is_not_replaced(chain_directory: Path, tmp_path: Path, version: int | None) -> None:
    theirs = tmp_path / "models" / "tracking"
    theirs.mkdir(parents=True)
    (theirs / "config.pbtxt").write_text('name: "tracking"\nbackend: "onnxruntime"\n')
    with pytest.raises(ConfigError, match="no model of hitfabric"):
        write_repository(tmp_path / "models", chain_directory, version=version)
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["tracking"]
    write_repository(tmp_path / "models", chain_directory, name="ours", version=version)
    assert (theirs / "config.pbtxt").exists()


def test_an_empty_folder_is_filled(chain_directory: Path, tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    write_repository(tmp_path / "volume", chain_directory, version=4)
    assert version_numbers(tmp_path / "volume" / "filter") == (4,)


def test_only_numbers_are_versions(tmp_path: Path) -> None:
    for name in ("1", "10", "2", "02", "next", ".3.x"):
        (tmp_path / name).mkdir()
    (tmp_path / "4").touch()
    assert version_numbers(tmp_path) == (1, 2, 10)
