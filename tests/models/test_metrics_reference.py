"""The vectorised matching against pandas: ACORN's tables of shared hits, written down a second time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from hitfabric.detector import Event
from hitfabric.models.metrics import Fiducial, match_tracks
from support.hand_event import hand_event


@dataclass(frozen=True)
class Reference:
    """Figures of the groupby implementation."""

    efficiency: float
    fake_rate: float
    duplicate_rate: float
    purity: float
    unknown: int
    found: dict[int, int]


def groupby_reference(event: Event, labels: np.ndarray, cuts: Fiducial) -> Reference:
    """ACORN's evaluation in pandas, row per pair of track and particle; unlabelled hits (-1) left out of shares."""
    assert event.particles is not None
    hits: Any = pd.DataFrame({"track": labels, "particle": event.particle_id})
    hits["labelled"] = hits["particle"] != -1
    on_track = hits[hits["track"] != -1]
    grouped = on_track.groupby("track")["labelled"]
    tracks: Any = pd.DataFrame({"length": grouped.size(), "labelled": grouped.sum()}).reset_index()
    tracks = tracks[tracks["length"] >= cuts.minimum_track_hits]
    judged = tracks[2 * tracks["labelled"] >= tracks["length"]]
    true_hits = hits[hits["particle"] > 0]
    lengths = pd.DataFrame({"n_true": true_hits.groupby("particle")["track"].size()}).reset_index()
    shared = on_track[on_track["particle"] > 0].groupby(["track", "particle"])["labelled"].size()
    pairs: Any = pd.DataFrame({"shared": shared}).reset_index().merge(judged, on="track").merge(lengths, on="particle")
    least = cuts.matching_fraction + (1e-6 if cuts.matching_fraction == 0.5 else 0.0)
    pure, whole = pairs["shared"] / pairs["labelled"] >= least, pairs["shared"] / pairs["n_true"] >= least
    matched = pairs[pure & whole] if cuts.matching == "two_way" else pairs[pure]
    rows = {"atlas": pairs[pure], "one_way": pairs[whole], "two_way": pairs[pure & whole]}[cuts.matching]
    table: Any = pd.DataFrame(
        {"particle": event.particles.particle_id, "pt": event.particles.pt, "eta": event.particles.eta}
    ).merge(lengths, on="particle")
    inside = (table["pt"] >= cuts.pt_min) & (table["eta"].abs() <= cuts.eta_max)
    target = table[inside & (table["n_true"] >= cuts.minimum_hits)]
    rows = rows[rows["particle"].isin(target["particle"])]
    unique = len(set(rows["particle"]))
    most = pd.DataFrame({"most": pairs.groupby("track")["shared"].max()}).reset_index()
    best = judged.merge(most, on="track", how="left").fillna({"most": 0})
    return Reference(
        efficiency=unique / len(target) if len(target) else math.nan,
        fake_rate=1 - len(set(matched["track"])) / len(judged) if len(judged) else math.nan,
        duplicate_rate=(len(rows) - unique) / unique if unique else math.nan,
        purity=float(np.mean(best["most"].to_numpy() / best["labelled"].to_numpy())) if len(judged) else math.nan,
        unknown=len(tracks) - len(judged),
        found={int(i): int((rows["particle"] == i).sum()) for i in target["particle"]},
    )


@st.composite
def labelled_events(draw: st.DrawFn) -> tuple[Event, np.ndarray]:
    """Hits of random particles, tracks that follow them most of the time, some hits not labelled in some events."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    hits, particles = draw(st.integers(1, 80)), draw(st.integers(1, 9))
    particle_id = random.integers(0, particles + 1, size=hits)
    labels = random.integers(-1, 6, size=hits)
    follow = random.random(hits) < draw(st.sampled_from([0.0, 0.5, 0.9]))
    labels[follow] = particle_id[follow] - 1
    particle_id[random.random(hits) < draw(st.sampled_from([0.0, 0.0, 0.3, 0.8]))] = -1
    ids = range(1, particles + 1)
    pt = {i: float(random.uniform(0.2, 3)) for i in ids}
    eta = {i: float(random.uniform(-5, 5)) for i in ids}
    return hand_event(particle_id.tolist(), pt, eta=eta), labels


@given(
    labelled_events(),
    st.sampled_from(["atlas", "one_way", "two_way"]),
    st.sampled_from([0.5, 0.6, 0.75, 1.0]),
    st.integers(1, 5),
    st.integers(1, 5),
)
def test_matching_equals_the_groupby_implementation(
    drawn: tuple[Event, np.ndarray], style: str, fraction: float, minimum_hits: int, minimum_track_hits: int
) -> None:
    event, labels = drawn
    cuts = Fiducial.model_validate(
        {
            "matching": style,
            "matching_fraction": fraction,
            "minimum_hits": minimum_hits,
            "minimum_track_hits": minimum_track_hits,
        }
    )
    matching, expected = match_tracks(event, labels, fiducial=cuts), groupby_reference(event, labels, cuts)
    assert event.particles is not None
    found = (matching.efficiency, matching.fake_rate, matching.duplicate_rate, matching.mean_purity)
    # To the last digit.
    np.testing.assert_array_equal(
        found, (expected.efficiency, expected.fake_rate, expected.duplicate_rate, expected.purity)
    )
    assert matching.tracks_unknown == expected.unknown
    assert matching.matches.tolist() == list(expected.found.values())
    assert matching.found.tolist() == [count > 0 for count in expected.found.values()]
