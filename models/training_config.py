"""Configuration of training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from ..core import StrictModel
from ..detector import PIXEL, PIXEL_VOLUMES, EdgeInputs, PairScales, PairWindow
from ..detector.features import EDGE_INPUT_WIDTHS
from ..detector.track_building import TrackBuilderKind
from .config import Bits, EmbeddingConfig, FilterConfig, InteractionConfig, Width

Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(gt=0.0, lt=1.0)]
Positive = Annotated[float, Field(gt=0.0)]


class PruningConfig(StrictModel):
    """Magnitude pruning of the float network, before it is quantized.

    Each round removes the same share of the weights that are left, sets the others back to what they were early in
    training, and trains again: iterative pruning with rewinding (Frankle and Carbin, arXiv:1803.03635; Renda et al.,
    arXiv:2003.02389). Pruned weights stay exactly 0 through quantization-aware training.

    Attributes:
        sparsity: Share of the weights of the pruned layers that are 0 in the end.
        rounds: Rounds of pruning.
        epochs: Epochs of float training in each round.
        rewind_epoch: Epoch of the float training whose weights each round starts from; None goes on from the trained
            weights.
        scope: Compare magnitudes over all layers together, or within each `layer`.
        exclude: Layers left alone, by the beginning of their module path; input scalings keep the units of the data.
    """

    sparsity: Fraction = 0.5
    rounds: Count = 3
    epochs: Count = 4
    rewind_epoch: Annotated[int, Field(ge=1)] | None = 2
    scope: Literal["global", "layer"] = "global"
    exclude: tuple[str, ...] = ("node_scaling", "edge_scaling")


class ScheduleConfig(StrictModel):
    """How long and how fast one network learns: first its float twin, then, from there, the quantized network.

    Attributes:
        float_epochs: Epochs of the float twin; 0 trains the quantized network from the start.
        quantized_epochs: Epochs of quantization-aware training; 0 stops at the float network.
        steps: Optimiser steps per epoch.
        learning_rate: Peak learning rate of the float phase (Adam, one cosine cycle).
        quantized_learning_rate: Peak learning rate of the quantized phase.
        seconds: Time limit. A phase ends after the epoch in which its equal share of it is used up. A run that is cut
            short says so; only a run that is not is reproducible.
        patience: A phase ends after this many epochs without a better one; None trains them all.
        pruning: Pruning between the two; None prunes nothing.
        accumulator_bits: Every sum of a quantized layer, partial sums included, fits into a signed accumulator of this
            width; None sets no bound. See `models.accumulators`.
        calibration: Activation scales start from the `range` of the training data, or are halved from there where that
            lowers the `loss` on them: for few bits (see `models.calibration`).
        device: Where to train: `auto` takes an accelerator where torch finds one; `cpu` repeats itself bit for bit.
    """

    float_epochs: Annotated[int, Field(ge=0)] = 4
    quantized_epochs: Annotated[int, Field(ge=0)] = 4
    steps: Count = 40
    learning_rate: Positive = 3e-3
    quantized_learning_rate: Positive = 1e-3
    seconds: Positive = 120.0
    patience: Count | None = None
    pruning: PruningConfig | None = None
    accumulator_bits: Annotated[int, Field(ge=4, le=62)] | None = None
    calibration: Literal["range", "loss"] = "range"
    device: str = "auto"

    @model_validator(mode="after")
    def _trains(self) -> ScheduleConfig:
        if self.pruning is not None:
            rewind = self.pruning.rewind_epoch or 1
            if rewind > self.float_epochs:
                raise ValueError("pruning needs float_epochs, and its rewind_epoch must be one of them")
        if not self.float_epochs and not self.quantized_epochs:
            raise ValueError("float_epochs and quantized_epochs must not both be 0")
        return self


class DataConfig(StrictModel):
    """Which events, hits and particles are learned from.

    Attributes:
        events: Training events, from the first of the directory on; None takes all but the validation events.
        validation_events: Events after those, on which epochs are compared and radius and thresholds are chosen.
        volumes: Detector volumes whose hits are used; None takes all.
        signal_min_pt: Edges within one particle above this transverse momentum (GeV) are signal.
        ignored_min_pt: Edges within one particle between this (GeV) and `signal_min_pt` are neither signal nor
            background.
        window: Geometric cuts on the pairs of the radius graph; None keeps all.
        scales: Divisors of the features of pairs.
        edge_inputs: Edge features of the interaction network.
    """

    events: Count | None = 6
    validation_events: Count = 1
    volumes: tuple[int, ...] | None = PIXEL_VOLUMES
    signal_min_pt: Positive = 1.0
    ignored_min_pt: Positive = 0.5
    window: PairWindow | None = PairWindow()
    scales: PairScales = PIXEL
    edge_inputs: EdgeInputs = "track"

    @model_validator(mode="after")
    def _ordered(self) -> DataConfig:
        if self.ignored_min_pt > self.signal_min_pt:
            raise ValueError("ignored_min_pt must not exceed signal_min_pt")
        return self


class EmbeddingTraining(StrictModel):
    """Metric learning with a hinge loss.

    Attributes:
        network: Widths and bits.
        schedule: Epochs and learning rates.
        margin: Distance to which wrong pairs are pushed apart.
        true_pairs: True pairs per step.
        queries: Hits per search whose neighbours in the current embedding become hard negatives; half are on signal.
        neighbours: Neighbours looked at per query.
        random_pairs: Random pairs per search for neighbours.
        reuse: Steps that share the wrong pairs of one search.
        efficiency: Fraction of the true edges the radius must contain.
    """

    network: EmbeddingConfig = EmbeddingConfig()
    schedule: ScheduleConfig = ScheduleConfig(
        float_epochs=6, quantized_epochs=2, steps=60, learning_rate=4e-3, quantized_learning_rate=3e-4
    )
    margin: Positive = 0.1
    true_pairs: Count = 3000
    queries: Count = 6000
    neighbours: Count = 30
    random_pairs: Count = 4000
    reuse: Count = 4
    efficiency: Fraction = 0.99


class FilterTraining(StrictModel):
    """Binary classification of the radius graph's edges.

    Attributes:
        network: Widths and bits.
        schedule: Epochs and learning rates.
        batch: Edges per step.
        signal_fraction: Fraction of signal edges in a batch (they are a percent of the radius graph).
        efficiency: Fraction of the signal edges in the radius graph that the threshold keeps.
    """

    network: FilterConfig = FilterConfig()
    schedule: ScheduleConfig = ScheduleConfig(float_epochs=8, quantized_epochs=3, steps=250, learning_rate=5e-3)
    batch: Count = 8192
    signal_fraction: Fraction = 0.25
    efficiency: Fraction = 0.993


class InteractionTraining(StrictModel):
    """Binary classification of the edges of whole graphs, one graph per step.

    Attributes:
        network: Widths, rounds and bits.
        schedule: Epochs and learning rates.
        signal_weight: Weight of a signal edge in the loss, relative to a background edge.
        pruned_from: Width of the float network that is trained first; its `network.width` most important units go on
            (structured pruning), trained again for `schedule.float_epochs`. None trains `network` from the start.
    """

    network: InteractionConfig = InteractionConfig(input_bits=16)
    schedule: ScheduleConfig = ScheduleConfig(
        float_epochs=8, quantized_epochs=6, steps=40, learning_rate=1e-2, quantized_learning_rate=5e-3
    )
    signal_weight: Positive = 1.0
    pruned_from: Count | None = None

    @model_validator(mode="after")
    def _is_wider(self) -> InteractionTraining:
        if self.pruned_from is not None and (self.pruned_from < self.network.width or not self.schedule.float_epochs):
            raise ValueError("pruned_from needs float_epochs and must not be less than network.width")
        return self


class CandidateNetwork(InteractionConfig):
    """The interaction network of the chain: `InteractionConfig` with defaults that fit `track` edge features."""

    input_bits: Bits = 16
    edge_inputs: Width = EDGE_INPUT_WIDTHS["track"]
    aggregate_senders: bool = True


def _with_chain_defaults(network: object) -> object:
    """A network of which only some keys are given takes the others from the chain's defaults."""
    return CandidateNetwork.model_validate(network) if isinstance(network, Mapping) else network


