"""Projects in the user's cache, for executors made from a typed graph alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..core import ToolError, cache_directory
from ..quantization import TypedGraph
from .manifest import load_or_write
from .project import HlsProject, ProjectConfig
from .writer import write_project

ROOM = Path(__file__).parent


def cached_project(
    graph: TypedGraph, *, config: ProjectConfig | None = None, accumulator_widths: Mapping[str, int] | None = None
) -> HlsProject:
    """The project of a network in the user's cache; written where it is not there, or not whole.

    Args:
        graph: The network.
        config: How to write it.
        accumulator_widths: As `write_project` takes them.

    Returns:
        The project, in `$XDG_CACHE_HOME/hitfabric/projects` (or below `~/.cache`), named by everything it is made from.

    Raises:
        GraphError: hls4ml cannot hold the network.
        ToolError: hls4ml is not installed.
    """
    config = (config or ProjectConfig()).resolved(graph)
    made_from = [
        graph.digest,
        config.model_dump(mode="json"),
        sorted((accumulator_widths or {}).items()),
        _writer_digest(),
    ]
    key = hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:16]
    place = cache_directory() / "projects" / f"{graph.name}-{key}"
    return load_or_write(
        place,
        load=HlsProject.load,
        write=lambda folder: write_project(graph, folder, config=config, accumulator_widths=accumulator_widths),
    )


def _writer_digest() -> str:
    """Hash of the code that writes projects, so that a new version does not find the projects of an old one."""
    digest = hashlib.sha256()
    for path in sorted(ROOM.rglob("*")):
        if path.suffix in (".py", ".h", ".in"):
            digest.update(path.read_bytes())
    try:
        digest.update(version("hls4ml").encode())
    except PackageNotFoundError as error:
        raise ToolError("hls4ml is not installed", remedy="run: pip install hls4ml==1.3.0") from error
    return digest.hexdigest()
