"""Busy ports, and servers that cannot start."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hitfabric.core import ConfigError, ServiceError, ToolError
from hitfabric.fpga_backend import Ports, TritonServer, find_triton
from hitfabric.fpga_backend.ports import free_ports, port_holder


def test_free_ports_are_distinct_and_free() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert [port_holder(port) for port in ports[:2]] == [None, None]


def test_the_holder_of_a_busy_port_is_named(busy: int) -> None:
    assert f"process {os.getpid()}" in (port_holder(busy) or "")


@pytest.mark.parametrize("protocol", ["grpc", "http", "metrics"])
def test_a_busy_port_is_refused_before_anything_starts(busy: int, protocol: str, tmp_path: Path) -> None:
    server = TritonServer(repository=tmp_path, log=tmp_path / "log", ports=Ports(**{protocol: busy}))
    with pytest.raises(ServiceError, match=rf"port {busy} is in use by .*process {os.getpid()}"):
        server.start()
    assert list(tmp_path.iterdir()) == []


def test_zero_takes_free_ports_and_keeps_the_others() -> None:
    wanted = free_ports(1)[0]
    ports = Ports(http=wanted).resolved()
    assert ports.http == wanted
    assert len({ports.grpc, ports.http, ports.metrics}) == 3
    assert 0 not in (ports.grpc, ports.metrics)


@pytest.mark.parametrize("ports", [Ports(grpc=5, http=5), Ports(grpc=70000), Ports(http=-1)])
def test_impossible_ports_are_refused(ports: Ports) -> None:
    with pytest.raises(ConfigError, match="port"):
        ports.resolved()


def test_a_missing_repository_is_named(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="nothing-here"):
        TritonServer(repository=tmp_path / "nothing-here", log=tmp_path / "log").start()


def test_a_wrong_server_folder_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HITFABRIC_TRITON", str(tmp_path))
    with pytest.raises(ToolError, match="HITFABRIC_TRITON"):
        find_triton()
