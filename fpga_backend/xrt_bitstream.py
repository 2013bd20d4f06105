"""What a bitstream for a card says of itself: kernels, their arguments and compute units, memory banks.

pyxrt tells a kernel's name and its number of arguments, neither their names nor the compute units. The file has them in
sections of the layout that XRT publishes (`xclbin.h`): an XML description, and tables of units, banks and connections.
"""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..core import ConfigError, GraphError

MAGIC = b"xclbin2\0"
SECTION_COUNT = struct.Struct("<I")
SECTION_COUNT_AT = 448
SECTIONS_AT = 456
SECTION = struct.Struct("<I16s4xQQ")  # kind, name, offset, bytes
XML, BANKS, CONNECTIONS, UNITS, GROUP_BANKS, GROUP_CONNECTIONS = 2, 6, 7, 8, 26, 27
BANK = struct.Struct("<BB6xQQ16s")  # type, used, KB, base address, tag
CONNECTION = struct.Struct("<iii")  # argument, unit, bank
UNIT = struct.Struct("<IIQ64s")  # type, properties, base address, "kernel:unit"
KERNEL_UNIT = 1
BUFFER = 1  # address qualifier of an argument that is global memory; that of a scalar is 0
KIBIBYTE = 1024


@dataclass(frozen=True, kw_only=True)
class Argument:
    """An argument of a kernel.

    Attributes:
        name: Its name in the kernel's C++.
        is_buffer: Whether it is memory; otherwise a number.
    """

    name: str
    is_buffer: bool


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A compute unit: one instance of a kernel.

    Attributes:
        name: Its name.
        banks: Banks each argument is connected to, by the argument's place.
    """

    name: str
    banks: dict[int, frozenset[int]]


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A kernel.

    Attributes:
        name: Its name.
        arguments: In the order in which it takes them.
        units: Its compute units, by name.
    """

    name: str
    arguments: tuple[Argument, ...]
    units: tuple[Unit, ...]


@dataclass(frozen=True, kw_only=True)
class Bank:
    """A memory bank, or a group of banks.

    Attributes:
        tag: Its name, as `HBM[0]`.
        nbytes: Its size.
        used: Whether the bitstream uses it.
    """

    tag: str
    nbytes: int
    used: bool


@dataclass(frozen=True, kw_only=True)
class Bitstream:
    """A bitstream's description.

    Attributes:
        path: The file.
        kernels: Kernels by name.
        banks: Memory banks by their number.
    """

    path: Path
    kernels: dict[str, Kernel]
    banks: tuple[Bank, ...]

    @classmethod
    def load(cls, path: Path) -> Bitstream:
        """Read the description.

        Raises:
            ConfigError: The file is missing.
            GraphError: It is no bitstream of a card, or lacks a description.
        """
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"cannot read {path}: {error.strerror}", remedy="set xclbin to the file that make kernel wrote"
            ) from error
        try:
            sections = _sections(data)
            banks = tuple(_banks(sections.get(GROUP_BANKS, sections[BANKS])))
            connections = list(_table(sections.get(GROUP_CONNECTIONS, sections[CONNECTIONS]), CONNECTION, start=4))
            kernels = _kernels(sections[XML], _units(sections[UNITS]), connections)
        except (KeyError, ValueError, struct.error, ElementTree.ParseError, UnicodeDecodeError) as error:
            reason = f"section {error} is missing" if isinstance(error, KeyError) else str(error)
            raise GraphError(
                f"{path} is no bitstream of a card: {reason}", remedy="build it with make kernel"
            ) from error
        return cls(path=path, kernels=kernels, banks=banks)

    def kernel(self, name: str) -> Kernel:
        """The kernel of a name.

        Raises:
            GraphError: There is none, or it has no compute unit.
        """
        if name not in self.kernels:
            raise GraphError(
                f"{self.path} has no kernel {name}, only {', '.join(sorted(self.kernels)) or 'none'}",
                remedy="set xclbin to a bitstream of this network, or kernel to its name",
            )
        if not self.kernels[name].units:
            raise GraphError(f"kernel {name} of {self.path} has no compute unit", remedy="link it with nk=<kernel>:1")
        return self.kernels[name]


def _sections(data: bytes) -> dict[int, bytes]:
    if data[: len(MAGIC)] != MAGIC:
        raise ValueError("it does not begin with xclbin2")
    (count,) = SECTION_COUNT.unpack_from(data, SECTION_COUNT_AT)
    found: dict[int, bytes] = {}
    for place in range(count):
        kind, _, offset, size = SECTION.unpack_from(data, SECTIONS_AT + place * SECTION.size)
        if offset + size > len(data):
            raise ValueError(f"section {kind} ends beyond the file")
        found.setdefault(kind, data[offset : offset + size])
    return found


def _table(section: bytes, entry: struct.Struct, *, start: int) -> Iterator[tuple]:
    (count,) = struct.unpack_from("<i", section)
    for place in range(count):
        yield entry.unpack_from(section, start + place * entry.size)


def _banks(section: bytes) -> Iterator[Bank]:
    for _, used, kilobytes, _, tag in _table(section, BANK, start=8):
        yield Bank(tag=_text(tag), nbytes=kilobytes * KIBIBYTE, used=bool(used))


def _units(section: bytes) -> dict[int, tuple[str, str]]:
    """Kernel and unit by place in the table; the table has other things than kernels too."""
    found = {}
    for place, (kind, _, _, name) in enumerate(_table(section, UNIT, start=8)):
        if kind == KERNEL_UNIT:
            kernel, _, unit = _text(name).partition(":")
            found[place] = (kernel, unit)
    return found


def _kernels(
    xml: bytes, units: dict[int, tuple[str, str]], connections: list[tuple[int, int, int]]
) -> dict[str, Kernel]:
    kernels = {}
    for element in ElementTree.fromstring(xml.rstrip(b"\0")).findall("platform/device/core/kernel"):
        name = element.attrib["name"]
        indexed = [argument for argument in element.findall("arg") if argument.get("id")]
        indexed.sort(key=lambda argument: int(argument.attrib["id"], 0))
        kernels[name] = Kernel(
            name=name,
            arguments=tuple(
                Argument(name=item.attrib["name"], is_buffer=int(item.attrib["addressQualifier"], 0) == BUFFER)
                for item in indexed
            ),
            units=tuple(
                Unit(name=unit, banks=_banks_of(place, connections))
                for place, (kernel, unit) in sorted(units.items(), key=lambda item: item[1])
                if kernel == name
            ),
        )
    return kernels


def _banks_of(unit: int, connections: list[tuple[int, int, int]]) -> dict[int, frozenset[int]]:
    found: dict[int, set[int]] = {}
    for argument, place, bank in connections:
        if place == unit:
            found.setdefault(argument, set()).add(bank)
    return {argument: frozenset(banks) for argument, banks in found.items()}


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode()
