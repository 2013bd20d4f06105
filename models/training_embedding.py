"""Metric learning: true neighbours close, everything else at least a margin apart.

True pairs outside the geometric window are cut whatever their distance, so that the network is neither taught nor
judged on them. Wrong pairs outside it are pushed apart all the same: left alone they end up close to one another (over
a thousand neighbours per hit), and the search for neighbours would drown in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import KDTree
from torch import Tensor

from ..core import DataError
from ..detector import embedding_features
from .inference import as_tensor, forward_rows
from .networks import EmbeddingNetwork
from .training_config import EmbeddingTraining
from .training_data import TrainingEvent
from .training_loop import History, Task, TrainedPair, train
from .training_state import fingerprint

Pairs = NDArray[np.int64]
ATTRACTION, REPULSION = 3.0, 2.0  # relative weights of true and of wrong pairs
MANY_PAIRS = 40  # per hit
TINY = 1e-12  # keeps the gradient of a distance finite at zero


def train_embedding(
    training: Sequence[TrainingEvent],
    validation: Sequence[TrainingEvent],
    config: EmbeddingTraining,
    *,
    seed: int,
    history: History,
    resume: Path | None = None,
) -> TrainedPair[EmbeddingNetwork]:
    """Train the embedding network.

    Args:
        training: Events to learn from.
        validation: Events on which epochs are compared (fewest pairs at the wanted efficiency).
        config: Network, schedule and samples.
        seed: Seed of weights and samples.
        history: Takes one row per epoch: `radius`, `pairs_per_hit`.
        resume: File of the training's state (see `training_loop.train`).

    Returns:
        The quantized network and its float twin, in evaluation mode.
    """
    torch.manual_seed(seed)
    sampler = PairSampler(training, config, seed=seed)

    def evaluate(network: EmbeddingNetwork) -> Mapping[str, float]:
        radius = choose_radius(network, validation, config.efficiency)
        return {"radius": radius, "pairs_per_hit": pairs_per_hit(network, validation, radius)}

    task = Task(
        name="embedding",
        make=lambda quantized: EmbeddingNetwork(config=config.network, quantized=quantized),
        loss=sampler.loss,
        begin=sampler.begin,
        key=f"{seed} {config.model_dump_json()} {len(training)} {len(validation)}",
        data=lambda: _fingerprint([*training, *validation]),
        evaluate=evaluate,
        score="pairs_per_hit",
        higher_is_better=False,
    )
    return train(task, config.schedule, history, resume=resume)


class PairSampler:
    """Draws pairs of one event after the other and computes their hinge loss.

    Args:
        events: Events to draw from.
        config: Margin and numbers of pairs.
        seed: Seed of the samples.
    """

    def __init__(self, events: Sequence[TrainingEvent], config: EmbeddingTraining, *, seed: int) -> None:
        self.events = events
        self.inputs = [embedding_features(event.features) for event in events]
        self.signal = [_reachable(event) for event in events]
        self.config = config
        self.seed = seed
        self.begin(0, 0)

    def begin(self, phase: int, epoch: int) -> None:
        """Start the samples of an epoch, with events in turn from a random one on."""
        self.random = np.random.default_rng([abs(self.seed), phase, epoch])
        self.step = int(self.random.integers(len(self.events)))
        self.mined: list[Pairs] = []

    def loss(self, network: EmbeddingNetwork) -> Tensor:
        """Squared hinge loss of the next pairs, in units of the margin.

        The square pulls at the rare far true pairs, which decide the radius; wrong pairs beyond the margin are left
        out of their mean, so that the push does not fade as those within get few.
        """
        if not self.mined:
            # One search for neighbours serves several steps: it costs more than a step does.
            self.index = self.step % len(self.events)
            self.step += 1
            wrong = self.random.permutation(self._wrong_pairs(network, self.index))
            self.mined = np.array_split(wrong, self.config.reuse)
        wrong = self.mined.pop()
        signal = self.signal[self.index]
        true = signal[self.random.integers(len(signal), size=self.config.true_pairs)]
        hits, places = np.unique(np.concatenate([true, wrong]), return_inverse=True)
        points = network(as_tensor(self.inputs[self.index][hits], network))
        ends = as_tensor(places.reshape(-1, 2), network)
        squares = (points.index_select(0, ends[:, 0]) - points.index_select(0, ends[:, 1])).square().sum(dim=1)
        distance = squares.clamp(min=TINY).sqrt()
        true_distance, wrong_distance = (distance / self.config.margin).tensor_split([len(true)])
        inside = torch.relu(1 - wrong_distance).square()
        repulsion = inside.sum() / (inside > 0).sum().clamp(min=1)
        return ATTRACTION * true_distance.square().mean() + REPULSION * repulsion

    def _wrong_pairs(self, network: EmbeddingNetwork, index: int) -> Pairs:
        """Hard negatives, neighbours in the current embedding, and random pairs; none of one particle."""
        event, count = self.events[index], len(self.inputs[index])
        half = self.config.queries // 2
        queries = np.concatenate(
            [self.random.integers(count, size=half), self.random.choice(self.signal[index][:, 0], half)]
        )
        training = network.training
        points = forward_rows(network.eval(), self.inputs[index])
        network.train(training)
        tree = KDTree(points)
        neighbours = min(self.config.neighbours, count)
        _, near = tree.query(points[queries], k=neighbours, distance_upper_bound=self.config.margin, workers=-1)
        near = near.reshape(len(queries), neighbours)
        hard = np.stack([np.repeat(queries, neighbours), near.ravel()], axis=1)
        hard = hard[hard[:, 1] < count]  # the tree fills up with `count` where there are fewer neighbours
        pairs = np.concatenate([hard, self.random.integers(count, size=(self.config.random_pairs, 2))])
        particle = event.event.particle_row[pairs]
        same = (pairs[:, 0] == pairs[:, 1]) | ((particle[:, 0] == particle[:, 1]) & (particle[:, 0] >= 0))
        return pairs[~same]


def choose_radius(network: EmbeddingNetwork, events: Sequence[TrainingEvent], efficiency: float) -> float:
    """Smallest radius that contains the given fraction of the signal edges of `events`, within the window.

    Raises:
        DataError: The embedding is not finite, or the window alone loses more.
    """
    distances = np.concatenate([_distances(_embed(network, event), event.signal) for event in events])
    if not np.isfinite(distances).all():
        raise DataError("the embedding is not finite", remedy="lower the learning rate or check the events")
    inside = np.concatenate([event.inside(event.signal) for event in events])
    radius = float(np.quantile(np.where(inside, distances, np.inf), efficiency, method="higher"))
    if not np.isfinite(radius):
        raise DataError(
            f"the window holds {inside.mean():.4f} of the true edges, {efficiency} are wanted",
            remedy="widen data.window, or lower embedding.efficiency",
        )
    return radius


def pairs_per_hit(network: EmbeddingNetwork, events: Sequence[TrainingEvent], radius: float) -> float:
    """Undirected radius-graph edges per hit within the window.

    Beyond `MANY_PAIRS` per hit, where no graph would be built, the pairs outside are counted too.
    """
    pairs, hits = 0, 0
    for event in events:
        tree = KDTree(_embed(network, event))
        count = (int(tree.count_neighbors(tree, radius)) - tree.n) // 2
        if count <= MANY_PAIRS * tree.n:
            count = int(event.inside(tree.query_pairs(radius, output_type="ndarray")).sum())
        pairs += count
        hits += tree.n
    return pairs / hits


def _fingerprint(events: Sequence[TrainingEvent]) -> str:
    arrays = (array for item in events for array in (item.features, item.signal, item.event.particle_row))
    return fingerprint(arrays, settings=" ".join(item.data.model_dump_json() for item in events))


def _reachable(event: TrainingEvent) -> Pairs:
    """True edges within the window.

    Raises:
        DataError: There are none.
    """
    signal = event.signal[event.inside(event.signal)]
    if len(signal) == 0:
        raise DataError(f"event {event.event.name} has no true edge within the window", remedy="widen data.window")
    return signal


def _embed(network: EmbeddingNetwork, event: TrainingEvent) -> NDArray[np.float32]:
    return forward_rows(network, embedding_features(event.features))


def _distances(points: NDArray[np.float32], pairs: Pairs) -> NDArray[np.float64]:
    wide = points.astype(np.float64)
    return np.linalg.norm(wide[pairs[:, 0]] - wide[pairs[:, 1]], axis=1)
