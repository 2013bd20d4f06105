"""The YAML that chooses a client: in process, float reference or server, with no change of code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from ..core import StrictModel

Engine = Literal["direct", "onnx", "triton"]
ENGINES: tuple[Engine, ...] = ("direct", "onnx", "triton")
DEFAULT_URL = "127.0.0.1:8001"
LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `host:port` or `[IPv6]:port`.

    Raises:
        ValueError: There is no host, or no port from 1 to 65535.
    """
    host, _, port = address.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not bare or (":" in bare) != host.startswith("[") or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{address!r} is not host:port")
    return bare, int(port)


def _checked(address: str) -> str:
    split_address(address)
    return address


Address = Annotated[str, AfterValidator(_checked)]


class RetryConfig(StrictModel):
    """Retries of requests that were answered UNAVAILABLE; nothing else is sent again.

    Attributes:
        attempts: Rounds over the servers; 1 asks every server once.
        first_wait_s: Longest wait before the second round.
        factor: By how much it grows from round to round.
        longest_wait_s: Where it stops growing.
        jitter: Share of each wait that is drawn by chance, so that clients do not return all at once.
    """

    attempts: int = Field(default=5, ge=1)
    first_wait_s: Seconds = 0.05
    factor: float = Field(default=2.0, ge=1, allow_inf_nan=False)
    longest_wait_s: Seconds = 2.0
    jitter: float = Field(default=0.5, ge=0, le=1)


class TlsConfig(StrictModel):
    """Encrypted connections.

    Attributes:
        authorities: PEM file of the authorities that sign servers; None takes those of the system.
        certificate: PEM file of this client's certificate chain, for servers that ask for one (mTLS).
        key: PEM file of its private key.
        server_name: Name the server's certificate is for, where it is not the host connected to.
    """

    authorities: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str | None = None

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together: give both or none")
        return self


class TokenConfig(StrictModel):
    """A token sent with every request. It is read anew each time, as tokens are replaced while programs run.

    Attributes:
        file: File that holds it.
        environment: Environment variable that holds it.
        header: Header it is sent in, lower case.
        scheme: Word before it; empty sends the token alone.
    """

    file: Path | None = None
    environment: str | None = None
    header: str = Field(default="authorization", pattern=r"^[0-9a-z_.-]+$")
    scheme: str = "Bearer"

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.file is None) == (self.environment is None):
            raise ValueError("give either file or environment")
        return self


class TritonConfig(StrictModel):
    """Servers that speak Triton's gRPC protocol.

    Attributes:
        servers: `host:port` of each, in the order of preference.
        dns: `name:port` whose addresses are the servers; replaces `servers`.
        dns_refresh_s: How long the addresses are taken to be right.
        balance: `first` asks the first server that is well, `round-robin` each in turn.
        timeout_s: Deadline of a request, with everything done for it: connection, check, retries.
        connect_timeout_s: Longest time for a server to say what it serves; then it counts as gone.
        retry: Retries.
        skip_s: How long a server that was gone or unavailable is left out while another is well.
        tls: Encryption; None is none.
        token: Token; None is none. Without `tls` only servers of this machine get it.
        names: Name under which a model is served, where it differs, as `tracking: tracking_itk`.
        version: Version of the models; None takes the server's choice.
    """

    servers: tuple[Address, ...] = Field(default=(DEFAULT_URL,), min_length=1)
    dns: Address | None = None
    dns_refresh_s: Seconds = 30.0
    balance: Literal["first", "round-robin"] = "first"
    timeout_s: Seconds = 120.0
    connect_timeout_s: Seconds = 5.0
    retry: RetryConfig = RetryConfig()
    skip_s: Seconds = 5.0
    tls: TlsConfig | None = None
    token: TokenConfig | None = None
    names: dict[str, str] = Field(default_factory=dict)
    version: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if self.dns is not None and "servers" in self.model_fields_set:
            raise ValueError("give either servers or dns")
        hosts = [split_address(address)[0] for address in ((self.dns,) if self.dns else self.servers)]
        if self.token is not None and self.tls is None and (away := [h for h in hosts if h not in LOCAL_HOSTS]):
            raise ValueError(f"without tls the token would travel readable to {away[0]}")
        return self


class DirectConfig(StrictModel):
    """Computing in this process.

    Attributes:
        model: Chain directory, or typed graph directory of a single network.
        device: Executor.
    """

    model: Path
    device: Literal["native", "numpy", "csim", "golden"] = "native"


class OnnxConfig(StrictModel):
    """The float reference in this process, by ONNX Runtime.

    Attributes:
        model: Directory of `chain.json` and `<network>.onnx`, or one .onnx file.
        threads: Threads; None lets ONNX Runtime choose.
    """

    model: Path
    threads: int | None = Field(default=None, ge=1)


class ClientConfig(StrictModel):
    """Which client, and what each would need; a file may hold all and change `engine` alone.

    Attributes:
        engine: direct, onnx or triton.
        direct: In this process.
        onnx: The float reference.
        triton: Servers.
        fall_back_to_direct: Compute in this process when no server answers.
        in_flight: Most requests under way in a stream of events.
    """

    engine: Engine
    direct: DirectConfig | None = None
    onnx: OnnxConfig | None = None
    triton: TritonConfig = TritonConfig()
    fall_back_to_direct: bool = False
    in_flight: int = Field(default=4, ge=1, le=1024)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.engine == "onnx" and self.onnx is None:
            raise ValueError("engine onnx needs onnx.model")
        if (self.engine == "direct" or self.fall_back_to_direct) and self.direct is None:
            raise ValueError("direct.model is missing: give the chain to compute in this process")
        if self.fall_back_to_direct and self.engine != "triton":
            raise ValueError(f"fall_back_to_direct has no meaning with engine {self.engine}")
        return self
