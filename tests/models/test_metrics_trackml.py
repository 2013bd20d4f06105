"""The TrackML score against tables worked out by hand, and against the challenge's recipe written in pandas."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitfabric.core import DataError
from hitfabric.detector import Event, read_event
from hitfabric.models.metrics import hit_weights, trackml_score
from support.hand_event import hand_event

# Labels of eight hits, four of particle 1 and four of particle 2, every hit of the same weight; and the score.
SCORES = [
    ([0, 0, 0, 0, 1, 1, 1, 1], 1.0),
    ([0, 0, 0, 0, 0, 0, 0, 0], 0.0),  # half of the track is no majority
    ([0, 0, 0, -1, 1, 1, 1, 1], 7 / 8),
    ([0, 0, -1, -1, 1, 1, 1, 1], 4 / 8),  # half of the particle is no majority
    ([0, 0, 0, 1, 1, 1, 1, 1], 7 / 8),  # the strange hit counts for nothing
    ([0, 0, 0, 0, 0, 0, 0, 1], 4 / 8),  # four of seven hits are of particle 1
    ([-1] * 8, 0.0),
]


@pytest.mark.parametrize(("labels", "score"), SCORES)
def test_double_majority(labels: list[int], score: float) -> None:
    event = hand_event([1, 1, 1, 1, 2, 2, 2, 2], {1: 2.0, 2: 2.0})
    assert trackml_score(event, np.array(labels), weights=np.ones(8)) == score


def test_weights_given_are_used() -> None:
    event = hand_event([1, 1, 1, 2, 2, 2, 0], {1: 2.0, 2: 2.0})
    weights = np.array([1.0, 2.0, 3.0, 0.0, 0.0, 4.0, 0.0])
    assert trackml_score(event, np.array([0, 0, 0, 1, -1, -1, 0]), weights=weights) == 0.6
    assert trackml_score(event, np.array([0, 0, 0, 1, 1, -1, -1]), weights=weights) == 0.6  # two hits of weight 0
    assert math.isnan(trackml_score(event, np.zeros(7, dtype=int), weights=np.zeros(7)))


def test_weights_by_order_and_pt() -> None:
    # Nine hits have the weights of the recipe as they are; the hit nearest to the vertex in z comes first.
    order = np.array([10.0, 8.0, 6.0, 5.0, 3.0, 3.0, 3.0, 5.0, 6.0])
    z = [*(100.0 - 10.0 * np.arange(9)), 0.0, 0.0, 0.0]
    event = hand_event([1] * 9 + [0, 2, 2], {1: 1.75, 2: 9.0}, vertex={1: (0.0, 0.0, 200.0)}, z=z)
    weights = hit_weights(event)
    np.testing.assert_allclose(weights[:9], order / order.sum(), rtol=1e-12)
    assert weights[9:].tolist() == [0.0, 0.0, 0.0]  # noise, and a particle of two hits
    # pT of 0.5 GeV and below weighs 0.2, of 3 GeV and above 1, between them on a line.
    both = hand_event([1] * 4 + [2] * 4 + [3] * 4, {1: 0.3, 2: 1.75, 3: 30.0}, z=[*np.arange(4.0)] * 3)
    sums = hit_weights(both).reshape(3, 4).sum(axis=1)
    np.testing.assert_allclose(sums / sums[2], [0.2, 0.6, 1.0], rtol=1e-6)
    assert hit_weights(hand_event([1, 1], {1: 1.0})).tolist() == [0.0, 0.0]


def pandas_weights(event: Event) -> np.ndarray:
    """The recipe, hit by hit."""
    assert event.particle_id is not None and event.particles is not None
    table = pd.DataFrame(
        {"vz": event.particles.vz.astype(float), "pt": event.particles.pt.astype(float)},
        index=pd.Index(event.particles.particle_id),
    )
    hits = pd.DataFrame({"particle": event.particle_id, "z": event.z.astype(float)}).join(table, on="particle")
    counts = hits.groupby("particle")["z"].transform("size")
    places = ((hits["z"] - hits["vz"]).abs().groupby(hits["particle"]).rank() - 1).fillna(0)
    weights = []
    for pt, number, rank in zip(hits["pt"].tolist(), counts.tolist(), places.tolist(), strict=True):
        count, place = min(int(number), 20), int(rank)
        if math.isnan(pt) or count < 4 or place >= 20:
            weights.append(0.0)
            continue
        shape = np.interp(np.arange(count), np.arange(9) * (count - 1) / 8, [10, 8, 6, 5, 3, 3, 3, 5, 6])
        hardness = 0.0 if pt < 0.05 else np.interp(pt, [0.5, 3.0], [0.2, 1.0])
        weights.append(float(shape[place] / shape.sum() * hardness))
    values = np.array(weights)
    return values / values.sum() if values.sum() > 0 else values


def pandas_score(event: Event, labels: np.ndarray, weights: np.ndarray) -> float:
    """The score, track by track."""
    hits: Any = pd.DataFrame({"track": labels, "particle": event.particle_id, "weight": weights})
    sizes, score = hits["particle"].value_counts().to_dict(), 0.0
    for track, group in hits.groupby("track"):
        counts = group["particle"].value_counts().to_dict()
        best = max(counts, key=counts.__getitem__)
        if track != -1 and 2 * counts[best] > len(group) and 2 * counts[best] > sizes[best]:
            score += float(group["weight"][group["particle"] == best].sum())
    return score / float(weights.sum())


@given(st.integers(0, 2**32 - 1))
def test_score_agrees_with_the_recipe_in_pandas(seed: int) -> None:
    random = np.random.default_rng(seed)
    hits, particles = int(random.integers(1, 120)), int(random.integers(1, 7))
    particle_id = random.integers(0, particles + 1, size=hits)
    pt = {i: float(random.choice([0.01, 0.2, 1.0, 2.5, 7.0])) for i in range(1, particles + 1)}
    vertex = {i: (0.0, 0.0, float(random.integers(-3, 4))) for i in pt}
    event = hand_event(particle_id.tolist(), pt, vertex=vertex, z=random.integers(-30, 30, size=hits).tolist())
    labels = np.where(random.random(hits) < 0.7, particle_id, random.integers(-1, 5, size=hits))
    weights, expected = hit_weights(event), pandas_weights(event)
    np.testing.assert_allclose(weights, expected, rtol=1e-12, atol=1e-15)
    if expected.sum() == 0:
        assert math.isnan(trackml_score(event, labels))
        return
    assert trackml_score(event, labels) == pytest.approx(pandas_score(event, labels, expected), abs=1e-12)
    assert trackml_score(event, event.particle_row) == pytest.approx(1.0)


def test_wrong_input_is_refused() -> None:
    event = hand_event([1, 1, 1, 1], {1: 2.0})
    labels = np.zeros(4, dtype=int)
    for wrong in (np.ones(3), np.array([1.0, 1.0, 1.0, -1.0]), np.array([1.0, 1.0, 1.0, np.nan])):
        with pytest.raises(DataError, match="one number >= 0 per hit"):
            trackml_score(event, labels, weights=wrong)
    with pytest.raises(DataError, match="no complete truth"):
        trackml_score(hand_event([1, 1, -1, 1], {1: 2.0}), labels)
    with pytest.raises(DataError, match="one label per hit"):
        trackml_score(event, labels[:3])


def test_real_event(shared_data: Path) -> None:
    prefix = shared_data / "acts_ttbar_pu200" / "event000009030"
    if not prefix.parent.is_dir():
        pytest.skip(f"no simulated events at {prefix.parent}")
    event = read_event(prefix)
    assert trackml_score(event, event.particle_row) == pytest.approx(1.0)
    random = np.random.default_rng(0)
    labels = event.particle_row.copy()
    lost = random.random(len(event)) < 0.2
    labels[lost] = -1
    # Tracks keep their majority, and lose a fifth of the weight.
    assert trackml_score(event, labels) == pytest.approx(0.8, abs=0.02)
