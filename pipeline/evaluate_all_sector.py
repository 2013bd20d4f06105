"""The sector workload in `hitfabric evaluate --all`: every network over every graph, scores pooled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..core import HitfabricError, progress
from ..detector import GraphSample
from .evaluate_all_models import Contender, Runner
from .evaluate_all_rows import Cell, Figure
from .scores import ScoreSample
from .vectors import graph_inputs

SectorScores = ScoreSample | str
"""Pooled scores of one network, or why there are none."""


def run_sectors(
    networks: Mapping[str, Mapping[str, Contender[Runner]]], graphs: Sequence[GraphSample], *, description: str
) -> dict[str, dict[str, SectorScores]]:
    """Score the edges of whole graphs with every network.

    Args:
        networks: Networks by workload and column.
        graphs: Labelled graphs.
        description: Of the progress bar.

    Returns:
        Scores by workload and column, or why a network has none. A network that two workloads share runs once.
    """
    work = [(name, column, item) for name, columns in networks.items() for column, item in columns.items()]
    found: dict[str, dict[str, SectorScores]] = {name: {} for name in networks}
    for name, column, item in progress(work, description=description):
        found[name][column] = _scores(item, graphs)
    return found


def sector_cell(scores: SectorScores) -> Cell:
    """Area under the ROC curve."""
    if isinstance(scores, str):
        return Cell(missing=scores)
    return Cell(figures={"auc": Figure.auc(scores.scores, scores.labels)})


def _scores(item: Contender[Runner], graphs: Sequence[GraphSample]) -> SectorScores:
    if item.model is None:
        return item.missing or "not shipped"
    if not graphs:
        return "no sector graphs"
    try:
        parts = [item.model.run(graph_inputs(graph))["logits"][:, 0] for graph in graphs if len(graph.edges)]
    except HitfabricError as error:
        return str(error)
    labels = [graph.labels for graph in graphs if len(graph.edges)]
    return ScoreSample(
        scores=np.concatenate([np.zeros(0, np.float32), *parts]), labels=np.concatenate([np.zeros(0, bool), *labels])
    )
