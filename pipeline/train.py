"""`hitfabric train`: events to a chain of trained networks, graphs to a sector network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import Field, model_validator

from ..core import DataError, RunDirectory, StrictModel, progress
from ..detector import GraphSample, list_events, read_graphs
from ..fpga_backend import ChainConfig, save_chain
from ..models.training_config import ChainTraining, InteractionTraining
from ..quantization import Maxima
from .curves import write_curves
from .extras import require_extra
from .float_chain import FLOAT, save_float_chain
from .layout import CHAIN, CHECKPOINTS, SECTOR_NETWORK, TRAINING

STATE = ".state"
"""End of the files beside the checkpoints from which a training that was killed goes on."""

TENSORBOARD = "tensorboard"


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
        events: Folder of events in TrackML CSV layout, with truth and particles; None trains no chain.
        graphs: Folder of graphs (npz) of the sector workload; None trains no sector network.
        out: Run directory to write.
        chain: Training of the three networks of the chain.
        sector: Training on `graphs`.
        maxima: Largest graph of the firmware.
        resume: Go on where a training with this configuration and `out` was killed: the result is the same. False
            removes its state.
        tensorboard: Write event files for TensorBoard to `tensorboard` in the run directory, while training.
    """

    events: Path | None = None
    graphs: Path | None = None
    out: Path = Path("runs/train")
    chain: ChainTraining = ChainTraining()
    sector: SectorTraining = SectorTraining()
    maxima: MaximaConfig = MaximaConfig()
    resume: bool = False
    tensorboard: bool = False

    @model_validator(mode="after")
    def _has_data(self) -> TrainConfig:
        if self.events is None and self.graphs is None:
            raise ValueError("there is nothing to train on: give events (--events), graphs (--graphs) or both")
        return self


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What was trained.

    Attributes:
        chain: Chain directory, None where none was trained; a chain of float networks is a float chain directory.
        sector: Directory of the sector network, None where none was trained.
        metrics: Figures on the validation events, empty without a chain.
        sector_auc: Area under the ROC curve of the sector network on its validation graphs, if it was trained.
    """

    chain: Path | None = None
    sector: Path | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    sector_auc: float | None = None


def train(config: TrainConfig) -> TrainResult:
    """Train networks, trace them into typed graphs, and write them beside their float references (`float`).

    Args:
        config: What to train, on what, to where. Networks with `quantized_epochs` 0 are written to `float` only.

    Returns:
        Where the networks are and how good they are.

    Raises:
        ToolError: The extra `train` is not installed, or `tensorboard` where it is asked for.
        DataError: Too few events, events without truth, or nothing to learn from.
        ContractError: A network breaks the QAT contract; module and rule are named.
    """
    require_extra("train")
    if config.tensorboard:
        require_extra("tensorboard")
    if not config.resume:
        for state in (config.out / CHECKPOINTS).glob(f"*{STATE}"):
            state.unlink()
    if config.events is not None:
        list_events(config.events)
    graphs = None if config.graphs is None else read_sector_graphs(config.graphs, config.sector)
    result = TrainResult() if config.events is None else _train_chain(config, config.events)
    if graphs is not None:
        sector, auc = _train_sector(config, *graphs)
        result = replace(result, sector=sector, sector_auc=auc)
    inputs = [] if config.graphs is None else [config.graphs]
    RunDirectory(path=config.out).record(command="train", config=config, inputs=inputs, seed=config.chain.seed)
    return result


def _train_chain(config: TrainConfig, events: Path) -> TrainResult:
    from ..models.training_chain import train_chain

    trained = train_chain(events, config.out / CHECKPOINTS, config.chain, tensorboard=_tensorboard(config))
    for name, history in trained.history.items():
        write_curves(history.rows, config.out / TRAINING / f"{name}.csv")
    settings = ChainConfig.model_validate(trained.settings())
    if config.chain.is_float:
        save_float_chain(config.out / FLOAT, settings, trained.networks)
        return TrainResult(chain=config.out / FLOAT, metrics=trained.metrics)
    if (twin := trained.float_twin) is not None:
        save_float_chain(config.out / FLOAT, ChainConfig.model_validate(twin.settings()), twin.networks)
    from ..quantization.tracer import trace

    maxima = config.maxima.maxima()
    save_chain(
        config.out / CHAIN,
        config=settings,
        graphs={
            name: trace(network, name=name, maxima=maxima if name == "interaction_network" else None)
            for name, network in trained.networks.items()
        },
        provenance={name: {"training": config.chain.model_dump(mode="json")} for name in trained.networks},
    )
    return TrainResult(chain=config.out / CHAIN, metrics=trained.metrics)


def _tensorboard(config: TrainConfig) -> Path | None:
    return config.out / TENSORBOARD if config.tensorboard else None


def read_sector_graphs(folder: Path, config: SectorTraining) -> tuple[list[GraphSample], list[GraphSample]]:
    """Training and validation graphs.

    Raises:
        DataError: The folder holds too few, or a graph is malformed.
    """
    training, validation = config.training_graphs, config.validation_graphs
    samples = list(read_graphs(folder, training + validation))
    if len(samples) < training + validation:
        raise DataError(
            f"{folder} holds {len(samples)} graphs, {training} + {validation} are needed",
            remedy="give more graphs or lower sector.training_graphs",
        )
    return samples[:training], samples[training:]


def _train_sector(
    config: TrainConfig, training: list[GraphSample], validation: list[GraphSample]
) -> tuple[Path, float]:
    """Directory of the network and its AUC on the validation graphs."""
    from ..models.checkpoints import save_checkpoint
    from ..models.float_networks import save_float_network
    from ..models.training_interaction import LabelledGraph, edge_auc, train_interaction
    from ..models.training_loop import History
    from ..quantization.tracer import trace

    folder = _tensorboard(config)
    history = History(tensorboard=None if folder is None else folder / SECTOR_NETWORK)
    checks = [LabelledGraph.from_sample(sample) for sample in validation]
    trained = train_interaction(
        [LabelledGraph.from_sample(sample) for sample in progress(training, description="sector graphs")],
        checks,
        config.sector.interaction_network,
        seed=config.chain.seed,
        history=history,
        resume=config.out / CHECKPOINTS / f"{SECTOR_NETWORK}{STATE}",
    )
    save_checkpoint(trained.network, config.out / CHECKPOINTS / f"{SECTOR_NETWORK}.pt")
    write_curves(history.rows, config.out / TRAINING / f"{SECTOR_NETWORK}.csv")
    directory = config.out / FLOAT / SECTOR_NETWORK
    if trained.float_twin is not None:
        save_float_network(trained.float_twin, directory)
    if config.sector.interaction_network.schedule.quantized_epochs:
        directory = config.out / SECTOR_NETWORK
        graph = trace(trained.network, name=SECTOR_NETWORK, maxima=config.maxima.maxima())
        graph.save(directory, provenance={"training": config.sector.model_dump(mode="json")})
    return directory, edge_auc(trained.network, checks)
