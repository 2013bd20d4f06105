"""`hitfabric capacity`: tables and JSON of a given throughput, a measurement, and bad usage in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.tiny import Tiny


def test_table_and_assumptions(run) -> None:  # noqa: ANN001 - fixture
    outcome = run("capacity", "--events-per-second-per-server", 2)
    assert outcome.code == 0, outcome.err
    for text in ("full scan", "regions of interest", "107,143", "35,715", "assumptions:", "300,000 hits", "70%"):
        assert text in outcome.out


def test_json_and_options(run) -> None:  # noqa: ANN001
    options = ("--spacepoints", 1000, "--full-scan-hz", 10, "--regions-hz", 100, "--regions-per-event", 2)
    more = ("--region-fraction", 0.1, "--utilisation", 0.5, "--hits", 500, "--json")
    outcome = run("capacity", "--events-per-second-per-server", 5, *options, *more)
    record = json.loads(outcome.out)
    scan, regions = record["demands"]
    assert (scan["seconds_per_request"], scan["servers"]) == (pytest.approx(0.4), 8)
    assert (regions["requests_per_second"], regions["hits_per_request"], regions["servers"]) == (200, 100, 16)
    assert record["measurement"] is None


def test_settings_come_from_a_file_too(run, tmp_path: Path) -> None:  # noqa: ANN001
    (tmp_path / "capacity.yaml").write_text("events_per_second_per_server: 2\nregions: {per_event: 5}\n")
    out = tmp_path / "run"
    outcome = run("capacity", "--config", tmp_path / "capacity.yaml", "--set", "utilisation=1", "--json", "--out", out)
    assert [each["servers"] for each in json.loads(outcome.out)["demands"]] == [75_000, 12_500]
    assert json.loads((out / "capacity.json").read_text()) == json.loads(outcome.out)


@pytest.mark.slow
def test_measure(run, tiny: Tiny) -> None:  # noqa: ANN001
    common = ("capacity", "--measure", "--model", tiny.run, "--events", tiny.events, "--set", "measurement.repeats=1")
    table = run(*common)
    assert table.code == 0, table.err
    assert "measured here" in table.out and "us per hit" in table.out and "sizes measured" in table.out
    record = json.loads(run(*common, "--json", "--cores-per-server", 100).out)
    cost, measured = record["cost"], record["measurement"]
    assert cost["seconds_per_hit"] == pytest.approx(measured["seconds_per_hit"] * measured["cores"] / 100)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((), "give either"),
        (("--measure", "--events-per-second-per-server", 3), "give either"),
        (("--events-per-second-per-server", 0), "greater than 0"),
        (("--events-per-second-per-server", 3, "--utilisation", 2), "utilisation"),
        (("--events-per-second-per-server", 3, "--region-fraction", -1), "fraction"),
        (("--measure", "--chain", "nothing"), "no shipped network is called 'nothing'"),
        (("--measure", "--events", "nowhere"), "nowhere"),
        (("--measure", "--model", "nowhere"), "nowhere"),
    ],
)
def test_bad_usage_is_one_line(run, arguments: tuple[object, ...], named: str) -> None:  # noqa: ANN001
    assert named in run("capacity", *arguments).error
