"""The event display: truth tracks beside found tracks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from .canvas import HIT_GREY, PT, colour, figure, to_svg
from .event_record import EventDisplay

MINIMUM_PT_GEV = 1.0
MINIMUM_HITS = 3


@dataclass(frozen=True, kw_only=True)
class DisplayedTracks:
    """Hits of the tracks drawn as lines, each ordered outwards from the origin.

    Attributes:
        truth: Index arrays of the particles' hits.
        truth_found: bool per particle: some track is matched to it.
        found: Index arrays of the found tracks' hits.
        found_matched: bool per found track: matched to a particle.
    """

    truth: list[NDArray[np.int64]]
    truth_found: list[bool]
    found: list[NDArray[np.int64]]
    found_matched: list[bool]


def select_tracks(event: EventDisplay) -> DisplayedTracks:
    """Choose what the display draws.

    A particle is drawn when its pT is above 1 GeV and it left at least three hits; a found track when it has at least
    three hits and the particle that gave most of them is drawn. It is matched when that particle gave at least half of
    its hits, as in ACORN's evaluation; a particle is matched when a track is matched to it.
    """
    truth = {key: hits for key, hits in _groups(event, event.particle_id) if key != 0}
    drawn = {key: hits for key, hits in truth.items() if _is_drawn(event, hits)}
    matched_particles: set[int] = set()
    found: list[NDArray[np.int64]] = []
    found_matched: list[bool] = []
    for label, hits in _groups(event, event.labels):
        if label < 0 or hits.size < MINIMUM_HITS:
            continue
        particles, counts = np.unique(event.particle_id[hits], return_counts=True)
        best = int(np.argmax(counts))
        particle, shared = int(particles[best]), int(counts[best])
        if particle not in drawn:
            continue
        matched = 2 * shared >= hits.size
        if matched:
            matched_particles.add(particle)
        found.append(hits)
        found_matched.append(matched)
    return DisplayedTracks(
        truth=list(drawn.values()),
        truth_found=[key in matched_particles for key in drawn],
        found=found,
        found_matched=found_matched,
    )


def draw_event(event: EventDisplay, tracks: DisplayedTracks) -> Markup:
    """Draw x-y and r-z, truth left and found right, in mm."""
    with figure(10, 8.6) as drawn:
        axes = drawn.subplots(2, 2, sharex="row", sharey="row", height_ratios=(1.5, 1.0))
        sides = (
            (
                f"Truth: {len(tracks.truth)} particles with {PT} > {MINIMUM_PT_GEV:g} GeV",
                tracks.truth,
                tracks.truth_found,
            ),
            (f"Found: {len(tracks.found)} tracks of such particles", tracks.found, tracks.found_matched),
        )
        for column, (title, lines, matched) in enumerate(sides):
            _draw_view(axes[0, column], event.x, event.y, lines, matched)
            _draw_view(axes[1, column], event.z, event.r, lines, matched)
            axes[0, column].set_title(title)
            axes[0, column].set(xlabel="x (mm)", aspect="equal")
            axes[1, column].set_xlabel("z (mm)")
        axes[0, 0].set_ylabel("y (mm)")
        axes[1, 0].set_ylabel("r (mm)")
        keys = {
            "hits": Line2D([], [], color=colour("muted"), ls="none", marker="."),
            "matched": Line2D([], [], color=colour("blue")),
            "not matched": Line2D([], [], color=colour("orange")),
        }
        drawn.legend(keys.values(), keys.keys(), loc="outside lower center", ncols=len(keys))
        return to_svg(drawn, name="event", description="Event display, x-y and r-z: truth tracks beside found tracks")


def _draw_view(axis: Axes, across: NDArray, up: NDArray, lines: list[NDArray[np.int64]], matched: list[bool]) -> None:
    axis.grid(False)
    axis.scatter(across, up, s=0.6, marker=".", linewidths=0, color=HIT_GREY, alpha=0.45, rasterized=True)
    # The more tracks, the finer and fainter their lines: a pile-up event stays readable, a quiet one is not lost.
    crowd = min(1.0, (100 / max(len(lines), 1)) ** 0.5)
    styles = ((True, "blue", max(0.25, 1.1 * crowd), max(0.35, crowd)), (False, "orange", max(0.35, 1.3 * crowd), 0.85))
    for wanted, name, width, alpha in styles:
        segments = [
            np.column_stack((across[hits], up[hits]))
            for hits, is_matched in zip(lines, matched, strict=True)
            if is_matched is wanted
        ]
        axis.add_collection(LineCollection(segments, colors=colour(name), linewidths=width, alpha=alpha))


def _is_drawn(event: EventDisplay, hits: NDArray[np.int64]) -> bool:
    # A comparison with NaN is false: a particle of unknown pT is not drawn.
    return hits.size >= MINIMUM_HITS and bool(event.pt[hits[0]] > MINIMUM_PT_GEV)


def _groups(event: EventDisplay, keys: NDArray) -> list[tuple[int, NDArray[np.int64]]]:
    """Hits of each key, ordered by their distance from the origin."""
    if keys.size == 0:
        return []
    order = np.lexsort((np.hypot(event.r, event.z), keys))
    values, starts = np.unique(keys[order], return_index=True)
    return [(int(value), hits) for value, hits in zip(values, np.split(order, starts[1:]), strict=True)]
