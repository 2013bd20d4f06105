"""Running the program in this process, and a tiny workload to run it on."""

from __future__ import annotations

import contextlib
import io
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from hitfabric.cli import main
from hitfabric.models.zoo import ZOO
from support import hindrances
from support.command_table import QUICK_SECTOR, Inputs
from support.forked import run_forked
from support.tiny import Tiny, make_tiny


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a command left: exit code and texts."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line `error: ...`; everything else on standard error is progress."""
        assert self.code == 2, self
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        assert "; " in lines[0], "an error names a remedy"
        return lines[0]


Run = Callable[..., Outcome]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call `hitfabric` with the arguments given."""

    def call(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["hitfabric", *map(str, arguments)])
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main()
        return Outcome(code=int(ended.value.code or 0), out=out.getvalue(), err=err.getvalue())

    return call


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Events and a trained chain."""
    return make_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def inputs(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inputs]:
    """What the calls of the table read."""
    folder = tmp_path_factory.mktemp("inputs")
    shutil.copytree(tiny.events, folder / "events")
    shutil.copytree(tiny.run, folder / "train")
    shutil.copytree(ZOO / "sector-in-8", folder / "zoo" / "sector-in-8")
    shutil.copytree(tiny.run / "chain", folder / "zoo" / "event-pixel")
    shutil.copytree(tiny.run / "float", folder / "zoo" / "event-pixel" / "float")
    with socket.create_server(("127.0.0.1", 0)) as held:
        made = Inputs(folder=folder, port=held.getsockname()[1])
        for words in (
            ("graphs", "--events", made.events, "--min-pt", 0.3, "--out", made.graphs),
            ("train", "--graphs", made.graphs, *QUICK_SECTOR, "--out", made.sector),
            ("build", "--model", made.run, "--no-compile", "--out", made.project),
            ("evaluate", "--events", made.events, "--model", made.run, "--limit", 2, "--out", made.evaluated),
            ("export", made.run / "chain" / "embedding", "--qonnx", made.qonnx),
        ):
            ended = run_forked([str(word) for word in words], condition=hindrances.nothing)
            assert ended.code == 0, ended.err
        yield made
