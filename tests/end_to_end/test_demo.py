"""The whole road in a process of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-c", "from hitfabric.cli import main; main()"]
NETWORKS = {"embedding", "filter", "interaction_network"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Run directory of `hitfabric demo --quick`, and what it printed."""
    out = tmp_path_factory.mktemp("demo") / "run"
    call = [*PROGRAM, "demo", "--quick", "--out", str(out)]
    done = subprocess.run(
        call, capture_output=True, text=True, timeout=800, check=False, stdin=subprocess.DEVNULL, cwd=out.parent
    )
    assert done.returncode == 0, done.stderr
    return out, done


@pytest.mark.slow
def test_summary(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    summary = json.loads((finished[0] / "summary.json").read_text())
    assert set(summary["mismatches"]) == NETWORKS
    for executors in summary["mismatches"].values():
        assert executors == {"brevitas": 0, "native": 0, "csim": 0}
    assert summary["outputs_compared"] > 100_000
    assert set(summary["tracking"]) == {"efficiency", "fake_rate", "duplicate_rate", "events", "hits"}
    assert summary["tracking"]["events"] == 2
    assert summary["serving"]["labels_equal"] is True
    assert summary["serving"]["requests"] == 4
    assert summary["serving"]["server"].startswith("triton ")
    assert list(summary["seconds"]) == [
        "simulate",
        "train",
        "build",
        "validate",
        "serve and track",
        "evaluate",
        "report",
    ]


@pytest.mark.slow
def test_labels_of_both_engines_are_the_same_files(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    direct = sorted((finished[0] / "labels" / "direct").iterdir())
    assert len(direct) == 2
    for path in direct:
        assert path.read_bytes() == (finished[0] / "labels" / "triton" / path.name).read_bytes()


@pytest.mark.slow
def test_every_planted_fault_is_caught(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    faults = json.loads((finished[0] / "mutations.json").read_text())
    assert set(faults) == NETWORKS
    assert all(item["caught"] for items in faults.values() for item in items)


@pytest.mark.slow
def test_report_is_complete_and_self_contained(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    out, done = finished
    page = (out / "report.html").read_text()
    assert re.sub(r"\s", "", str(out / "report.html")) in re.sub(r"\s", "", done.stdout)
    assert page.count("<svg") >= 6
    assert re.search(r'(src|href)="(https?:)?//', page) is None
    absent = re.findall(r'href="#(\w+)" class="absent"', page)
    assert absent == ["cycles", "rtl", "exploration"]  # which are not on the demo's road
    assert all(f'<tr id="{key}">' in page and f'<section id="{key}">' not in page for key in absent)


@pytest.mark.slow
def test_nothing_is_left_behind(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    hidden = [path for path in finished[0].rglob(".*")]
    assert hidden == []
