"""The sweep over random trained networks; `--sweep-networks` and `--sweep-seed` make it nightly-sized.

Two classes, so that two workers of pytest-xdist share the work.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from support.sweep import check_network


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    first, count = (metafunc.config.getoption(name) for name in ("--sweep-seed", "--sweep-networks"))
    parity = 0 if metafunc.cls is TestEvenSeeds else 1
    metafunc.parametrize("seed", [seed for seed in range(first, first + count) if seed % 2 == parity])


def assert_bit_accurate(seed: int, folder: Path) -> None:
    result = check_network(seed, folder)
    assert result.first is None, f"{result.what}: {result.first}"
    assert result.mismatches == {"brevitas": 0, "csim": 0, "native": 0}
    assert result.compared > 0


@pytest.mark.slow
class TestEvenSeeds:
    def test_brevitas_golden_csim_and_native_agree(self, seed: int, tmp_path: Path) -> None:
        assert_bit_accurate(seed, tmp_path)


@pytest.mark.slow
class TestOddSeeds:
    def test_brevitas_golden_csim_and_native_agree(self, seed: int, tmp_path: Path) -> None:
        assert_bit_accurate(seed, tmp_path)
