"""`hitfabric repository` and `hitfabric serve`: options in, models written, server kept running."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from ..core import ConfigError, Verbosity, verbosity
from .options import AsJson, ConfigFile, ModelPath, Out, Overrides, configure
from .printing import print_json

if TYPE_CHECKING:
    from ..fpga_backend.server_log import LogEntry

STYLES = {"error": "bold red", "warning": "yellow", "info": "green"}
OLD_BUILD = (
    "this tritonserver is an old development build without security fixes; beyond this machine run the vendor's image, "
    "see docs/deploy.md"
)

Chain = Annotated[
    str | None, typer.Option("--chain", metavar="NAME", help="A shipped chain, instead of --model, as event-full.")
]
Detector = Annotated[
    str | None,
    typer.Option("--name", metavar="DETECTOR", help="Prefix of the models, as itk for itk_tracking. Default: none."),
]
Version = Annotated[
    int | None,
    typer.Option(
        "--version",
        metavar="N",
        min=1,
        help="Write version N beside those that are there. Default: version 1 in place of all.",
    ),
]
Replace = Annotated[bool, typer.Option("--replace", help="With --version: an existing version N is replaced.")]
Versions = Annotated[
    int | None,
    typer.Option("--versions", metavar="K", min=1, help="The newest K versions are served. Default: all."),
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device", metavar="native|numpy|csim|golden|xrt|shadow", help="What computes behind it. Default: native."
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--setting", metavar="NAME=VALUE", help="Setting of the device, as check_share=0.05. Repeatable."),
]
Instances = Annotated[int | None, typer.Option("--instances", min=1, help="Workers per model. Default: 1.")]
Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="Threads of a worker. Default: all cores, or a share with --instances."),
]
QueueSize = Annotated[
    int | None,
    typer.Option(
        "--max-queue-size", min=1, help="Most requests waiting for a model; then UNAVAILABLE. Default: no limit."
    ),
]
QueueDelay = Annotated[
    int | None,
    typer.Option("--max-queue-delay-us", min=0, help="How long rows wait for more requests (us). Default: 0."),
]
Python = Annotated[
    Path | None, typer.Option("--python", metavar="FILE", help="Interpreter of the workers. Default: this one.")
]


def repository(
    folder: Annotated[Path | None, typer.Option("--repository", metavar="DIR", help="Repository to write.")] = None,
    model: ModelPath = None,
    chain: Chain = None,
    name: Detector = None,
    version: Version = None,
    replace: Replace = False,
    versions: Versions = None,
    device: Device = None,
    setting: Settings = None,
    instances: Instances = None,
    threads: Threads = None,
    max_queue_size: QueueSize = None,
    max_queue_delay_us: QueueDelay = None,
    python: Python = None,
    config: ConfigFile = None,
    assignments: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Write the Triton model repository of a chain, for a volume, an image or hitfabric serve.

    Models of other names in it stay. With --version a new version is added whole; a running server takes it when it is
    told to load the model.
    """
    from ..fpga_backend.repository_versions import model_names
    from ..pipeline.serve import RepositoryConfig
    from ..pipeline.serve import repository as run

    options = {
        "repository": folder,
        "model": model,
        "chain": chain,
        "name": name,
        "version": version,
        "replace": replace or None,
        "versions": versions,
        "device": device,
        "instances": instances,
        "threads": threads,
        "max_queue_size": max_queue_size,
        "max_queue_delay_us": max_queue_delay_us,
        "python": python,
        **_settings(setting),
    }
    written = run(configure(RepositoryConfig, config, assignments, options))
    if as_json:
        print_json({"repository": str(written), "models": model_names(written)})
        return
    typer.echo(f"{written}: {', '.join(model_names(written))}")
    typer.echo(f"next: hitfabric serve --repository {written}")


