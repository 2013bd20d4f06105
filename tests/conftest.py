"""Fixtures shared by the tests of every room."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("hitfabric", deadline=None)  # timings are no assertions
settings.load_profile("hitfabric")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real events beside the checkout; the test is skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real events not found at {SHARED_DATA}")
    return SHARED_DATA
