"""What `validate` refuses: unknown names, settings without effect, networks and events that are damaged or absent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hitfabric.core import ConfigError, DataError, GraphError, ToolError
from hitfabric.pipeline.validate import ValidateConfig, validate
from hitfabric.quantization import TypedGraph
from support.hand_graph import hand_graph
from support.validations import settings


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"executors": ("rtl", "golden")}, "executor rtl shows the outputs alone, and cannot be the reference"),
        ({"executors": ("golden", "gpu")}, "unknown executor 'gpu'; use some of brevitas, golden, native, numpy, csim"),
        ({"executors": ("golden",)}, "nothing to compare"),
        ({"executors": ("native", "native")}, "nothing to compare"),
        ({"executors": ()}, "nothing to compare"),
        (
            {"networks": ("embeding",)},
            "no network is called 'embeding'; give one of embedding, filter, interaction_net",
        ),
    ],
)
def test_unknown_names(lively: Path, tmp_path: Path, values: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        validate(settings(lively, tmp_path / "out", **values))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"events": Path("/nowhere")}, "no network chosen takes events, so that none of /nowhere would be used"),
        ({"graphs": Path("/nowhere")}, "no network chosen takes sector graphs"),
        ({"networks": ("sector-in-8",), "events": Path("/nowhere")}, "no network chosen takes events"),
        ({"bounded": True}, "bounded needs the executor csim"),
        ({"networks": ("filter",), "bounded": True, "executors": ("golden", "csim")}, "bounded needs a network in the"),
        ({"projects": Path("/nowhere")}, "projects needs the executor csim or rtl"),
        ({"everything": True}, "everything needs events or graphs"),
        ({"event_names": ("event000000001",)}, "event_names needs events"),
        (
            {"mutate_executors": ("golden",)},
            "mutate_executors needs mutate, .*leave mutate_executors out, or add mutate",
        ),
    ],
)
def test_settings_without_effect(lively: Path, tmp_path: Path, values: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        validate(settings(lively, tmp_path / "out", **values))
    assert not (tmp_path / "out").exists()


def test_brevitas_needs_checkpoints(lively: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no checkpoints beside it; give the --out folder of hitfabric train"):
        validate(settings(lively, tmp_path, executors=("brevitas", "golden")))


def test_a_folder_without_a_network(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no network"):
        validate(settings(tmp_path, tmp_path / "out"))


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_corrupt_graph(lively: Path, tmp_path: Path, jobs: int) -> None:
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(lively, broken)
    (broken / "weights.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(GraphError, match=r"weights.npz differs from its manifest"):
        validate(settings(broken, tmp_path / "out", jobs=jobs))
    assert not (tmp_path / "out").exists()


def test_two_networks_of_one_name(lively: Path, tmp_path: Path) -> None:
    hand = hand_graph()
    TypedGraph(name="lively", nodes=hand.nodes, maxima=hand.maxima).save(tmp_path / "other")
    with pytest.raises(DataError, match="two networks are called lively"):
        validate(settings(lively, tmp_path / "out", networks=(str(lively), str(tmp_path / "other"))))


@pytest.mark.parametrize("jobs", [1, 2])
def test_missing_compiler(lively: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"apt-get install g\+\+"):
        validate(settings(lively, tmp_path / "out", jobs=jobs))


def test_events_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    config = ValidateConfig(
        networks=("embedding",),
        executors=("golden", "native"),
        events=tmp_path / "empty",
        out=tmp_path / "out",
        jobs=1,
    )
    with pytest.raises(DataError, match="holds no events"):
        validate(config)
    assert not (tmp_path / "out" / "ladder.json").exists()
