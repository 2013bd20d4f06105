"""Clusters of batch jobs: started, replaced where they end, cancelled; and what stands in the way told in one line."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from hitfabric.core import ConfigError, MissingToolError, ServiceError, ToolError, dask_clusters
from hitfabric.core.dask_clusters import check_versions
from hitfabric.core.spreading import SpreadConfig, open_spread
from support.batch_system import BatchSystem
from support.dask_cluster import TESTS
from support.processes import eventually
from support.tasks import Square, make_offset

# Not imported here: it takes SIGINT for itself.
pytestmark = pytest.mark.skipif(find_spec("dask_jobqueue") is None, reason="dask_jobqueue is not installed")
LOCAL = {"host": "127.0.0.1", "dashboard_address": ":0"}


def write_cluster(folder: Path, *, system: str, wait_seconds: float = 60.0, **options: Any) -> Path:
    path = folder / "cluster.yaml"
    common = {"cores": 2, "processes": 2, "memory": "2GB", "scheduler_options": LOCAL}
    common |= {"disk": "1GB"} if system == "htcondor" else {"walltime": "00:10:00"}
    settings = {"system": system, "wait_seconds": wait_seconds, "options": common | options}
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.fixture
def batch(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchSystem]:
    folder = tmp_path / "batch"
    folder.mkdir()
    found = BatchSystem(folder=folder, system=getattr(request, "param", "slurm"))
    found.install()
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    yield found
    for job in found.jobs:
        found.kill(job)


@pytest.mark.slow
@pytest.mark.parametrize("batch", ["slurm", "htcondor"], indirect=True)
def test_a_batch_job_that_ends_is_replaced(tmp_path: Path, batch: BatchSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_clusters, "LOST_SECONDS", 1.0)
    path = write_cluster(tmp_path, system=batch.system)
    with open_spread(SpreadConfig(cluster=path)) as spread, spread.workers(make_offset, 0) as workers:
        results = []
        for _, result in workers.run(Square(value=n) for n in range(40)):
            results.append(result)
            if len(results) == 10:
                batch.kill(batch.jobs[0])  # the only one: nobody is left
    assert sorted(results) == [n**2 for n in range(40)]
    assert len(batch.jobs) == 2
    assert eventually(lambda: all(batch.ended(job) for job in batch.jobs), seconds=30)


@pytest.mark.slow
def test_a_job_that_cannot_be_replaced_is_told_and_tried_again(
    tmp_path: Path, batch: BatchSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_clusters, "LOST_SECONDS", 1.0)
    monkeypatch.setattr(dask_clusters, "RETRY_SECONDS", 1.0)
    submit = batch.folder / "sbatch"
    works = submit.read_text()
    with (
        pytest.warns(UserWarning, match=r"slurm starts no job: .*the queue is closed"),
        open_spread(SpreadConfig(cluster=write_cluster(tmp_path, system="slurm"))) as spread,
        spread.workers(make_offset, 0) as workers,
        monkeypatch.context() as patch,
    ):
        show = dask_clusters.warnings.warn

        def reopen(*told: Any, **options: Any) -> None:
            submit.write_text(works)
            show(*told, **options)

        patch.setattr(dask_clusters.warnings, "warn", reopen)
        found = workers.run(Square(value=n) for n in range(20))
        results = [next(found)[1]]
        submit.write_text("#!/bin/sh\necho the queue is closed >&2; exit 1\n")
        batch.kill(batch.jobs[0])
        results += [result for _, result in found]
    assert sorted(results) == [n**2 for n in range(20)]


def test_a_refused_job_is_an_error(tmp_path: Path, batch: BatchSystem) -> None:
    (batch.folder / "sbatch").write_text("#!/bin/sh\necho invalid partition >&2; exit 1\n")
    path = write_cluster(tmp_path, system="slurm")
    with (
        pytest.raises(ToolError, match=r"slurm starts no job: .*invalid partition"),
        open_spread(SpreadConfig(cluster=path)),
    ):
        pass


def test_a_batch_system_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    path = write_cluster(tmp_path, system="lsf")
    with pytest.raises((ToolError, ConfigError), match=r"lsf|LSF"), open_spread(SpreadConfig(cluster=path)):
        pass


def test_jobs_whose_workers_never_come_are_an_error(tmp_path: Path, batch: BatchSystem) -> None:
    path = write_cluster(tmp_path, system="slurm", wait_seconds=1.0, job_script_prologue=["exit 1"])
    with (
        pytest.raises(ServiceError, match="no Dask worker within 1 s; look at the queue"),
        open_spread(SpreadConfig(cluster=path)),
    ):
        pass
    assert len(batch.jobs) == 1


def test_an_unknown_option_is_an_error(tmp_path: Path) -> None:
    path = write_cluster(tmp_path, system="slurm", nonsense=1)
    with (
        pytest.raises(ConfigError, match=r"cluster.yaml: options: .*nonsense.*see SLURMCluster of dask_jobqueue"),
        open_spread(SpreadConfig(cluster=path)),
    ):
        pass


def test_a_server_of_another_kind_is_no_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_clusters, "CONNECT_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:  # takes connections, and says nothing
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with (
            pytest.raises(ServiceError, match=f"no Dask scheduler at {address}: no answer within 1 s"),
            open_spread(SpreadConfig(dask=address)),
        ):
            pass


def test_ctrl_c_stays_what_it_was() -> None:
    """dask_jobqueue takes SIGINT for itself as it is imported, and ends the program as a success."""
    check = (
        "import signal; from hitfabric.core import dask_clusters as d; d._import('dask_jobqueue');"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler"
    )
    subprocess.run([sys.executable, "-c", check], check=True, timeout=100)


def versions(**changes: str | None) -> dict[str, Any]:
    packages = {"python": "3.11.7.final.0", "hitfabric": "1.0", "distributed": "2026.8", "numpy": "2.1"}
    return {"packages": packages | changes}


def test_other_versions_are_refused() -> None:
    check_versions(versions(), {"scheduler": versions(), "worker tcp://a:1": versions(python="3.11.9.final.0")})
    for changes, message in (
        ({"hitfabric": None}, "the Dask worker tcp://a:1 has no hitfabric, and this is 1.0; start it from the same"),
        ({"numpy": "1.26"}, "has numpy 1.26, and this is 2.1"),
        ({"python": "3.12.1.final.0"}, "has python 3.12, and this is 3.11"),
    ):
        with pytest.raises(ToolError, match=message):
            check_versions(versions(), {"scheduler": versions(), "worker tcp://a:1": versions(**changes)})


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingToolError, match=r"hitfabric\[cluster\]"), open_spread(SpreadConfig(dask="tcp://x:1")):
        pass
