"""Streams of a design under Verilator: what comes out and when, and every way in which a design may break the rules."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hitfabric.core import ConfigError, DeadlockError, GraphError, ToolError
from hitfabric.hls_projects.rtl_simulation_streams import Beats, StreamSimulation
from support.row_pass import row_beats, row_pass

SYSTEM = shutil.which("verilator")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def simulation(cache: Path) -> Iterator[StreamSimulation]:
    with row_pass(cache) as opened:
        yield opened


def check(inputs: dict[str, Beats], streams: dict[str, Beats]) -> None:
    rows, results = inputs["s_axis_rows"], streams["m_axis_rows"]
    assert np.array_equal(results.data, rows.data + np.uint8(1))
    assert np.array_equal(results.last, rows.last)
    tags = streams["m_axis_status"].data.view("<u4")[:, 0]
    assert np.array_equal(tags, np.arange(len(tags)))
    for beats in streams.values():
        assert (np.diff(beats.cycle) > 0).all()  # one beat per cycle, in order
        assert (beats.cycle >= 0).all()


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(0, 30), max_size=12),
    stalls=st.sampled_from([0.0, 0.05, 0.5, 0.9]),
    window=st.integers(0, 3),
    seed=st.integers(0, 2**32),
)
def test_every_beat_comes_once_and_in_order(
    simulation: StreamSimulation, sizes: list[int], stalls: float, window: int, seed: int
) -> None:
    inputs, expected = row_beats(sizes, seed=seed)
    check(inputs, simulation.run(inputs, expected, stalls=stalls, seed=seed, window=window))


def test_cycles_of_a_pass_without_stalls(simulation: StreamSimulation) -> None:
    inputs, expected = row_beats([8, 8, 0, 2])
    streams = simulation.run(inputs, expected)
    start = streams["s_axis_graph"].cycle[0]
    assert (streams["s_axis_rows"].cycle[:4] - start).tolist() == [1, 2, 3, 4]
    assert (streams["m_axis_rows"].cycle[:4] - start).tolist() == [2, 3, 4, 5]
    assert (streams["m_axis_status"].cycle - start).tolist() == [6, 13, 16, 20]


def test_a_window_of_one_graph_waits_for_all_of_its_results(simulation: StreamSimulation) -> None:
    inputs, expected = row_beats([4] * 50)
    streams = simulation.run(inputs, expected, window=1, stalls=0.3)
    ends = np.maximum(streams["m_axis_status"].cycle, streams["m_axis_rows"].cycle[1::2])
    assert (streams["s_axis_graph"].cycle[1:] > ends[:-1]).all()
    assert (streams["s_axis_rows"].cycle[2::2] > ends[:-1]).all()


def test_stalls_repeat_by_their_seed(simulation: StreamSimulation) -> None:
    inputs, expected = row_beats([9] * 40)
    lengths = [
        np.ptp(simulation.run(inputs, expected, stalls=0.3, seed=seed)["m_axis_status"].cycle) for seed in (1, 1, 2)
    ]
    assert lengths[0] == lengths[1] != lengths[2]
    assert lengths[0] > 1.3 * np.ptp(simulation.run(inputs, expected)["m_axis_status"].cycle)


@pytest.mark.parametrize(
    ("defect", "error", "named"),
    [
        (
            1,
            GraphError,
            r"breaks the stream protocol: m_axis_rows: tvalid (fell before|depends on) tready in cycle \d+",
        ),
        (2, GraphError, r"m_axis_rows: tdata changed before tready in cycle \d+"),
        (3, GraphError, r"m_axis_rows: tlast changed before tready in cycle \d+"),
        (4, GraphError, r"m_axis_rows: tvalid depends on tready in cycle \d+"),
        (5, DeadlockError, r"hangs in cycle \d+: s_axis_graph: 1 of 30 beats taken, waits for tready; .* of .* given"),
        (6, GraphError, r"gives more than it should: m_axis_rows: a beat beyond those expected in cycle \d+"),
        (8, ToolError, r"failed: \$stop at .*row_pass.v:\d+"),
    ],
)
def test_a_broken_design_is_caught_and_then_starts_anew(
    simulation: StreamSimulation, defect: int, error: type[Exception], named: str
) -> None:
    inputs, expected = row_beats([7] * 30, defect=defect)
    if defect == 5:
        inputs, expected = row_beats([7] + [0] * 29, defect=defect)
    with pytest.raises(error, match=named):
        simulation.run(inputs, expected, stalls=0.4, idle_limit=2000)
    inputs, expected = row_beats([7] * 30)
    check(inputs, simulation.run(inputs, expected, stalls=0.4))


@pytest.mark.parametrize("defect", [7, 9])
def test_what_is_undefined_differs_from_seed_to_seed(cache: Path, defect: int) -> None:
    inputs, expected = row_beats([8] * 20, defect=defect)
    found = set()
    for seed in range(3):
        with row_pass(cache, seed=seed) as simulation:
            try:
                rows = simulation.run(inputs, expected, stalls=0.3, seed=seed, idle_limit=2000)["m_axis_rows"].data
            except (DeadlockError, GraphError) as error:  # rows were made of nothing, and the true ones are left over
                assert defect == 9
                found.add(str(error).encode())
                continue
            assert not np.array_equal(rows, inputs["s_axis_rows"].data + np.uint8(1))
            found.add(rows.tobytes())
    assert len(found) == 3


def test_a_beat_of_the_wrong_width(simulation: StreamSimulation) -> None:
    inputs, expected = row_beats([4])
    wide = Beats(data=np.zeros((2, 3), dtype=np.uint8), graph=np.zeros(2, dtype=np.int64), last=np.ones(2, dtype=bool))
    with pytest.raises(GraphError, match=r"s_axis_rows was given beats of shape \(2, 3\).*give 2 bytes per beat"):
        simulation.run({**inputs, "s_axis_rows": wide}, expected)


def test_a_waveform_has_a_known_ending(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"wave.txt is no name of a waveform; end it in .fst or .vcd"):
        row_pass(tmp_path, waveform=tmp_path / "wave.txt")


@pytest.mark.slow
def test_valid_in_reset(cache: Path) -> None:
    with pytest.raises(GraphError, match="m_axis_rows: tvalid while in reset"):
        row_pass(cache, parameters={"VALID_IN_RESET": 1})


@pytest.mark.slow
@pytest.mark.parametrize("packaged", [True, False])
@pytest.mark.parametrize("suffix", [".vcd", ".fst"])
def test_waveforms(cache: Path, tmp_path: Path, packaged: bool, suffix: str) -> None:
    if not packaged and SYSTEM is None:
        pytest.skip("no system's Verilator")
    wave = tmp_path / f"wave{suffix}"
    inputs, expected = row_beats([5] * 10)
    try:
        simulation = row_pass(cache, waveform=wave, verilator=None if packaged or SYSTEM is None else Path(SYSTEM))
    except ToolError as error:
        if "waveforms of this Verilator need" in str(error):
            pytest.skip(str(error))
        raise
    with simulation:
        check(inputs, simulation.run(inputs, expected))
    content = wave.read_bytes()
    if suffix == ".vcd":
        text = content.decode()
        assert "m_axis_rows_tdata" in text
        assert text.count("\n#") > 100  # moments at which something changed
    else:
        assert content[:1] == b"\0"  # an FST file begins with its header block
        assert len(content) > 300


@pytest.mark.slow
def test_the_system_verilator_gives_the_same_cycles(simulation: StreamSimulation, cache: Path) -> None:
    if SYSTEM is None:
        pytest.skip("no system's Verilator")
    inputs, expected = row_beats(list(range(40)))
    with row_pass(cache, verilator=Path(SYSTEM)) as other, row_pass(cache) as fresh:
        assert other.path != fresh.path
        runs = [each.run(inputs, expected, stalls=0.3, seed=9) for each in (other, fresh)]
    check(inputs, runs[0])
    for name, beats in runs[0].items():
        assert np.array_equal(beats.data, runs[1][name].data)
        assert np.array_equal(beats.cycle, runs[1][name].cycle)
