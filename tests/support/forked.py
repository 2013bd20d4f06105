"""The program in processes forked from one that has imported it: what a condition does to a process ends with it."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from threading import Thread

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["hitfabric.cli.app", "hitfabric.pipeline.train", "hitfabric.pipeline.report", "pyarrow.parquet", "hls4ml"]
)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a process ended: exit code (negative: the signal that killed it) and texts."""

    code: int
    out: str
    err: str


def run_forked(arguments: Sequence[str], *, condition: Callable[[], None], timeout: float = 120.0) -> Ended:
    """Run `hitfabric` in a process of its own.

    Args:
        arguments: Of the command line, without the program.
        condition: Called there first; a function of a module, or a partial of one.
        timeout: Seconds after which it is killed.
    """
    out, told_out = CONTEXT.Pipe(duplex=False)
    err, told_err = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_run, args=(list(arguments), condition, told_out, told_err))
    process.start()
    told_out.close()
    told_err.close()
    texts: dict[str, bytes] = {}
    readers = [Thread(target=_read, args=(texts, name, pipe)) for name, pipe in (("out", out), ("err", err))]
    for reader in readers:
        reader.start()
    process.join(timeout)
    if process.is_alive():
        process.kill()
        process.join()
    for reader in readers:
        reader.join()
    assert process.exitcode is not None
    return Ended(code=process.exitcode, out=texts["out"].decode(), err=texts["err"].decode())


def _read(texts: dict[str, bytes], name: str, pipe: Connection) -> None:
    with pipe, open(pipe.fileno(), "rb", closefd=False) as stream:
        texts[name] = stream.read()


def _run(arguments: list[str], condition: Callable[[], None], out: Connection, err: Connection) -> None:
    from hitfabric.cli import main

    for number, pipe in ((1, out), (2, err)):
        os.dup2(pipe.fileno(), number)
        pipe.close()
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process
    sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
    sys.argv = ["hitfabric", *arguments]
    condition()
    main()
