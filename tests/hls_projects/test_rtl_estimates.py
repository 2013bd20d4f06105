"""Frequencies estimated from logic depth: what they assume stands with them."""

from __future__ import annotations

import pytest

from hitfabric.hls_projects.report_figure import ESTIMATED
from hitfabric.hls_projects.rtl_estimates import WIRES, path_figures
from hitfabric.hls_projects.rtl_logic_path import LogicPath


def test_a_frequency_follows_from_cells_and_wires() -> None:
    path = LogicPath(delay=2.0, cells=("FDRE", "LUT6", "CARRY4", "LUT2", "FDRE"), untimed=("RAM64M8",))
    figures = {figure.name: figure for figure in path_figures(path)}
    assert figures["logic levels"].value == 3
    assert figures["logic delay"].value == 2.0
    assert figures["frequency"].value == pytest.approx(1000 / (2.0 * (1 + WIRES)), abs=0.1)
    assert {figure.kind for figure in figures.values()} == {ESTIMATED}
    assert all("RAM64M8 not seen" in figure.source for figure in figures.values()), "what is unknown is said"
    for word in ("Artix-7", f"{WIRES:g} times", "UltraScale+ is faster"):
        assert word in figures["frequency"].source


def test_a_design_without_logic_has_no_frequency() -> None:
    assert [figure.name for figure in path_figures(LogicPath(delay=0.0))] == ["logic levels", "logic delay"]
