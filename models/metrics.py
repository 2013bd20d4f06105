"""Physics metrics: edges and tracks. NumPy and SciPy only. docs/metrics.md has the definitions.

Edge metrics treat every edge as one trial. Track metrics follow ACORN's evaluation of track reconstruction: a track is
matched to the particle that left more than half of its hits. The code is in `metrics_*.py`; this is the one place to
import from.
"""

from __future__ import annotations

from .metrics_edges import (
    TrueEdges,
    combine_true_edges,
    edge_efficiency_purity,
    find_true_edges,
    roc_auc,
    roc_auc_error,
    roc_curve,
)
from .metrics_intervals import LEVEL, EfficiencyBin, Floats, MeanBin, clopper_pearson, clopper_pearson_bounds
from .metrics_matching import Fiducial, MatchingStyle, match_tracks
from .metrics_trackml import hit_weights, trackml_score
from .metrics_tracks import TrackMatching, combine
from .metrics_variables import (
    DEFAULT_BINS,
    DEFAULT_ETA_BINS,
    DEFAULT_PT_BINS,
    VARIABLES,
    Binning,
    Variable,
    particle_values,
    primary_vertices,
)

__all__ = [
    "DEFAULT_BINS",
    "DEFAULT_ETA_BINS",
    "DEFAULT_PT_BINS",
    "LEVEL",
    "VARIABLES",
    "Binning",
    "EfficiencyBin",
    "Fiducial",
    "Floats",
    "MatchingStyle",
    "MeanBin",
    "TrackMatching",
    "TrueEdges",
    "Variable",
    "clopper_pearson",
    "clopper_pearson_bounds",
    "combine",
    "combine_true_edges",
    "edge_efficiency_purity",
    "find_true_edges",
    "hit_weights",
    "match_tracks",
    "particle_values",
    "primary_vertices",
    "roc_auc",
    "roc_auc_error",
    "roc_curve",
    "trackml_score",
]
