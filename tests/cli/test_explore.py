"""`hitfabric explore` and `hitfabric build --rtl`: options, and what is refused before anything is built."""

from __future__ import annotations

from pathlib import Path

import pytest

from hitfabric.pipeline.explore_config import ExploreConfig


def test_help_names_the_options(run) -> None:  # noqa: ANN001 - fixture
    words = run("explore", "--help").out
    for option in ("--graphs", "--lanes", "--spacing", "--scatter", "--bits", "--width", "--recipe", "--out", "--json"):
        assert option in words
    words = run("build", "--help").out
    for option in ("--rtl", "--lanes", "--synthesise", "rtl.register_spacing", "place_seeds"):
        assert option in words


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("nothing",), "nothing is no network"),
        (("--lanes", "0"), "--lanes"),
        (("--spacing", "-1"), "spacing.0"),
        (("--scatter", "some"), "scatter.0"),
        (("--bits", "4"), "bits and widths are given one without the other"),
        (("--bits", "4", "--width", "8"), "give --graphs"),
        (("--set", "lane=4"), "lane: Extra inputs"),
    ],
)
def test_what_a_sweep_cannot_take(run, tmp_path: Path, arguments: tuple[str, ...], named: str) -> None:  # noqa: ANN001
    assert named in run("explore", "--out", tmp_path / "out", *arguments).error


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--synthesise",), "synthesise needs --rtl"),
        (("--lanes", "4"), "rtl needs --rtl"),
        (("--rtl", "--set", "place_seeds=[1]"), "place_seeds needs synthesise"),
        (("--rtl", "--lanes", "3"), "power of two"),
    ],
)
def test_settings_of_the_verilog_that_fit_nothing(run, tmp_path: Path, arguments: tuple[str, ...], named: str) -> None:  # noqa: ANN001
    assert named in run("build", "--out", tmp_path / "out", *arguments).error


def test_the_networks_of_the_help_are_the_default(run) -> None:  # noqa: ANN001
    words = " ".join(run("explore", "--help").out.replace("│", " ").split())
    assert f"Default: {', '.join(ExploreConfig().networks)}." in words
