"""Networks of an exploration: those given, and those trained for it; their AUC, and the graphs the RTL is fed with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ..core import ConfigError, DataError
from ..detector import phi_sectors, read_graphs
from ..models.training_config import ChainTraining
from ..models.zoo import zoo_names, zoo_path
from ..quantization import TypedGraph
from .explore_config import ExploreConfig
from .extras import require_extra
from .layout import SECTOR_NETWORK
from .sector import sector_figures
from .train import SectorTraining, TrainConfig, train
from .vectors import Arrays, graph_inputs

TRAINED = "networks"


def explored_networks(config: ExploreConfig) -> dict[str, Path]:
    """Folders of the typed graphs by the names that the points carry; networks asked for by bits and width are trained.

    Raises:
        ConfigError: A network is unknown, or not a graph network; two have one name; bits without widths or graphs.
        ToolError: The extra `train` is not installed.
        DataError: Too few graphs to train on.
    """
    if bool(config.bits) != bool(config.widths):
        raise ConfigError("bits and widths are given one without the other", remedy="give both, or neither")
    if config.bits and config.graphs is None:
        raise ConfigError("networks are trained on graphs, and there are none", remedy="give --graphs")
    found: dict[str, Path] = {}
    for name in config.networks:
        path = zoo_path(name) if name in zoo_names() else Path(name)
        if not (path / "graph.json").is_file():
            raise ConfigError(f"{name} is no network", remedy=f"name a folder of a typed graph, or {_shipped()}")
        _add(found, path.name if path.name != SECTOR_NETWORK else path.parent.name, path)
    for width in config.widths:
        for bits in config.bits:
            _add(found, f"{width}-wide-{bits}-bit", _trained(config, width=width, bits=bits))
    for name, path in found.items():
        graph = TypedGraph.load(path)
        if not graph.is_graph_network or {item.name for item in graph.inputs} != {"nodes", "edges", "edge_index"}:
            raise ConfigError(f"{name} is no interaction network of sectors", remedy=f"name {_shipped()}")
    return found


def _add(found: dict[str, Path], name: str, path: Path) -> None:
    if name in found:
        raise ConfigError(f"two networks are called {name}", remedy="give each folder a name of its own")
    found[name] = path


def _shipped() -> str:
    return " or ".join(name for name in zoo_names() if name.startswith("sector"))


def _trained(config: ExploreConfig, *, width: int, bits: int) -> Path:
    """Folder of a network trained for the exploration, or found trained."""
    out = config.out / TRAINED / f"{width}-wide-{bits}-bit"
    settings = TrainConfig(
        graphs=config.graphs,
        out=out,
        sector=with_size(config.sector, width=width, bits=bits),
        maxima=config.maxima,
        chain=ChainTraining(seed=config.seed),
        resume=True,
    )
    # json, as pydantic's own text cannot hold the name of a folder that is not UTF-8.
    record, text = out / "settings.json", json.dumps(settings.model_dump(mode="json", exclude={"out"}))
    if (out / SECTOR_NETWORK / "graph.json").is_file():
        if record.is_file() and record.read_text(encoding="utf-8") == text:
            return out / SECTOR_NETWORK
        raise DataError(f"{out} holds a network trained otherwise", remedy="remove it, or give another --out")
    require_extra("train")
    out.mkdir(parents=True, exist_ok=True)
    record.write_text(text, encoding="utf-8")
    train(settings)
    return out / SECTOR_NETWORK


def with_size(sector: SectorTraining, *, width: int, bits: int) -> SectorTraining:
    """A recipe with another width and number of bits.

    Raises:
        ConfigError: The recipe does not take them.
    """
    values = sector.model_dump()
    values["interaction_network"]["network"] |= {"width": width, "weight_bits": bits, "activation_bits": bits}
    try:
        return SectorTraining.model_validate(values)
    except ValueError as error:
        raise ConfigError(f"the recipe takes no {width} wide, {bits} bit: {error}", remedy="change sector") from error


def network_auc(path: Path, config: ExploreConfig) -> float | None:
    """AUC over the edges of phi sectors of the last graphs of the folder; None without graphs."""
    if config.graphs is None:
        return None
    scores = sector_figures(path, config.graphs, limit=config.auc_graphs, device="native").scores
    return None if scores.roc is None else scores.roc.auc


def workload(config: ExploreConfig) -> list[Arrays]:
    """Graphs that go through the RTL: sectors of the last graphs of the folder within the maxima, or drawn ones.

    Raises:
        DataError: The folder gives fewer than two sectors within the maxima.
    """
    if config.graphs is None:
        return _drawn(config)
    found: list[Arrays] = []
    for sample in reversed(list(read_graphs(config.graphs))):
        for part in phi_sectors(sample, config.sectors).parts:
            piece = part.sample
            if len(piece.nodes) <= config.maxima.nodes and len(piece.edges) <= config.maxima.edges:
                found.append(graph_inputs(piece))
        if len(found) >= config.simulated:
            return found[: config.simulated]
    if len(found) < 2:
        raise DataError(
            f"{config.graphs} gives {len(found)} sectors of up to {config.maxima.nodes} nodes and "
            f"{config.maxima.edges} edges",
            remedy="give larger maxima, or more sectors",
        )
    return found


def _drawn(config: ExploreConfig) -> list[Arrays]:
    generator = np.random.default_rng(config.seed)
    nodes, edges = config.drawn_nodes, config.drawn_edges
    return [
        {
            "nodes": generator.uniform(-1, 1, (nodes, 3)).astype(np.float32),
            "edges": generator.uniform(-1, 1, (edges if nodes else 0, 4)).astype(np.float32),
            "edge_index": generator.integers(0, max(nodes, 1), (edges if nodes else 0, 2)),
        }
        for _ in range(config.simulated)
    ]
