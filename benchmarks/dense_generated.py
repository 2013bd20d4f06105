"""Straight-line C++ as sides of `dense_kernels.py`: weights as immediates, rows in vector lanes, zeros left out.

Data lie feature by feature within blocks of rows, as between the layers of one network generated this way; turning
rows into that layout is not timed. Each output is one function that runs over several blocks, so that its code is
fetched once for all of them.
"""

from __future__ import annotations

import ctypes
import json
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from dense_layers import Absent, Layer, Side
from dense_libraries import largest_sum
from numpy.typing import NDArray

from hitfabric.emulation.ranges import FLOAT_LIMIT

VECTORS = 4
"""Vectors of rows in a block: independent sums that hide the latency of an addition."""

CHUNK = 8
"""Blocks that one output's function takes at once."""

FLAGS = ("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", "-fopenmp")
SECONDS = 600.0

HEADER = """#include <immintrin.h>
#include <cstdint>
#if defined(__AVX512BW__)
#define BYTES 64
#elif defined(__AVX2__)
#define BYTES 32
#else
#error "needs AVX2"
#endif
constexpr long kLanes = BYTES / 4;
constexpr long kVectors = %(vectors)d, kInputs = %(inputs)d, kOutputs = %(outputs)d, kChunk = %(chunk)d;
"""

FLOAT = """using V = float __attribute__((vector_size(BYTES)));
constexpr long kIn = kInputs, kOut = kOutputs;
#define MAC(i, w) { const V* p = x + (i) * kVectors; a0 += p[0] * w; a1 += p[1] * w; a2 += p[2] * w; a3 += p[3] * w; }
// Beyond 2^22 nothing is left of the fraction; adding 1.5 * 2^23 rounds to nearest, ties to even.
static inline V narrow(V sum) {
  V scaled = (sum * %(scale)s + 12582912.0f) - 12582912.0f;
  scaled = scaled < 0.0f ? V{} : scaled;
  return scaled > 255.0f ? V{} + 255.0f : scaled;
}
#define STORE(o) { V* q = y + (o) * kVectors; \\
                   q[0] = narrow(a0); q[1] = narrow(a1); q[2] = narrow(a2); q[3] = narrow(a3); }
"""

PAIRS = """using V = std::int32_t __attribute__((vector_size(BYTES)));
constexpr long kIn = (kInputs + 1) / 2, kOut = kOutputs / 2;
static inline V multiply_add(V sum, V pair, std::int32_t weights) {
#if defined(__AVX512VNNI__)
  return reinterpret_cast<V>(_mm512_dpwssd_epi32(reinterpret_cast<__m512i>(sum), reinterpret_cast<__m512i>(pair),
                                                 _mm512_set1_epi32(weights)));
#elif defined(__AVX512BW__)
  return sum + reinterpret_cast<V>(_mm512_madd_epi16(reinterpret_cast<__m512i>(pair), _mm512_set1_epi32(weights)));
#else
  return sum + reinterpret_cast<V>(_mm256_madd_epi16(reinterpret_cast<__m256i>(pair), _mm256_set1_epi32(weights)));
#endif
}
#define MAC(i, w) { const V* p = x + (i) * kVectors; a0 = multiply_add(a0, p[0], w); a1 = multiply_add(a1, p[1], w); \\
                    a2 = multiply_add(a2, p[2], w); a3 = multiply_add(a3, p[3], w); }
static inline V narrow(V sum) {
  V rounded = (sum + %(half)d + ((sum >> %(shift)d) & 1)) >> %(shift)d;
  rounded = rounded < 0 ? V{} : rounded;
  return rounded > 255 ? V{} + 255 : rounded;
}
// Two outputs share a 32-bit lane, as two inputs do.
#define STORE(o) { V* q = y + ((o) / 2) * kVectors; V n[] = {narrow(a0), narrow(a1), narrow(a2), narrow(a3)}; \\
                   for (long v = 0; v < kVectors; ++v) q[v] = (o) %% 2 ? (q[v] | (n[v] << 16)) : n[v]; }
"""

FUNCTION = """static __attribute__((noinline)) void output_%(number)d(const V* x, V* y, long blocks) {
  for (long b = 0; b < blocks; ++b, x += kIn * kVectors, y += kOut * kVectors) {
    V a0{}, a1{}, a2{}, a3{};
%(terms)s
    STORE(%(number)d)
  }
}
"""

ENTRY = """extern "C" long lanes() { return kLanes * kVectors; }
extern "C" void run(const void* in, void* out, long blocks, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (long first = 0; first < blocks; first += kChunk) {
    const V* x = static_cast<const V*>(in) + first * kIn * kVectors;
    V* y = static_cast<V*>(out) + first * kOut * kVectors;
    const long count = blocks - first < kChunk ? blocks - first : kChunk;
%(calls)s
  }
}
"""


