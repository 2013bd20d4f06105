"""The steps from hits to scored edges in one compiled call, for small events on native networks.

Between the compiled stages of a small event the interpreter took four fifths of the time; `cpp/chain_steps.cpp` calls
the same functions one after the other. The edges and scores are those of the steps in `chain`, bit for bit.
"""

from __future__ import annotations

import ctypes
import hashlib
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core import HitfabricWarning, MissingToolError, cache_directory, compile_library, processor_fingerprint
from ..detector.compiled import FLAGS, available_threads, compiled_stages
from ..detector.geometry import pseudorapidity
from ..detector.pair_columns import pair_divisors
from ..detector.radius_search import HITS_FOR_THREADS
from ..emulation import Executor
from ..emulation.native import NativeExecutor
from .chain_files import ChainConfig

SOURCE = Path(__file__).parent / "cpp" / "chain_steps.cpp"
INCLUDES = tuple(Path(__file__).parents[1] / room / "cpp" for room in ("detector", "emulation"))
STAGES = ("radius_open", "radius_close", "radius_search", "radius_edges", "pair_features")
SECONDS = ("embedding", "radius_graph", "filter", "interaction_network", "networks")


class _HostStages(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_void_p) for name in STAGES)


class _Network(ctypes.Structure):
    _fields_ = (
        ("run", ctypes.c_void_p),
        ("taps", ctypes.c_void_p),
        ("instructions", ctypes.c_char_p),
        ("width", ctypes.c_int64),
        ("tap_count", ctypes.c_int32),
        ("threads", ctypes.c_int32),
        ("nodes", ctypes.c_int32),
        ("edges", ctypes.c_int32),
        ("edge_index", ctypes.c_int32),
    )


class _Settings(ctypes.Structure):
    _fields_ = (
        ("stages", _HostStages),
        ("embedding", _Network),
        ("filter", _Network),
        ("interaction", _Network),
        ("window", ctypes.c_void_p),
        ("divisors", ctypes.c_void_p),
        ("radius", ctypes.c_double),
        ("radius_mm", ctypes.c_double),
        ("radius_shift", ctypes.c_double),
        ("height_mm", ctypes.c_double),
        ("eta", ctypes.c_double),
        ("max_edges", ctypes.c_int64),
        ("filter_rows", ctypes.c_int64),
        ("filter_threshold", ctypes.c_float),
        ("search_threads", ctypes.c_int32),
        ("threads", ctypes.c_int32),
    )


class _Hits(ctypes.Structure):
    _fields_ = (
        ("features", ctypes.c_void_p),
        ("cosine", ctypes.c_void_p),
        ("sine", ctypes.c_void_p),
        ("eta", ctypes.c_void_p),
        ("hits", ctypes.c_int64),
    )


class _Seconds(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_double) for name in SECONDS)


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoredEdges:
    """What the compiled steps found.

    Attributes:
        edge_index: int64 [edges, 2] (sender, receiver) of the edges the filter kept.
        scores: float32 [edges], logit of the interaction network for each of them.
        seconds: Wall time of each stage.
        network_seconds: Of these, in the networks.
    """

    edge_index: NDArray[np.int64]
    scores: NDArray[np.float32]
    seconds: dict[str, float]
    network_seconds: float


