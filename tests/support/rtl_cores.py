"""Cores simulated by Verilator, and what the golden model says of the same rows."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hitfabric.emulation.golden import compute_node
from hitfabric.emulation.inputs import Sizes
from hitfabric.hls_projects.rtl_fields import Core, Field
from hitfabric.hls_projects.rtl_simulation import DRIVERS, build_model
from hitfabric.quantization import TypedGraph

Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The part of an RTL configuration that a core reads."""

    register_spacing: float = 3.0
    solver_seconds: float = 60.0


def simulate(core: Core, rows: Mapping[str, Integers], *, seed: int = 1) -> dict[str, Integers]:
    """Outputs of a core for integers of its inputs, a row each cycle."""
    library = ctypes.CDLL(str(build_model(core.sources, core.name, driver=DRIVERS / "driver_rows.cpp")))
    packed = pack(core.inputs, rows)
    width = -(-sum(field.width for field in core.outputs) // 8)
    result = np.zeros((len(packed), width), dtype=np.uint8)
    library.hitfabric_rows.restype = ctypes.c_char_p
    sizes = [ctypes.c_int64(packed.shape[1]), result.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(width)]
    counts = [ctypes.c_uint64(seed), ctypes.c_int64(core.latency), ctypes.c_int64(len(packed))]
    problem = library.hitfabric_rows(*counts, packed.ctypes.data_as(ctypes.c_void_p), *sizes)
    assert problem is None, problem
    return unpack(core.outputs, result)


def expected(graph: TypedGraph, nodes: Sequence[str], rows: Mapping[str, Integers]) -> dict[str, Integers]:
    """Integers of row-wise nodes by the golden model."""
    values = dict(rows)
    for name in nodes:
        node = graph[name]
        values[name] = compute_node(
            graph, node, [values[source] for source in node.inputs], Sizes(rows=0, nodes=0, edges=0)
        )
    return values


def random_rows(graph: TypedGraph, tensors: Sequence[str], count: int, *, seed: int = 0) -> dict[str, Integers]:
    """Integers of the whole range of each tensor, its ends and 0 among them."""
    random = np.random.default_rng(seed)
    rows = {}
    for name in tensors:
        tensor = graph[name].tensor
        values = random.integers(tensor.low, tensor.high, size=(count, tensor.width), endpoint=True)
        special = random.choice([tensor.low, tensor.high, min(max(0, tensor.low), tensor.high)], size=values.shape)
        rows[name] = np.where(random.random(values.shape) < 0.2, special, values)
        rows[name][:2] = [[tensor.low], [tensor.high]]
    return rows


def pack(fields: Sequence[Field], rows: Mapping[str, Integers]) -> NDArray[np.uint8]:
    """Rows as bytes, the lowest bit of the first feature first."""
    bits = [_bits(rows[field.tensor], field.bits) for field in fields]
    return np.packbits(np.concatenate(bits, axis=1), axis=1, bitorder="little")


def unpack(fields: Sequence[Field], packed: NDArray[np.uint8]) -> dict[str, Integers]:
    """Integers of each field."""
    bits, offset, rows = np.unpackbits(packed, axis=1, bitorder="little").astype(np.int64), 0, {}
    for field in fields:
        own = bits[:, offset : offset + field.width].reshape(len(packed), field.features, field.bits)
        weights = 1 << np.arange(field.bits, dtype=np.int64)
        weights[-1] *= -1 if field.signed else 1
        rows[field.tensor] = own @ weights
        offset += field.width
    return rows


def _bits(values: Integers, width: int) -> NDArray[np.uint8]:
    return ((values[:, :, None] >> np.arange(width)) & 1).reshape(len(values), -1).astype(np.uint8)
