"""Encryption, certificates of both sides, and tokens; the certificates are made here, by openssl."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from hitfabric.core import ConfigError, ServiceError
from hitfabric.fpga_backend import TritonClient, TritonConfig, UnavailableError
from support.certificates import Authority
from support.fake_triton import FakeTriton

EVENT = {"FEATURES": np.array([[4, 0, 0], [7, 0, 0]], np.float32)}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: no certificates can be made")
    return Authority(tmp_path_factory.mktemp("certificates") / "ours")


def _credentials(authority: Authority, *, ask_client: bool = False) -> Any:
    certificate, key = authority.sign("server", "DNS:triton.farm.test")
    pair = (key.read_bytes(), certificate.read_bytes())
    root = authority.certificate.read_bytes() if ask_client else None
    return grpc.ssl_server_credentials([pair], root, ask_client)


def _labels(**options: Any) -> list[int]:
    values = {"timeout_s": 5, "connect_timeout_s": 2, "retry": {"attempts": 1}, **options}
    client = TritonClient(config=TritonConfig.model_validate(values))
    try:
        return client.infer("tracking", EVENT)["LABELS"].tolist()
    finally:
        client.close()


def test_tls_with_our_authority(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeTriton(credentials=_credentials(authority)) as server:
        tls = {"authorities": authority.certificate}
        assert _labels(servers=[server.url], tls={**tls, "server_name": "triton.farm.test"}) == [4, 7]
        with pytest.raises(UnavailableError, match="no server answers"):
            _labels(servers=[server.url], tls=tls)  # the certificate is for another name
        with pytest.raises(UnavailableError, match="no server answers"):
            _labels(servers=[server.url])  # without TLS
        # Found by DNS, the server is known by its name though it is connected to by its address.
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        assert _labels(dns=f"triton.farm.test:{server.port}", tls=tls) == [4, 7]


def test_a_server_of_another_authority_is_refused(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    with FakeTriton(credentials=_credentials(other)) as server:
        tls = {"authorities": authority.certificate, "server_name": "triton.farm.test"}
        with pytest.raises(UnavailableError, match=r"(?i)no server answers.*(ssl|tls|certificate|handshake)"):
            _labels(servers=[server.url], tls=tls)
        assert server.requests == []


def test_mtls_asks_for_the_clients_certificate(authority: Authority) -> None:
    certificate, key = authority.sign("client", "DNS:client.test")
    with FakeTriton(credentials=_credentials(authority, ask_client=True)) as server:
        tls = {"authorities": authority.certificate, "server_name": "triton.farm.test"}
        assert _labels(servers=[server.url], tls={**tls, "certificate": certificate, "key": key}) == [4, 7]
        with pytest.raises(UnavailableError):
            _labels(servers=[server.url], tls=tls)
        assert len(server.requests) == 1


def test_a_token_is_sent_and_read_anew(authority: Authority, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    with FakeTriton(credentials=_credentials(authority), token="Bearer first") as server:
        tls = {"authorities": authority.certificate, "server_name": "triton.farm.test"}
        values = {"servers": [server.url], "tls": tls, "token": {"file": token}, "retry": {"attempts": 1}}
        client = TritonClient(config=TritonConfig.model_validate(values))
        assert client.infer("tracking", EVENT)["LABELS"].tolist() == [4, 7]
        server.token = "Bearer second"
        with pytest.raises(ServiceError, match="refuses this client: no such token") as refused:
            client.infer("tracking", EVENT)
        assert "first" not in str(refused.value)
        token.write_text("second")
        assert client.infer("tracking", EVENT)["LABELS"].tolist() == [4, 7]
        client.close()
        with pytest.raises(ServiceError, match="refuses this client"):
            _labels(servers=[server.url], tls=tls)


def test_a_token_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARM_TOKEN", "secret")
    with FakeTriton(token="secret") as server:
        token = {"environment": "FARM_TOKEN", "scheme": ""}
        assert _labels(servers=[server.url], token=token) == [4, 7]
        server.then = "UNAVAILABLE"
        with pytest.raises(UnavailableError, match="failed: said UNAVAILABLE"):  # lives: asked with the token
            _labels(servers=[server.url], token=token)
        monkeypatch.setenv("FARM_TOKEN", "two\nlines")
        with pytest.raises(ConfigError, match="variable FARM_TOKEN holds no token") as refused:
            _labels(servers=[server.url], token=token)
        assert "two" not in str(refused.value)
        monkeypatch.delenv("FARM_TOKEN")
        with pytest.raises(ConfigError, match="variable FARM_TOKEN holds no token"):
            _labels(servers=[server.url], token=token)


def test_files_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*nowhere\.pem"):
        _labels(tls={"authorities": tmp_path / "nowhere.pem"})
    with pytest.raises(ConfigError, match=r"cannot read the token of .*nowhere"):
        _labels(token={"file": tmp_path / "nowhere"})
