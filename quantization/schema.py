"""The files of a saved typed graph as models, and their JSON Schemas.

`python -m hitfabric.quantization.schema docs/schema` writes the schemas that the documentation publishes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import ConfigDict, Field, JsonValue, ValidationError

from ..core import GraphError, StrictModel, atomic_file
from .fixed_point import MAXIMAL_FRACTION, MAXIMAL_WIDTH, Overflow, Rounding

SCHEMA_VERSION = 1
GRAPH_SCHEMA = "typed_graph.schema.json"
MANIFEST_SCHEMA = "manifest.schema.json"

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", description="Letters, digits and _.")]
Width = Annotated[int, Field(ge=1, le=MAXIMAL_WIDTH, description="Bits in all, sign included.")]
Integer = Annotated[
    int,
    Field(
        ge=1 - MAXIMAL_FRACTION,
        le=MAXIMAL_WIDTH + MAXIMAL_FRACTION,
        description="Bits before the binary point, sign included; negative, or more than the width, where the point is "
        "outside. width - integer is the number of fractional bits.",
    ),
]
Bound = Annotated[int, Field(ge=-(2**MAXIMAL_WIDTH), le=2**MAXIMAL_WIDTH)]
Size = Annotated[int, Field(ge=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _File(StrictModel):
    # Strict: "8" and 8.0 are not 8.
    model_config = ConfigDict(strict=True)


class FormatFile(_File):
    """A weight's or bias' fixed-point format: an integer times 2**(integer - width)."""

    signed: bool
    width: Width
    integer: Integer
    rounding: Rounding
    overflow: Overflow


class TensorFile(_File):
    """A tensor's type: shape, fixed-point format, and the exact range of its integers."""

    shape: Annotated[
        list[Size | Literal["R", "N", "E"]],
        Field(min_length=2, max_length=2, description='Rows ("R", "N" nodes, "E" edges, or a number) and features.'),
    ]
    signed: bool
    width: Width
    integer: Integer
    rounding: Rounding
    overflow: Overflow
    low: Annotated[Bound, Field(description="Smallest integer that can occur.")]
    high: Annotated[Bound, Field(description="Largest integer that can occur.")]
    is_index: Annotated[bool, Field(description="Elements are node indices.")] = False


class PlainFile(_File):
    """A node without fields of its own."""

    name: Name
    kind: Literal["Input", "Requantize", "Concat", "Add", "EdgeGather", "Output"]
    inputs: list[Name]
    tensor: TensorFile
    weight_format: None = None
    bias_format: None = None
    column: None = None
    mode: None = None


class DenseFile(_File):
    """An affine map; its integers are in weights.npz as `<name>.weight` [out, in] and `<name>.bias` [out]."""

    name: Name
    kind: Literal["Dense"]
    inputs: Annotated[list[Name], Field(min_length=1, max_length=1)]
    tensor: TensorFile
    weight_format: FormatFile
    bias_format: FormatFile | None = None
    column: None = None
    mode: None = None


class AggregateFile(_File):
    """A sum or maximum of edge features at their senders (column 0) or receivers (column 1)."""

    name: Name
    kind: Literal["EdgeAggregate"]
    inputs: Annotated[list[Name], Field(min_length=2, max_length=2)]
    tensor: TensorFile
    weight_format: None = None
    bias_format: None = None
    column: Annotated[int, Field(ge=0, le=1)]
    mode: Literal["sum", "max"]


NodeFile = PlainFile | DenseFile | AggregateFile


class GraphFile(_File):
    """graph.json: the nodes of a typed graph in topological order."""

    schema_version: Literal[1]
    name: Name
    maximal_nodes: Size
    maximal_edges: Size
    nodes: list[Annotated[NodeFile, Field(discriminator="kind")]]


class HashesFile(_File):
    """SHA-256 of the other two files."""

    graph: Annotated[Sha256, Field(alias="graph.json")]
    weights: Annotated[Sha256, Field(alias="weights.npz")]


class ManifestFile(_File):
    """manifest.json: what the other files must be, and where the graph comes from."""

    schema_version: Literal[1]
    sha256: HashesFile
    provenance: dict[str, JsonValue] = Field(description="What made the graph, in any form.")


Model = TypeVar("Model", bound=_File)


class _Version(StrictModel):
    model_config = ConfigDict(extra="ignore", strict=True)
    schema_version: int


def parse_file(model: type[Model], content: bytes, *, path: Path) -> Model:
    """Validate the content of graph.json or manifest.json.

    Raises:
        GraphError: It is no JSON, of a newer schema, or breaks the schema at the place named.

    """
    try:
        version = _Version.model_validate_json(content).schema_version
        if version > SCHEMA_VERSION:
            raise GraphError(
                f"{path} has schema version {version}, newer than {SCHEMA_VERSION}, the newest this hitfabric reads",
                remedy="update hitfabric, or save the graph with this one",
            )
        return model.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise GraphError(f"{path}: {place}: {first['msg']}", remedy="build the graph again") from error


def graph_schema() -> dict[str, Any]:
    """JSON Schema of graph.json."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **GraphFile.model_json_schema()}


def manifest_schema() -> dict[str, Any]:
    """JSON Schema of manifest.json."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **ManifestFile.model_json_schema()}


def schema_texts() -> Mapping[str, str]:
    """Text of each published schema, by file name."""
    schemas = {GRAPH_SCHEMA: graph_schema(), MANIFEST_SCHEMA: manifest_schema()}
    return {name: json.dumps(schema, indent=2) + "\n" for name, schema in schemas.items()}


def write_schemas(directory: Path) -> None:
    """Write both schemas to a directory."""
    for name, text in schema_texts().items():
        with atomic_file(directory / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_schemas(Path(sys.argv[1]))
