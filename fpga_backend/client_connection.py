"""Connections to servers by tritonclient: TLS, token, tensors to messages and back. Needs the extra `serve`."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..core import ConfigError, ServiceError
from .client_config import TlsConfig, TokenConfig, TritonConfig, split_address
from .client_metadata import ModelMetadata, TensorMetadata
from .client_steps import Describe, Infer, IsLive, OptionalInputs, ServerStep

LARGEST_MESSAGE = 2**31 - 1  # bytes; gRPC's default of 4 MB is less than an event
RECONNECT_MS = 100  # gRPC's own wait before it connects again; the retries have theirs


class Connector:
    """Makes connections as configured.

    Args:
        config: TLS, token and timeouts.

    Raises:
        ConfigError: A file of the TLS configuration cannot be read; it is named.
    """

    def __init__(self, config: TritonConfig) -> None:
        self._config = config
        self._credentials = None if config.tls is None else _credentials(config.tls)
        self.headers()  # a token that is missing is known now, not at the first event

    def open(self, library: ModuleType, server: str) -> Any:  # noqa: ANN401 - tritonclient has no types
        """An `InferenceServerClient` of `tritonclient.grpc` or `tritonclient.grpc.aio`."""
        return library.InferenceServerClient(server, creds=self._credentials, channel_args=self._options())

    def headers(self) -> dict[str, str] | None:
        """Headers of a request: the token as it is now.

        Raises:
            ConfigError: It cannot be read, or is empty.
        """
        token = self._config.token
        if token is None:
            return None
        return {token.header: f"{token.scheme} {_read_token(token)}".strip()}

    def _options(self) -> list[tuple[str, int | str]]:
        connect_ms = int(self._config.connect_timeout_s * 1e3)
        options: list[tuple[str, int | str]] = [
            ("grpc.max_send_message_length", LARGEST_MESSAGE),
            ("grpc.max_receive_message_length", LARGEST_MESSAGE),
            ("grpc.initial_reconnect_backoff_ms", RECONNECT_MS),
            ("grpc.max_reconnect_backoff_ms", max(connect_ms, RECONNECT_MS)),
            # Otherwise a client inherits the waits of others in this process that failed to connect to the same server.
            ("grpc.use_local_subchannel_pool", 1),
        ]
        if (name := self._server_name()) is not None:
            options.append(("grpc.ssl_target_name_override", name))
        return options

    def _server_name(self) -> str | None:
        """Name that the certificate is for; found by DNS, a server is connected to by its address."""
        if self._config.tls is None:
            return None
        if self._config.tls.server_name is not None or self._config.dns is None:
            return self._config.tls.server_name
        return split_address(self._config.dns)[0]


class Connections:
    """The open connections of a client, by server; may be used from several threads.

    Args:
        library: `tritonclient.grpc` or `tritonclient.grpc.aio`.
        connector: Opens them.
    """

    def __init__(self, library: ModuleType, connector: Connector) -> None:
        self._library = library
        self._connector = connector
        self._open: dict[str, Any] = {}
        self._closed = False
        self._lock = threading.Lock()

    def to(self, server: str) -> Any:  # noqa: ANN401 - tritonclient has no types
        """The connection to a server, opened on first use.

        Raises:
            ServiceError: The client was closed. A request that was about to be sent then must not begin.
        """
        with self._lock:
            if self._closed:
                raise ServiceError("the client was closed", remedy="open another one")
            if server not in self._open:
                self._open[server] = self._connector.open(self._library, server)
            return self._open[server]

    def keep(self, servers: Collection[str]) -> None:
        """Forget the other servers; requests under way keep their connection alive."""
        with self._lock:
            for server in self._open.keys() - set(servers):
                del self._open[server]

    def take_all(self) -> list[Any]:
        """All connections, for the client to close; there will be no others."""
        with self._lock:
            self._closed = True
            connections, self._open = list(self._open.values()), {}
            return connections


def call(library: ModuleType, connection: Any, step: ServerStep, headers: dict[str, str] | None) -> Any:  # noqa: ANN401
    """Ask a server what a step asks.

    Args:
        library: `tritonclient.grpc` or `tritonclient.grpc.aio`.
        connection: Its `InferenceServerClient`.
        step: What to ask.
        headers: Headers of the request.

    Returns:
        The answer as tritonclient gives it, for `result_of`; with `aio`, what to await for it.
    """
    if isinstance(step, IsLive):
        return connection.is_server_live(headers=headers, client_timeout=step.timeout)
    options = {"model_version": step.version, "headers": headers, "client_timeout": step.timeout}
    match step:
        case Describe():
            return connection.get_model_metadata(step.served_name, **options)
        case OptionalInputs():
            return connection.get_model_config(step.served_name, **options)
        case Infer():
            wanted = [library.InferRequestedOutput(name) for name in step.outputs]
            return connection.infer(step.served_name, _inputs(library, step), outputs=wanted, **options)


def result_of(step: ServerStep, answer: Any) -> Any:  # noqa: ANN401 - tritonclient has no types
    """What a plan expects of a step."""
    match step:
        case IsLive():
            return bool(answer)
        case Describe():
            return _metadata(step, answer)
        case OptionalInputs():
            return frozenset(tensor.name for tensor in answer.config.input if tensor.optional)
        case Infer():
            return {name: answer.as_numpy(name) for name in step.outputs}


def _inputs(library: ModuleType, step: Infer) -> list[Any]:
    from tritonclient.utils import np_to_triton_dtype

    tensors = []
    for name, array in step.inputs.items():
        tensor = library.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
        tensor.set_data_from_numpy(np.ascontiguousarray(array))
        tensors.append(tensor)
    return tensors


def _metadata(step: Describe, answer: Any) -> ModelMetadata:  # noqa: ANN401 - tritonclient has no types
    inputs, outputs = (
        {tensor.name: TensorMetadata(str(tensor.datatype), tuple(tensor.shape)) for tensor in tensors}
        for tensors in (answer.inputs, answer.outputs)
    )
    platform = f"{answer.platform or 'triton'} at {step.server}"
    return ModelMetadata(name=step.model, platform=platform, inputs=inputs, outputs=outputs)


def _credentials(tls: TlsConfig) -> Any:  # noqa: ANN401 - grpc has no types
    import grpc

    files: Mapping[str, Path | None] = {
        "root_certificates": tls.authorities,
        "private_key": tls.key,
        "certificate_chain": tls.certificate,
    }
    return grpc.ssl_channel_credentials(**{name: _read(path) for name, path in files.items()})


def _read(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", remedy="correct triton.tls") from error


def _read_token(config: TokenConfig) -> str:
    if config.file is not None:
        source, text = str(config.file), (_read_text(config.file))
    else:
        source, text = f"variable {config.environment}", os.environ.get(config.environment or "", "")
    token = text.strip()
    if not token or not token.isascii() or not token.isprintable():
        # The token itself is not shown: messages end up in logs.
        raise ConfigError(f"{source} holds no token", remedy="put the token there, one line")
    return token


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the token of {path}", remedy="correct triton.token.file") from error
