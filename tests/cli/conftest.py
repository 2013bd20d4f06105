"""Running the program in this process, and a tiny workload to run it on."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from hitfabric.cli import main
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
