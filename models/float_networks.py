"""Float references: float32 twins of the networks, on disk without code, and as something a chain can run.

A float network directory holds `network.json` (kind and configuration) and `weights.npz` (one float32 array per
parameter, by its name). Nothing in it is executed on loading.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from ..core import CORRUPT, DataError, GraphError, StrictModel, atomic_directory
from .checkpoints import NETWORKS, Trained
from .inference import ROWS

NETWORK_FILE = "network.json"
WEIGHTS_FILE = "weights.npz"
REMEDY = "give a float network as written by hitfabric train (<out>/float)"


class FloatNetworkFile(StrictModel):
    """Content of `network.json`.

    Attributes:
        version: Version of the file.
        kind: Which network.
        config: Its configuration; the bits in it are those of the quantized network it is the twin of.
    """

    version: Literal[1] = 1
    kind: Literal["embedding", "filter", "interaction_network"]
    config: dict[str, Any]


def save_float_network(network: Trained, directory: Path) -> None:
    """Write a float network, whole or not at all.

    Args:
        network: A network made with `quantized=False`.
        directory: Directory to write; an existing one is replaced.

    Raises:
        DataError: The network is quantized, or a weight is not finite.
    """
    kind, arrays = kind_of(network), _float_weights(network)
    content = FloatNetworkFile.model_validate({"kind": kind, "config": network.config.model_dump(mode="json")})
    with atomic_directory(directory) as temporary:
        (temporary / NETWORK_FILE).write_text(content.model_dump_json(indent=2) + "\n", encoding="utf-8")
        np.savez_compressed(temporary / WEIGHTS_FILE, allow_pickle=False, **arrays)


def load_float_network(directory: Path) -> Trained:
    """Read a network written by `save_float_network`.

    Args:
        directory: The directory.

    Returns:
        The float network, in evaluation mode.

    Raises:
        DataError: A file is missing or malformed, or the weights do not fit the configuration; it is named.
    """
    path = Path(directory) / NETWORK_FILE
    try:
        content = FloatNetworkFile.model_validate(json.loads(path.read_text(encoding="utf-8")))
        network = _make(content.kind, content.config)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", remedy=REMEDY) from error
    except ValidationError as error:
        details = ", ".join(f"{'.'.join(map(str, item['loc'])) or 'file'}: {item['msg']}" for item in error.errors())
        raise DataError(f"{path}: {details}", remedy=REMEDY) from error
    except ValueError as error:  # of JSON and UTF-8
        raise DataError(f"{path} is not JSON: {' '.join(str(error).split())}", remedy=REMEDY) from error
    arrays = _read_weights(Path(directory) / WEIGHTS_FILE)
    _check_weights(arrays, content.config, content.kind, what=str(Path(directory) / WEIGHTS_FILE))
    network.load_state_dict({name: torch.from_numpy(np.array(values)) for name, values in arrays.items()})
    return network.eval()


def kind_of(network: Trained) -> str:
    """Name of a network in a chain: `embedding`, `filter` or `interaction_network`."""
    return next(name for name, (cls, _) in NETWORKS.items() if isinstance(network, cls))


class FloatExecutor:
    """Runs a float network as the executors run typed graphs: float32, `torch`, no gradients.

    Row networks are computed in batches of rows; a graph is computed whole, as its edges depend on one another.

    Args:
        network: A network made with `quantized=False`.

    Attributes:
        name: `float`.
        maxima_limited: False: it takes a graph of any size.
    """

    name = "float"
    maxima_limited = False

    def __init__(self, network: Trained) -> None:
        _float_weights(network)
        self.network = network.eval()

    @property
    def graph(self) -> Any:  # noqa: ANN401 - never returns
        """Float networks have no typed graph.

        Raises:
            GraphError: Always.
        """
        raise GraphError("a float network has no typed graph", remedy="use the quantized network")

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """Outputs as float32 by output name.

        Args:
            inputs: float32 features and int64 `edge_index` [E, 2] by input name.

        Raises:
            DataError: An input is missing, or has another type or width.
        """
        tensors = [self._tensor(name, shape, inputs) for name, shape in self.network.input_shapes.items()]
        with torch.no_grad():
            if len(tensors) == 1:
                found = torch.cat([self.network(part) for part in tensors[0].split(ROWS)])
            else:
                found = self.network(*tensors)
        return {self.network.output_names[0]: found.numpy()}

    def run_integers(self, inputs: Mapping[str, NDArray[Any]], nodes: object = None) -> dict[str, NDArray[np.int64]]:
        """Float networks have no integers.

        Raises:
            GraphError: Always.
        """
        raise GraphError("a float network has no integers", remedy="use run")

    def _tensor(self, name: str, shape: tuple[str | int, ...], inputs: Mapping[str, NDArray[Any]]) -> torch.Tensor:
        values = inputs.get(name)
        dtype = np.int64 if name == "edge_index" else np.float32
        if values is None or values.dtype != dtype or values.ndim != 2 or values.shape[1] != shape[1]:
            found = "missing" if values is None else f"{values.dtype} {list(values.shape)}"
            raise DataError(f"input {name} is {found}", remedy=f"give {np.dtype(dtype)} [{shape[0]}, {shape[1]}]")
        return torch.from_numpy(np.ascontiguousarray(values))


def _float_weights(network: Trained) -> dict[str, NDArray[Any]]:
    """Weights by name, after checking that nothing in the network quantizes and that they are finite."""
    kind = kind_of(network)
    # Names alone do not tell: Brevitas hides scales that no data has set.
    if any(type(module).__module__.partition(".")[0] == "brevitas" for module in network.modules()):
        raise DataError(f"the {kind} is quantized: it is no float {kind}", remedy="make it with quantized=False")
    arrays = {name: value.detach().cpu().numpy() for name, value in network.state_dict().items()}
    _check_weights(arrays, network.config.model_dump(mode="json"), kind, what=f"the {kind}")
    return arrays


def _make(kind: str, config: Mapping[str, Any]) -> Trained:
    make, model = NETWORKS[kind]
    return make(config=model.model_validate(dict(config)), quantized=False)


def _read_weights(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except CORRUPT as error:
        raise DataError(f"cannot read {path}: {' '.join(str(error).split())}", remedy=REMEDY) from error


def _check_weights(arrays: Mapping[str, NDArray[Any]], config: Mapping[str, Any], kind: str, *, what: str) -> None:
    expected = {name: tuple(value.shape) for name, value in _make(kind, config).state_dict().items()}
    if different := sorted(set(arrays) ^ set(expected)):
        state = "lacks" if different[0] in expected else "has"
        raise DataError(f"{what} {state} {different[0]}: it is no float {kind}", remedy=REMEDY)
    for name, values in arrays.items():
        if values.dtype != np.float32 or values.shape != expected[name]:
            raise DataError(
                f"{what}: {name} is {values.dtype} {list(values.shape)}, expected float32 {list(expected[name])}",
                remedy=REMEDY,
            )
        if not np.isfinite(values).all():
            raise DataError(f"{what}: {name} is not finite", remedy="lower the learning rate and train again")