def serve(
    model: ModelPath = None,
    out: Out = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--repository",
            metavar="DIR",
            help="Model repository: served as it is, or written first if a model or anything of it is given. "
            "Default: one in --out.",
        ),
    ] = None,
    chain: Chain = None,
    name: Detector = None,
    version: Version = None,
    replace: Replace = False,
    versions: Versions = None,
    device: Device = None,
    setting: Settings = None,
    instances: Instances = None,
    threads: Threads = None,
    max_queue_size: QueueSize = None,
    max_queue_delay_us: QueueDelay = None,
    python: Python = None,
    grpc_port: Annotated[
        int | None, typer.Option("--grpc-port", help="gRPC port; 0 takes a free one. Default: 8001.")
    ] = None,
    http_port: Annotated[int | None, typer.Option("--http-port", help="HTTP port. Default: 8000.")] = None,
    metrics_port: Annotated[int | None, typer.Option("--metrics-port", help="Metrics port. Default: 8002.")] = None,
    free_ports: Annotated[bool, typer.Option("--free-ports", help="Take free ports where none is given.")] = False,
    address: Annotated[
        str | None,
        typer.Option("--address", metavar="IP", help="Where gRPC listens; others than loopback need TLS."),
    ] = None,
    tls_certificate: Annotated[
        Path | None,
        typer.Option("--tls-certificate", metavar="FILE", help="PEM certificate of the server: gRPC by TLS."),
    ] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", metavar="FILE", help="PEM key of it.")] = None,
    tls_authorities: Annotated[
        Path | None,
        typer.Option("--tls-authorities", metavar="FILE", help="PEM authorities of clients: mutual TLS."),
    ] = None,
    insecure: Annotated[
        bool,
        typer.Option("--insecure", help="Let --address be without TLS, for HTTP and metrics too. Trust the network."),
    ] = False,
    admin_token: Annotated[
        Path | None,
        typer.Option(
            "--admin-token-file",
            metavar="FILE",
            help="Token for --restrict, in header admin-key (HTTP) or triton-grpc-protocol-admin-key (gRPC). Triton "
            "takes it as an argument only: users of this machine can see it in the list of processes.",
        ),
    ] = None,
    restrict: Annotated[
        str | None,
        typer.Option(
            "--restrict",
            metavar="PROTOCOL,...",
            help="What takes the token. Default: model-repository,shared-memory,trace,logging.",
        ),
    ] = None,
    model_control: Annotated[
        str | None,
        typer.Option(
            "--model-control",
            metavar="none|explicit",
            help="Whether clients may load models again. Default: explicit on loopback or with a token.",
        ),
    ] = None,
    restarts: Annotated[
        int | None, typer.Option("--restarts", min=0, help="Most restarts in a row of a server that dies. Default: 5.")
    ] = None,
    config: ConfigFile = None,
    assignments: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Start Triton with the FPGA backend, until Ctrl-C; it is started again if it dies.

    Serves the models embedding, filter, interaction_network and tracking, on the loopback interface unless --address
    says otherwise. The whole log is in --out; what matters of it is shown.
    """
    from ..fpga_backend.repository_versions import model_names
    from ..fpga_backend.server_log import LogFollower
    from ..fpga_backend.server_supervisor import Supervision, supervise
    from ..pipeline.serve import ServeConfig, prepare_server

    free = 0 if free_ports else None
    options = {
        "model": model,
        "out": out,
        "repository": folder,
        "chain": chain,
        "name": name,
        "version": version,
        "replace": replace or None,
        "versions": versions,
        "device": device,
        "instances": instances,
        "threads": threads,
        "max_queue_size": max_queue_size,
        "max_queue_delay_us": max_queue_delay_us,
        "python": python,
        "grpc_port": free if grpc_port is None else grpc_port,
        "http_port": free if http_port is None else http_port,
        "metrics_port": free if metrics_port is None else metrics_port,
        "address": address,
        "tls.certificate": tls_certificate,
        "tls.key": tls_key,
        "tls.authorities": tls_authorities,
        "insecure": insecure or None,
        "admin_token": admin_token,
        "restrict": None if restrict is None else [each.strip() for each in restrict.split(",")],
        "model_control": model_control,
        "restarts": restarts,
        **_settings(setting),
    }
    settings = configure(ServeConfig, config, assignments, options)
    server = prepare_server(settings)
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    if not server.local:
        _tell(console, "warning", OLD_BUILD)
    with LogFollower(server.log, lambda entry: _show(console, entry)), server:
        names = model_names(server.repository)
        if as_json:
            print_json({"models": names, "grpc": server.url, "metrics": server.metrics_url, "log": str(server.log)})
            sys.stdout.flush()  # whoever started this waits for it
        else:
            typer.echo(f"serving {', '.join(names)} at {server.url} (gRPC), metrics at {server.metrics_url}")
            typer.echo("press Ctrl-C to stop")
        supervision = Supervision(restarts=settings.restarts)
        supervise(server, supervision, lambda text: _tell(console, "warning", text))


def _settings(texts: Sequence[str] | None) -> dict[str, str]:
    found = {}
    for text in texts or ():
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise ConfigError(f"--setting {text!r} is not NAME=VALUE", remedy="write for example check_share=0.05")
        found[f"settings.{name}"] = value
    return found


def _show(console: Console, entry: LogEntry) -> None:
    _tell(console, entry.level, entry.text)


def _tell(console: Console, level: str, text: str) -> None:
    if level == "error" or verbosity() is not Verbosity.QUIET:
        console.print(Text.assemble((f"{level}: ", STYLES[level]), text))
