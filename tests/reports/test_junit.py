"""JUnit XML that build servers read: the common schema's elements and attributes, counts that add up."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import pytest

from hitfabric.reports.junit import write_junit
from hitfabric.reports.records import CoverageRow, Ladder, Mutation, Mutations

# The common schema (the Jenkins xUnit plugin's junit-10.xsd): required and allowed attributes, children in order.
ATTRIBUTES = {
    "testsuites": (set(), {"name", "time", "tests", "failures", "disabled", "errors", "skipped"}),
    "testsuite": (
        {"name", "tests"},
        {"name", "tests", "failures", "errors", "time", "skipped", "timestamp", "hostname"},
    ),
    "testcase": ({"name"}, {"name", "classname", "time", "assertions", "status"}),
    "failure": (set(), {"message", "type"}),
    "skipped": (set(), {"message", "type"}),
    "system-out": (set(), set()),
}
CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"testcase"},
    "testcase": {"failure", "skipped", "system-out"},
    "failure": set(),
    "skipped": set(),
    "system-out": set(),
}
COVERAGE = {"network": "filter", "node": "relu_0", "low": 0, "high": 255, "integers": 9, "range_share": 0.5}


def parse(path: Path) -> ElementTree.Element:
    """Parse and hold against the schema."""
    root = ElementTree.parse(path).getroot()
    assert root.tag == "testsuites"
    for element in root.iter():
        required, allowed = ATTRIBUTES[element.tag]
        assert required <= set(element.attrib) <= allowed, element.attrib
        assert {child.tag for child in element} <= CHILDREN[element.tag]
    for element in [root, *root.iter("testsuite")]:
        cases = list(element.iter("testcase"))
        assert int(element.get("tests", "-1")) == len(cases)
        assert int(element.get("failures", "-1")) == sum(case.find("failure") is not None for case in cases)
        assert int(element.get("skipped", "-1")) == sum(case.find("skipped") is not None for case in cases)
    return root


def test_a_mismatch_is_a_failure_with_the_first_divergence(tmp_path: Path, make_ladder: Callable[..., Ladder]) -> None:
    write_junit(tmp_path / "junit.xml", ladder=make_ladder(mismatches=4), mutations=None)
    root = parse(tmp_path / "junit.xml")
    (failure,) = root.iter("failure")
    assert "4 of 48000 integers differ; first at index [3, 5]: Brevitas 12, csim 13" in failure.get("message", "")
    (case,) = (case for case in root.iter("testcase") if case.find("failure") is not None)
    assert (case.get("classname"), case.get("name")) == ("filter.csim", "relu_0")


def test_nothing_compared_is_a_failure(tmp_path: Path, make_ladder: Callable[..., Ladder]) -> None:
    ladder = make_ladder()
    rows = tuple(row.model_copy(update={"compared": 0}) for row in ladder.rows)
    write_junit(tmp_path / "junit.xml", ladder=ladder.model_copy(update={"rows": rows}), mutations=None)
    root = parse(tmp_path / "junit.xml")
    assert len(list(root.iter("failure"))) == len(rows)


def test_nothing_planted_is_a_failure(tmp_path: Path, make_ladder: Callable[..., Ladder]) -> None:
    fault = Mutation(kind="rounding", what="relu_0 rounds up", executor="csim", caught=True, node="relu_0")
    write_junit(
        tmp_path / "junit.xml", ladder=make_ladder(), mutations=Mutations({"filter": (fault,), "embedding": ()})
    )
    (failure,) = parse(tmp_path / "junit.xml").iter("failure")
    assert "nothing was planted" in failure.get("message", "")


def test_faults_and_coverage_have_suites(tmp_path: Path, make_ladder: Callable[..., Ladder]) -> None:
    row = CoverageRow(**COVERAGE, admitted=("tie", "saturates high"), missing=("saturates high", "tie"))
    faults = [
        Mutation(kind="rounding", what="relu_0 rounds up", executor=executor, caught=caught, node="relu_0")
        for executor, caught in (("golden", True), ("csim", False))
    ]
    ladder = make_ladder().model_copy(update={"coverage": (row,)})
    write_junit(tmp_path / "junit.xml", ladder=ladder, mutations=Mutations({"filter": tuple(faults)}))
    suites = {suite.get("name"): suite for suite in parse(tmp_path / "junit.xml")}
    assert suites["filter.golden.mutations"].get("failures") == "0"
    assert suites["filter.csim.mutations"].get("failures") == "1"
    said = suites["filter.coverage"].findtext("testcase/system-out")
    assert said is not None
    assert said.splitlines() == [
        "50.0 % of [0, 255] reached",
        "warning: no vector saturates high",
        "warning: no vector leaves a remainder of one half",
    ]


@pytest.mark.parametrize("name", ["a<b>&\"c'", "node\x00\x1b[31m", "größe\ud800", "]]>"])
def test_any_name_gives_xml_that_parses(tmp_path: Path, make_ladder: Callable[..., Ladder], name: str) -> None:
    ladder = make_ladder()
    rows = (ladder.rows[0].model_copy(update={"node": name, "network": name}),)
    write_junit(tmp_path / "junit.xml", ladder=ladder.model_copy(update={"rows": rows}), mutations=None)
    parse(tmp_path / "junit.xml")
