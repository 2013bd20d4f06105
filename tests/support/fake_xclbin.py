"""Writes bitstreams that hold descriptions only: the structures of XRT's `xclbin.h`, laid out as a C compiler does."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import quoteattr

U8, U16, U32, U64, I32 = ctypes.c_uint8, ctypes.c_uint16, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_int32


class Section(ctypes.Structure):
    _fields_ = [("kind", U32), ("name", ctypes.c_char * 16), ("offset", U64), ("size", U64)]


class Header(ctypes.Structure):
    _fields_ = [
        ("length", U64),
        ("timestamp", U64),
        ("feature_timestamp", U64),
        ("patch", U16),
        ("major", U8),
        ("minor", U8),
        ("mode", U16),
        ("action", U16),
        ("interface", U8 * 16),
        ("platform", ctypes.c_char * 64),
        ("uuid", U8 * 16),
        ("debug", ctypes.c_char * 16),
        ("sections", U32),
    ]


class Axlf(ctypes.Structure):
    _fields_ = [
        ("magic", ctypes.c_char * 8),
        ("signature_length", I32),
        ("reserved", U8 * 28),
        ("key_block", U8 * 256),
        ("unique_id", U64),
        ("header", Header),
        ("first_section", Section),
    ]


class MemoryData(ctypes.Structure):
    _fields_ = [
        ("type", U8),
        ("used", U8),
        ("padding", U8 * 6),
        ("size", U64),
        ("base", U64),
        ("tag", ctypes.c_char * 16),
    ]


class Connection(ctypes.Structure):
    _fields_ = [("argument", I32), ("unit", I32), ("bank", I32)]


class IpData(ctypes.Structure):
    _fields_ = [("type", U32), ("properties", U32), ("base", U64), ("name", ctypes.c_char * 64)]


# The assertions of the header.
assert [ctypes.sizeof(kind) for kind in (Section, Header, MemoryData, Connection, IpData)] == [40, 152, 40, 12, 80]


@dataclass
class FakeKernel:
    """A kernel in a bitstream: its arguments (name, is it memory), and the bank of each by compute unit."""

    name: str
    arguments: list[tuple[str, bool]]
    units: dict[str, list[int]]


@dataclass
class FakeBitstream:
    """What a bitstream says of itself; banks are (tag, KB, used)."""

    kernels: list[FakeKernel]
    banks: list[tuple[str, int, bool]] = field(
        default_factory=lambda: [(f"HBM[{number}]", 1 << 18, True) for number in range(8)]
    )
    groups: bool = False

    def write(self, path: Path) -> Path:
        """Write the file."""
        ips = [IpData(type=3, name=b"ddr_controller:0")]  # as on real cards: not everything is a kernel
        connections = []
        for kernel in self.kernels:
            for unit, banks in kernel.units.items():
                connections += [Connection(place, len(ips), bank) for place, bank in enumerate(banks)]
                ips.append(IpData(type=1, base=0x1000000 + len(ips) * 0x10000, name=f"{kernel.name}:{unit}".encode()))
        memory = [MemoryData(type=6, used=used, size=size, tag=tag.encode()) for tag, size, used in self.banks]
        sections = [
            (0, b"\x5a" * 100),
            (2, self._xml().encode() + b"\0"),
            (6, _table(memory, MemoryData)),
            (7, _table(connections, Connection)),
            (8, _table(ips, IpData)),
        ]
        if self.groups:  # what the groups say counts, so the plain tables may say nothing
            sections[2:4] = [(26, sections[2][1]), (27, sections[3][1]), (6, _table([], MemoryData)), (7, bytes(16))]
        path.write_bytes(_file(sections))
        return path

    def _xml(self) -> str:
        lines = ['<?xml version="1.0"?>', '<project name="x"><platform><device><core name="OCL_REGION_0">']
        for kernel in self.kernels:
            lines.append(f"<kernel name={quoteattr(kernel.name)} language='c'>")
            for place, (name, is_buffer) in reversed(list(enumerate(kernel.arguments))):
                kind, size = ("int*", "0x8") if is_buffer else ("unsigned int", "0x4")
                qualifier = f"addressQualifier='{int(is_buffer)}' id='{place}' hostSize='{size}'"
                lines.append(f"<arg name={quoteattr(name)} {qualifier} type={quoteattr(kind)}/>")
            lines.append("<arg name='internal' addressQualifier='0' id='' hostSize='0x4' type='uint'/>")
            lines += [f"<instance name={quoteattr(unit)}/>" for unit in kernel.units]
            lines.append("</kernel>")
        return "\n".join([*lines, "</core></device></platform></project>"])


def _table(entries: list, kind: type[ctypes.Structure]) -> bytes:
    alignment = ctypes.alignment(kind)
    return len(entries).to_bytes(4, "little") + bytes(alignment - 4) + b"".join(bytes(entry) for entry in entries)


def _file(sections: list[tuple[int, bytes]]) -> bytes:
    offset = -(-(Axlf.first_section.offset + len(sections) * ctypes.sizeof(Section)) // 8) * 8
    headers, body = b"", b""
    for kind, data in sections:
        padded = data + bytes(-len(data) % 8)
        headers += bytes(Section(kind=kind, name=b"s", offset=offset + len(body), size=len(data)))
        body += padded
    axlf = Axlf(magic=b"xclbin2", signature_length=-1, header=Header(sections=len(sections), platform=b"fake"))
    start = bytes(axlf)[: Axlf.first_section.offset] + headers
    return start + bytes(offset - len(start)) + body
