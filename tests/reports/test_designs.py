"""Explored designs: the front, figures with their kinds, and panels of what is known alone."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hitfabric.reports.rtl_record import Exploration
from hitfabric.reports.rtl_sections import design_columns, design_gaps, design_rows, draw_designs


@pytest.fixture
def found(sample_run_template: Path) -> Exploration:
    return Exploration.model_validate_json((sample_run_template / "explore.json").read_text(encoding="utf-8"))


def without(found: Exploration, *names: str) -> Exploration:
    """The same designs, some figures of which nobody knows."""
    values = json.loads(found.model_dump_json())
    for point in values["points"]:
        point["figures"] = {name: item for name, item in point["figures"].items() if name not in names}
        point["auc"] = None if "auc" in names else point["auc"]
    return Exploration.model_validate_json(json.dumps(values))


def labels(found: Exploration) -> set[str]:
    drawn = draw_designs(found)
    assert drawn is not None
    texts = {"".join(item.itertext()) for item in ElementTree.fromstring(drawn).iter("text")}
    return {text for text in texts if "p95" in text or text == "AUC"}


def test_rows_have_the_kind_of_each_figure(found: Exploration) -> None:
    rows = design_rows(found)
    assert [on_front for *_, on_front in rows] == [True, False, True]
    name, figures, auc, _ = rows[0]
    assert name == "sector-in-8, 2 lanes, spacing 4.0, banked"
    assert dict(design_columns(found)) | {"LUT": "synthesised (Yosys)", "frequency": ""} == dict(design_columns(found))
    assert figures[0] == ("16,000", "") and figures[-1] == ("–", "")
    assert ("520 cycles", "") in figures and auc == "0.99970"


def test_figures_of_several_kinds_name_theirs(found: Exploration) -> None:
    values = json.loads(found.model_dump_json())
    values["points"][0]["figures"]["LUT"]["kind"] = "estimated"
    mixed = Exploration.model_validate_json(json.dumps(values))
    assert dict(design_columns(mixed))["LUT"] == ""
    assert [figures[0][1] for _, figures, *_ in design_rows(mixed)] == ["estimated", *["synthesised (Yosys)"] * 2]


def test_what_is_not_known_says_why(found: Exploration) -> None:
    assert len(design_gaps(found)) == 3
    assert design_gaps(found)[0] == "sector-in-8, 2 lanes, spacing 4.0, banked: frequency: took too long"


def test_only_what_is_known_has_a_panel(found: Exploration) -> None:
    every = {"latency p95, cycles (simulated)", "interval p95, cycles (simulated)", "AUC"}
    assert labels(found) == every
    assert labels(without(found, "auc")) == every - {"AUC"}
    assert labels(without(found, "interval p95")) == every - {"interval p95, cycles (simulated)"}
    assert draw_designs(without(found, "LUT")) is None
