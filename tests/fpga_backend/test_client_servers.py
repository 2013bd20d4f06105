"""Finding servers: lists and DNS names, those that fail, and computing in process while none answers."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitfabric.core import DataError, ServiceError
from hitfabric.fpga_backend import (
    AsyncTritonClient,
    Chain,
    ClientConfig,
    DeadlineError,
    DirectClient,
    TritonClient,
    TritonConfig,
    UnavailableError,
    open_async_client,
    open_inference_client,
)
from hitfabric.fpga_backend.client import AsyncLocalClient
from hitfabric.fpga_backend.client_fallback import AsyncFallbackClient, FallbackClient
from hitfabric.fpga_backend.client_servers import ServerPool, resolve
from hitfabric.fpga_backend.ports import free_ports
from support.fake_triton import FakeTriton
from support.processes import eventually

EVENT = {"FEATURES": np.array([[4, 0, 0], [7, 0, 0]], np.float32)}
RETRY = {"attempts": 3, "first_wait_s": 0.01, "longest_wait_s": 0.02}


class Names:
    """A resolver a test can change; each look-up is counted."""

    def __init__(self, *hosts: str) -> None:
        self.hosts = list(hosts)
        self.known = True
        self.calls = 0

    def getaddrinfo(self, host: str, port: int, **_: Any) -> list[Any]:
        self.calls += 1
        if not self.known:
            raise socket.gaierror(-2, "Name or service not known")
        assert host == "triton.farm.test"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in self.hosts]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    found = Names()
    monkeypatch.setattr(socket, "getaddrinfo", found.getaddrinfo)
    return found


def _dns(port: int, **options: Any) -> TritonConfig:
    values = {"dns": f"triton.farm.test:{port}", "timeout_s": 10, "retry": RETRY, **options}
    return TritonConfig.model_validate(values)


@pytest.mark.parametrize("kind", ["blocking", "asyncio"])
def test_every_address_of_a_name_is_a_server(names: Names, kind: str) -> None:
    with FakeTriton() as first, FakeTriton(host="127.0.0.2", port=first.port) as second:
        names.hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.1"]
        config = _dns(first.port, balance="round-robin")
        if kind == "blocking":
            client = TritonClient(config=config)
            for _ in range(4):
                assert client.infer("tracking", EVENT)["LABELS"].tolist() == [4, 7]
            client.close()
        else:
            asyncio.run(_ask_async(AsyncTritonClient(config=config), 4))
        assert (len(first.requests), len(second.requests)) == (2, 2)
        assert names.calls == 1


async def _ask_async(client: AsyncTritonClient, requests: int) -> None:
    for _ in range(requests):
        assert (await client.infer("tracking", EVENT))["LABELS"].tolist() == [4, 7]
    await client.close()


def test_a_name_is_looked_up_again_when_its_addresses_are_gone(names: Names) -> None:
    with FakeTriton() as old, FakeTriton(host="127.0.0.2", port=old.port) as new:
        names.hosts = ["127.0.0.1"]
        client = TritonClient(config=_dns(old.port))
        client.infer("tracking", EVENT)
        old.stop()
        names.hosts = ["127.0.0.2"]
        assert client.infer("tracking", EVENT)["LABELS"].tolist() == [4, 7]
        assert len(new.requests) == 1
        assert client.counts.read()["retries"] == 1
        client.close()


def test_an_unknown_name_is_said(names: Names) -> None:
    names.known = False
    client = TritonClient(config=_dns(1))
    with pytest.raises(UnavailableError, match=r"no server answers at triton\.farm\.test:1: the name is not known"):
        client.infer("tracking", EVENT)
    assert names.calls == 3  # a DNS server may be late, too
    client.close()


@pytest.mark.parametrize("kind", ["blocking", "asyncio"])
def test_a_look_up_does_not_outlive_the_deadline(kind: str) -> None:
    over = threading.Event()

    def hang(host: str, port: int) -> list[str]:
        over.wait(60)
        return [f"{host}:{port}"]

    config = _dns(1, timeout_s=0.2, retry={"attempts": 1})
    try:
        with pytest.raises(UnavailableError, match=r"no answer within 0\.\d+ s"):
            if kind == "blocking":
                TritonClient(config=config, resolver=hang).infer("tracking", EVENT)
            else:
                asyncio.run(AsyncTritonClient(config=config, resolver=hang).infer("tracking", EVENT))
    finally:
        over.set()


def test_known_addresses_outlive_their_name(names: Names, caplog: pytest.LogCaptureFixture) -> None:
    with FakeTriton() as server:
        names.hosts = ["127.0.0.1"]
        client = TritonClient(config=_dns(server.port, dns_refresh_s=1e-9))
        client.infer("tracking", EVENT)
        names.known = False
        assert client.infer("tracking", EVENT)["LABELS"].tolist() == [4, 7]
        assert "its last addresses stay" in caplog.text
        client.close()


def test_addresses_of_both_families_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fd00::1", 8001, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 8001)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert resolve("farm", 8001) == ["[fd00::1]:8001", "10.0.0.1:8001"]


SERVERS = ("a:1", "b:1", "c:1")


@given(events=st.lists(st.tuples(st.sampled_from(SERVERS), st.booleans(), st.floats(0, 4)), max_size=30))
def test_only_servers_that_failed_lately_are_left_out(events: list[tuple[str, bool, float]]) -> None:
    now = 0.0
    until: dict[str, float] = {name: 0.0 for name in SERVERS}
    pool = ServerPool(config=TritonConfig(servers=SERVERS, skip_s=5), clock=lambda: now)
    for server, failed, seconds in events:
        if failed:
            pool.failed(server)
            until[server] = now + 5
        else:
            pool.answered(server)
            until[server] = 0.0
        now += seconds
        well = tuple(name for name in SERVERS if until[name] <= now)
        assert pool.candidates() == (well or SERVERS)


@given(st.integers(1, 5), st.integers(1, 40))
def test_round_robin_is_fair(servers: int, rounds: int) -> None:
    listed = tuple(f"s{number}:1" for number in range(servers))
    pool = ServerPool(config=TritonConfig(servers=listed, balance="round-robin"))
    orders = [pool.candidates() for _ in range(rounds * servers)]
    assert all(sorted(order) == sorted(listed) for order in orders)
    assert [sum(order[0] == name for order in orders) for name in listed] == [rounds] * servers


def _fallback(client: TritonClient, chain: Chain, clock: list[float]) -> FallbackClient:
    return FallbackClient(client, DirectClient(chain), outage_s=5, clock=lambda: clock[0])


def test_the_fallback_is_logged_and_counted(chain: Chain, caplog: pytest.LogCaptureFixture) -> None:
    port = free_ports(1)[0]
    config = TritonConfig.model_validate({"servers": [f"127.0.0.1:{port}"], "retry": RETRY, "skip_s": 0.01})
    clock = [0.0]
    client = _fallback(TritonClient(config=config), chain, clock)
    wanted = DirectClient(chain).infer("tracking", EVENT)["LABELS"]
    for _ in range(3):
        assert np.array_equal(client.infer("tracking", EVENT)["LABELS"], wanted)
    assert client.metadata("tracking").platform == "direct (golden)"
    assert client.counts.read() == {"requests": 1, "retries": 2, "failovers": 0, "fallbacks": 3}
    warned = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warned) == 1 and f"no server answers at 127.0.0.1:{port}" in warned[0].getMessage()
    with FakeTriton(port=port) as server:
        client.infer("tracking", EVENT)
        assert server.requests == []  # the outage is taken to last

        def comes_back() -> bool:  # gRPC waits to connect
            clock[0] += 6
            labels = client.infer("tracking", EVENT)["LABELS"].tolist()
            return bool(server.requests) and labels == [4, 7]

        assert eventually(comes_back)
        assert client.metadata("tracking").platform.startswith("fake at")
    client.close()


@pytest.mark.parametrize(
    ("status", "kind"), [("INVALID_ARGUMENT", DataError), ("INTERNAL", ServiceError), ("hang", DeadlineError)]
)
def test_only_unavailable_falls_back(chain: Chain, status: str, kind: type[Exception]) -> None:
    with FakeTriton([status]) as server:
        config = TritonConfig.model_validate({"servers": [server.url], "retry": RETRY, "timeout_s": 0.3})
        client = _fallback(TritonClient(config=config), chain, [0.0])
        with pytest.raises(kind):
            client.infer("tracking", EVENT)
        assert client.counts.read()["fallbacks"] == 0
        client.close()


def test_asyncio_falls_back_too(chain: Chain) -> None:
    config = TritonConfig.model_validate({"servers": [f"127.0.0.1:{free_ports(1)[0]}"], "retry": RETRY})

    async def run() -> tuple[list[int], dict[str, int], str]:
        secondary = AsyncLocalClient(DirectClient(chain))
        client = AsyncFallbackClient(AsyncTritonClient(config=config), secondary, outage_s=5)
        labels = [(await client.infer("tracking", EVENT))["LABELS"].tolist() for _ in range(2)]
        metadata = await client.metadata("tracking")
        await client.close()
        assert labels[0] == labels[1]
        return labels[0], client.counts.read(), metadata.platform

    labels, counts, platform = asyncio.run(run())
    assert labels == DirectClient(chain).infer("tracking", EVENT)["LABELS"].tolist()
    assert (counts["requests"], counts["fallbacks"]) == (1, 2)
    assert platform == "direct (golden)"


def test_without_asking_nothing_falls_back(chain_directory: Any) -> None:
    triton = {"servers": [f"127.0.0.1:{free_ports(1)[0]}"], "retry": RETRY}
    direct = {"model": chain_directory, "device": "golden"}
    values = {"engine": "triton", "triton": triton, "direct": direct}
    client = open_inference_client(ClientConfig.model_validate(values))
    with pytest.raises(UnavailableError):
        client.infer("tracking", EVENT)
    client.close()
    asked = ClientConfig.model_validate({**values, "fall_back_to_direct": True})
    client = open_inference_client(asked)
    assert client.infer("tracking", EVENT)["LABELS"].shape == (2,)
    client.close()

    async def run() -> Any:
        other = open_async_client(asked)
        labels = (await other.infer("tracking", EVENT))["LABELS"]
        await other.close()
        return labels.shape

    assert asyncio.run(run()) == (2,)
