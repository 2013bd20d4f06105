"""Saved graphs: reproducible bytes, and every corruption is a GraphError."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitfabric.core import GraphError
from hitfabric.models.zoo import ZOO
from hitfabric.quantization import FixedPoint, GraphBuilder, Maxima, TypedGraph

SHIPPED = sorted(path.parent for path in ZOO.rglob("graph.json"))
FILES = ("graph.json", "weights.npz", "manifest.json")
A8 = FixedPoint(signed=True, width=8, integer=3)
WEIGHT = FixedPoint(signed=True, width=4, integer=1, overflow="SAT_SYM")
BIAS = FixedPoint(signed=True, width=6, integer=2)
FUZZ = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


def every_kind() -> TypedGraph:
    builder = GraphBuilder(maxima=Maxima(nodes=4, edges=8))
    nodes, index = builder.input("nodes", shape=("N", 2), format=A8), builder.edge_index("edge_index")
    gathered = builder.edge_gather("gather", nodes, index)
    dense = builder.dense(
        "dense",
        gathered,
        weight=np.array([[1, -2, 3, 7], [0, 1, 0, -7]]),
        weight_format=WEIGHT,
        bias=np.array([1, -32]),
        bias_format=BIAS,
    )
    total = builder.requantize("sum_quant", builder.edge_aggregate("total", dense, index), format=A8)
    joined = builder.concat("joined", [builder.add("added", total, nodes), nodes])
    builder.output("result", builder.dense("last", joined, weight=np.array([[1, 1, 1, -1]]), weight_format=WEIGHT))
    return TypedGraph.from_builder(builder, name="small")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    every_kind().save(tmp_path / "graph", provenance={"seed": 1})
    return tmp_path / "graph"


def store(folder: Path, name: str, content: bytes) -> None:
    """Replace a file, with the hash in the manifest made right again."""
    (folder / name).write_bytes(content)
    if name != "manifest.json":
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["sha256"][name] = hashlib.sha256(content).hexdigest()
        (folder / "manifest.json").write_text(json.dumps(manifest))


def refused_or_sound(folder: Path) -> None:
    """Loading raises GraphError and nothing else, or gives a graph that is whole."""
    try:
        graph = TypedGraph.load(folder)
    except GraphError as error:
        assert error.message and "\n" not in str(error)
    else:
        graph.save(folder.with_name("again"))
        assert TypedGraph.load(folder.with_name("again")).digest == graph.digest


def test_the_same_graph_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    every_kind().save(tmp_path / "again", provenance={"seed": 1})
    TypedGraph.load(folder).save(tmp_path / "loaded", provenance={"seed": 1})
    for name in FILES:
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
        assert (folder / name).read_bytes() == (tmp_path / "loaded" / name).read_bytes()


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda path: path.name)
def test_shipped_graphs_are_canonical(shipped: Path, tmp_path: Path) -> None:
    TypedGraph.load(shipped).save(tmp_path / "graph")
    assert (tmp_path / "graph" / "graph.json").read_bytes() == (shipped / "graph.json").read_bytes()


@pytest.mark.parametrize("name", FILES)
@FUZZ
@given(data=st.data())
def test_changed_bytes(folder: Path, name: str, data: st.DataObject) -> None:
    original = {each: (folder / each).read_bytes() for each in FILES}
    content = bytearray(original[name])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        match data.draw(st.sampled_from(["set", "insert", "delete", "cut"])):
            case "set":
                content[place] = data.draw(st.integers(0, 255))
            case "insert":
                content[place:place] = data.draw(st.binary(min_size=1, max_size=9))
            case "delete":
                del content[place : place + data.draw(st.integers(1, 9))]
            case _:
                del content[place + 1 :]
        content = content or bytearray(b"0")
    store(folder, name, bytes(content))
    refused_or_sound(folder)
    for each, text in original.items():
        (folder / each).write_bytes(text)


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 70),
    st.sampled_from([2**31, 2**62, 2**63, -(2**63) - 1, 10**30, 10**4299, 1e308, math.nan, math.inf, -0.0, 8.0]),
    st.sampled_from(
        ["", "8", "R", "N", "E", "R\n", "Dense", "Input", "nodes", "result", "naïve", "\ud800", "a" * 10**4]
    ),
    st.just([]),
    st.just({}),
    st.lists(st.sampled_from(["nodes", "edge_index", "joined", "result", "total"]), max_size=4),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += places(item, (*path, key))
    return found


@pytest.mark.parametrize("name", ["graph.json", "manifest.json"])
@FUZZ
@given(data=st.data())
def test_changed_values(folder: Path, name: str, data: st.DataObject) -> None:
    original = {each: (folder / each).read_bytes() for each in FILES}
    stored = json.loads(original[name])
    for _ in range(data.draw(st.integers(1, 3))):
        options = places(stored)
        *path, last = options[data.draw(st.integers(0, len(options) - 1))]
        holder = stored
        for key in path:
            holder = holder[key]
        match data.draw(st.sampled_from(["replace", "delete", "add", "swap"])):
            case "replace":
                holder[last] = data.draw(ODD)
            case "delete":
                del holder[last]
            case "add" if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[last]))
            case "add":
                holder["added"] = data.draw(ODD)
            case _:
                if isinstance(holder, list):
                    holder.reverse()
        if not stored:
            break
    store(folder, name, json.dumps(stored).encode())
    refused_or_sound(folder)
    for each, text in original.items():
        (folder / each).write_bytes(text)


def graph_with(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    stored = json.loads((folder / "graph.json").read_text())
    stored["by_name"] = {node["name"]: node for node in stored["nodes"]}
    change(stored)
    del stored["by_name"]
    store(folder, "graph.json", json.dumps(stored).encode())


def a_cycle(stored: dict[str, Any]) -> None:
    stored["by_name"]["gather"]["inputs"] = ["added", "edge_index"]


def an_unused_node(stored: dict[str, Any]) -> None:
    stored["nodes"].append({**stored["by_name"]["nodes"], "name": "extra"})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda s: s.update(schema_version=2), "schema version 2, newer than 1.*update hitfabric"),
        (lambda s: s.update(schema_version=0), "schema_version"),
        (lambda s: s.update(schema_version="1"), "schema_version"),
        (lambda s: s.update(name="two words"), "name"),
        (lambda s: s.update(maximal_edges=10**30), "node total: its exact values .* fit no format"),
        (lambda s: s["nodes"].append(s["nodes"][-1]), "result appears twice"),
        (a_cycle, "node gather: input 'added' does not exist before it"),
        (an_unused_node, "'extra'.*used by nothing"),
        (lambda s: s["by_name"]["last"].update(inputs=["result"]), "does not exist before it"),
        (lambda s: s["by_name"]["added"].update(inputs=["total"]), "node added has 1 inputs"),
        (lambda s: s["by_name"]["nodes"].update(inputs=["nodes"]), "node nodes has 1 inputs"),
        (lambda s: s["by_name"]["nodes"].update(mode="sum"), "mode"),
        (lambda s: s["by_name"]["total"].update(column=2), "column"),
        (lambda s: s["by_name"]["dense"].update(bias_format=None), "format of the bias is missing"),
        (lambda s: s["by_name"]["last"].update(bias_format=s["by_name"]["dense"]["bias_format"]), "bias is missing"),
        (lambda s: s["by_name"]["nodes"]["tensor"].update(shape=["R", "N"]), "shape"),
        (lambda s: s["by_name"]["nodes"]["tensor"].update(width=63), "width"),
        (lambda s: s["by_name"]["dense"]["tensor"].update(low=-(10**40)), "low"),
        (lambda s: s["by_name"]["dense"]["tensor"].update(low=0), "node dense declares"),
    ],
)
def test_what_is_wrong_with_a_graph_is_named(
    folder: Path, change: Callable[[dict[str, Any]], None], named: str
) -> None:
    graph_with(folder, change)
    with pytest.raises(GraphError, match=named):
        TypedGraph.load(folder)


def archive(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type] - arrays by name
    return buffer.getvalue()


def weights(**changes: Any) -> bytes:
    graph = every_kind()
    known = {"dense.weight": graph["dense"].weight, "dense.bias": graph["dense"].bias}  # type: ignore[attr-defined]
    known["last.weight"] = graph["last"].weight  # type: ignore[attr-defined]
    return archive(**{key: value for key, value in {**known, **changes}.items() if value is not None})


def bomb() -> bytes:
    """An array whose header claims a terabyte."""
    buffer, member = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(member, {"descr": "<i8", "fortran_order": False, "shape": (2**37, 4)})
    with zipfile.ZipFile(buffer, "w") as archived:
        archived.writestr("dense.weight.npy", member.getvalue())
    return buffer.getvalue()


def twice() -> bytes:
    buffer = io.BytesIO(weights())
    with zipfile.ZipFile(buffer, "a") as archived, pytest.warns(UserWarning, match="Duplicate"):
        archived.writestr("last.weight.npy", archived.read("last.weight.npy"))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: weights(**{"dense.weight": np.ones((2, 4))}), "dense.weight.npy has dtype float64"),
        (lambda: weights(**{"dense.weight": np.full((2, 4), np.nan)}), "dtype float64"),
        (lambda: weights(**{"dense.weight": np.ones((2, 4), dtype=bool)}), "dtype bool"),
        (lambda: weights(**{"dense.weight": np.array([["a"] * 4] * 2)}), "dtype <U1"),
        (lambda: weights(**{"dense.weight": np.array([[{}] * 4] * 2)}), "dtype object|corrupt"),
        (lambda: weights(**{"dense.weight": np.ones((2, 5), dtype=int)}), "node dense: weight has shape"),
        (lambda: weights(**{"dense.weight": np.full((2, 4), 2**62)}), "node dense: weight.* exceeds"),
        (lambda: weights(**{"dense.weight": np.full((2, 4), 2**64 - 1, dtype=np.uint64)}), "beyond int64"),
        (lambda: weights(**{"dense.weight": np.zeros((0, 4), dtype=int)}), "node dense"),
        (lambda: weights(**{"dense.bias": np.ones(3, dtype=int)}), "node dense: bias has shape"),
        (lambda: weights(**{"last.weight": None}), "node last: the weight is missing"),
        (lambda: weights(**{"other.weight": np.ones(1, dtype=int)}), "'other.weight'.*belong to no node"),
        (bomb, "does not hold the shape"),
        (twice, "last.weight twice"),
        (lambda: b"", "corrupt"),
        (lambda: b"PK\x05\x06" + bytes(18), "weight is missing"),
    ],
)
def test_what_is_wrong_with_the_weights_is_named(folder: Path, make: Callable[[], bytes], named: str) -> None:
    store(folder, "weights.npz", make())
    with pytest.raises(GraphError, match=named):
        TypedGraph.load(folder)


@pytest.mark.parametrize("text", ["[" * 10**5, "{}", "[1]", "null", "\x00", '{"schema_version": NaN}', "\ufeff{}"])
@pytest.mark.parametrize("name", ["graph.json", "manifest.json"])
def test_other_json_is_refused(folder: Path, name: str, text: str) -> None:
    store(folder, name, text.encode())
    with pytest.raises(GraphError, match=name):
        TypedGraph.load(folder)


def test_a_newer_manifest_is_named(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    store(folder, "manifest.json", json.dumps({**manifest, "schema_version": 7, "signature": "new"}).encode())
    with pytest.raises(GraphError, match=r"manifest.json has schema version 7, newer than 1"):
        TypedGraph.load(folder)


def test_any_provenance_becomes_json(tmp_path: Path) -> None:
    provenance = {"loss": math.nan, "path": tmp_path, 3: {"parts": (1, math.inf, np.float32(2)), "none": None}}
    every_kind().save(tmp_path / "graph", provenance=provenance)  # type: ignore[arg-type] - the odd key
    stored = json.loads((tmp_path / "graph" / "manifest.json").read_text(), parse_constant=pytest.fail)
    expected = {"loss": None, "path": str(tmp_path), "3": {"parts": [1, None, "2.0"], "none": None}}
    assert stored["provenance"] == expected
    TypedGraph.load(tmp_path / "graph")
