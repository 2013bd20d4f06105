"""Reading what a bitstream says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitfabric.core import GraphError, HitfabricError
from hitfabric.fpga_backend.xrt_bitstream import Argument, Bank, Bitstream
from support.fake_xclbin import FakeBitstream, FakeKernel

ARGUMENTS = [("a_words", True), ("b_words", True), ("count", False)]


def described(groups: bool = False) -> FakeBitstream:
    return FakeBitstream(
        kernels=[
            FakeKernel(name="one", arguments=ARGUMENTS, units={"one_2": [4, 5], "one_1": [2, 3]}),
            FakeKernel(name="two", arguments=ARGUMENTS[1:], units={"two_1": [7]}),
        ],
        groups=groups,
    )


@pytest.mark.parametrize("groups", [False, True])
def test_kernels_units_and_banks(groups: bool, tmp_path: Path) -> None:
    found = Bitstream.load(described(groups).write(tmp_path / "a.xclbin"))
    assert sorted(found.kernels) == ["one", "two"]
    one = found.kernel("one")
    assert one.arguments == tuple(Argument(name=name, is_buffer=is_buffer) for name, is_buffer in ARGUMENTS)
    assert [unit.name for unit in one.units] == ["one_1", "one_2"]
    assert one.units[1].banks == {0: frozenset({4}), 1: frozenset({5})}
    assert found.kernel("two").units[0].banks == {0: frozenset({7})}
    assert found.banks[7] == Bank(tag="HBM[7]", nbytes=1 << 28, used=True)
    with pytest.raises(GraphError, match="no kernel three, only one, two"):
        found.kernel("three")


@given(st.data())
def test_damaged_files_are_errors_with_a_remedy(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    whole = bytearray(described().write(folder / "whole.xclbin").read_bytes())
    damaged = whole[: data.draw(st.integers(0, len(whole)))]
    for _ in range(data.draw(st.integers(0, 3))):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    (folder / "damaged.xclbin").write_bytes(damaged)
    try:
        Bitstream.load(folder / "damaged.xclbin")
    except HitfabricError as error:
        assert error.remedy  # and nothing else is raised