class CompiledChain:
    """The compiled steps of one chain. Calls may come from several threads at once.

    Args:
        config: Of the chain.
        executors: Of its networks.
        threads: Threads of the host stages.
        filter_rows: Candidate edges whose features are in memory at a time.
        stages: The library of the compiled host stages.

    Raises:
        ToolError: There is no compiler, or it failed.
    """

    def __init__(
        self,
        config: ChainConfig,
        executors: Mapping[str, NativeExecutor],
        *,
        threads: int,
        filter_rows: int,
        stages: ctypes.CDLL,
    ) -> None:
        self._run, self._take = compiled_steps()
        window, scales = config.window, config.scales
        self._window = None if window is None else np.array([window.max_phi_slope, window.max_z0])
        self._divisors = pair_divisors(scales)
        self._taps = {name: _taps(executor) for name, executor in executors.items()}
        networks = {name: _network(executor, self._taps[name]) for name, executor in executors.items()}
        addresses = (ctypes.cast(stages[f"hitfabric_{name}"], ctypes.c_void_p) for name in STAGES)
        self._settings = _Settings(
            stages=_HostStages(*addresses),
            embedding=networks["embedding"],
            filter=networks["filter"],
            interaction=networks["interaction_network"],
            window=None if self._window is None else self._window.ctypes.data,
            divisors=self._divisors.ctypes.data,
            radius=config.radius,
            radius_mm=scales.radius_mm,
            radius_shift=scales.radius_shift,
            height_mm=scales.height_mm,
            eta=scales.eta,
            max_edges=config.max_edges,
            filter_rows=filter_rows,
            filter_threshold=config.filter_threshold,
            search_threads=1,
            threads=threads,
        )
        self._place = ctypes.byref(self._settings)
        self._kept = (executors, stages)  # their libraries must stay loaded

    def takes(self, hits: int) -> bool:
        """Whether an event is small enough, and has no more pairs than the configuration allows."""
        # From this many hits on, threads pay, and the interpreter's share is small.
        return 2 <= hits < HITS_FOR_THREADS and hits * (hits - 1) // 2 <= self._settings.max_edges

    def run(self, features: NDArray[np.float32]) -> ScoredEdges | None:
        """The edges that the filter keeps, and their scores.

        Args:
            features: float32 [hits, 3], finite: r (mm), phi (rad), z (mm); as many as `takes` allows.

        Returns:
            Edges and scores; None where a step failed, which the steps one by one can say more about.
        """
        start = time.perf_counter()
        features = np.ascontiguousarray(features)
        r, phi, z = features.astype(np.float64).T
        columns = (np.cos(phi), np.sin(phi), pseudorapidity(r, z))  # NumPy's sines, which C++ does not repeat
        hits = _Hits(features.ctypes.data, *(column.ctypes.data for column in columns), len(features))
        seconds, count = _Seconds(), ctypes.c_int64()
        prepared = time.perf_counter() - start
        handle = self._run(self._place, ctypes.byref(hits), ctypes.byref(seconds), ctypes.byref(count))
        if handle is None:
            return None
        edge_index = np.empty((count.value, 2), dtype=np.int64)
        scores = np.empty(count.value, dtype=np.float32)
        self._take(handle, edge_index.ctypes.data, scores.ctypes.data)
        stages = {name: getattr(seconds, name) for name in SECONDS[:-1]}
        stages["embedding"] += prepared
        return ScoredEdges(edge_index=edge_index, scores=scores, seconds=stages, network_seconds=seconds.networks)


def open_compiled(
    config: ChainConfig, executors: Mapping[str, Executor], *, threads: int | None, filter_rows: int
) -> CompiledChain | None:
    """The compiled steps of a chain.

    Args:
        config: Of the chain.
        executors: Of its networks.
        threads: Threads of the host stages; None takes all cores this process may use.
        filter_rows: Candidate edges whose features are in memory at a time.

    Returns:
        The steps; None where a network is not native or has more tensors than the chain needs, the chain counts
        neighbours or takes the published edge features, or, after a warning, where there is no compiler or the cache
        cannot be written.

    Raises:
        ToolError: The compiler failed.
    """
    native = {name: each for name, each in executors.items() if type(each) is NativeExecutor and _is_plain(each)}
    stages = compiled_stages()
    fits = len(native) == len(executors) and config.max_neighbours is None and config.edge_inputs == "track"
    if stages is None or not fits:
        return None
    try:
        return CompiledChain(
            config, native, threads=threads or available_threads(), filter_rows=filter_rows, stages=stages
        )
    except (MissingToolError, OSError) as error:
        warnings.warn(HitfabricWarning(f"small events take longer: {error}"), stacklevel=2)
        return None


def _is_plain(executor: NativeExecutor) -> bool:
    """Whether the network has the inputs the chain gives, and one output."""
    interface = executor.interface()
    return len(interface.inputs) in (1, 3) and len(interface.outputs) == 1


def _taps(executor: NativeExecutor) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * executor.interface().taps)()


def _network(executor: NativeExecutor, taps: ctypes.Array[ctypes.c_void_p]) -> _Network:
    interface = executor.interface()
    places = {node.name: place for place, node in enumerate(executor.graph.inputs)}
    return _Network(
        run=interface.run,
        taps=ctypes.addressof(taps),
        instructions=interface.instructions,
        width=interface.outputs[0].width,
        tap_count=interface.taps,
        threads=interface.threads,
        nodes=places.get("nodes", 0),
        edges=places.get("edges", 0),
        edge_index=places.get("edge_index", 0),
    )


@cache
def compiled_steps() -> tuple[Callable[..., int | None], Callable[..., None]]:
    """The functions of `cpp/chain_steps.cpp`, compiled unless the cache has them.

    Raises:
        ToolError: There is no compiler, or it failed.
    """
    flags = (*FLAGS, "-fvisibility=hidden", *(f"-I{directory}" for directory in INCLUDES))
    digest = hashlib.sha256(f"{FLAGS} {processor_fingerprint()}".encode())
    for path in (SOURCE, INCLUDES[0] / "pairs.h", INCLUDES[1] / "hitfabric_native.h"):
        digest.update(path.read_bytes())
    target = cache_directory() / "chain" / f"{digest.hexdigest()[:24]}.so"
    if not target.exists():
        compile_library([SOURCE], target=target, flags=flags, purpose="compile the chain's steps")
    library = ctypes.CDLL(str(target))
    run, take = library.hitfabric_chain_run, library.hitfabric_chain_take
    run.argtypes, run.restype = (ctypes.c_void_p,) * 4, ctypes.c_void_p
    take.argtypes, take.restype = (ctypes.c_void_p,) * 3, None
    return run, take
