"""What the data is: events, truth, readers, simulation, features, sectors, graphs, track builders.

Positions are in mm, momenta in GeV, angles in rad; hit arrays are float32, indices int64. Nothing here knows a network.
"""

from .doublets import DoubletCuts, LayerPair, geometric_doublets, geometric_graph, selected_hits
from .event import NOISE, PIXEL_VOLUMES, UNLABELLED, Event, Particles
from .event_files import list_events, read_event, read_events, write_event
from .event_folder import write_detector
from .event_parquet import write_parquet
from .features import (
    EdgeInputs,
    edge_features,
    embedding_features,
    interaction_features,
    node_features,
    pair_features,
    track_features,
)
from .geometry import Detector, Layer
from .graph_sample import GraphSample, fit_to_maxima, read_graph, read_graphs, write_graph
from .pair_columns import PairColumns
from .pair_window import PairWindow
from .pairs import ALL_LAYERS, PIXEL, PairScales
from .radius import radius_graph
from .sector_grid import (
    NO_SECTOR,
    BorderLoss,
    EventSector,
    SectorGrid,
    border_loss,
    core_sectors,
    edge_owners,
    sector_rows,
    split_event,
)
from .sectors import GraphPart, Sectors, cut_graph, pack_components, phi_sectors
from .simulation import SimulationConfig, SimulationResult, simulate
from .sphenix_graph import read_sphenix_graph
from .track_builder import NO_TRACK, connected_components
from .track_building import TrackBuilderConfig, build_tracks
from .track_fit import track_pt
from .truth import along_particles, inside_out, label_edges, truth_edges
from .walkthrough import WalkthroughSettings, walk_tracks

__all__ = [
    "ALL_LAYERS",
    "NOISE",
    "NO_SECTOR",
    "NO_TRACK",
    "PIXEL",
    "PIXEL_VOLUMES",
    "UNLABELLED",
    "BorderLoss",
    "Detector",
    "DoubletCuts",
    "EdgeInputs",
    "Event",
    "EventSector",
    "GraphPart",
    "GraphSample",
    "Layer",
    "LayerPair",
    "PairColumns",
    "PairScales",
    "PairWindow",
    "Particles",
    "SectorGrid",
    "Sectors",
    "SimulationConfig",
    "SimulationResult",
    "TrackBuilderConfig",
    "WalkthroughSettings",
    "along_particles",
    "border_loss",
    "build_tracks",
    "connected_components",
    "core_sectors",
    "cut_graph",
    "edge_features",
    "edge_owners",
    "embedding_features",
    "fit_to_maxima",
    "geometric_doublets",
    "geometric_graph",
    "inside_out",
    "interaction_features",
    "label_edges",
    "list_events",
    "node_features",
    "pack_components",
    "pair_features",
    "phi_sectors",
    "radius_graph",
    "read_event",
    "read_events",
    "read_graph",
    "read_graphs",
    "read_sphenix_graph",
    "sector_rows",
    "selected_hits",
    "simulate",
    "split_event",
    "track_features",
    "track_pt",
    "truth_edges",
    "walk_tracks",
    "write_detector",
    "write_event",
    "write_graph",
    "write_parquet",
]
