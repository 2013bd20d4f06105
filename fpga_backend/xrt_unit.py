"""One compute unit of a kernel with its memory buffers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import GraphError
from .xrt_bitstream import Bitstream, Unit
from .xrt_library import lost, opening, running
from .xrt_words import WordBuffer

BANK_BITS = 0xFFFF  # of a group id; above are flags and the number of the hardware context
BURST = 64  # bytes; transfers are whole multiples of it

Words = NDArray[np.signedinteger[Any]]


class ComputeUnit:
    """Runs a kernel on one of its compute units.

    Args:
        library: `pyxrt`.
        device: The card, as pyxrt has it.
        uuid: UUID of the bitstream loaded.
        bitstream: What the bitstream says of itself.
        kernel: Name of the kernel.
        unit: The compute unit.
        buffers: Its buffers, in the order of its arguments; the count follows them.
        timeout_ms: Longest time of a run.

    Raises:
        GraphError: A buffer's argument has no bank, or the buffers of a bank do not fit it.
        ToolError: XRT does not open the unit or allocate a buffer.
    """

    def __init__(
        self,
        library: Any,  # noqa: ANN401 - compiled, without types
        *,
        device: Any,  # noqa: ANN401 - as above
        uuid: Any,  # noqa: ANN401 - as above
        bitstream: Bitstream,
        kernel: str,
        unit: Unit,
        buffers: tuple[WordBuffer, ...],
        timeout_ms: int,
    ) -> None:
        self.name = f"{kernel}:{{{unit.name}}}"
        self.buffers = buffers
        self._library = library
        self._timeout_ms = timeout_ms
        with opening(f"open compute unit {self.name}", remedy="xbutil examine shows who else uses the card"):
            opened = library.kernel(device, uuid, self.name)
        with opening(f"find the banks of {self.name}", remedy="link it with sp=<unit>.<argument>:<bank>"):
            groups = [int(opened.group_id(place)) for place in range(len(buffers))]
        _check_banks(self.name, unit, bitstream, buffers, groups)
        self._memory: dict[str, Any] = {}
        for buffer, group in zip(buffers, groups, strict=True):
            with opening(f"allocate {buffer.nbytes} bytes for {buffer.argument}", remedy="set run_rows to less"):
                self._memory[buffer.argument] = library.bo(device, buffer.nbytes, library.bo.normal, group)
        with opening(f"prepare a run of {self.name}", remedy="build the kernel again"):
            self._run = library.run(opened)
            for place, buffer in enumerate(buffers):
                self._run.set_arg(place, self._memory[buffer.argument])
                if buffer.is_input:  # behind a graph lies padding, of which the kernel reads what its lanes need
                    self._send(buffer, np.full(buffer.nbytes // buffer.dtype.itemsize, buffer.padding, buffer.dtype))

    def compute(self, words: Mapping[str, Words], *, count: int) -> dict[str, Words]:
        """Run the unit once.

        Args:
            words: Words of every input, by argument.
            count: Rows or graphs.

        Returns:
            Words of every output, by argument; those of `count` rows or graphs.

        Raises:
            DeviceLostError: XRT failed, or the run did not complete in time.
        """
        if count == 0:
            return {buffer.argument: np.zeros(0, buffer.dtype) for buffer in self.buffers if not buffer.is_input}
        with running(f"run of {self.name}"):
            for buffer in self.buffers:
                if buffer.is_input:
                    self._send(buffer, words[buffer.argument])
            self._run.set_arg(len(self.buffers), count)
            self._run.start()
            state = self._run.wait(self._timeout_ms)
        self._check(state)
        with running(f"read the answer of {self.name}"):
            return {buffer.argument: self._read(buffer, count) for buffer in self.buffers if not buffer.is_input}

    def _send(self, buffer: WordBuffer, words: Words) -> None:
        memory = self._memory[buffer.argument]
        memory.write(words, 0)
        memory.sync(self._library.xclBOSyncDirection.XCL_BO_SYNC_BO_TO_DEVICE, _whole_bursts(words.nbytes), 0)

    def _read(self, buffer: WordBuffer, count: int) -> Words:
        memory, nbytes = self._memory[buffer.argument], buffer.used_bytes(count)
        memory.sync(self._library.xclBOSyncDirection.XCL_BO_SYNC_BO_FROM_DEVICE, _whole_bursts(nbytes), 0)
        return np.asarray(memory.read(nbytes, 0)).view(buffer.dtype)

    def _check(self, state: Any) -> None:  # noqa: ANN401 - an enumeration of pyxrt
        states = self._library.ert_cmd_state
        if state == states.ERT_CMD_STATE_COMPLETED:
            return
        if state == states.ERT_CMD_STATE_TIMEOUT:
            raise lost(f"{self.name} did not end within {self._timeout_ms} ms")
        raise lost(f"{self.name} ended in state {state}")


def _whole_bursts(nbytes: int) -> int:
    return -(-nbytes // BURST) * BURST  # no more than the buffer, which is whole pages


def _check_banks(
    name: str, unit: Unit, bitstream: Bitstream, buffers: tuple[WordBuffer, ...], groups: list[int]
) -> None:
    """Check that each buffer's bank is one its argument is connected to, and that the buffers of a bank fit it."""
    needed: Counter[int] = Counter()
    for place, (buffer, group) in enumerate(zip(buffers, groups, strict=True)):
        bank, connected = group & BANK_BITS, unit.banks.get(place, frozenset())
        if bank not in connected or bank >= len(bitstream.banks) or not bitstream.banks[bank].used:
            tags = sorted(_tag(bitstream, number) for number in connected)
            raise GraphError(
                f"argument {buffer.argument} of {name} has memory in {_tag(bitstream, bank)}, and is connected to"
                f" {', '.join(tags) or 'none'}",
                remedy="link the kernel again; link_HBM.cfg and link_DDR.cfg of its project name the banks",
            )
        needed[bank] += buffer.nbytes
    for bank, nbytes in needed.items():
        if nbytes > bitstream.banks[bank].nbytes:
            raise GraphError(
                f"{name} needs {nbytes} bytes of {_tag(bitstream, bank)}, which has {bitstream.banks[bank].nbytes}",
                remedy="set run_rows to less",
            )


def _tag(bitstream: Bitstream, bank: int) -> str:
    return bitstream.banks[bank].tag if bank < len(bitstream.banks) else f"bank {bank}"
