"""Typed graphs on disk: graph.json, weights.npz, manifest.json; the same graph gives the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ..core import CORRUPT, GraphError, atomic_directory
from .builder import Maxima
from .fixed_point import FixedPoint
from .graph import TypedGraph, rebuild
from .nodes import Add, Concat, Dense, EdgeAggregate, EdgeGather, Input, Node, Output, Requantize, TensorType
from .schema import (
    SCHEMA_VERSION,
    AggregateFile,
    DenseFile,
    FormatFile,
    GraphFile,
    ManifestFile,
    NodeFile,
    PlainFile,
    TensorFile,
    parse_file,
)

KINDS: dict[str, type[Node]] = {
    kind.__name__: kind for kind in (Input, Dense, Requantize, Concat, Add, EdgeGather, EdgeAggregate, Output)
}
MAXIMAL_BYTES = 1 << 31  # of one array of weights
REBUILD = "build the graph again"


def save_graph(graph: TypedGraph, directory: Path, *, provenance: Mapping[str, Any]) -> None:
    """Write a typed graph to a directory, whole or not at all; values JSON has no word for become strings or null."""
    graph_text, weight_bytes = _serialise(graph)
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "sha256": {
            "graph.json": hashlib.sha256(graph_text.encode()).hexdigest(),
            "weights.npz": hashlib.sha256(weight_bytes).hexdigest(),
        },
        "provenance": _json_value(dict(provenance)),
    }
    with atomic_directory(directory) as temporary:
        (temporary / "graph.json").write_text(graph_text, encoding="utf-8")
        (temporary / "weights.npz").write_bytes(weight_bytes)
        (temporary / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def load_graph(directory: Path) -> TypedGraph:
    """Read a typed graph, checking hashes, schema, weights and every declared type.

    Raises:
        GraphError: Whatever is wrong with any of the three files.

    """
    manifest = parse_file(ManifestFile, _read(directory, "manifest.json"), path=directory / "manifest.json")
    contents = {name: _read(directory, name) for name in ("graph.json", "weights.npz")}
    for name, expected in manifest.sha256.model_dump(by_alias=True).items():
        if hashlib.sha256(contents[name]).hexdigest() != expected:
            raise GraphError(
                f"{directory}/{name} differs from its manifest", remedy="restore it or build the graph again"
            )
    stored = parse_file(GraphFile, contents["graph.json"], path=directory / "graph.json")
    weights = _read_weights(contents["weights.npz"], path=directory / "weights.npz")
    try:
        declared = _declared_graph(stored, weights)
        derived = rebuild(declared)
    except GraphError as error:
        raise GraphError(f"{directory}: {error.message}", remedy=error.remedy) from error
    for ours, theirs in zip(derived.nodes, declared.nodes, strict=True):
        if ours.tensor != theirs.tensor:
            raise GraphError(
                f"{directory}: node {ours.name} declares {theirs.tensor}, derived {ours.tensor}", remedy=REBUILD
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
    # NumPy dates every member 1980-01-01.
    np.savez_compressed(buffer, allow_pickle=False, **{key: _narrow(array) for key, array in _weights(graph).items()})
    return json.dumps(_graph_file(graph).model_dump(mode="json"), indent=1) + "\n", buffer.getvalue()


def _json_value(value: Any) -> Any:  # noqa: ANN401 - any value of a provenance
    if isinstance(value, Mapping):
        return {str(key): _json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


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
    stored = TensorFile(
        shape=list(tensor.shape), low=tensor.low, high=tensor.high, is_index=tensor.is_index, **vars(tensor.format)
    )
    fields |= {"name": node.name, "kind": type(node).__name__, "inputs": list(node.inputs), "tensor": stored}
    files: dict[type[Node], type[NodeFile]] = {Dense: DenseFile, EdgeAggregate: AggregateFile}
    return files.get(type(node), PlainFile)(**fields)


def _declared_graph(stored: GraphFile, weights: dict[str, NDArray[np.int64]]) -> TypedGraph:
    maxima = Maxima(nodes=stored.maximal_nodes, edges=stored.maximal_edges)
    unread = dict(weights)
    graph = TypedGraph(name=stored.name, nodes=tuple(_node(item, unread) for item in stored.nodes), maxima=maxima)
    if unread:
        raise GraphError(f"weights {sorted(unread)} belong to no node", remedy=REBUILD)
    return graph


def _node(stored: NodeFile, unread: dict[str, NDArray[np.int64]]) -> Node:
    tensor = stored.tensor.model_dump()
    shape, low, high, is_index = (tensor.pop(key) for key in ("shape", "low", "high", "is_index"))
    fields: dict[str, Any] = {
        "name": stored.name,
        "inputs": tuple(stored.inputs),
        "tensor": TensorType(shape=tuple(shape), format=FixedPoint(**tensor), low=low, high=high, is_index=is_index),
    }
    if isinstance(stored, DenseFile):
        for what, form in (("weight", stored.weight_format), ("bias", stored.bias_format)):
            array = unread.pop(f"{stored.name}.{what}", None)
            if (array is None) != (form is None):
                missing = what if array is None else f"format of the {what}"
                raise GraphError(f"node {stored.name}: the {missing} is missing", remedy=REBUILD)
            fields |= {what: array, f"{what}_format": FixedPoint(**vars(form)) if form is not None else None}
    if isinstance(stored, AggregateFile):
        fields |= {"column": stored.column, "mode": stored.mode}
    return KINDS[stored.kind](**fields)


def _read(directory: Path, name: str) -> bytes:
    try:
        return (directory / name).read_bytes()
    except OSError as error:
        raise GraphError(
            f"cannot read {directory / name}: {error.strerror}", remedy="give a directory written by hitfabric build"
        ) from error


def _read_weights(content: bytes, *, path: Path) -> dict[str, NDArray[np.int64]]:
    arrays: dict[str, NDArray[np.int64]] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.infolist():
                key = member.filename.removesuffix(".npy")
                if key in arrays:
                    raise GraphError(f"{path} holds {key} twice", remedy=REBUILD)
                arrays[key] = _read_array(archive, member)
    except CORRUPT as error:
        raise GraphError(f"{path} is corrupt: {error}", remedy=REBUILD) from error
    except GraphError as error:
        raise GraphError(f"{path}: {error.message}", remedy=error.remedy) from error
    return arrays


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[np.int64]:
    """One array; its header may not claim more than the member holds, or a few bytes could ask for all memory."""
    if member.file_size > MAXIMAL_BYTES:
        raise GraphError(f"{member.filename} claims {member.file_size} bytes", remedy=REBUILD)
    content = archive.read(member)
    stream = io.BytesIO(content)
    version = npy.read_magic(stream)
    shape, _, dtype = npy.read_array_header_1_0(stream) if version == (1, 0) else npy.read_array_header_2_0(stream)
    if dtype.kind not in "iu":
        raise GraphError(f"{member.filename} has dtype {dtype}, no integers", remedy=REBUILD)
    if math.prod(shape) * dtype.itemsize != len(content) - stream.tell() or any(size < 0 for size in shape):
        raise GraphError(f"{member.filename} does not hold the shape {shape} it claims", remedy=REBUILD)
    stream.seek(0)
    array = npy.read_array(stream, allow_pickle=False)
    if array.size and int(array.max()) > np.iinfo(np.int64).max:
        raise GraphError(f"{member.filename} holds numbers beyond int64", remedy=REBUILD)
    return array.astype(np.int64)