def generated_sides(layer: Layer, threads: int, folder: Path) -> Iterator[Side | Absent]:
    """Both kinds of lanes."""
    pairs = _weight_pairs(layer)
    proven = largest_sum(layer) <= FLOAT_LIMIT
    floats = [[(i, f"{w}.0f") for i, w in enumerate(row) if w] for row in layer.weight.tolist()]
    scale = f"{2.0**-layer.shift!r}f"
    yield _side(
        layer,
        "generated C++, float32 lanes",
        FLOAT,
        floats,
        threads,
        folder / f"{layer.stem}-float",
        proven,
        scale=scale,
    )
    name = "generated C++, int16 pairs to int32"
    yield _side(
        layer, name, PAIRS, pairs, threads, folder / f"{layer.stem}-pairs", largest_sum(layer) < 1 << 30, scale=scale
    )


def _weight_pairs(layer: Layer) -> list[list[tuple[int, str]]]:
    """Two neighbouring weights as one 32-bit immediate, where either is not zero."""
    padded = np.pad(layer.weight, ((0, 0), (0, layer.inputs % 2))).astype(np.int16)
    packed = np.ascontiguousarray(padded).view(np.int32)
    return [[(i, f"({w})") for i, w in enumerate(row) if w] for row in packed.tolist()]


def _side(
    layer: Layer,
    name: str,
    kind: str,
    terms: list[list[tuple[int, str]]],
    threads: int,
    stem: Path,
    proven: bool,
    *,
    scale: str,
) -> Side | Absent:
    values = {"vectors": VECTORS, "inputs": layer.inputs, "outputs": layer.outputs, "chunk": CHUNK, "scale": scale}
    values |= {"shift": layer.shift, "half": (1 << (layer.shift - 1)) - 1}
    functions = [
        FUNCTION % {"number": number, "terms": "\n".join(f"    MAC({i}, {w})" for i, w in row)}
        for number, row in enumerate(terms)
    ]
    calls = "\n".join(f"    output_{number}(x, y, count);" for number in range(layer.outputs))
    text = "\n".join([HEADER % values, kind % values, *functions, ENTRY % {"calls": calls}])
    try:
        library, notes = _compiled(text, stem)
    except (OSError, subprocess.SubprocessError) as error:
        return Absent(name=name, reason=str(error))
    loaded = ctypes.CDLL(str(library))
    pack, unpack, storage = (_pack_pairs, _unpack_pairs, np.int16) if kind is PAIRS else (_pack, _unpack, np.float32)
    lanes = int(loaded.lanes())
    data, blocks = pack(layer.data.astype(storage), lanes), -(-layer.rows // lanes)
    result = aligned((blocks, layer.outputs, lanes), storage)

    def run() -> None:
        loaded.run(_pointer(data), _pointer(result), ctypes.c_long(blocks), ctypes.c_int(threads))

    return Side(name=name, run=run, result=lambda: unpack(result)[: layer.rows], proven=proven, notes=notes)


def _compiled(text: str, stem: Path) -> tuple[Path, dict[str, Any]]:
    """Library of a source, and what it cost; compiled once for all numbers of threads."""
    source, library, record = (stem.with_suffix(suffix) for suffix in (".cpp", ".so", ".json"))
    if not record.exists():
        source.write_text(text)
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        subprocess.run(["g++", *FLAGS, "-o", str(library), str(source)], timeout=SECONDS, check=True)
        spent = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
        record.write_text(json.dumps({"compile_seconds": round(spent, 2), "code_bytes": _code_bytes(library)}))
    return library, json.loads(record.read_text())


def _code_bytes(library: Path) -> int:
    """Size of the text section, by `size` of binutils."""
    done = subprocess.run(["size", str(library)], capture_output=True, text=True, check=True)
    return int(done.stdout.splitlines()[1].split()[0])


def aligned(shape: tuple[int, ...], kind: type) -> NDArray[np.generic]:
    """Zeros that start at a cache line, as whole vectors are loaded."""
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    room = np.zeros(size + 64, dtype=np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + size].view(kind).reshape(shape)


def _pack(rows: NDArray[Any], lanes: int) -> NDArray[np.generic]:
    blocks = -(-len(rows) // lanes)
    result = aligned((blocks, rows.shape[1], lanes), rows.dtype.type)
    padded = np.pad(rows, ((0, blocks * lanes - len(rows)), (0, 0)))
    result[:] = padded.reshape(blocks, lanes, -1).transpose(0, 2, 1)
    return result


def _unpack(result: NDArray[np.generic]) -> NDArray[np.int64]:
    return result.transpose(0, 2, 1).reshape(-1, result.shape[1]).astype(np.int64)


def _pack_pairs(rows: NDArray[Any], lanes: int) -> NDArray[np.generic]:
    even = np.pad(rows, ((0, 0), (0, rows.shape[1] % 2)))
    return _pack(np.ascontiguousarray(even).view(np.int32), lanes)


def _unpack_pairs(result: NDArray[np.generic]) -> NDArray[np.int64]:
    blocks, outputs, lanes = result.shape
    pairs = result.reshape(blocks, outputs // 2, lanes, 2).transpose(0, 2, 1, 3)
    return pairs.reshape(blocks * lanes, outputs).astype(np.int64)


def _pointer(array: NDArray[np.generic]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
