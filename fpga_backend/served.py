"""A served model: the same object answers in process and in the worker behind the server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..emulation import Executor, make_executor
from ..quantization import TypedGraph
from .names import CHAIN_FILE
from .signature import Arrays, Signature, network_signature, tracking_signature

if TYPE_CHECKING:
    from .chain import Chain


class ServedModel(Protocol):
    """Named tensors in, named tensors out, as the signature says.

    Attributes:
        signature: What it takes and gives.
    """

    signature: Signature

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Compute the outputs of inputs that satisfy the signature."""
        ...


class NetworkModel:
    """One network: rows are batched, graphs come one at a time.

    Args:
        executor: What computes it.
    """

    def __init__(self, *, executor: Executor) -> None:
        self.executor = executor
        self.signature = network_signature(executor.graph, device=executor.name)

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Outputs of the network, float32."""
        return dict(self.executor.run(inputs))


class TrackingModel:
    """The whole chain, FEATURES to LABELS.

    Args:
        chain: Networks and configuration.
    """

    def __init__(self, *, chain: Chain) -> None:
        self.chain = chain
        self.signature = tracking_signature()

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """LABELS int64 [hits] of FEATURES float32 [hits, 3]."""
        # The worker's tensors are views of memory the next request overwrites: nothing may keep one.
        return {"LABELS": self.chain.track(np.array(inputs["FEATURES"])).labels}


def load_model(directory: Path, device: str) -> ServedModel:
    """Load what a directory holds: a chain (`chain.json`) or one typed graph.

    Args:
        directory: Chain directory or typed graph directory.
        device: Executor (native, numpy, csim or golden).

    Raises:
        GraphError: A file is missing or malformed.
        ConfigError: Unknown device.
        ToolError: The device's compiler is missing or failed.
    """
    if (directory / CHAIN_FILE).exists():
        from .chain import Chain  # brings SciPy, which the workers of single networks do without

        return TrackingModel(chain=Chain.load(directory, device))
    return NetworkModel(executor=make_executor(device, TypedGraph.load(directory)))
