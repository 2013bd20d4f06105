"""Fixtures shared by the tests of every room."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

if "PYTEST_XDIST_WORKER" in os.environ:  # one worker per core: threads of torch and BLAS would only wait for each other
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, "1")

# A shell's background and nohup start programs deaf to signals, which those that the tests start would inherit.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)

settings.register_profile("hitfabric", deadline=None)  # timings are no assertions
settings.load_profile("hitfabric")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Size of the sweep over random networks."""
    parser.addoption("--sweep-networks", type=int, default=300, help="random networks to compare (default: 300)")
    parser.addoption("--sweep-seed", type=int, default=0, help="seed of the first random network (default: 0)")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real events beside the checkout; the test is skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real events not found at {SHARED_DATA}")
    return SHARED_DATA
