"""The worker's loop in compiled code, for a model that is one native network; see `cpp/worker_loop.cpp`."""

from __future__ import annotations

import ctypes
import hashlib
import os
import socket
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from ..core import HitfabricWarning, MissingToolError, cache_directory, compile_library, compiler_version
from ..emulation.native import NativeExecutor, NativeTensor
from .served import NetworkModel, ServedModel
from .wire import DataType

SOURCE = Path(__file__).parent / "cpp" / "worker_loop.cpp"
INCLUDES = (SOURCE.parent, Path(__file__).parents[1] / "emulation" / "cpp")
FLAGS = ("-O2", "-fvisibility=hidden")
CLOSED, PENDING = 0, 1


class _Tensor(ctypes.Structure):
    _fields_ = (("datatype", ctypes.c_int32), ("place", ctypes.c_int32), ("width", ctypes.c_int64))


class _Loop(ctypes.Structure):
    _fields_ = (
        ("run", ctypes.c_void_p),
        ("inputs", ctypes.c_void_p),
        ("outputs", ctypes.c_void_p),
        ("taps", ctypes.c_void_p),
        ("input_count", ctypes.c_int32),
        ("output_count", ctypes.c_int32),
        ("tap_count", ctypes.c_int32),
        ("threads", ctypes.c_int32),
        ("instructions", ctypes.c_char_p),
        ("socket", ctypes.c_int32),
        ("memory", ctypes.c_void_p),
        ("bytes", ctypes.c_uint64),
        ("request_id", ctypes.c_uint64),
    )


class NativeLoop:
    """Answers the requests of one native network, without the interpreter and without a copy.

    Args:
        executor: What computes the network.
        channel: Socket to the backend.

    Raises:
        ToolError: There is no compiler, or it failed, and the loop is not in the cache.
    """

    def __init__(self, executor: NativeExecutor, channel: socket.socket) -> None:
        interface = executor.interface()
        self._function = compiled_loop()
        self._inputs, self._outputs = _tensors(interface.inputs), _tensors(interface.outputs)
        self._taps = (ctypes.c_void_p * interface.taps)()
        self._loop = _Loop(
            run=interface.run,
            inputs=ctypes.addressof(self._inputs),
            outputs=ctypes.addressof(self._outputs),
            taps=ctypes.addressof(self._taps),
            input_count=len(self._inputs),
            output_count=len(self._outputs),
            tap_count=interface.taps,
            threads=interface.threads,
            instructions=interface.instructions,
            socket=channel.fileno(),
        )
        self._kept = executor  # its library must stay loaded

    def serve(self, memory: memoryview) -> int | None:
        """Answer requests until one comes that is for the caller.

        Args:
            memory: The whole memory shared with the backend, as far as it is mapped.

        Returns:
            Number of the request to answer: its answer may need more memory than is mapped, or it cannot be computed.
            None when the backend has closed the socket.

        Raises:
            OSError: The socket failed.
        """
        self._loop.memory = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        self._loop.bytes = len(memory)
        end = self._function(ctypes.byref(self._loop))
        if end == PENDING:
            return self._loop.request_id
        if end == CLOSED:
            return None
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def open_loop(model: ServedModel, channel: socket.socket) -> NativeLoop | None:
    """The compiled loop of a model that is one native network.

    None for any other model, and, after a warning, where there is no compiler: the worker then does the same in Python.

    Raises:
        ToolError: The compiler failed.
    """
    if not isinstance(model, NetworkModel) or not isinstance(model.executor, NativeExecutor):
        return None
    try:
        return NativeLoop(model.executor, channel)
    except MissingToolError as error:
        warnings.warn(HitfabricWarning(f"small batches take some 50 us longer: {error}"), stacklevel=2)
        return None


def _tensors(tensors: Sequence[NativeTensor]) -> ctypes.Array[_Tensor]:
    types = {True: DataType.INT64, False: DataType.FP32}
    return (_Tensor * len(tensors))(
        *(_Tensor(types[tensor.is_index], tensor.place, tensor.width) for tensor in tensors)
    )


@cache
def compiled_loop() -> Callable[..., int]:
    """The function `hitfabric_worker_loop`, compiled unless the cache has it.

    Raises:
        ToolError: There is no compiler, or it failed.
    """
    digest = hashlib.sha256(repr(compiler_version()).encode() + repr(FLAGS).encode())
    for path in (SOURCE, SOURCE.parent / "wire.h", INCLUDES[1] / "hitfabric_native.h"):
        digest.update(path.read_bytes())
    target = cache_directory() / "worker_loop" / f"{digest.hexdigest()[:16]}.so"
    if not target.exists():
        includes = tuple(f"-I{directory}" for directory in INCLUDES)
        compile_library([SOURCE], target=target, flags=(*FLAGS, *includes), purpose="compile the worker's loop")
    function = ctypes.CDLL(str(target), use_errno=True).hitfabric_worker_loop
    function.argtypes = (ctypes.c_void_p,)
    function.restype = ctypes.c_int32
    return function
