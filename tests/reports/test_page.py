"""The page: self-contained, well-formed, escaped, and honest about what was not run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from hitfabric.core import DataError
from hitfabric.reports import write_report
from hitfabric.reports.records import Ladder

# Section -> the file whose absence must make it "Not run".
FILES = {
    "event": "event_display.npz",
    "tracks": "evaluation.json",
    "edges": "evaluation.json",
    "sizes": "evaluation.json",
    "training": "training",
    "ladder": "ladder.json",
    "cycles": "cycles.json",
    "latency": "latency.json",
    "projects": "projects.json",
    "rtl": "rtl.json",
    "exploration": "explore.json",
    "seconds": "summary.json",
    "provenance": "run.json",
}


def parse(page: Path) -> ElementTree.Element:
    """The page as XML: fails on anything unclosed, unescaped or illegal."""
    return ElementTree.fromstring(page.read_text(encoding="utf-8"))


def section(root: ElementTree.Element, key: str) -> ElementTree.Element:
    found = root.find(f".//section[@id='{key}']")
    assert found is not None
    return found


def not_run(root: ElementTree.Element) -> dict[str, str]:
    """Rows of the table of what was not run."""
    return {row.get("id", ""): text(row) for row in root.findall(".//section[@id='not-run']//tbody/tr")}


def text(element: ElementTree.Element) -> str:
    return " ".join("".join(element.itertext()).split())


def keep(run: Path, *names: str) -> None:
    """Leave only these files, so that only their figures are drawn."""
    for item in run.iterdir():
        if item.name not in names:
            remove(item)


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def edit(path: Path, change: Callable[[dict], None]) -> None:
    values = json.loads(path.read_text(encoding="utf-8"))
    change(values)
    path.write_text(json.dumps(values), encoding="utf-8")


def test_complete_run_has_every_section_and_nothing_missing(sample_page: Path) -> None:
    page = sample_page
    assert page == sample_page.parent / "report.html"
    root = parse(page)
    assert not_run(root) == {}
    for key in FILES:
        assert section(root, key).findall(".//svg") or section(root, key).findall(".//table"), key
    assert len(root.findall(".//figure")) == 15 == len(root.findall(".//figcaption"))
    assert {svg.get("role") for svg in root.iter("svg")} == {"img"}


def test_page_refers_to_nothing_outside_itself(sample_page: Path) -> None:
    root = parse(sample_page)
    identifiers = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(set(identifiers)) == len(identifiers)
    for element in root.iter():
        assert element.tag not in ("link", "iframe", "object")
        for name, value in element.attrib.items():
            assert "//" not in value or value.startswith("data:image/png;base64,"), (element.tag, name)
            if name in ("href", "src"):
                assert value.removeprefix("#") in identifiers or value.startswith("data:image/png;base64,")
            for target in re.findall(r"url\(#([^)]*)\)", value):
                assert target in identifiers
    (script,) = root.iter("script")
    assert script.attrib == {} and not re.search(r"fetch|import|http|eval|innerHTML", script.text or "")
    style = "".join(element.text or "" for element in root.iter("style"))
    assert "@import" not in style
    assert "url(" not in style
    assert "prefers-color-scheme: dark" in style


def test_every_colour_of_a_figure_follows_the_theme(sample_page: Path) -> None:
    root = parse(sample_page)
    style = "".join(element.text or "" for element in root.iter("style"))
    light, dark = style.split("prefers-color-scheme: dark")
    styled = " ".join(element.get("style", "") for svg in root.iter("svg") for element in svg.iter())
    assert not re.findall(r"(?:fill|stroke): #", styled)
    for name in set(re.findall(r"var\(--(\w+)\)", styled)):
        assert f"--{name}:" in light
        assert f"--{name}:" in dark


def test_same_run_gives_the_same_page(sample_run: Path, sample_page: Path) -> None:
    assert write_report(sample_run).read_bytes() == sample_page.read_bytes()


# Both halves: each file is there once and missing once.
@pytest.mark.parametrize(
    "missing", [names[:4] for names in (sorted(set(FILES.values())), sorted(set(FILES.values()))[::-1])]
)
def test_missing_file_is_named_as_not_run(sample_run: Path, missing: list[str]) -> None:
    for name in missing:
        remove(sample_run / name)
    root = parse(write_report(sample_run))
    rows = not_run(root)
    assert set(rows) == {key for key, file in FILES.items() if file in missing}
    for key, file in FILES.items():
        assert (root.find(f".//section[@id='{key}']") is None) == (file in missing), key
        if file in missing:
            assert file in rows[key]


def test_headlines_are_the_figures_of_the_files(sample_page: Path) -> None:
    root = parse(sample_page)
    shown = [
        text(element) for element in root.findall(".//div[@class]") if element.get("class", "").startswith("headline ")
    ]
    joined = " | ".join(shown)
    compared = sum(row["compared"] for row in json.loads((sample_page.parent / "ladder.json").read_text())["rows"])
    assert f"differing integers 0 of {compared:,} compared" in joined
    assert "track efficiency 93.0 %" in joined
    assert "4,650 of 5,000 particles" in joined
    assert "120 requests to Triton 2.51.0; labels equal to direct" in joined
    assert "sector-in-8, 95th percentile of 60 graphs" in joined


def test_run_record_alone_has_no_figures(sample_run: Path) -> None:
    keep(sample_run, "run.json")
    root = parse(write_report(sample_run))
    assert not [element for element in root.iter("div") if element.get("class", "").startswith("headline ")]
    assert not list(root.iter("svg"))


def test_mismatch_is_red_and_named(sample_run: Path, make_ladder: Callable[..., Ladder]) -> None:
    keep(sample_run, "summary.json")
    (sample_run / "ladder.json").write_text(make_ladder(mismatches=4).model_dump_json(), encoding="utf-8")
    root = parse(write_report(sample_run))
    shown = section(root, "ladder")
    assert "filter, csim: first differing node relu_0 at index [3, 5], expected 12, found 13." in text(shown)
    different = [cell for cell in shown.iter("td") if "different" in cell.get("class", "")]
    assert [text(cell) for cell in different] == ["4 differ of 144,000", "4 differ of 48,000"]
    # summary.json still says 0: the page must not hide that.
    assert "summary.json gives 0 mismatches for filter in csim, ladder.json gives 4" in text(root)


def test_fault_that_was_not_caught_is_red(sample_run: Path) -> None:
    keep(sample_run, "ladder.json", "mutations.json")
    edit(sample_run / "mutations.json", lambda values: values["interaction_network"][1].update(caught=False, node=None))
    shown = section(parse(write_report(sample_run)), "ladder")
    cells = [(text(cell), cell.get("class")) for cell in shown.iter("td") if "caught" in text(cell)]
    assert [cell for cell, _ in cells[4:]] == ["caught", "not caught", "caught", "caught"]
    assert cells[:2] == [("1 of 1 caught", "cell equal"), ("0 of 1 caught", "cell different")]
    (each,) = [item for item in shown.iter("details") if "Each fault" in text(item)]
    assert each.get("open") == "open"


def test_nothing_compared_is_never_green(sample_run: Path) -> None:
    keep(sample_run, "ladder.json")

    def blank(values: dict) -> None:
        for row in values["rows"]:
            row["compared"] = 0

    edit(sample_run / "ladder.json", blank)
    root = parse(write_report(sample_run))
    assert not [element for element in root.iter() if "equal" in element.get("class", "").split()]
    assert "nothing compared" in text(root)


def test_unequal_labels_are_said(sample_run: Path) -> None:
    keep(sample_run, "summary.json")
    edit(sample_run / "summary.json", lambda values: values["serving"].update(labels_equal=False))
    assert "labels DIFFER from direct" in text(parse(write_report(sample_run)))


HOSTILE = '<script>alert(1)</script> & "q" \'$x_$\' \x00\x1b #20262c url(#a) id="b" ]]> -->'


def test_strings_are_escaped_everywhere(sample_run: Path) -> None:
    edit(
        sample_run / "run.json",
        lambda values: values.update(command=HOSTILE, commit=HOSTILE, inputs={HOSTILE: HOSTILE}),
    )
    edit(sample_run / "summary.json", lambda values: values.update(seconds={HOSTILE: 1.0}))
    edit(sample_run / "latency.json", lambda values: values["series"][0].update(model=HOSTILE))
    edit(sample_run / "ladder.json", lambda values: values["rows"][0].update(node=HOSTILE, network=HOSTILE))
    edit(
        sample_run / "projects.json",
        lambda values: values["projects"][0].update(figures={HOSTILE: [{"value": 1, "kind": "counted"}]}),
    )

    def poison(values: dict) -> None:
        values["sample"] = values["tracks"]["definition"] = values["stages"][0]["name"] = HOSTILE
        values["networks"][HOSTILE] = values["networks"].pop("filter")

    edit(sample_run / "evaluation.json", poison)
    (sample_run / "training" / "filter.csv").write_text("epoch,<b>$loss$\n0,1\n1,\n", encoding="utf-8")
    arrays = dict(np.load(sample_run / "event_display.npz"))
    np.savez(sample_run / "event_display.npz", **(arrays | {"event": np.array(HOSTILE)}))
    root = parse(write_report(sample_run))
    (script,) = root.iter("script")
    assert "alert" not in (script.text or "")
    assert not list(root.iter("b")) or all("<b>" not in (element.text or "") for element in root.iter("b"))
    assert text(root).count("<script>alert(1)</script>") >= 10


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("summary.json", "{", "the whole file: Invalid JSON"),
        ("summary.json", '{"mismatch": {}}', "mismatch: Extra inputs"),
        ("summary.json", '{"seconds": {"train": NaN}}', "seconds.train"),
        ("summary.json", '{"seconds": {"train": "4"}}', "seconds.train"),
        ("summary.json", '{"outputs_compared": -1}', "outputs_compared"),
        ("run.json", "[]", "the whole file"),
        ("ladder.json", '{"reference": "a", "sample": "b", "rows": [{"network": "n"}]}', "rows.0.node: Field required"),
        (
            "latency.json",
            '{"workload": "w", "series": [{"model": "m", "engine": "gpu", "samples_ms": []}]}',
            "series.0.engine",
        ),
        ("projects.json", "\x80", "the whole file"),
        ("evaluation.json", '{"sample": "s", "events": 1, "hits": 1, "stages": [{"name": "a"}]}', "stages.0.target"),
    ],
)
def test_malformed_json_names_file_and_key(sample_run: Path, file: str, content: str, expected: str) -> None:
    (sample_run / file).write_bytes(content.encode("latin-1"))
    with pytest.raises(DataError) as caught:
        write_report(sample_run)
    assert str(sample_run / file) in caught.value.message
    assert expected in caught.value.message
    assert "\n" not in str(caught.value)


def test_failure_leaves_the_old_page_and_no_other_file(sample_run: Path) -> None:
    keep(sample_run, "run.json", "latency.json")
    page = write_report(sample_run)
    before, names = page.read_bytes(), sorted(sample_run.rglob("*"))
    (sample_run / "latency.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError):
        write_report(sample_run)
    assert page.read_bytes() == before
    assert sorted(sample_run.rglob("*")) == names


def test_no_run_directory(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no run directory"):
        write_report(tmp_path / "absent")
    with pytest.raises(DataError, match="holds no file of a run"):
        write_report(tmp_path)


def test_reports_need_no_torch() -> None:
    # The parent process may hold torch already: look in a fresh one.
    code = "import sys, hitfabric.reports; sys.exit('torch' in sys.modules or 'matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
