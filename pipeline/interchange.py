"""`hitfabric export` and `hitfabric import`: typed graphs to and from other tools' files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ..core import ConfigError, DataError, StrictModel
from ..quantization import TypedGraph
from ..quantization.cost import GraphCost, graph_cost
from ..quantization.qonnx_export import export_qonnx, inexact_in_float32
from ..quantization.qonnx_import import import_qonnx
from .networks import select_networks

GRAPH_FILE = "graph.json"


class ExportConfig(StrictModel):
    """What to export, to where.

    Attributes:
        network: Name or directory of one network, see `select_networks`.
        qonnx: QONNX file to write.
        rows: Rows of the model's inputs and outputs.
    """

    network: str
    qonnx: Path
    rows: int = 1


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A file written.

    Attributes:
        name: Name of the network.
        file: The file.
        inexact: Nodes whose sums float32 may round.
    """

    name: str
    file: Path
    inexact: tuple[str, ...]


class ImportConfig(StrictModel):
    """What to import, to where.

    Attributes:
        file: QONNX file of a network of rows.
        out: Typed graph directory to write.
        name: Name of the graph; None takes the name of the file.
    """

    file: Path
    out: Path
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class Imported:
    """A typed graph written."""

    graph: TypedGraph
    cost: GraphCost
    directory: Path


def export_network(config: ExportConfig) -> Exported:
    """Write a network of rows as a QONNX file.

    Args:
        config: What to export, to where.

    Returns:
        What was written.

    Raises:
        ConfigError: Nothing has this name, or it names several networks.
        GraphError: The network has edges, or a value that float32 cannot hold.
        ToolError: The extra `build` is not installed.
    """
    networks = select_networks([config.network], model=None, projects=None).networks
    if len(networks) != 1:
        names = [network.name for network in networks]
        raise ConfigError(f"{config.network} holds the networks {', '.join(names)}", remedy="name one of them")
    graph = TypedGraph.load(networks[0].graph)
    export_qonnx(graph, config.qonnx, rows=config.rows)
    return Exported(name=networks[0].name, file=config.qonnx, inexact=inexact_in_float32(graph))


def import_network(config: ImportConfig) -> Imported:
    """Read a QONNX file and save it as a typed graph.

    Args:
        config: What to import, to where.

    Returns:
        The graph and what it costs per row.

    Raises:
        DataError: `out` holds something else.
        GraphError: The file is no QONNX of a network of rows, or has something that a typed graph has no node for.
        ToolError: The extra `build` is not installed.
    """
    out = config.out
    if out.exists() and not (out.is_dir() and ((out / GRAPH_FILE).is_file() or not any(out.iterdir()))):
        raise DataError(f"{out} exists and holds other things", remedy="give a new folder")
    graph = import_qonnx(config.file, name=config.name)
    digest = hashlib.sha256(config.file.read_bytes()).hexdigest()
    graph.save(out, provenance={"imported_from": config.file.name, "sha256": digest})
    return Imported(graph=graph, cost=graph_cost(graph), directory=out)
