"""Files of a user with bytes flipped, cut out, doubled or cut off: read soundly, or refused by name; never a crash."""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitfabric.core import HitfabricError, load_config
from hitfabric.detector import read_events
from hitfabric.detector.event_parquet import write_parquet
from hitfabric.detector.graph_sample import GraphSample, read_graph, write_graph
from hitfabric.detector.sphenix_graph import read_sphenix_event, read_sphenix_graph
from hitfabric.fpga_backend.chain_files import load_config as load_chain
from hitfabric.fpga_backend.client_config import ClientConfig
from hitfabric.models.checkpoints import load_checkpoint
from hitfabric.models.float_networks import load_float_network
from hitfabric.models.training_state import TrainingState
from hitfabric.pipeline.simulate import SimulateConfig
from hitfabric.quantization import TypedGraph
from hitfabric.quantization.qonnx_export import export_qonnx
from hitfabric.quantization.qonnx_import import import_qonnx
from support.tiny import Tiny

EXAMPLES = int(os.environ.get("HITFABRIC_FUZZ_EXAMPLES", "25"))
CLIENT = "engine: triton\ntriton:\n  servers: [127.0.0.1:8001, localhost:8003]\n  retry: {attempts: 3, jitter: 0.25}\n"
SETTINGS = "events: 3\npile_up: 2.5\ngenerator: helix\nout: somewhere\nseed: 7\n"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A whole file, and what reads it.

    Attributes:
        path: The file; its bytes are replaced.
        read: Reads it, or what it belongs to.
    """

    path: Path
    read: Callable[[], object]


def sphenix(path: Path) -> Path:
    xyz = np.array([[3.0, 0.5, 1.0], [6.0, 1.1, 2.0], [9.0, 1.5, 3.5], [3.1, -2.0, -1.0]])
    layers = np.array([0, 1, 2, 0])
    arrays: dict[str, Any] = {"hits_xyz": xyz, "layer_id": layers, "pid": np.array([4, 4, 4, 9])}
    arrays["noise_label"] = np.array([1, 1, 1, 0])
    np.savez(path, **arrays, edge_index=np.array([[0, 1], [1, 2]]))
    return path


@pytest.fixture(scope="module")
def cases(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    folder = tmp_path_factory.mktemp("damaged")
    chain, float_chain = tiny.run / "chain", tiny.run / "float"
    events = list(read_events(tiny.events, limit=1))
    parquet = folder / "parquet"
    write_parquet(events, parquet)
    sample = GraphSample(
        name="g",
        nodes=np.ones((3, 3), np.float32),
        edges=np.ones((2, 4), np.float32),
        edge_index=np.array([[0, 1], [1, 2]]),
        labels=np.array([True, False]),
        particle_id=np.array([1, 1, 2]),
    )
    graph = write_graph(sample, folder)
    archive = folder / "zip" / "events.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as content:
        for path in sorted(tiny.events.glob("*000000000-*")):
            content.write(path, path.name)
    typed, floats = folder / "typed", folder / "floats"
    TypedGraph.load(chain / "filter").save(typed, provenance={})
    floats.mkdir()
    for name in ("network.json", "weights.npz"):
        (floats / name).write_bytes((float_chain / "filter" / name).read_bytes())
    copies = {}
    for source in (tiny.run / "checkpoints" / "filter.pt", tiny.run / "checkpoints" / "filter.state"):
        copies[source.suffix] = folder / source.name
        copies[source.suffix].write_bytes(source.read_bytes())
    (folder / "chain.json").write_bytes((chain / "chain.json").read_bytes())
    (folder / "client.yaml").write_text(CLIENT)
    (folder / "settings.yaml").write_text(SETTINGS)
    qonnx = folder / "network.onnx"
    export_qonnx(TypedGraph.load(chain / "filter"), qonnx)
    hits = sphenix(folder / "sphenix.npz")
    tables = {path.name.rpartition("-")[2].removesuffix(".parquet"): path for path in parquet.glob("*.parquet")}
    return {
        "graph": Case(path=graph, read=lambda: read_graph(graph)),
        "sphenix graph": Case(path=hits, read=lambda: read_sphenix_graph(hits)),
        "sphenix event": Case(path=hits, read=lambda: read_sphenix_event(hits)),
        "parquet hits": Case(path=tables["hits"], read=lambda: list(read_events(parquet))),
        "parquet particles": Case(path=tables["particles"], read=lambda: list(read_events(parquet))),
        "archive": Case(path=archive, read=lambda: list(read_events(archive))),
        "checkpoint": Case(path=copies[".pt"], read=lambda: load_checkpoint(copies[".pt"])),
        "training state": Case(path=copies[".state"], read=lambda: TrainingState(copies[".state"], "another")),
        "typed weights": Case(path=typed / "weights.npz", read=lambda: TypedGraph.load(typed)),
        "typed graph": Case(path=typed / "graph.json", read=lambda: TypedGraph.load(typed)),
        "float network": Case(path=floats / "network.json", read=lambda: load_float_network(floats)),
        "float weights": Case(path=floats / "weights.npz", read=lambda: load_float_network(floats)),
        "chain": Case(path=folder / "chain.json", read=lambda: load_chain(folder)),
        "client": Case(path=folder / "client.yaml", read=lambda: load_config(ClientConfig, folder / "client.yaml")),
        "settings": Case(
            path=folder / "settings.yaml", read=lambda: load_config(SimulateConfig, folder / "settings.yaml")
        ),
        "QONNX": Case(path=qonnx, read=lambda: import_qonnx(qonnx)),
    }


NAMES: Sequence[str] = (
    "graph",
    "sphenix graph",
    "sphenix event",
    "parquet hits",
    "parquet particles",
    "archive",
    "checkpoint",
    "training state",
    "typed weights",
    "typed graph",
    "float network",
    "float weights",
    "chain",
    "client",
    "settings",
    "QONNX",
)


def damage(content: bytes, data: st.DataObject) -> bytes:
    """Some bytes changed, cut out, doubled, or the end cut off."""
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, max(len(changed) - 1, 0)))
        size = data.draw(st.integers(1, 64))
        match data.draw(st.sampled_from(["change", "cut", "double", "end"])):
            case "change":
                changed[place : place + 1] = data.draw(st.binary(min_size=1, max_size=4))
            case "cut":
                del changed[place : place + size]
            case "double":
                changed[place:place] = changed[place : place + size]
            case _:
                del changed[len(changed) - size :]
    return bytes(changed)


@pytest.mark.parametrize("name", NAMES)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES <= 25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_damaged_files_are_read_soundly_or_refused(cases: dict[str, Case], name: str, data: st.DataObject) -> None:
    case = cases[name]
    whole = case.path.read_bytes()
    try:
        case.path.write_bytes(damage(whole, data))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            refused = refusal(case.read)
    finally:
        case.path.write_bytes(whole)
    assert refused is None or (refused.message and refused.remedy)


@pytest.mark.parametrize("name", NAMES)
def test_whole_and_empty_files(cases: dict[str, Case], name: str) -> None:
    case = cases[name]
    whole = case.path.read_bytes()
    if name != "training state":  # which is that of another training
        case.read()
    try:
        case.path.write_bytes(b"")
        assert refusal(case.read) is not None or name in ("client", "settings"), "an empty YAML file changes nothing"
    finally:
        case.path.write_bytes(whole)


def refusal(read: Callable[[], object]) -> HitfabricError | None:
    try:
        read()
    except HitfabricError as error:
        return error
    return None
