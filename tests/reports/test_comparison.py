"""Two runs side by side."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hitfabric.core import DataError
from hitfabric.reports import write_comparison

KEY = ("embedding", "csim")


def rows(page: Path) -> dict[str, list[str]]:
    root = ElementTree.fromstring(page.read_text(encoding="utf-8"))
    found = {}
    for row in root.iter("tr"):
        head, *cells = ["".join(cell.itertext()) for cell in row]
        found[head] = cells
    return found


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_what_differs_is_said(sample_run: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(sample_run, tmp_path / "other"))
    ladder = json.loads((other / "ladder.json").read_text())
    row = next(item for item in ladder["rows"] if (item["network"], item["executor"]) == KEY)
    row |= {"mismatches": 2, "first": {"index": [0], "expected": 1, "found": 2}}
    (other / "ladder.json").write_text(json.dumps(ladder))
    evaluation = json.loads((other / "evaluation.json").read_text())
    efficiency = evaluation["tracks"]["efficiency"]
    evaluation["tracks"]["efficiency"] = {"passed": efficiency["passed"] // 2, "total": efficiency["total"]}
    (other / "evaluation.json").write_text(json.dumps(evaluation))
    engine = json.loads((other / "rtl.json").read_text())
    engine[0]["figures"]["LUT"][0]["value"] = 60000.0
    (other / "rtl.json").write_text(json.dumps(engine))
    change(other / "run.json", seed=17)

    page = write_comparison(sample_run, other)
    assert page == other / "comparison.html"
    found = rows(page)
    compared = sum(item["compared"] for item in ladder["rows"] if (item["network"], item["executor"]) == KEY)
    assert found[", ".join(KEY)][:2] == [f"0 of {compared:,}", f"2 of {compared:,}"]
    assert found["sector-in-8, latency, p95"][2] == "+0.0 %"
    assert found["component, after the filter"][2] == "+0.00 points; within the intervals"
    assert "the intervals do not overlap" in found["track efficiency"][2]
    assert "within the intervals" in found["fake rate"][2]
    assert found["sector, RTL: LUT"][:2] == ["56,877 (synthesised (Yosys))", "60,000 (synthesised (Yosys))"]
    assert found["seed"][1] == "17" and "time" not in found


def test_what_was_not_compared_is_not_green(sample_run: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(sample_run, tmp_path / "other"))
    ladder = json.loads((other / "ladder.json").read_text())
    kept = [item for item in ladder["rows"] if item["executor"] != "csim"]
    for item in kept:
        if item["executor"] == "native":
            item["compared"] = 0
    (other / "ladder.json").write_text(json.dumps(ladder | {"rows": kept}))
    root = ElementTree.fromstring(write_comparison(sample_run, other).read_text(encoding="utf-8"))
    states = {}
    for line in root.iter("tr"):
        head, *cells = list(line)
        states["".join(head.itertext())] = [cell.get("class", "").split()[-1:] for cell in cells[:2]]
    for network in ("embedding", "filter", "interaction_network"):
        assert states[f"{network}, golden"] == [["equal"], ["equal"]]
        assert states[f"{network}, native"] == states[f"{network}, csim"] == [["equal"], ["none"]]


def test_settings_of_one_run_stand_aside(sample_run: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(sample_run, tmp_path / "other"))
    change(other / "run.json", config={"events": 6, "new": True})
    root = ElementTree.fromstring(write_comparison(sample_run, other).read_text(encoding="utf-8"))
    (aside,) = root.iter("details")
    heads = [["".join(line[0].itertext()) for line in part.iter("tr")] for part in (root, aside)]
    assert heads[1] == ["", "setting chain.radius", "setting new"]
    assert "setting events" in heads[0]


def test_equal_runs_differ_in_nothing(sample_run: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(sample_run, tmp_path / "other"))
    page = write_comparison(sample_run, other).read_text()
    assert "different about the runs" not in page and "cell different" not in page and "do not overlap" not in page


def test_runs_with_nothing_in_common_are_refused(sample_run: Path, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder, name in ((one, "ladder.json"), (other, "latency.json")):
        folder.mkdir()
        shutil.copy(sample_run / name, folder)
    with pytest.raises(DataError, match="no kind of result in common"):
        write_comparison(one, other)
    assert not (other / "comparison.html").exists()
