"""Labelled graphs of one event, the workload of the interaction network, and their files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import CORRUPT, DataError, GraphError, atomic_file
from .event import Event
from .features import edge_features, node_features
from .pairs import EdgeIndex

KEYS = ("x", "edge_index", "y", "edge_attr", "pid")
UNFINISHED = ".unfinished"
"""File in a folder of graphs that are being written, also where that was killed."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GraphSample:
    """Graph with node and edge features and true labels; validated on construction.

    Attributes:
        name: Name, for messages.
        nodes: float32 [N, 3]: r / 1000 mm, phi / pi, z / 1000 mm (see `features.node_features`).
        edges: float32 [E, 4] (see `features.edge_features`), or [E, 6] (see `features.track_features`).
        edge_index: int64 [E, 2], columns (sender, receiver).
        labels: bool [E], True where the edge joins consecutive hits of one particle.
        particle_id: int64 [N], the same for all nodes of one particle.
    """

    name: str
    nodes: NDArray[np.float32]
    edges: NDArray[np.float32]
    edge_index: NDArray[np.int64]
    labels: NDArray[np.bool_]
    particle_id: NDArray[np.int64]

    def __post_init__(self) -> None:
        expected: Mapping[str, tuple[type[np.generic], tuple[int, ...]]] = {
            "nodes": (np.float32, (len(self.nodes), 3)),
            "edges": (np.float32, (len(self.edge_index), 6 if self.edges.shape[1:] == (6,) else 4)),
            "edge_index": (np.int64, (len(self.edge_index), 2)),
            "labels": (np.bool_, (len(self.edge_index),)),
            "particle_id": (np.int64, (len(self.nodes),)),
        }
        for name, (dtype, shape) in expected.items():
            values = getattr(self, name)
            if values.dtype != dtype or values.shape != shape:
                raise self._error(
                    f"{name} is {values.dtype} of shape {values.shape}, expected {np.dtype(dtype)} {shape}"
                )
        for name in ("nodes", "edges"):
            if not np.isfinite(getattr(self, name)).all():
                row, column = np.argwhere(~np.isfinite(getattr(self, name)))[0]
                raise self._error(f"{name}[{row}, {column}] is not finite")
        outside = (self.edge_index < 0) | (self.edge_index >= len(self.nodes))
        if outside.any():
            row, column = np.argwhere(outside)[0]
            raise self._error(
                f"edge_index[{row}, {column}] is {self.edge_index[row, column]}, there are {len(self.nodes)} nodes"
            )

    @classmethod
    def from_event(
        cls, event: Event, edge_index: EdgeIndex, *, labels: NDArray[np.bool_], particle_id: NDArray[np.int64]
    ) -> GraphSample:
        """The graph of an event's hits, with the features of `features.node_features` and `edge_features`.

        Args:
            event: Hits.
            edge_index: int64 [E, 2], columns (sender, receiver).
            labels: bool [E].
            particle_id: int64 [hits].
        """
        features = event.features()
        return cls(
            name=event.name,
            nodes=node_features(features),
            edges=edge_features(features, edge_index),
            edge_index=edge_index,
            labels=labels,
            particle_id=particle_id,
        )

    def _error(self, reason: str) -> DataError:
        return DataError(f"graph {self.name}: {reason}", remedy="correct the graph or leave it out")


def fit_to_maxima(sample: GraphSample, *, nodes: int, edges: int) -> GraphSample:
    """Give the graph back if it fits, refuse it otherwise; nothing is ever dropped.

    Args:
        sample: The graph.
        nodes: Largest number of nodes.
        edges: Largest number of edges.

    Returns:
        `sample` itself.

    Raises:
        GraphError: It is larger; both sizes are named.
    """
    if len(sample.nodes) > nodes or len(sample.edge_index) > edges:
        raise GraphError(
            f"graph {sample.name} has {len(sample.nodes)} nodes and {len(sample.edge_index)} edges, "
            f"the maxima are {nodes} nodes and {edges} edges",
            remedy="split it (phi_sectors, pack_components) or build for larger maxima",
        )
    return sample


