"""Capacity: servers hold the load and no fewer would; fits recover lines; measurements run the chain."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hitfabric.core import DataError
from hitfabric.pipeline.capacity import CapacityConfig, ServerCost, calculate, capacity, demand
from hitfabric.pipeline.capacity_measure import Measurement, Point, fit_cost, wedges

MEASURED = Measurement(
    seconds_per_hit=2e-6,
    overhead_seconds=1e-3,
    worst_deviation=0.1,
    points=(Point(hits=1000, seconds=3e-3), Point(hits=100_000, seconds=0.2)),
    chain="event-full",
    source="2 simulated events",
    processor="a processor",
    cores=2,
)
ROUND = 1 + 1e-9


def test_the_figures_of_the_issue_by_hand() -> None:
    result = calculate(CapacityConfig(events_per_second_per_server=2.0), None)
    scan, regions = result.demands
    assert result.cost == ServerCost(seconds_per_hit=pytest.approx(0.5 / 300_000), overhead_seconds=0.0)
    assert (scan.hits_per_request, scan.requests_per_second) == (300_000, 150_000)
    assert scan.requests_in_flight == pytest.approx(75_000)
    assert scan.servers == 107_143  # 150 kHz x 0.5 s / 0.7, rounded up
    assert scan.input_bytes_per_second == pytest.approx(150e3 * 300e3 * 12)
    assert scan.output_bytes_per_second == pytest.approx(150e3 * 300e3 * 8)
    assert (regions.hits_per_request, regions.requests_per_second) == (1500, 1e7)
    assert regions.servers == 35_715  # 10 MHz x 2.5 ms / 0.7, rounded up


def test_known_hits_and_overhead() -> None:
    config = CapacityConfig(events_per_second_per_server=4.0, known_hits=100_000, overhead_ms=50.0)
    cost = calculate(config, None).cost
    assert cost.seconds(100_000) == pytest.approx(0.25)
    assert cost.seconds(0) == pytest.approx(0.05)
    assert cost.seconds(300_000) == pytest.approx(0.65)


@given(
    rate=st.floats(1e-3, 1e8),
    hits=st.integers(1, 10**7),
    per_hit=st.floats(1e-10, 1e-3),
    overhead=st.floats(0, 1.0),
    utilisation=st.floats(0.01, 1.0),
)
def test_servers_hold_the_load_and_one_fewer_would_not(
    rate: float, hits: int, per_hit: float, overhead: float, utilisation: float
) -> None:
    cost = ServerCost(seconds_per_hit=per_hit, overhead_seconds=overhead)
    found = demand("", rate, hits, cost, utilisation)
    work = rate * (overhead + per_hit * hits)
    assert work <= found.servers * utilisation * ROUND
    assert found.servers == 1 or work > (found.servers - 1) * utilisation / ROUND
    assert found.input_bytes_per_second_per_server * found.servers == pytest.approx(found.input_bytes_per_second)


def test_cores_scale_a_measurement() -> None:
    plain = calculate(CapacityConfig(measure=True), MEASURED)
    large = calculate(CapacityConfig(measure=True, cores_per_server=64), MEASURED)
    assert plain.cost == ServerCost(seconds_per_hit=2e-6, overhead_seconds=1e-3)
    assert large.cost.seconds(12345) == pytest.approx(plain.cost.seconds(12345) / 32)
    assert any("64 such cores, and is 32 times as fast" in sentence for sentence in large.assumptions)
    assert any("100,000 hits" in sentence and "3 times as many" in sentence for sentence in plain.assumptions)


def test_assumptions_name_the_figures_they_rest_on() -> None:
    settings = {"regions": {"fraction": 0.0123, "per_event": 7}, "spacepoints": 54_321, "utilisation": 0.45}
    config = CapacityConfig.model_validate({"events_per_second_per_server": 3.5, "known_hits": 999, **settings})
    text = " ".join(calculate(config, None).assumptions)
    for figure in ("0.0123", "7 regions", "54,321", "45%", "3.5 events of 999 hits"):
        assert figure in text


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, "give either"),
        ({"measure": True, "events_per_second_per_server": 1.0}, "give either"),
        ({"measure": True, "known_hits": 5}, "known_hits"),
        ({"measure": True, "overhead_ms": 5}, "overhead_ms"),
        ({"events_per_second_per_server": 1.0, "cores_per_server": 5}, "cores_per_server"),
        ({"events_per_second_per_server": 100.0, "overhead_ms": 10}, "takes all the time"),
        ({"events_per_second_per_server": 0.0}, "greater than 0"),
        ({"events_per_second_per_server": float("inf")}, "finite"),
        ({"events_per_second_per_server": float("nan")}, "finite"),
        ({"events_per_second_per_server": 1.0, "utilisation": 1.01}, "less than or equal to 1"),
        ({"events_per_second_per_server": 1.0, "regions": {"fraction": 0}}, "greater than 0"),
        ({"events_per_second_per_server": 1.0, "servers": 3}, "not permitted"),
        ({"measure": True, "measurement": {"chain": "event-full", "model": "somewhere"}}, "give one"),
    ],
)
def test_settings_that_do_not_fit(values: dict[str, object], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        CapacityConfig.model_validate(values)


@given(
    slope=st.floats(1e-8, 1e-4),
    overhead=st.floats(0, 1e-1),
    sizes=st.lists(st.integers(1, 10**6), min_size=2, max_size=8, unique=True),
)
def test_fit_recovers_a_line(slope: float, overhead: float, sizes: list[int]) -> None:
    points = [Point(hits=size, seconds=overhead + slope * size) for size in sizes]
    found_slope, found_overhead, deviation = fit_cost(points)
    assert deviation < 1e-5
    for point in points:
        assert found_overhead + found_slope * point.hits == pytest.approx(point.seconds, rel=1e-5)


def test_fit_says_how_far_off_it_is() -> None:
    points = [Point(hits=10, seconds=1.0), Point(hits=20, seconds=4.0), Point(hits=40, seconds=16.0)]
    slope, overhead, deviation = fit_cost(points)
    assert overhead == 0.0  # never negative
    assert deviation == pytest.approx(max(abs(slope * point.hits / point.seconds - 1) for point in points))
    assert deviation > 0.3


@pytest.mark.parametrize(
    ("points", "named"),
    [
        ([Point(hits=5, seconds=1.0), Point(hits=5, seconds=2.0)], "one size"),
        ([Point(hits=5, seconds=2.0), Point(hits=9, seconds=1.0)], "does not grow"),
    ],
)
def test_points_without_a_line(points: list[Point], named: str) -> None:
    with pytest.raises(DataError, match=named):
        fit_cost(points)


def test_wedges_are_contiguous_parts_of_the_event() -> None:
    rng = np.random.default_rng(0)
    phi = rng.uniform(-np.pi, np.pi, size=4000)
    features = np.stack([rng.uniform(30, 1000, 4000), phi, rng.normal(0, 500, 4000)], axis=1).astype(np.float32)
    found = list(wedges(features))
    assert len(found) == 4
    np.testing.assert_array_equal(found[0], features)
    for wedge, count in zip(found, (1, 2, 4, 16), strict=True):
        assert len(wedge) == pytest.approx(4000 / count, rel=0.2)
        assert wedge.dtype == np.float32 and wedge.flags.c_contiguous
        assert wedge[:, 1].max() - wedge[:, 1].min() <= 2 * np.pi / count
    assert [len(wedge) for wedge in wedges(features[phi > 0])] == [(phi > 0).sum()]  # the others are empty


@pytest.mark.slow
def test_measuring_runs_the_chain(tmp_path: Path) -> None:
    how = {"chain": "event-pixel", "generator": "helix", "pile_up": 20, "limit": 1, "repeats": 1, "threads": 1}
    config = CapacityConfig.model_validate({"measure": True, "measurement": how, "out": tmp_path})
    result = capacity(config)
    measured = result.measurement
    assert measured is not None
    assert (measured.cores, measured.chain) == (1, "event-pixel")
    assert len({point.hits for point in measured.points}) >= 3
    assert all(point.seconds > 0 for point in measured.points)
    line = [measured.overhead_seconds + measured.seconds_per_hit * point.hits for point in measured.points]
    deviations = [abs(fit / point.seconds - 1) for fit, point in zip(line, measured.points, strict=True)]
    assert max(deviations) == pytest.approx(measured.worst_deviation)
    written = json.loads((tmp_path / "capacity.json").read_text())
    assert written == json.loads(json.dumps(result.record()))
    assert json.loads((tmp_path / "run.json").read_text())["command"] == "capacity"
