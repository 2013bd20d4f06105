"""The outcome of a validation as JUnit XML, the form in which build servers read test results."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from pathlib import Path

from ..core import atomic_file
from .records import CoverageRow, Ladder, LadderRow, Mutation, Mutations

# What XML 1.0 cannot hold, not even escaped.
FORBIDDEN = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(path: Path, *, ladder: Ladder, mutations: Mutations | None) -> None:
    """Write the XML, whole or not at all.

    One suite per network and executor with one case per node; a mismatch is a failure with the first divergence, and a
    node that was not compared fails too. One suite per network for coverage: a case that the ranges allow and no vector
    met is in `system-out`, since it is no failure. One suite per network and executor for planted faults, a fault that
    was not caught being the failure; a network in which none could be planted fails too.

    Args:
        path: File to write.
        ladder: The comparison.
        mutations: Planted faults, if there were any.
    """
    root = ElementTree.Element("testsuites", name="hitfabric validate")
    for network, executor in dict.fromkeys((row.network, row.executor) for row in ladder.rows):
        rows = [row for row in ladder.rows if (row.network, row.executor) == (network, executor)]
        name = f"{network}.{executor}"
        _suite(root, name, (_node_case(row, name, ladder.reference) for row in rows))
    for network in dict.fromkeys(row.network for row in ladder.coverage):
        name = f"{network}.coverage"
        rows = [row for row in ladder.coverage if row.network == network]
        _suite(root, name, (_coverage_case(row, name) for row in rows))
    for network, faults in mutations.root.items() if mutations is not None else ():
        for executor in dict.fromkeys(fault.executor for fault in faults):
            name = f"{network}.{executor}.mutations"
            _suite(root, name, (_fault_case(fault, name) for fault in faults if fault.executor == executor))
        if not faults:
            _suite(root, f"{network}.mutations", [_nothing_planted(f"{network}.mutations")])
    for total in ("tests", "failures"):
        root.set(total, str(sum(int(suite.get(total, "0")) for suite in root)))
    for total in ("errors", "skipped"):
        root.set(total, "0")
    root.set("time", f"{ladder.seconds or 0.0:.3f}")
    with atomic_file(path) as temporary:
        ElementTree.indent(root)
        ElementTree.ElementTree(root).write(temporary, encoding="utf-8", xml_declaration=True)


def _suite(root: ElementTree.Element, name: str, cases: Iterable[ElementTree.Element]) -> None:
    suite = ElementTree.SubElement(root, "testsuite", name=_text(name))
    suite.extend(cases)
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(sum(case.find("failure") is not None for case in suite)))
    suite.set("errors", "0")
    suite.set("skipped", "0")
    suite.set("time", "0.000")  # batches go through every executor together: no suite has a time of its own


def _case(name: str, suite: str) -> ElementTree.Element:
    return ElementTree.Element("testcase", name=_text(name), classname=_text(suite), time="0.000")


def _node_case(row: LadderRow, suite: str, reference: str) -> ElementTree.Element:
    case = _case(row.node, suite)
    if row.first is not None:
        first = row.first
        batch = "" if first.batch is None else f"batch {first.batch}, "
        message = (
            f"{row.mismatches} of {row.compared} integers differ; first at {batch}index {list(first.index)}:"
            f" {reference} {first.expected}, {row.executor} {first.found}"
        )
        ElementTree.SubElement(case, "failure", message=_text(message), type="mismatch").text = _text(message)
    elif not row.compared:
        ElementTree.SubElement(case, "failure", message="nothing was compared", type="nothing compared")
    else:
        ElementTree.SubElement(case, "system-out").text = f"{row.compared} integers equal"
    return case


def _coverage_case(row: CoverageRow, suite: str) -> ElementTree.Element:
    case = _case(row.node, suite)
    lines = [f"{100 * row.range_share:.1f} % of [{row.low}, {row.high}] reached"]
    lines += [f"warning: no vector {phrase(missing)}" for missing in row.missing]
    ElementTree.SubElement(case, "system-out").text = _text("\n".join(lines))
    return case


def _fault_case(fault: Mutation, suite: str) -> ElementTree.Element:
    case = _case(f"{fault.kind}: {fault.what}", suite)
    if not fault.caught:
        message = f"{fault.executor} with this fault gave the same integers at every node"
        ElementTree.SubElement(case, "failure", message=message, type="not caught").text = message
    else:
        ElementTree.SubElement(case, "system-out").text = _text(f"first differs at {fault.node}")
    return case


def phrase(case: str) -> str:
    """A saturation or rounding case as the end of "no vector ..."."""
    phrases = {
        "exact": "is converted without a remainder",
        "below half": "leaves a remainder below one half",
        "tie": "leaves a remainder of one half",
        "above half": "leaves a remainder above one half",
    }
    return phrases.get(case, case)


def _nothing_planted(suite: str) -> ElementTree.Element:
    case = _case("faults are planted", suite)
    message = "the vectors can show no fault: nothing was planted, so that nothing is proven"
    ElementTree.SubElement(case, "failure", message=message, type="nothing planted").text = message
    return case


def _text(text: str) -> str:
    return FORBIDDEN.sub("?", text)
