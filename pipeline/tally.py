"""Counts of one network's comparison, as they are summed over batches and kept between runs."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..emulation import Divergence, GraphCoverage, Rung
from ..emulation.compare import Rungs, new_rungs
from ..quantization import TypedGraph

SUMMED = ("integers", "reached_low", "reached_high", "cases")


class Tally:
    """Rungs and coverage of one network; the order in which batches are added does not matter.

    Args:
        graph: The network.
        network: Its name in results.
        executors: What is compared with the reference.

    """

    def __init__(self, graph: TypedGraph, *, network: str, executors: Sequence[str]) -> None:
        self.rungs: Rungs = new_rungs(graph, executors, network=network)
        self.coverage = GraphCoverage(graph)

    def to_record(self) -> dict[str, Any]:
        """JSON value of what was counted."""
        return {
            "rungs": [asdict(rung) for rung in self.rungs.values()],
            "coverage": {
                name: {**{key: getattr(node, key) for key in SUMMED}, "seen": _packed(node.seen)}
                for name, node in self.coverage.nodes.items()
                if node.integers
            },
        }

    def merge_record(self, record: Mapping[str, Any]) -> None:
        """Add what `to_record` gave for other batches of the same network and executors."""
        for values in record["rungs"]:
            first = values["first"]
            if first is not None:
                first = Divergence(**{**first, "index": tuple(first["index"])})
            rung = Rung(**{**values, "first": first})
            self.rungs[rung.executor, rung.node].merge(rung)
        for name, values in record["coverage"].items():
            mine = self.coverage.nodes[name]
            other = type(mine)(
                node=name,
                low=mine.low,
                high=mine.high,
                seen=_unpacked(values["seen"], mine.seen),
                **{key: values[key] for key in SUMMED},
            )
            mine.merge(other)


def _packed(seen: NDArray[np.bool_] | None) -> str | None:
    if seen is None:
        return None
    return base64.b64encode(zlib.compress(np.packbits(seen).tobytes())).decode("ascii")


def _unpacked(text: str | None, like: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    if text is None or like is None:
        return None
    bits = np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=np.uint8)
    return np.unpackbits(bits, count=len(like)).astype(np.bool_)