class CandidateTraining(InteractionTraining):
    """Binary classification of what the filter of the chain lets through: `InteractionTraining` with other defaults."""

    network: Annotated[InteractionConfig, BeforeValidator(_with_chain_defaults)] = CandidateNetwork()
    schedule: ScheduleConfig = ScheduleConfig(float_epochs=20, quantized_epochs=3, steps=40, learning_rate=1e-2)


class BuilderChoice(StrictModel):
    """How the track builder's thresholds are chosen on the validation events.

    Attributes:
        kind: `connected_components` or `walkthrough`.
        max_fake_rate: The most efficient thresholds whose fake rate is at most this are taken; where there are none,
            those with the largest difference of efficiency and fake rate.
        minimum_hits: Fewest hits of a track.
    """

    kind: TrackBuilderKind = "walkthrough"
    max_fake_rate: Fraction = 0.045
    minimum_hits: Annotated[int, Field(ge=2)] = 3


class ChainTraining(StrictModel):
    """Training of the whole chain, each network on what the one before it lets through.

    Attributes:
        data: Events, hits and particles.
        embedding: Embedding network.
        filter: Edge filter.
        interaction_network: Interaction network.
        builder: Track builder.
        seed: Seed of weights and samples.
    """

    data: DataConfig = DataConfig()
    embedding: EmbeddingTraining = EmbeddingTraining()
    filter: FilterTraining = FilterTraining()
    interaction_network: CandidateTraining = CandidateTraining()
    builder: BuilderChoice = BuilderChoice()
    seed: int = 0

    @model_validator(mode="after")
    def _fits(self) -> ChainTraining:
        width, kind = self.interaction_network.network.edge_inputs, self.data.edge_inputs
        if width != EDGE_INPUT_WIDTHS[kind]:
            found = f"interaction_network.network.edge_inputs is {width}"
            raise ValueError(f"{found}, data.edge_inputs {kind} has {EDGE_INPUT_WIDTHS[kind]}")
        return self

    @model_validator(mode="after")
    def _of_one_kind(self) -> ChainTraining:
        schedules = (self.embedding.schedule, self.filter.schedule, self.interaction_network.schedule)
        if len({schedule.quantized_epochs > 0 for schedule in schedules}) > 1:
            raise ValueError("quantized_epochs must be 0 for all three networks, or for none")
        return self

    @property
    def is_float(self) -> bool:
        """Whether the networks stay in float: quantized_epochs is 0."""
        return self.embedding.schedule.quantized_epochs == 0
