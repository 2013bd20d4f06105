"""Typed graphs on disk: graph.json, weights.npz, manifest.json."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from ..core import GraphError, StrictModel, atomic_directory
from .builder import Maxima
from .fixed_point import FixedPoint
from .graph import TypedGraph, rebuild
from .nodes import Add, Concat, Dense, Dimension, EdgeAggregate, EdgeGather, Input, Node, Output, Requantize, TensorType

SCHEMA_VERSION = 1
KINDS: dict[str, type[Node]] = {
    kind.__name__: kind for kind in (Input, Dense, Requantize, Concat, Add, EdgeGather, EdgeAggregate, Output)
}


class TensorFile(StrictModel):
    """A tensor's type as stored."""

    shape: list[Dimension]
    signed: bool
    width: int
    integer: int
    rounding: Literal["TRN", "RND_CONV"]
    overflow: Literal["SAT", "SAT_SYM", "WRAP"]
    low: int
    high: int
    is_index: bool = False


@checked(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class FormatFile:
    """A weight's or bias' format as stored."""

    signed: bool
    width: int
    integer: int
    rounding: Literal["TRN", "RND_CONV"]
    overflow: Literal["SAT", "SAT_SYM", "WRAP"]


class NodeFile(StrictModel):
    """A node as stored; weights and biases are in weights.npz under `<name>.weight` and `<name>.bias`."""

    name: str
    kind: Literal["Input", "Dense", "Requantize", "Concat", "Add", "EdgeGather", "EdgeAggregate", "Output"]
    inputs: tuple[str, ...] = ()
    tensor: TensorFile
    weight_format: FormatFile | None = None
    bias_format: FormatFile | None = None
    column: Literal[0, 1] | None = None
    mode: Literal["sum", "max"] | None = None


class GraphFile(StrictModel):
    """graph.json."""

    schema_version: Literal[1]
    name: str
    maximal_nodes: int
    maximal_edges: int
    nodes: list[NodeFile]


def save_graph(graph: TypedGraph, directory: Path, *, provenance: Mapping[str, Any]) -> None:
    """Write a typed graph to a directory, whole or not at all."""
    with atomic_directory(directory) as temporary:
        graph_text, weight_bytes = _serialise(graph)
        (temporary / "graph.json").write_text(graph_text, encoding="utf-8")
        (temporary / "weights.npz").write_bytes(weight_bytes)
        manifest = {
            "schema_version": SCHEMA_VERSION,
            "sha256": {
                "graph.json": hashlib.sha256(graph_text.encode()).hexdigest(),
                "weights.npz": hashlib.sha256(weight_bytes).hexdigest(),
            },
            "provenance": dict(provenance),
        }
        (temporary / "manifest.json").write_text(json.dumps(manifest, indent=2, default=str) + "\n", encoding="utf-8")


def load_graph(directory: Path) -> TypedGraph:
    """Read a typed graph, checking hashes, schema, weights and every declared type."""
    manifest = _read_json(directory, "manifest.json")
    hashes = manifest.get("sha256") if isinstance(manifest, dict) else None
    if not isinstance(hashes, dict):
        raise GraphError(f"{directory}/manifest.json holds no hashes", remedy="build the graph again")
    for name in ("graph.json", "weights.npz"):
        if hashlib.sha256(_read(directory, name)).hexdigest() != hashes.get(name):
            raise GraphError(
                f"{directory}/{name} differs from its manifest", remedy="restore it or build the graph again"
            )
    try:
        stored = TypeAdapter(GraphFile).validate_json(_read(directory, "graph.json"))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise GraphError(f"{directory}/graph.json: {place}: {first['msg']}", remedy="build the graph again") from error
    weights = _read_weights(directory)
    maxima = Maxima(nodes=stored.maximal_nodes, edges=stored.maximal_edges)
    declared = TypedGraph(name=stored.name, nodes=tuple(_node(item, weights) for item in stored.nodes), maxima=maxima)
    derived = rebuild(declared)
    for ours, theirs in zip(derived.nodes, declared.nodes, strict=True):
        if ours.tensor != theirs.tensor:
            raise GraphError(
                f"{directory}: node {ours.name} declares {theirs.tensor}, derived {ours.tensor}",
                remedy="build the graph again",
            )
    return derived


def graph_digest(graph: TypedGraph) -> str:
    """SHA-256 over structure, types and weights, independent of file encodings."""
    digest = hashlib.sha256(json.dumps(_graph_file(graph).model_dump(mode="json"), sort_keys=True).encode())
    for key, array in sorted(_weights(graph).items()):
        digest.update(key.encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _serialise(graph: TypedGraph) -> tuple[str, bytes]:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **{key: _narrow(array) for key, array in _weights(graph).items()})
    return json.dumps(_graph_file(graph).model_dump(mode="json"), indent=1) + "\n", buffer.getvalue()


def _weights(graph: TypedGraph) -> dict[str, NDArray[np.int64]]:
    arrays: dict[str, NDArray[np.int64]] = {}
    for node in graph.nodes:
        if isinstance(node, Dense):
            arrays[f"{node.name}.weight"] = node.weight
            if node.bias is not None:
                arrays[f"{node.name}.bias"] = node.bias
    return arrays


def _narrow(array: NDArray[np.int64]) -> NDArray[np.signedinteger]:
    for dtype in (np.int8, np.int16, np.int32):
        limits = np.iinfo(dtype)
        if array.min() >= limits.min and array.max() <= limits.max:
            return array.astype(dtype)
    return array


def _graph_file(graph: TypedGraph) -> GraphFile:
    return GraphFile(
        schema_version=SCHEMA_VERSION,
        name=graph.name,
        maximal_nodes=graph.maxima.nodes,
        maximal_edges=graph.maxima.edges,
        nodes=[_node_file(node) for node in graph.nodes],
    )


def _node_file(node: Node) -> NodeFile:
    tensor = node.tensor
    fields: dict[str, Any] = {}
    if isinstance(node, Dense):
        fields["weight_format"] = FormatFile(**vars(node.weight_format))
        fields["bias_format"] = FormatFile(**vars(node.bias_format)) if node.bias_format is not None else None
    if isinstance(node, EdgeAggregate):
        fields |= {"column": node.column, "mode": node.mode}
    return NodeFile(
        name=node.name,
        kind=type(node).__name__,  # type: ignore[arg-type] - checked by pydantic
        inputs=node.inputs,
        tensor=TensorFile(
            shape=list(tensor.shape), low=tensor.low, high=tensor.high, is_index=tensor.is_index, **vars(tensor.format)
        ),
        **fields,
    )


def _node(stored: NodeFile, weights: Mapping[str, NDArray[np.int64]]) -> Node:
    tensor = stored.tensor.model_dump()
    shape, low, high, is_index = (tensor.pop(key) for key in ("shape", "low", "high", "is_index"))
    fields: dict[str, Any] = {
        "name": stored.name,
        "inputs": stored.inputs,
        "tensor": TensorType(shape=tuple(shape), format=FixedPoint(**tensor), low=low, high=high, is_index=is_index),
    }
    if stored.kind == "Dense":
        key = f"{stored.name}.weight"
        if key not in weights or stored.weight_format is None:
            raise GraphError(f"node {stored.name}: weight or its format is missing", remedy="build the graph again")
        fields["weight"] = weights[key]
        fields["weight_format"] = FixedPoint(**vars(stored.weight_format))
        fields["bias"] = weights.get(f"{stored.name}.bias")
        fields["bias_format"] = FixedPoint(**vars(stored.bias_format)) if stored.bias_format is not None else None
    if stored.kind == "EdgeAggregate":
        fields |= {"column": stored.column, "mode": stored.mode}
    return KINDS[stored.kind](**fields)


def _read(directory: Path, name: str) -> bytes:
    try:
        return (directory / name).read_bytes()
    except OSError as error:
        raise GraphError(
            f"cannot read {directory / name}: {error.strerror}", remedy="give a directory written by hitfabric build"
        ) from error


def _read_json(directory: Path, name: str) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return json.loads(_read(directory, name))
    except ValueError as error:
        raise GraphError(f"{directory / name} is not JSON: {error}", remedy="build the graph again") from error


def _read_weights(directory: Path) -> dict[str, NDArray[np.int64]]:
    try:
        with np.load(io.BytesIO(_read(directory, "weights.npz")), allow_pickle=False) as archive:
            return {key: archive[key].astype(np.int64) for key in archive.files}
    except (ValueError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise GraphError(f"{directory}/weights.npz is corrupt: {error}", remedy="build the graph again") from error