def read_graphs(directory: Path, limit: int | None = None) -> Iterator[GraphSample]:
    """Read the graphs of a directory, sorted by file name.

    Args:
        directory: Folder of `.npz` files (see `read_graph`).
        limit: At most this many.

    Yields:
        The graphs.

    Raises:
        DataError: No such directory, no graphs in it or not all that were to be written, or a wrong file.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise DataError(f"{directory} is not a directory", remedy="give a folder of graphs in .npz files")
    if (directory / UNFINISHED).exists():
        raise DataError(
            f"{directory} holds a part of its graphs: hitfabric graphs did not end",
            remedy="run it again with this --out",
        )
    paths = sorted(directory.glob("*.npz"))
    if not paths:
        raise DataError(f"{directory} holds no .npz graphs", remedy="give a folder of graphs in .npz files")
    for path in islice(paths, limit):
        yield read_graph(path)


def read_graph(path: Path) -> GraphSample:
    """Read one graph.

    Args:
        path: `.npz` file with `x` [N, 3], `edge_index` [2, E] (rows sender, receiver), `y` [E], `edge_attr` [E, 4] and
            `pid` [N]: the layout of the TrackML graphs of Elabd et al. (arXiv:2112.02048).

    Returns:
        The graph.

    Raises:
        DataError: The file cannot be read, a key is missing, or an array is wrong (named).
    """
    path = Path(path)
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            missing = [key for key in KEYS if key not in archive.files]
            if missing:
                raise DataError(f"{path} has no array {missing[0]}", remedy=f"write the arrays {', '.join(KEYS)}")
            arrays = {key: archive[key] for key in KEYS}
    except CORRUPT as error:
        raise DataError(f"cannot read {path}: {' '.join(str(error).split())}", remedy="give an .npz file") from error
    try:
        return GraphSample(
            name=path.stem,
            nodes=_convert(arrays["x"], np.float32),
            edges=_convert(arrays["edge_attr"], np.float32),
            edge_index=np.ascontiguousarray(_convert(arrays["edge_index"], np.int64).T),
            labels=_convert(arrays["y"], np.bool_),
            particle_id=_convert(arrays["pid"], np.int64),
        )
    except DataError as error:
        raise DataError(f"{path}: {error.message}", remedy=error.remedy) from error


def write_graph(sample: GraphSample, directory: Path, *, owned: NDArray[np.bool_] | None = None) -> Path:
    """Write a graph in the layout `read_graph` reads.

    Args:
        sample: The graph.
        directory: Folder; created where absent.
        owned: bool [E], edges that belong to this piece of a larger graph (`GraphPart.owned`), written as one more
            array `owned`; None writes no such array.

    Returns:
        Path of the file.
    """
    path = Path(directory) / f"{sample.name}.npz"
    with atomic_file(path) as temporary, temporary.open("wb") as stream:
        arrays: dict[str, Any] = {
            "x": sample.nodes,
            "edge_index": sample.edge_index.T,
            "y": sample.labels.astype(np.uint8),
            "edge_attr": sample.edges,
            "pid": sample.particle_id,
        }
        if owned is not None:
            arrays["owned"] = owned.astype(np.uint8)
        np.savez_compressed(stream, **arrays)
    return path


def _convert(values: NDArray[Any], dtype: type[np.generic]) -> NDArray[Any]:
    """Change the type of an array, refusing to change its values."""
    with np.errstate(over="ignore", invalid="ignore"):
        converted = values.astype(dtype) if values.dtype.kind in "biuf" else None
    if converted is None or (np.dtype(dtype).kind in "bi" and not np.array_equal(converted, values)):
        raise DataError(f"an array of {values.dtype} does not hold {np.dtype(dtype)} values", remedy="correct its type")
    return converted
