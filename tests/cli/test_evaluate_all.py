"""`hitfabric evaluate --all` from the command line, on a tiny zoo and simulated events."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hitfabric.models.zoo import ZOO
from hitfabric.pipeline import evaluate_all_data
from hitfabric.pipeline.evaluate_all_rows import COLUMNS
from support.tiny import Tiny

Run = Callable[..., Any]
ROWS = {"sector-in-8", "sector-in-40", "sector-in-4bit"} | {
    f"event-{hits}/{part}" for hits in ("pixel", "full") for part in ("embedding", "filter", "tracks")
}


BEGIN = "<!-- begin"
"""What a generated block of a card starts with."""


@pytest.fixture
def zoo(tiny: Tiny, tmp_path: Path) -> Path:
    """One sector network and one tiny chain, each beside its float twin; nothing else is shipped."""
    folder = tmp_path / "zoo"
    shutil.copytree(ZOO / "sector-in-8", folder / "sector-in-8")
    shutil.copytree(tiny.run / "chain", folder / "event-pixel")
    shutil.copytree(tiny.run / "float", folder / "event-pixel" / "float")
    return folder


@pytest.fixture(autouse=True)
def _no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate_all_data, "BESIDE", tmp_path / "no data")


@pytest.mark.slow
def test_the_table_without_data(run: Run, zoo: Path, tmp_path: Path) -> None:
    docs, out = tmp_path / "docs", tmp_path / "out"
    options = ("--all", "--quick", "--out", out, "--docs", docs, "--set", f"zoo={zoo}", "--cards")
    outcome = run("evaluate", *options, "--json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert {row["name"] for row in found["table"]} == ROWS
    assert set(found["targets"]) == ROWS - {"event-full/filter"}
    assert all(isinstance(value, bool) for value in found["targets"].values())
    assert found["data"]["simulated"] is True and "no data folder" in found["data"]["events"]
    rows = {row["name"]: row for row in found["table"]}
    assert all(tuple(row["validation"]) == COLUMNS for row in rows.values())
    tracks = rows["event-pixel/tracks"]["validation"]
    assert (
        tracks["quantized"]["figures"]["efficiency"]["total"] == tracks["float"]["figures"]["efficiency"]["total"] > 0
    )
    assert tracks["ceiling"]["missing"] == "not shipped: event-pixel-ceiling"
    assert "ACTS" in tracks["ckf"]["missing"]  # helices hit no modules of the Generic detector
    assert found["targets"]["event-full/tracks"] is False
    assert rows["event-full/tracks"]["validation"]["quantized"]["missing"] == "not shipped: event-full"
    assert json.loads((out / "evaluate_all.json").read_text(encoding="utf-8"))["targets"] == found["targets"]
    page = Path(found["page"]).read_text(encoding="utf-8")
    assert "sector-in-8" in page and (docs / "figures" / "physics-tracks-event-pixel.png").is_file()
    assert found["cards"] == ["event-pixel", "sector-in-8"]
    card = (zoo / "sector-in-8" / "README.md").read_text(encoding="utf-8")
    shipped = (ZOO / "sector-in-8" / "README.md").read_text(encoding="utf-8")
    assert card != shipped and card.partition(BEGIN)[0] == shipped.partition(BEGIN)[0] != shipped, "prose stays"

    figures = {path.name: path.read_bytes() for path in (docs / "figures").iterdir()}
    again = run("evaluate", *options)
    assert again.code == 0 and "target met" in again.out and "not shipped: event-full" in again.out
    assert "simulate (" not in again.err, "events are simulated once"
    assert {path.name: path.read_bytes() for path in (docs / "figures").iterdir()} == figures
    assert Path(found["page"]).read_text(encoding="utf-8") == page
    assert (zoo / "sector-in-8" / "README.md").read_text(encoding="utf-8") == card


def test_a_page_without_marks_is_refused_before_any_work(run: Run, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "physics.md").write_text("# Mine\n", encoding="utf-8")
    outcome = run("evaluate", "--all", "--quick", "--out", tmp_path / "out", "--docs", docs)
    assert "the marks of block samples" in outcome.error
    assert (docs / "physics.md").read_text(encoding="utf-8") == "# Mine\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--all", "--data", "nowhere"), "nowhere is not a directory"),
        (("--all", "--set", "zoo=nowhere"), "nowhere is not a directory"),
        (("--all", "--events", "nowhere"), "--events has no meaning with --all"),
        (("--all", "--set", "eventss=1"), "eventss"),
        (("--all", "--set", "fresh.generator=magic"), "generator"),
        (("--quick",), "belong to --all"),
        (("--cards", "--events", "nowhere"), "belong to --all"),
    ],
)
def test_bad_options(run: Run, tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    assert message in run("evaluate", *options, "--out", tmp_path / "out").error
