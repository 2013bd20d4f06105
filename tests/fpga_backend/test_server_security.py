"""TLS of both sides and restricted protocols, with the real server; wrong files are told before it starts."""

from __future__ import annotations

import json
import shutil
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from hitfabric.core import ConfigError, ServiceError
from hitfabric.fpga_backend import TritonClient, TritonConfig, TritonServer, UnavailableError
from hitfabric.fpga_backend.server_security import GRPC_HEADER, HEADER, PROTOCOLS, Restriction, ServerTls
from support.certificates import Authority

TOKEN = "a-token-of-tests"
ROWS = {"features": np.ones((3, 6), np.float32)}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: no certificates can be made")
    return Authority(tmp_path_factory.mktemp("certificates") / "ours")


@pytest.fixture(scope="module")
def tls(authority: Authority) -> ServerTls:
    certificate, key = authority.sign("server", "IP:127.0.0.1")
    return ServerTls(certificate=certificate, key=key, authorities=authority.certificate)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, repository: Path, tls: ServerTls) -> Iterator[TritonServer]:
    """A server on every interface, with mutual TLS and administration by token."""
    folder = tmp_path_factory.mktemp("guarded")
    shutil.copytree(repository / "embedding", folder / "models" / "embedding")
    (folder / "token").write_text(TOKEN + "\n")
    server = TritonServer(
        repository=folder / "models",
        log=folder / "server.log",
        address="0.0.0.0",
        tls=tls,
        restriction=Restriction(token_file=folder / "token"),
        model_control="explicit",
    )
    with server:
        yield server


def _ask(server: TritonServer, **tls: Path) -> tuple[int, ...]:
    options = {"servers": [server.url], "retry": {"attempts": 1}, "timeout_s": 5, "connect_timeout_s": 2}
    client = TritonClient(config=TritonConfig.model_validate({**options, "tls": tls or None}))
    try:
        return client.infer("embedding", ROWS)["embedding"].shape
    finally:
        client.close()


def test_only_clients_with_a_certificate_of_the_authority_are_served(
    guarded: TritonServer, authority: Authority, tmp_path: Path
) -> None:
    certificate, key = authority.sign("client", "DNS:client")
    root = authority.certificate
    assert _ask(guarded, authorities=root, certificate=certificate, key=key) == (3, 8)
    stranger = Authority(tmp_path / "strangers")
    theirs, their_key = stranger.sign("client", "DNS:client")
    for wrong in (
        {},
        {"authorities": root},
        {"authorities": root, "certificate": theirs, "key": their_key},
        {"authorities": stranger.certificate, "certificate": certificate, "key": key},
    ):
        with pytest.raises(UnavailableError, match="no server answers"):
            _ask(guarded, **wrong)


def test_administration_takes_the_token(guarded: TritonServer, authority: Authority) -> None:
    certificate, key = authority.sign("admin", "DNS:admin")
    with triton.InferenceServerClient(
        guarded.url,
        ssl=True,
        root_certificates=str(authority.certificate),
        private_key=str(key),
        certificate_chain=str(certificate),
    ) as control:
        assert control.is_model_ready("embedding")
        for headers in ({}, {GRPC_HEADER: "guess"}):
            for call in (control.load_model, control.unload_model):
                with pytest.raises(InferenceServerException, match="restricted"):
                    call("embedding", headers=headers)
        control.load_model("embedding", headers={GRPC_HEADER: TOKEN})
    assert TOKEN not in guarded.log.read_text()
    index = f"http://127.0.0.1:{guarded.ports.http}/v2/repository/index"
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(urllib.request.Request(index, method="POST"), timeout=5)
    with urllib.request.urlopen(
        urllib.request.Request(index, method="POST", headers={HEADER: TOKEN}), timeout=5
    ) as answer:
        assert [each["name"] for each in json.load(answer)] == ["embedding"]


def test_only_the_encrypted_protocol_leaves_the_loopback_address(guarded: TritonServer) -> None:
    # Every address of 127.0.0.0/8 is of this machine, but only what listens everywhere is to be found at all of them.
    with socket.create_connection(("127.0.0.2", guarded.ports.grpc), timeout=5):
        pass
    for port in (guarded.ports.http, guarded.ports.metrics):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), timeout=5)


@pytest.mark.parametrize("address", ["0.0.0.0", "192.0.2.7"])
def test_other_addresses_need_tls(repository: Path, tmp_path: Path, address: str) -> None:
    server = TritonServer(repository=repository, log=tmp_path / "log", address=address)
    with pytest.raises(ConfigError, match="--insecure"):
        server.start()


def test_addresses_that_are_none_of_ours_are_named(repository: Path, tmp_path: Path) -> None:
    server = TritonServer(repository=repository, log=tmp_path / "log", address="192.0.2.7", insecure=True)
    with pytest.raises(ServiceError, match=r"192\.0\.2\.7"):
        server.start()
    for address in ("farm", "::1", ""):
        with pytest.raises(ConfigError, match="no IPv4 address"):
            TritonServer(repository=repository, log=tmp_path / "log", address=address).start()
    assert list(tmp_path.iterdir()) == []


def test_files_that_do_not_fit_are_told_before_the_start(authority: Authority, tls: ServerTls, tmp_path: Path) -> None:
    _, other = authority.sign("other", "DNS:other")
    with pytest.raises(ConfigError, match="PEM"):
        ServerTls(certificate=tls.certificate, key=other).check()
    with pytest.raises(ConfigError, match="is no file"):
        ServerTls(certificate=tls.certificate, key=tmp_path / "key.pem").check()
    (tmp_path / "text").write_text("no certificate")
    with pytest.raises(ConfigError, match="PEM"):
        ServerTls(certificate=tls.certificate, key=tls.key, authorities=tmp_path / "text").check()
    tls.check()


@pytest.mark.parametrize("text", ["", " \n", "two words", "comma,", "a=b", "ü", "a\nb"])
def test_tokens_that_are_no_header_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "token").write_text(text)
    with pytest.raises(ConfigError, match="holds no token"):
        Restriction(token_file=tmp_path / "token").check()


def test_what_cannot_be_restricted_is_named(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    Restriction(token_file=tmp_path / "token", protocols=PROTOCOLS).check()
    for protocols in (("everything",), ("health",), ()):
        with pytest.raises(ConfigError, match="protocol"):
            Restriction(token_file=tmp_path / "token", protocols=protocols).check()
    with pytest.raises(ConfigError, match="cannot read the token"):
        Restriction(token_file=tmp_path / "none").check()
