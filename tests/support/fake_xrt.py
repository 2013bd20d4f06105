"""A stand-in for `pyxrt` that checks how it is called; put in as `sys.modules["pyxrt"]`.

It has the classes and methods of pyxrt that hitfabric uses, with their signatures. Host and device memory are two
memories, and what a kernel computes is given as a function on device memory. A call in a wrong order or with wrong
arguments is a Misuse, which nothing in hitfabric catches; what XRT itself refuses is a RuntimeError, as pybind11 makes
it.
"""

from __future__ import annotations

import enum
import types
import weakref
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitfabric.fpga_backend.xrt_bitstream import Bitstream, Kernel, Unit

Compute = Callable[[Mapping[str, NDArray[np.uint8]], int], None]
"""Takes the device memory of every buffer by argument, and the count; writes the outputs."""

SLOT = 1 << 16  # a group id has more bits than the bank's number
GARBAGE = 0xA5


class Misuse(BaseException):
    """pyxrt would do something else than what was meant, or crash."""


class Direction(enum.IntEnum):
    XCL_BO_SYNC_BO_TO_DEVICE = 0
    XCL_BO_SYNC_BO_FROM_DEVICE = 1


class State(enum.IntEnum):
    ERT_CMD_STATE_NEW = 1
    ERT_CMD_STATE_COMPLETED = 4
    ERT_CMD_STATE_ERROR = 5
    ERT_CMD_STATE_TIMEOUT = 8


class Flags(enum.IntEnum):
    normal = 0
    cacheable = 1 << 24


def expect(condition: bool, what: str) -> None:
    if not condition:
        raise Misuse(what)


class FakeXrt:
    """The library and its cards.

    Attributes:
        runs: Runs by `kernel:unit`.
        live: Buffers that exist.
        ends: State in which the next runs end, COMPLETED unless told otherwise.
        fails_at: Method of which the next call raises a RuntimeError.
        transferred: Bytes by direction.
        shifted_banks: Added to the bank of every argument: the library knows of other connections than the file.
        counts: Count of every run.
        loaded: Bitstream of each card.
    """

    def __init__(self, computes: Mapping[str, Compute], *, cards: tuple[str, ...] = ("0000:3b:00.1",)) -> None:
        self.computes = dict(computes)
        self.cards = cards
        self.runs: Counter[str] = Counter()
        self.live: weakref.WeakSet[FakeBo] = weakref.WeakSet()
        self.ends = State.ERT_CMD_STATE_COMPLETED
        self.fails_at = ""
        self.transferred: Counter[Direction] = Counter()
        self.shifted_banks = 0
        self.counts: list[int] = []
        self.loaded: dict[str, Bitstream] = {}

    def module(self) -> types.ModuleType:
        xrt = self

        class Bo(FakeBo):
            normal = Flags.normal
            flags = Flags

            def __init__(self, *arguments: Any) -> None:
                super().__init__(xrt, *arguments)

        module = types.ModuleType("pyxrt")
        members: dict[str, Any] = {
            "device": lambda key: FakeDevice(xrt, key),
            "xclbin": FakeXclbin,
            "kernel": lambda *arguments: FakeKernelHandle(xrt, *arguments),
            "run": lambda kernel: FakeRun(xrt, kernel),
            "bo": Bo,
            "xclBOSyncDirection": Direction,
            "ert_cmd_state": State,
        }
        for name, member in members.items():
            setattr(module, name, member)
        return module

    def fail(self, method: str) -> None:
        if self.fails_at == method:
            raise RuntimeError(f"{method} failed: Input/output error")


class FakeXclbin:
    def __init__(self, path: object) -> None:
        expect(isinstance(path, str), "xclbin takes a str")
        self.bitstream = Bitstream.load(Path(str(path)))


class FakeDevice:
    def __init__(self, xrt: FakeXrt, key: object) -> None:
        expect(isinstance(key, int | str) and not isinstance(key, bool), "device takes an int or a str")
        names = xrt.cards
        if (isinstance(key, int) and key >= len(names)) or (isinstance(key, str) and key not in names):
            raise RuntimeError(f"Could not open device with index '{key}'")
        self.xrt, self.name = xrt, names[key] if isinstance(key, int) else str(key)

    def load_xclbin(self, xclbin: object) -> str:
        expect(isinstance(xclbin, FakeXclbin), "load_xclbin takes an xclbin here")
        assert isinstance(xclbin, FakeXclbin)
        self.xrt.fail("load_xclbin")
        held = self.xrt.loaded.get(self.name)
        if held is not None and held.path != xclbin.bitstream.path:
            raise RuntimeError("Failed to lock down xclbin on the device: Operation not permitted")
        self.xrt.loaded[self.name] = xclbin.bitstream
        return f"uuid of {xclbin.bitstream.path}"


