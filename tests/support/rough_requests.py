"""Requests as no client library sends them, and what the old server (Triton 2.51, of the wheel) does not survive.

It ends, whatever the backend, when somebody sends what `CRASHES` lists; the drawn requests of the tests stay below.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass

MAXIMAL_DEPTH = 1000
"""JSON nested 50,000 deep in `data`, or 1,000,000 deep anywhere, overflows the stack of the server's parser."""
MAXIMAL_DECLARED_BYTES = 1 << 26
"""For JSON `data` the server takes as much memory as `shape` declares before it looks at the data."""

CRASHES = {
    "deep JSON data": "HTTP: `data` nested 50,000 deep: SIGSEGV (20,000 deep is survived)",
    "deep JSON": "HTTP: a body nested 1,000,000 deep: SIGSEGV (100,000 deep is survived)",
    "declared size": "HTTP: JSON `data` whose `shape` declares more memory than there is (1e10 rows): SIGABRT",
    "shrunk region": "gRPC, HTTP: a registered shared memory region whose file was cut afterwards: SIGBUS",
    "cancelled call": "gRPC: many calls at a time cancelled by the client, its deadline or a lost connection: "
    "SIGSEGV within seconds (issues 7368 and 8034 of triton-inference-server/server)",
}
ODDITIES = {
    "rows modulo 2**32": "of a batched model's first dimension the server keeps 32 bits: 2**32 + 1 rows with the bytes "
    "of one are one row",
    "zero rows": "of a batched model are taken for one row with its bytes missing, and refused",
    "surplus contents": "gRPC: raw_input_contents beyond the number of inputs are ignored",
    "names end at NUL": "a model's or tensor's name with a NUL character is read up to it",
}


@dataclass(frozen=True, kw_only=True)
class HttpAnswer:
    """Answer to a raw request.

    Attributes:
        status: HTTP status.
        body: Content.
        header_length: Bytes of the JSON header where the binary extension was used, else those of the body.
    """

    status: int
    body: bytes
    header_length: int


def post(
    port: int, path: str, body: bytes, headers: Mapping[str, str] | None = None, *, seconds: float = 10.0
) -> bytes:
    """Send a POST by hand, `Content-Length` included unless given, and return all that comes until the body is there.

    Args:
        port: Of the loopback interface.
        path: Of the URL.
        body: Sent as it is.
        headers: Sent as they are.
        seconds: Until the wait for more is given up.
    """
    given = {"Content-Length": str(len(body)), **(headers or {})}
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return exchange(
        port, f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode("latin-1") + body, seconds=seconds
    )


def exchange(port: int, data: bytes, *, seconds: float = 10.0) -> bytes:
    """Send bytes and return the answer; empty where the connection was closed without one."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        received = b""
        try:
            connection.sendall(data)
            while not _complete(received) and (part := connection.recv(1 << 16)):
                received += part
        except (ConnectionError, TimeoutError):
            pass  # the server may close on, or wait for more of, what is no request
        return received


def parse(received: bytes) -> HttpAnswer | None:
    """The answer in what was received; None where there is none."""
    if not _complete(received):
        return None
    head, _, body = received.partition(b"\r\n\r\n")
    return HttpAnswer(
        status=int(head.split(b" ", 2)[1]),
        body=body,
        header_length=_number(head, b"inference-header-content-length", len(body)),
    )


def _complete(received: bytes) -> bool:
    head, end, body = received.partition(b"\r\n\r\n")
    return bool(end) and len(body) >= _number(head, b"content-length", 0)


def _number(head: bytes, name: bytes, fallback: int) -> int:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return int(value)
    return fallback
