"""Which networks a command works on: names of shipped ones, run directories, typed graphs, projects."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ..core import ConfigError, DataError
from ..fpga_backend import NETWORKS
from ..hls_projects.manifest import GRAPH_FOLDER, MANIFEST
from ..models.zoo import zoo_names, zoo_path
from ..quantization import TypedGraph
from .layout import (
    CHAIN,
    CHAIN_FILE,
    CHECKPOINTS,
    PROJECTS,
    RTL,
    SECTOR_NETWORK,
    SHIPPED_CHAIN,
    SHIPPED_SECTOR,
    Model,
    find_model,
)

Feed = Literal["embedding", "filter", "interaction_network", "sector"]
GRAPH_FILE = "graph.json"


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network on disk.

    Attributes:
        name: What it is called in results.
        graph: Typed graph directory.
        project: Its hls4ml project, if one was given.
        rtl_project: Its RTL project, if one was given.
        checkpoint: Its Brevitas checkpoint, if one is kept.
        feed: Which inputs real events have for it; None for a network of another kind.
    """

    name: str
    graph: Path
    project: Path | None = None
    rtl_project: Path | None = None
    checkpoint: Path | None = None
    feed: Feed | None = None

    def absolute(self) -> Network:
        """The same for processes that run in another folder."""
        paths = {"graph": self.graph, "project": self.project, "rtl_project": self.rtl_project}
        paths["checkpoint"] = self.checkpoint
        return replace(self, **{name: path and path.absolute() for name, path in paths.items()})


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Networks chosen, and the chain that turns events into their inputs, if there is one."""

    networks: tuple[Network, ...]
    chain: Path | None


def select_networks(names: Sequence[str] | None, *, model: Path | None, projects: Path | None) -> Selection:
    """Find networks by name or path.

    Args:
        names: `embedding`, `filter`, `interaction_network`, a shipped network (`sector-in-8`) or chain
            (`event-pixel`, its three), or a directory: typed graph, project, chain, or run of train or build. None
            takes every network of the model.
        model: Run directory of `train`, or a chain directory; None takes the shipped networks.
        projects: Run directory of `build` whose projects are to be used.

    Returns:
        The networks, in the order given, each once.

    Raises:
        ConfigError: Nothing has this name; the message lists what has one.
        DataError: A model holds no chain, or two networks have the same name.
        GraphError: A typed graph is malformed.
    """
    found = find_model(model)
    known = _shipped(found) if model is None else _of_model(found)
    chosen: dict[str, Network] = {}
    for network in [item for name in names for item in _named(name, known)] if names else known.values():
        if chosen.setdefault(network.name, network).graph.resolve() != network.graph.resolve():
            raise DataError(f"two networks are called {network.name}", remedy="validate them one after the other")
    return Selection(networks=tuple(_with_project(network, projects) for network in chosen.values()), chain=found.chain)


def _named(name: str, known: Mapping[str, Network]) -> list[Network]:
    aliases = {SECTOR_NETWORK: SHIPPED_SECTOR, SHIPPED_SECTOR: SECTOR_NETWORK}
    for candidate in (name, aliases.get(name, name)):
        if candidate in known:
            return [known[candidate]]
    members = [network for network in known.values() if network.feed in NETWORKS]
    if name == SHIPPED_CHAIN and members and members[0].graph.parent == zoo_path(SHIPPED_CHAIN):
        return members
    if name in zoo_names():
        return list(_in_zoo(name))
    path = Path(name)
    if not path.is_dir():
        raise ConfigError(
            f"no network is called {name!r}",
            remedy=f"give one of {', '.join(dict.fromkeys([*known, *zoo_names()]))}, or the directory of a typed graph"
            " or project",
        )
    return _in_directory(path)


def _in_directory(path: Path) -> list[Network]:
    if (path / GRAPH_FILE).is_file():
        return [Network(name=TypedGraph.load(path).name, graph=path)]
    if (path / MANIFEST).is_file():
        network = Network(name=TypedGraph.load(path / GRAPH_FOLDER).name, graph=path / GRAPH_FOLDER)
        return [replace(network, rtl_project=path) if is_rtl_project(path) else replace(network, project=path)]
    if (path / CHAIN_FILE).is_file() or (path / CHAIN / CHAIN_FILE).is_file():
        return list(_of_model(find_model(path)).values())
    if (path / SECTOR_NETWORK / GRAPH_FILE).is_file():  # a run that trained the sector network alone
        return [_sector(path / SECTOR_NETWORK, path / CHECKPOINTS)]
    built = sorted(item.parent for item in (path / PROJECTS).glob(f"*/{MANIFEST}"))
    built = built or sorted(item.parent for item in (path / RTL).glob(f"*/{MANIFEST}"))
    if built:
        return [network for project in built for network in _in_directory(project)]
    raise ConfigError(
        f"{path} holds no network", remedy="give the directory of a typed graph, of a project, or of hitfabric build"
    )


def _of_model(model: Model) -> dict[str, Network]:
    networks = {
        name: Network(name=name, graph=model.chain / name, checkpoint=_checkpoint(model.checkpoints, name), feed=name)
        for name in NETWORKS
    }
    if model.sector is not None:
        networks[SECTOR_NETWORK] = _sector(model.sector, model.checkpoints)
    return networks


def _sector(graph: Path, checkpoints: Path | None) -> Network:
    checkpoint = _checkpoint(checkpoints, SECTOR_NETWORK)
    return Network(name=SECTOR_NETWORK, graph=graph, checkpoint=checkpoint, feed="sector")


def _checkpoint(folder: Path | None, name: str) -> Path | None:
    path = folder / f"{name}.pt" if folder is not None else None
    return path if path is not None and path.is_file() else None


def _shipped(model: Model) -> dict[str, Network]:
    networks = {name: network for name, network in _of_model(model).items() if name != SECTOR_NETWORK}
    for name in zoo_names():
        if name != SHIPPED_CHAIN:
            networks |= {network.name: network for network in _in_zoo(name)}
    return networks


def _in_zoo(name: str) -> list[Network]:
    path = zoo_path(name)
    if (path / GRAPH_FILE).is_file():
        return [Network(name=name, graph=path, feed="sector" if name == SHIPPED_SECTOR else None)]
    prefix = "" if name == SHIPPED_CHAIN else f"{name}/"
    return [Network(name=f"{prefix}{network}", graph=path / network) for network in NETWORKS]


def _with_project(network: Network, projects: Path | None) -> Network:
    if projects is None or network.project is not None or network.rtl_project is not None:
        return network
    folder = projects / PROJECTS if (projects / PROJECTS).is_dir() else projects
    names = [network.name, SECTOR_NETWORK] if network.feed == "sector" else [network.name]
    found = next((folder / name for name in names if (folder / name / MANIFEST).is_file()), None)
    verilog = next((projects / RTL / name for name in names if (projects / RTL / name / MANIFEST).is_file()), None)
    if found is None and verilog is None:
        raise DataError(f"{folder} holds no project of {network.name}", remedy="run hitfabric build again")
    return replace(network, project=found, rtl_project=verilog)


def is_rtl_project(directory: Path) -> bool:
    """Whether a project is one of Verilog rather than of hls4ml; a malformed one is neither."""
    try:
        manifest = json.loads((directory / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("kind") == "rtl"
