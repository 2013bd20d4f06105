"""A served model: the same object answers in process and in the worker behind the server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..emulation import Executor, make_executor
from ..quantization import TypedGraph
from .chain import CONFIG_NAME, Chain
from .signature import Arrays, Signature, network_signature, tracking_signature


class ServedModel(Protocol):
    """Named tensors in, named tensors out, as the signature says."""

    @property
    def signature(self) -> Signature:
        """What it takes and gives."""
        ...

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Compute the outputs of inputs that satisfy the signature."""
        ...


@dataclass(frozen=True, kw_only=True)
class NetworkModel:
    """One network.

    Attributes:
        executor: What computes it.
    """

    executor: Executor

    @property
    def signature(self) -> Signature:
        """Rows are batched, graphs come one at a time."""
        return network_signature(self.executor.graph, device=self.executor.name)

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Outputs of the network, float32."""
        return dict(self.executor.run(inputs))


@dataclass(frozen=True, kw_only=True)
class TrackingModel:
    """The whole chain.

    Attributes:
        chain: Networks and configuration.
    """

    chain: Chain

    @property
    def signature(self) -> Signature:
        """FEATURES to LABELS."""
        return tracking_signature()

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """LABELS int64 [hits] of FEATURES float32 [hits, 3]."""
        # The worker's tensors are views of memory the next request overwrites: nothing may keep one.
        return {"LABELS": self.chain.track(np.array(inputs["FEATURES"])).labels}


def load_model(directory: Path, device: str) -> ServedModel:
    """Load what a directory holds: a chain (`chain.json`) or one typed graph.

    Args:
        directory: Chain directory or typed graph directory.
        device: Executor (native, csim or golden).

    Raises:
        GraphError: A file is missing or malformed.
        ConfigError: Unknown device.
        ToolError: The device's compiler is missing or failed.
    """
    if (directory / CONFIG_NAME).exists():
        return TrackingModel(chain=Chain.load(directory, device))
    return NetworkModel(executor=make_executor(device, TypedGraph.load(directory)))
