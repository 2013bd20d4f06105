"""Training of the whole chain, each network on what the one before it lets through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core import RunDirectory
from ..detector import list_events
from .chain_settings import ChainSettings, Stage, settle
from .checkpoints import Trained, save_checkpoint
from .networks import EmbeddingNetwork, FilterNetwork, InteractionNetwork
from .training_config import ChainTraining
from .training_data import TrainingEvent, load_events
from .training_embedding import choose_radius, train_embedding
from .training_filter import make_pairs, train_filter
from .training_interaction import train_interaction
from .training_loop import History


@dataclass(frozen=True, kw_only=True)
class TrainedChain:
    """The networks of the chain and the cuts between them.

    Attributes:
        embedding: Embedding network.
        filter: Edge filter.
        interaction_network: Interaction network.
        cuts: Radius, thresholds and track builder, chosen on the validation events for these networks.
        config: What was trained.
        metrics: Figures on the validation events, float32 forward passes.
        history: Training curves by network.
        float_twin: The same networks before quantization, with cuts of their own; None where there was no float phase.
    """

    embedding: EmbeddingNetwork
    filter: FilterNetwork
    interaction_network: InteractionNetwork
    cuts: ChainSettings
    config: ChainTraining
    metrics: Mapping[str, float]
    history: Mapping[str, History]
    float_twin: TrainedChain | None = None

    @property
    def networks(self) -> dict[str, Trained]:
        """The networks by the names of the chain directory."""
        return {
            "embedding": self.embedding,
            "filter": self.filter,
            "interaction_network": self.interaction_network,
        }

    def settings(self) -> dict[str, Any]:
        """What a chain needs besides its networks, by the names of `chain.json`."""
        data, builder = self.config.data, self.cuts.builder
        return {
            "radius": self.cuts.radius,
            "window": None if data.window is None else data.window.model_dump(),
            "scales": data.scales.model_dump(),
            "filter_threshold": self.cuts.filter_threshold,
            "edge_inputs": data.edge_inputs,
            "interaction_threshold": builder.threshold,
            "track_builder": builder.kind,
            "walk_min": builder.walk_min,
            "walk_add": builder.walk_add,
            "absorb": builder.absorb,
            "minimum_hits": builder.minimum_hits,
            "volumes": data.volumes or (),
        }

    def save(self, directory: Path) -> None:
        """Write checkpoints `<network>.pt`, curves `<network>.csv`, and `trained.json` (settings and metrics)."""
        for name, network in self.networks.items():
            save_checkpoint(network, directory / f"{name}.pt")
            self.history[name].write(directory / f"{name}.csv")
        record = {"settings": self.settings(), "metrics": dict(self.metrics)}
        if self.float_twin is not None:
            record["float_metrics"] = dict(self.float_twin.metrics)
        RunDirectory(path=directory).write_json("trained.json", record)


def train_chain(
    events_directory: Path,
    out_directory: Path | None = None,
    config: ChainTraining | None = None,
    *,
    tensorboard: Path | None = None,
) -> TrainedChain:
    """Train the three networks and choose radius and thresholds.

    Args:
        events_directory: Events in TrackML CSV layout, with truth and particles.
        out_directory: Where checkpoints, curves and `trained.json` go; None writes nothing.
        config: Everything else; None takes the defaults.
        tensorboard: Folder of one folder of event files per network; None writes none.

    Returns:
        The trained chain.

    Raises:
        DataError: Too few events, events without truth, or nothing to learn from.
    """
    config = config or ChainTraining()
    training, validation = load_events(events_directory, config.data)
    history = {
        name: History(tensorboard=None if tensorboard is None else tensorboard / name)
        for name in ("embedding", "filter", "interaction_network")
    }
    chain = _train(training, validation, config, out_directory, history)
    if out_directory is not None:
        chain.save(out_directory)
        used = list_events(events_directory)[: len(training) + len(validation)]
        files = [file for prefix in used for file in sorted(prefix.parent.glob(f"{prefix.name}-*.csv*"))]
        RunDirectory(path=out_directory).record(command="train", config=config, inputs=files, seed=config.seed)
    return chain


def _train(
    training: Sequence[TrainingEvent],
    validation: Sequence[TrainingEvent],
    config: ChainTraining,
    directory: Path | None,
    history: Mapping[str, History],
) -> TrainedChain:
    def resume(name: str) -> Path | None:
        return None if directory is None else directory / f"{name}.state"

    embedding = train_embedding(
        training,
        validation,
        config.embedding,
        seed=config.seed,
        history=history["embedding"],
        resume=resume("embedding"),
    )
    radius = choose_radius(embedding.network, validation, config.embedding.efficiency)
    tables, checks = (make_pairs(embedding.network, events, radius) for events in (training, validation))
    edge_filter = train_filter(
        tables, checks, config.filter, seed=config.seed, history=history["filter"], resume=resume("filter")
    )
    stage = Stage.choose(edge_filter.network, checks, config.filter.efficiency)
    graphs, check_graphs = ([item.graph for item in stage.graphs(part)] for part in (tables, checks))
    interaction = train_interaction(
        graphs,
        check_graphs,
        config.interaction_network,
        seed=config.seed,
        history=history["interaction_network"],
        resume=resume("interaction_network"),
    )
    networks = (embedding.network, edge_filter.network, interaction.network)
    first, second, third = embedding.float_twin, edge_filter.float_twin, interaction.float_twin
    twin = None
    if not config.is_float and first is not None and second is not None and third is not None:
        twin = _chain((first, second, third), validation, config, history)
    return _chain(networks, validation, config, history, twin)


def _chain(
    networks: tuple[EmbeddingNetwork, FilterNetwork, InteractionNetwork],
    validation: Sequence[TrainingEvent],
    config: ChainTraining,
    history: Mapping[str, History],
    float_twin: TrainedChain | None = None,
) -> TrainedChain:
    cuts, metrics = settle(*networks, validation, config)
    return TrainedChain(
        embedding=networks[0],
        filter=networks[1],
        interaction_network=networks[2],
        cuts=cuts,
        config=config,
        metrics=metrics,
        history=history,
        float_twin=float_twin,
    )
