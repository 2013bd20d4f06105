"""Commands give on a Dask cluster what they give on this machine, with a worker killed on the way."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from support.dask_cluster import dask_cluster

HITFABRIC = str(Path(sys.executable).parent / "hitfabric")


def hitfabric(*words: str, folder: Path, at_first_item: Callable[[], None] | None = None) -> str:
    """Standard output of a command; `at_first_item` is called once its progress names a first finished item."""
    told = []
    with (
        tempfile.TemporaryFile("w+") as output,
        subprocess.Popen(
            [HITFABRIC, "--verbose", *words, "--json"], cwd=folder, stdout=output, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stderr is not None
        for line in process.stderr:
            told.append(line)
            if at_first_item is not None and ": 1/" in line:
                at_first_item()
                at_first_item = None
        assert process.wait() == 0, "".join(told)
        assert at_first_item is None
        output.seek(0)
        return output.read()


def contents(folder: Path) -> dict[str, bytes]:
    own = ("run.json", "simulation.json", "latency.json")  # say when, and where the work went
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name not in own}


@pytest.mark.slow
def test_commands_give_the_same_on_a_cluster(tmp_path: Path) -> None:
    events = ("--events", "12", "--generator", "helix", "--pile-up", "10", "--seed", "3")
    with dask_cluster(tmp_path / "cluster", workers=2) as cluster:
        cluster.wait_for_workers(2)
        dask = ("--dask", cluster.address)
        hitfabric("simulate", *events, "--workers", "1", "--out", "events", folder=tmp_path)
        hitfabric("simulate", *events, *dask, "--out", "events_dask", folder=tmp_path)
        assert contents(tmp_path / "events") == contents(tmp_path / "events_dask")

        hitfabric("track", "--events", "events", "--out", "tracks", folder=tmp_path)
        hitfabric("track", "--events", "events", "--out", "tracks_dask", *dask, folder=tmp_path)
        labels = contents(tmp_path / "tracks" / "labels")
        assert len(labels) == 12 and labels == contents(tmp_path / "tracks_dask" / "labels")

        found = hitfabric(
            "evaluate",
            *("--events", "events", "--out", "evaluation_dask", *dask),
            folder=tmp_path,
            at_first_item=cluster.processes[1].kill,
        )
        expected = hitfabric("evaluate", "--events", "events", "--out", "evaluation", "--jobs", "1", folder=tmp_path)
        assert json.loads(found) == json.loads(expected)


def test_work_goes_to_one_place(tmp_path: Path) -> None:
    done = subprocess.run(
        [HITFABRIC, "track", "--events", "events", "--jobs", "2", "--dask", "tcp://x:1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 2 and "jobs and dask are given" in done.stderr
