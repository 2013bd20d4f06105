"""The stand-in for an RTL engine that `fixtures/row_pass.v` is: each byte of a row plus one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitfabric.hls_projects.rtl_simulation_streams import Beats, StreamPort, StreamSimulation

SOURCE = Path(__file__).resolve().parents[1] / "hls_projects" / "fixtures" / "row_pass.v"
LANES = 2
PORTS = (
    StreamPort(name="s_axis_graph", direction="in", bits=64, has_last=False),
    StreamPort(name="s_axis_rows", direction="in", bits=8 * LANES),
    StreamPort(name="m_axis_rows", direction="out", bits=8 * LANES),
    StreamPort(name="m_axis_status", direction="out", bits=64, has_last=False),
)


def row_pass(cache: Path, **options: Any) -> StreamSimulation:
    """The module under Verilator, compiled into a folder."""
    return StreamSimulation([SOURCE], "row_pass", ports=PORTS, cache=cache, **options)


def row_beats(
    sizes: Sequence[int], *, seed: int = 0, defect: int = 0
) -> tuple[dict[str, Beats], dict[str, NDArray[np.int64]]]:
    """Beats of graphs of so many rows, and the graphs of the beats to expect."""
    graphs = np.arange(len(sizes), dtype=np.int64)
    header = np.zeros((len(sizes), 4), dtype="<u2")
    header[:, 0], header[:, 1], header[:, 2] = sizes, defect, graphs
    beats = np.repeat(graphs, [-(-size // LANES) for size in sizes])
    data = np.random.default_rng(seed).integers(0, 256, (len(beats), LANES), dtype=np.uint8)
    last = np.append(beats[1:] != beats[:-1], True)[: len(beats)]
    inputs = {
        "s_axis_graph": Beats(data=header.view(np.uint8), graph=graphs, last=np.zeros(len(sizes), dtype=np.bool_)),
        "s_axis_rows": Beats(data=data, graph=beats, last=last),
    }
    return inputs, {"m_axis_rows": beats, "m_axis_status": graphs}
