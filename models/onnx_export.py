"""Float networks as ONNX files of float32 operators, for any numbers of rows, nodes and edges."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch

from .checkpoints import Trained

SAMPLE_SIZES = {"R": 5, "N": 7, "E": 9}  # the exporter wants a sample; sizes that are all different stay symbols


def export_float_network(network: Trained, path: Path) -> None:
    """Write a float network as an ONNX file; needs the packages `onnx` and `onnxscript`.

    Args:
        network: A network made with `quantized=False`.
        path: File to write; names of inputs and outputs are those of the network, varying sizes are R, N and E.
    """
    shapes = network.input_shapes
    sizes = {symbol: torch.export.Dim(symbol, min=2) for symbol in SAMPLE_SIZES}
    samples = tuple(
        torch.zeros(
            SAMPLE_SIZES[str(shape[0])], int(shape[1]), dtype=torch.int64 if name == "edge_index" else torch.float32
        )
        for name, shape in shapes.items()
    )
    with quiet_export():
        torch.onnx.export(
            network,
            samples,
            path,
            dynamo=True,
            input_names=list(shapes),
            output_names=list(network.output_names),
            dynamic_shapes=tuple({0: sizes[str(shape[0])]} for shape in shapes.values()),
            external_data=False,
            verbose=False,
        )


@contextlib.contextmanager
def quiet_export() -> Iterator[None]:
    """Without the exporter's advice, none of which is about the result."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
