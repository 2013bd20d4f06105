"""The published JSON Schemas are those of the code, and every shipped graph keeps them."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from hitfabric.models.zoo import ZOO
from hitfabric.quantization.schema import GraphFile, ManifestFile, parse_file, schema_texts, write_schemas

DOCUMENTED = Path(__file__).resolve().parents[2] / "docs" / "schema"
SHIPPED = sorted(path.parent for path in ZOO.rglob("graph.json"))


def test_published_schemas_are_the_generated_ones(tmp_path: Path) -> None:
    write_schemas(tmp_path)
    for name, text in schema_texts().items():
        assert (tmp_path / name).read_text() == text
        assert (DOCUMENTED / name).read_text() == text, "run: python -m hitfabric.quantization.schema docs/schema"


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda path: path.name)
def test_shipped_graphs_keep_the_schema(shipped: Path) -> None:
    for file, schema, model in (
        ("graph.json", "typed_graph.schema.json", GraphFile),
        ("manifest.json", "manifest.schema.json", ManifestFile),
    ):
        published = json.loads((DOCUMENTED / schema).read_text())
        jsonschema.Draft202012Validator.check_schema(published)
        validator = jsonschema.Draft202012Validator(published)
        stored = json.loads((shipped / file).read_text())
        validator.validate(stored)
        parse_file(model, (shipped / file).read_bytes(), path=shipped / file)
        assert not validator.is_valid({**stored, "extra": 1})
        assert not validator.is_valid({**stored, "schema_version": 2})
