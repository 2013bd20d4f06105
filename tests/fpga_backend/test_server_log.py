"""What of the server's log is told, and which logs are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from hitfabric.fpga_backend.server_log import LogEntry, LogFollower, read_line, reason, rotate
from support.processes import eventually

READY = "2026-11-28T16:36:03Z I 31291 model_lifecycle.cc:838] \"successfully loaded 'itk_filter'\""
ERROR = '2026-11-28T16:36:03Z E 31291 model.cc:12] "filter_0_0: worker ended: killed"'
CUDA = '2026-11-28T16:36:01Z E 31291 server.cc:241] "CudaDriverHelper has not been initialized."'
PLAIN = '2026-11-28T16:36:03Z I 31291 grpc_server.cc:2558] "Started GRPCInferenceService at 127.0.0.1:46653"'


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        (READY, LogEntry(level="info", text="itk_filter loaded")),
        (
            READY.replace("loaded 'itk_filter'", "unloaded 'itk_filter' version 3"),
            LogEntry(level="info", text="itk_filter version 3 unloaded"),
        ),
        (ERROR, LogEntry(level="error", text="filter_0_0: worker ended: killed")),
        (ERROR.replace("Z E", "Z W"), LogEntry(level="warning", text="filter_0_0: worker ended: killed")),
        ("hitfabric worker: warning: no compiler", LogEntry(level="warning", text="worker: warning: no compiler")),
        (CUDA, None),
        (PLAIN, None),
        ("| itk_filter | 1 | READY |", None),
        ("", None),
    ],
)
def test_lines_for_people(line: str, entry: LogEntry | None) -> None:
    assert read_line(line) == entry


def test_the_reason_is_the_first_errors_of_this_start(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(f"{ERROR.replace('killed', 'long ago')}\n")
    offset = log.stat().st_size
    assert reason(log, offset) == "the log is empty"
    with log.open("a") as stream:
        stream.write("one\ntwo\n")
    assert reason(log, offset) == "one | two"
    with log.open("a") as stream:
        stream.write(f"{CUDA}\n{ERROR}\nlast\n")
    assert reason(log, offset) == "filter_0_0: worker ended: killed"


def test_three_logs_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "log"
    rotate(log)
    for number in range(6):
        log.write_text(str(number))
        rotate(log)
    log.touch()
    rotate(log)  # an empty one is not worth keeping
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "log": "",
        "log.1": "5",
        "log.2": "4",
        "log.3": "3",
    }


def test_a_log_is_followed_through_its_replacement(tmp_path: Path) -> None:
    log, told = tmp_path / "log", list[LogEntry]()
    log.write_text(f"{ERROR} of before\n")
    with LogFollower(log, told.append):
        rotate(log)
        with log.open("ab", buffering=0) as stream:
            stream.write(READY[:30].encode())  # half a line is not a line
            assert not eventually(lambda: bool(told), seconds=0.5)
            stream.write(f"{READY[30:]}\n".encode())
            assert eventually(lambda: len(told) == 1)
            stream.write(f"{ERROR}\n".encode())
    assert [entry.level for entry in told] == ["info", "error"]  # what came last is told, too
