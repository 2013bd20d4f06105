"""A served model: the same object answers in process and in the worker behind the server."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..emulation import Executor
from ..quantization import TypedGraph
from .device_checks import Checks
from .device_executors import open_executors, zeros
from .device_settings import DeviceSettings
from .names import CHAIN_FILE, TRACKING
from .signature import Arrays, Signature, network_signature, tracking_signature

if TYPE_CHECKING:
    from .chain import Chain
    from .shadow import Audit

__all__ = ["Checks", "DeviceModel", "NetworkModel", "ServedModel", "TrackingModel", "load_model"]


class ServedModel(Protocol):
    """Named tensors in, named tensors out, as the signature says.

    Attributes:
        signature: What it takes and gives.
    """

    signature: Signature

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Compute the outputs of inputs that satisfy the signature."""
        ...


class DeviceModel(ServedModel, Protocol):
    """A served model that also tells what its device did."""

    @property
    def device_seconds(self) -> float:
        """Seconds the device took in the last `run`."""
        ...

    def take_checks(self) -> Checks:
        """Checks of the `shadow` device finished since the last call; none for other devices."""
        ...

    def warm_up(self) -> None:
        """Run a small request, so that the first real one finds everything loaded."""
        ...


class NetworkModel:
    """One network: rows are batched, graphs come one at a time.

    Args:
        executor: What computes it.
        audit: What checks it, if anything does.
    """

    def __init__(self, *, executor: Executor, audit: Audit | None = None) -> None:
        self.executor = executor
        self.device_seconds = 0.0
        device = "csim" if executor.maxima_limited else executor.name
        self.signature = network_signature(executor.graph, device=device)
        self._audit = audit

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Outputs of the network, float32."""
        if self._audit is not None:
            self._audit.begin_request()
        start = time.perf_counter()
        try:
            return dict(self.executor.run(inputs))
        finally:
            self.device_seconds = time.perf_counter() - start

    def take_checks(self) -> Checks:
        """See `DeviceModel.take_checks`."""
        return Checks() if self._audit is None else self._audit.take_checks()

    def warm_up(self) -> None:
        """See `DeviceModel.warm_up`."""
        self.executor.run(zeros(self.executor.graph))


class TrackingModel:
    """The whole chain, FEATURES to LABELS.

    Args:
        chain: Networks and configuration.
        audit: What checks the chain's networks, if anything does.
    """

    def __init__(self, *, chain: Chain, audit: Audit | None = None) -> None:
        self.chain = chain
        self.signature = tracking_signature()
        self.device_seconds = 0.0
        self._audit = audit

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """The tracks of an event, and the edges they are made of.

        Args:
            inputs: FEATURES float32 [hits, 3], and EVENT_ID int64 [1] if the client has one.

        Returns:
            LABELS int64 [hits], EDGE_INDEX int64 [edges, 2], SCORES float32 [edges]; EVENT_ID as it was given.
        """
        if self._audit is not None:
            self._audit.begin_request()
        self.device_seconds = 0.0
        # The worker's tensors are views of memory the next request overwrites: nothing may keep one.
        found = self.chain.track(np.array(inputs["FEATURES"]))
        self.device_seconds = found.network_seconds
        outputs: dict[str, NDArray[Any]] = {
            "LABELS": found.labels,
            "EDGE_INDEX": found.edge_index,
            "SCORES": found.scores,
        }
        if "EVENT_ID" in inputs:
            outputs["EVENT_ID"] = np.array(inputs["EVENT_ID"])
        return outputs

    def take_checks(self) -> Checks:
        """See `DeviceModel.take_checks`."""
        return Checks() if self._audit is None else self._audit.take_checks()

    def warm_up(self) -> None:
        """See `DeviceModel.warm_up`."""
        for executor in self.chain.executors.values():  # one by one: few hits may have no edge at all
            executor.run(zeros(executor.graph))
        r = np.array([32.0, 72.0, 116.0, 172.0], dtype=np.float32)
        self.chain.track(np.stack([r, np.zeros_like(r), r], axis=1))


def load_model(
    directory: Path, device: str, settings: DeviceSettings | None = None, *, instance: str = ""
) -> NetworkModel | TrackingModel:
    """Load what a directory holds, a chain (`chain.json`) or one typed graph, and warm it up.

    Args:
        directory: Chain directory or typed graph directory.
        device: Device (`device_names.DEVICES`).
        settings: Settings of the device; None takes its defaults.
        instance: Name of the worker, as `embedding_0_1`: xrt picks the compute unit by it, shadow names files by it.

    Raises:
        GraphError: A file is missing or malformed, or xrt: the card computes other numbers than the typed graph.
        ConfigError: Unknown device, or a setting that it does not have or that cannot be used.
        ToolError: The device's compiler, library or card is missing or failed.
    """
    settings = settings or DeviceSettings()
    settings.check_device(device)
    if (directory / CHAIN_FILE).exists():
        model = _load_chain(directory, device, settings, instance or TRACKING)
    else:
        graph = TypedGraph.load(directory)
        name = graph.name
        executors, audit = open_executors(
            device, {name: graph}, settings, directory=directory, instance=instance or name
        )
        model = NetworkModel(executor=executors[name], audit=audit)
    model.warm_up()
    return model


def _load_chain(directory: Path, device: str, settings: DeviceSettings, instance: str) -> TrackingModel:
    # This brings SciPy, which the workers of networks do without.
    from .chain import Chain, check_interfaces, load_config, load_graphs

    config, graphs = load_config(directory), load_graphs(directory)
    check_interfaces(graphs, config)
    executors, audit = open_executors(device, graphs, settings, directory=directory, instance=instance)
    chain = Chain(config=config, executors=executors, threads=settings.threads)
    chain.compile_host()
    return TrackingModel(chain=chain, audit=audit)