class FakeKernelHandle:
    def __init__(self, xrt: FakeXrt, device: object, uuid: object, name: object) -> None:
        expect(isinstance(device, FakeDevice), "kernel takes a device first")
        assert isinstance(device, FakeDevice)
        expect(device.name in xrt.loaded, "a kernel before the bitstream is loaded")
        bitstream = xrt.loaded[device.name]
        expect(uuid == f"uuid of {bitstream.path}", "the uuid is that of load_xclbin")
        kernel, _, unit = str(name).partition(":")
        expect(unit.startswith("{") and unit.endswith("}"), "one compute unit is named, or banks may differ")
        xrt.fail("kernel")
        if kernel not in bitstream.kernels or unit[1:-1] not in [item.name for item in bitstream.kernels[kernel].units]:
            raise RuntimeError(f"No such kernel '{name}'")
        self.xrt, self.device = xrt, device
        self.kernel: Kernel = bitstream.kernels[kernel]
        self.unit: Unit = next(item for item in self.kernel.units if item.name == unit[1:-1])

    def group_id(self, place: int) -> int:
        if not self.kernel.arguments[place].is_buffer:
            raise RuntimeError("argument is not a buffer")
        if place not in self.unit.banks:
            return 0xFFFF
        return (max(self.unit.banks[place]) + self.xrt.shifted_banks) | SLOT


class FakeBo:
    def __init__(self, xrt: FakeXrt, device: object, size: object, flags: object, group: object) -> None:
        expect(isinstance(device, FakeDevice) and isinstance(size, int), "bo takes a device and a size")
        assert isinstance(device, FakeDevice)
        assert isinstance(size, int)
        assert isinstance(group, int)
        expect(flags is Flags.normal, "device memory with a copy in host memory")
        expect(bool(group & SLOT), "the group id goes in as it came, with its flags")
        xrt.fail("bo")
        self.xrt, self.bank = xrt, group & 0xFFFF
        held = sum(other.host.nbytes for other in xrt.live if other.bank == self.bank)
        if held + size > xrt.loaded[device.name].banks[self.bank].nbytes:
            raise RuntimeError("Cannot allocate memory")
        self.host = np.full(size, GARBAGE, np.uint8)
        self.device = np.full(size, GARBAGE, np.uint8)
        self.written = 0
        xrt.live.add(self)

    def write(self, data: object, seek: int) -> None:
        view = memoryview(data)  # type: ignore[arg-type] - what has no buffer raises
        expect(view.contiguous, "pyxrt copies as if it were contiguous")
        expect(seek + view.nbytes <= len(self.host), "written beyond the buffer")
        self.host[seek : seek + view.nbytes] = np.frombuffer(view.cast("B"), np.uint8)
        self.written = seek + view.nbytes

    def read(self, size: int, skip: int) -> NDArray[np.int8]:
        expect(skip + size <= len(self.host), "read beyond the buffer")
        return self.host[skip : skip + size].view(np.int8).copy()

    def sync(self, direction: object, size: int, offset: int) -> None:
        expect(isinstance(direction, Direction), "sync takes a direction first")
        expect(offset + size <= len(self.host) and size % 64 == 0, "synced beyond the buffer, or in part of a burst")
        assert isinstance(direction, Direction)
        self.xrt.fail("sync")
        part = slice(offset, offset + size)
        if direction is Direction.XCL_BO_SYNC_BO_TO_DEVICE:
            expect(self.written <= offset + size, "what was written is not all synced")
            self.device[part] = self.host[part]
        else:
            self.host[part] = self.device[part]
        self.xrt.transferred[direction] += size


class FakeRun:
    def __init__(self, xrt: FakeXrt, handle: object) -> None:
        expect(isinstance(handle, FakeKernelHandle), "run takes a kernel")
        assert isinstance(handle, FakeKernelHandle)
        self.xrt, self.handle = xrt, handle
        self.arguments: dict[int, FakeBo | int] = {}
        self.started = False

    def set_arg(self, place: int, value: object) -> None:
        arguments = self.handle.kernel.arguments
        expect(0 <= place < len(arguments), f"there is no argument {place}")
        if arguments[place].is_buffer:
            expect(isinstance(value, FakeBo), f"argument {place} is a buffer")
            assert isinstance(value, FakeBo)
            expect(value.bank in self.handle.unit.banks[place], f"argument {place} in bank {value.bank}")
        else:
            expect(type(value) is int and 0 < value < 1 << 31, f"argument {place} is a positive C int")
        self.arguments[place] = value  # type: ignore[assignment] - checked

    def start(self) -> None:
        names = [argument.name for argument in self.handle.kernel.arguments]
        expect(sorted(self.arguments) == list(range(len(names))), "started before every argument is set")
        expect(not self.started, "started twice")
        self.started = True
        name = self.handle.kernel.name
        self.xrt.runs[f"{name}:{self.handle.unit.name}"] += 1
        count = self.arguments[len(names) - 1]
        assert isinstance(count, int)
        self.xrt.counts.append(count)
        if self.xrt.ends is State.ERT_CMD_STATE_COMPLETED:
            memory = {names[k]: item.device for k, item in self.arguments.items() if isinstance(item, FakeBo)}
            self.xrt.computes[name](memory, count)

    def wait(self, timeout_ms: int) -> State:
        expect(self.started, "waited before start")
        expect(type(timeout_ms) is int and timeout_ms > 0, "0 would wait for ever")
        self.started = False
        return self.xrt.ends
