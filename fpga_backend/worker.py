"""The worker process behind the Triton backend: `python -m hitfabric.fpga_backend.worker`.

It loads one model, announces itself, then executes one request at a time: the backend writes the tensors into
shared memory and sends the request's number; the worker writes its answer and sends the number back.
`cpp/wire.h` documents the layout.
"""

from __future__ import annotations

import argparse
import mmap
import os
import signal
import socket
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..core import DataError, GraphError, HitfabricError
from .device_errors import DeviceLostError
from .device_names import DEVICES
from .device_settings import DeviceSettings, limit_memory
from .native_loop import open_loop
from .served import DeviceModel, load_model
from .wire import Frame, Status, align, frame_bytes, read_frame, write_frame

ID_BYTES = 8


class Memory:
    """The memory file shared with the backend, mapped whole.

    Args:
        descriptor: The memfd.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._size = 0
        self._view = memoryview(b"")

    def view(self, at_least: int = 0) -> memoryview:
        """Map of the whole file, which is first grown to `at_least` bytes."""
        size = os.fstat(self._descriptor).st_size
        if size < at_least:
            os.ftruncate(self._descriptor, at_least)
            size = at_least
        if size != self._size:
            # The old map is freed when the last array that points into it is.
            self._view = memoryview(mmap.mmap(self._descriptor, size))
            self._size = size
        return self._view


def serve(model: DeviceModel, memory: Memory, channel: socket.socket) -> None:
    """Announce the model, then answer requests until the backend closes its end of the socket.

    Raises:
        DeviceLostError: The device has to be opened anew, which is for another process.
    """
    _answer(memory, channel, Frame(request_id=0, status=Status.DONE, message=model.signature.model_dump_json()), 0)
    following = _requests(model, memory, channel)
    while (request_id := following()) is not None:
        request = read_frame(memory.view())
        if request.request_id != request_id:
            raise DataError(f"frame {request.request_id} came with message {request_id}", remedy="restart the server")
        try:
            response = execute(model, request)
        except DeviceLostError as error:
            _answer(memory, channel, _failure(request, error), request.response_offset)
            raise
        _answer(memory, channel, response, request.response_offset)


def _requests(model: DeviceModel, memory: Memory, channel: socket.socket) -> Callable[[], int | None]:
    """Function that waits for the next request to answer here; None when the backend has closed the socket."""
    loop = open_loop(model, channel)
    if loop is not None:
        return lambda: loop.serve(memory.view())

    def receive() -> int | None:
        message = channel.recv(ID_BYTES)
        return int.from_bytes(message, "little") if message else None

    return receive


def execute(model: DeviceModel, request: Frame) -> Frame:
    """Compute the response to a request; a failure becomes a response that says so.

    Args:
        model: What computes.
        request: Inputs in the order of the signature.

    Raises:
        DeviceLostError: The device has to be opened anew.
    """
    named = zip(model.signature.inputs, request.tensors, strict=True)
    try:
        outputs = model.run({tensor.name: array for tensor, array in named if array is not None})
    except (DataError, GraphError) as error:
        return Frame(request_id=request.request_id, status=Status.INVALID, message=str(error))
    except DeviceLostError:
        raise
    except (HitfabricError, ArithmeticError, MemoryError, RuntimeError, ValueError) as error:
        # One bad batch must not cost the other clients their worker.
        return _failure(request, error)
    checks = model.take_checks()
    wanted = (
        outputs.get(tensor.name) if request.wanted >> index & 1 else None
        for index, tensor in enumerate(model.signature.outputs)
    )
    return Frame(
        request_id=request.request_id,
        status=Status.DONE,
        tensors=tuple(None if array is None else np.asarray(array) for array in wanted),
        device_nanoseconds=round(model.device_seconds * 1e9),
        checked=checks.checked,
        mismatched=checks.mismatched,
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the worker; returns its exit status."""
    options = _parse(arguments)
    warnings.showwarning = _log_warning
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which then ends its workers
    memory = Memory(options.memory)
    with socket.socket(fileno=options.socket) as channel:
        try:
            settings = DeviceSettings.parse(options.setting)
            model = load_model(options.model, options.device, settings, instance=options.instance)
            limit_memory(settings)
        except (HitfabricError, OSError) as error:
            _answer(memory, channel, Frame(request_id=0, status=Status.INTERNAL, message=str(error)), 0)
            return 1
        try:
            serve(model, memory, channel)
        except (BrokenPipeError, ConnectionResetError):
            return 0  # the server went away
        except DeviceLostError:
            return 1  # the backend starts another worker, which opens the device anew
    return 0


def _log_warning(message: Warning | str, *_: object, **__: object) -> None:
    """One line in the server's log, such as that there is no compiler and another executor computes."""
    print(f"hitfabric worker: warning: {message}", file=sys.stderr, flush=True)


def _failure(request: Frame, error: Exception) -> Frame:
    message = f"{type(error).__name__}: {error}"
    print(f"hitfabric worker: {message}", file=sys.stderr, flush=True)
    return Frame(request_id=request.request_id, status=Status.INTERNAL, message=message)


def _answer(memory: Memory, channel: socket.socket, frame: Frame, offset: int) -> None:
    view = memory.view(at_least=align(offset + frame_bytes(frame.tensors, frame.message)))
    write_frame(view, offset, frame)
    channel.send(frame.request_id.to_bytes(ID_BYTES, "little"))


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="hitfabric.fpga_backend.worker", description=__doc__)
    parser.add_argument("--memory", type=int, required=True, help="descriptor of the shared memory")
    parser.add_argument("--socket", type=int, required=True, help="descriptor of the socket to the backend")
    parser.add_argument("--model", type=Path, required=True, help="chain or typed graph directory")
    parser.add_argument("--device", default="native", help=", ".join(DEVICES))
    parser.add_argument("--instance", default="", help="name of the model instance, as embedding_0_1")
    parser.add_argument("--setting", action="append", default=[], metavar="NAME=VALUE", help="setting of the device")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
