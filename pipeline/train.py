"""`hitfabric train`: events to a chain of trained networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from ..core import DataError, RunDirectory, StrictModel, progress
from ..detector import GraphSample, list_events, read_graphs
from ..fpga_backend import ChainConfig, save_chain
from ..models.training_config import ChainTraining, InteractionTraining
from ..quantization import Maxima
from .curves import write_curves
from .extras import require_extra
from .layout import CHAIN, CHECKPOINTS, SECTOR_NETWORK, TRAINING


class MaximaConfig(StrictModel):
    """Largest graph the interaction network's firmware takes.

    Attributes:
        nodes: Nodes.
        edges: Edges.
    """

    nodes: int = Field(default=256, ge=1)
    edges: int = Field(default=512, ge=1)

    def maxima(self) -> Maxima:
        """The same, as the typed graph takes it."""
        return Maxima(nodes=self.nodes, edges=self.edges)


class SectorTraining(StrictModel):
    """Training of the interaction network of the sector workload, on whole-event graphs with a pT cut.

    Attributes:
        training_graphs: Graphs learned from, from the first of the folder on.
        validation_graphs: Graphs after those, on which epochs are compared.
        interaction_network: Network and schedule.
    """

    training_graphs: int = Field(default=30, ge=1)
    validation_graphs: int = Field(default=10, ge=1)
    interaction_network: InteractionTraining = InteractionTraining()


class TrainConfig(StrictModel):
    """Configuration of `hitfabric train`.

    Attributes:
        events: Folder of events in TrackML CSV layout, with truth and particles.
        graphs: Folder of graphs (npz) of the sector workload; None trains the chain only.
        out: Run directory to write.
        chain: Training of the three networks of the chain.
        sector: Training on `graphs`.
        maxima: Largest graph of the firmware.
    """

    events: Path
    graphs: Path | None = None
    out: Path = Path("runs/train")
    chain: ChainTraining = ChainTraining()
    sector: SectorTraining = SectorTraining()
    maxima: MaximaConfig = MaximaConfig()


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What was trained.

    Attributes:
        chain: Chain directory.
        metrics: Figures on the validation events.
        sector_auc: Area under the ROC curve of the sector network on its validation graphs, if it was trained.
    """

    chain: Path
    metrics: Mapping[str, float]
    sector_auc: float | None = None


def train(config: TrainConfig) -> TrainResult:
    """Train the networks, trace them into typed graphs, and write the chain.

    Args:
        config: What to train, on what, to where.

    Returns:
        Where the chain is and how good it is.

    Raises:
        ToolError: The extra `train` is not installed.
        DataError: Too few events, events without truth, or nothing to learn from.
        ContractError: A network breaks the QAT contract; module and rule are named.
    """
    require_extra("train")
    list_events(config.events)
    graphs = _read_sector_graphs(config) if config.graphs is not None else None
    from ..models.training_chain import train_chain
    from ..quantization.tracer import trace

    trained = train_chain(config.events, config.out / CHECKPOINTS, config.chain)
    for name, history in trained.history.items():
        write_curves(history.rows, config.out / TRAINING / f"{name}.csv")
    maxima = config.maxima.maxima()
    save_chain(
        config.out / CHAIN,
        config=ChainConfig.model_validate({**trained.settings(), "volumes": config.chain.data.volumes or ()}),
        graphs={
            name: trace(network, name=name, maxima=maxima if name == "interaction_network" else None)
            for name, network in trained.networks.items()
        },
        provenance={name: {"training": config.chain.model_dump(mode="json")} for name in trained.networks},
    )
    auc = _train_sector(config, *graphs) if graphs is not None else None
    inputs = [] if config.graphs is None else [config.graphs]
    RunDirectory(path=config.out).record(command="train", config=config, inputs=inputs, seed=config.chain.seed)
    return TrainResult(chain=config.out / CHAIN, metrics=trained.metrics, sector_auc=auc)


def _read_sector_graphs(config: TrainConfig) -> tuple[list[GraphSample], list[GraphSample]]:
    assert config.graphs is not None
    training, validation = config.sector.training_graphs, config.sector.validation_graphs
    samples = list(read_graphs(config.graphs, training + validation))
    if len(samples) < training + validation:
        raise DataError(
            f"{config.graphs} holds {len(samples)} graphs, {training} + {validation} are needed",
            remedy="give more graphs or lower sector.training_graphs",
        )
    return samples[:training], samples[training:]


def _train_sector(config: TrainConfig, training: list[GraphSample], validation: list[GraphSample]) -> float:
    from ..models.checkpoints import save_checkpoint
    from ..models.training_interaction import LabelledGraph, edge_auc, train_interaction
    from ..models.training_loop import History
    from ..quantization.tracer import trace

    history = History()
    checks = [LabelledGraph.from_sample(sample) for sample in validation]
    network = train_interaction(
        [LabelledGraph.from_sample(sample) for sample in progress(training, description="sector graphs")],
        checks,
        config.sector.interaction_network,
        seed=config.chain.seed,
        history=history,
    )
    save_checkpoint(network, config.out / CHECKPOINTS / f"{SECTOR_NETWORK}.pt")
    write_curves(history.rows, config.out / TRAINING / f"{SECTOR_NETWORK}.csv")
    graph = trace(network, name=SECTOR_NETWORK, maxima=config.maxima.maxima())
    graph.save(config.out / SECTOR_NETWORK, provenance={"training": config.sector.model_dump(mode="json")})
    return edge_auc(network, checks)
