"""Hosts without a compiler: NumPy computes instead of native, the same integers, and it is said."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from hitfabric.core import ToolError
from hitfabric.core.errors import HitfabricWarning, MissingToolError
from hitfabric.emulation import make_executor
from support.hand_graph import hand_graph
from support.random_graphs import random_inputs


@pytest.fixture
def bare_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A host with no program at all, and nothing compiled before; returns the one folder of its PATH."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(programs))
    return programs


def test_numpy_takes_the_place_of_native(bare_host: Path) -> None:
    graph = hand_graph()
    with pytest.warns(HitfabricWarning, match=r"no C\+\+ compiler.* slower; run: apt-get install g\+\+") as told:
        executor = make_executor("native", graph, threads=3)
    assert len(told) == 1 and told[0].filename == __file__
    assert (executor.name, executor.maxima_limited, getattr(executor, "threads", None)) == ("numpy", False, 3)
    inputs = random_inputs(graph, seed=1, sizes={"N": 20, "E": 60})
    expected = make_executor("golden", graph).run_integers(inputs)
    found = executor.run_integers(inputs)
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_nothing_is_said_where_numpy_is_asked_for(bare_host: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert make_executor("numpy", hand_graph()).name == "numpy"


def test_a_compiler_that_fails_is_an_error(bare_host: Path) -> None:
    compiler = bare_host / "g++"
    compiler.write_text("#!/bin/sh\necho 'error: no space left' >&2\nexit 1\n")
    compiler.chmod(0o755)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ToolError, match="no space left") as raised:
            make_executor("native", hand_graph())
    assert not isinstance(raised.value, MissingToolError)


def test_the_c_simulation_has_no_substitute(bare_host: Path) -> None:
    pytest.importorskip("hls4ml")
    with pytest.raises(MissingToolError, match=r"apt-get install g\+\+"):
        make_executor("csim", hand_graph())
