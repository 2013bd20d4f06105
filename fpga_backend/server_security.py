"""Who may talk to a server: encryption, certificates, protocols that take a token."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from ..core import ConfigError

PROTOCOLS = (  # health is not among them: whoever starts a server has to see when it is ready
    "metadata",
    "inference",
    "shared-memory",
    "model-config",
    "model-repository",
    "statistics",
    "trace",
    "logging",
)
ADMINISTRATION = ("model-repository", "shared-memory", "trace", "logging")
HEADER = "admin-key"
GRPC_HEADER = f"triton-grpc-protocol-{HEADER}"


@dataclass(frozen=True, kw_only=True)
class ServerTls:
    """Encryption of gRPC.

    Attributes:
        certificate: PEM file of the server's certificate chain.
        key: PEM file of its private key.
        authorities: PEM file of the authorities whose clients are let in; None lets every client in.
    """

    certificate: Path
    key: Path
    authorities: Path | None = None

    def check(self) -> None:
        """Check that the files are there and fit; the server itself would only say that it cannot start.

        Raises:
            ConfigError: A file cannot be read, or the key is not that of the certificate.
        """
        files = [file for file in (self.certificate, self.key, self.authorities) if file is not None]
        for file in files:
            if not file.is_file():
                raise ConfigError(f"{file} is no file", remedy="name a PEM file")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            # A key that asks for a passphrase would wait for the terminal, and the server cannot use it either.
            context.load_cert_chain(self.certificate, self.key, password="")
            if self.authorities is not None:
                context.load_verify_locations(self.authorities)
        except (ssl.SSLError, OSError, ValueError) as error:
            names = ", ".join(map(str, files))
            raise ConfigError(
                f"{names}: {error}", remedy="give a certificate, its key without a passphrase, and authorities, in PEM"
            ) from error

    def arguments(self) -> list[str]:
        """Arguments of tritonserver."""
        found = ["--grpc-use-ssl=true", f"--grpc-server-cert={self.certificate}", f"--grpc-server-key={self.key}"]
        if self.authorities is not None:
            found += [f"--grpc-root-cert={self.authorities}", "--grpc-use-ssl-mutual=true"]
        return found


@dataclass(frozen=True, kw_only=True)
class Restriction:
    """Protocols that only who knows a token may use.

    Clients send the token in the header `admin-key` over HTTP and `triton-grpc-protocol-admin-key` over gRPC. The
    server takes it as an argument only, so that users of the same machine can read it in the list of processes.

    Attributes:
        token_file: File that holds the token.
        protocols: Some of `PROTOCOLS`.
    """

    token_file: Path
    protocols: tuple[str, ...] = ADMINISTRATION

    def check(self) -> None:
        """Check names and token.

        Raises:
            ConfigError: A name is unknown, or the file holds no token that can be a header.
        """
        if unknown := sorted(set(self.protocols) - set(PROTOCOLS)):
            raise ConfigError(f"protocol {unknown[0]!r} is unknown", remedy=f"use {', '.join(PROTOCOLS)}")
        if not self.protocols:
            raise ConfigError("no protocol is restricted", remedy="name one, or leave the token out")
        self._token()

    def arguments(self) -> list[str]:
        """Arguments of tritonserver, with the token in them."""
        rule = f"{','.join(self.protocols)}:{HEADER}={self._token()}"
        return [f"--grpc-restricted-protocol={rule}", f"--http-restricted-api={rule}"]

    def _token(self) -> str:
        try:
            token = self.token_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read the token {self.token_file}: {error}", remedy="name a readable file") from (
                error
            )
        if not token or not token.isascii() or not token.isprintable() or set(token) & set(" :=,"):
            raise ConfigError(
                f"{self.token_file} holds no token", remedy="write one word of letters and digits into it"
            )
        return token
