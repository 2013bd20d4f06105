"""Writes the Triton model repository of one or more chains, in one or more versions."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..core import ConfigError, atomic_directory, atomic_file
from .chain import check_interfaces, load_config, load_graphs
from .device_settings import DeviceSettings
from .names import NETWORKS, TRACKING
from .repository_config import model_config
from .repository_versions import (
    CONFIG_FILE,
    MODEL_DIRECTORY,
    check_ours,
    check_versions,
    move_in,
    staging,
    version_numbers,
)
from .signature import Signature, network_signature, tracking_signature

FIRST_VERSION = 1
VERSION_DIRECTORY = str(FIRST_VERSION)
DETECTOR = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """How every model of a chain is served.

    Attributes:
        device: Device of the workers (`device_names.DEVICES`).
        instances: Worker processes per model.
        threads: Threads of a worker. None lets a single worker take all cores of the machine that serves, and gives
            each of several an equal share of the cores of this machine, at least one, so that they do not fight.
        settings: Settings of the device, each `name=value`.
        max_queue_size: Most requests that wait for a model; one more is answered UNAVAILABLE. None sets no limit.
        max_queue_delay_us: How long, in us, a batch of rows waits for more requests; None sends it at once.
        versions: The newest so many versions are served; None serves all.
        python: Python interpreter of the workers, with hitfabric installed.
        worker_timeout_ms: Longest time one batch may take before its worker is replaced.
        worker_start_timeout_ms: Longest time a worker may take to load its model.
    """

    device: str = "native"
    instances: int = 1
    threads: int | None = None
    settings: Sequence[str] = field(default_factory=tuple)
    max_queue_size: int | None = None
    max_queue_delay_us: int | None = None
    versions: int | None = None
    python: Path | str = sys.executable
    worker_timeout_ms: int = 60_000
    worker_start_timeout_ms: int = 300_000

    def parameters(self) -> dict[str, str]:
        """Parameters of the backend and of the device for `config.pbtxt`.

        Raises:
            ConfigError: Unknown device, a setting it does not have, or a number that is not positive.
        """
        numbers = (self.instances, self.threads, self.max_queue_size, self.versions)
        timeouts = (self.worker_timeout_ms, self.worker_start_timeout_ms)
        if min(number for number in (*numbers, *timeouts) if number is not None) < 1:
            raise ConfigError(
                "instances, threads, queue size, versions and timeouts must be positive", remedy="give at least 1"
            )
        if self.max_queue_delay_us is not None and self.max_queue_delay_us < 0:
            raise ConfigError("the queue delay is negative", remedy="give microseconds")
        settings = list(self.settings)
        threads = self.threads
        if threads is None and self.instances > 1 and not any(text.startswith("threads=") for text in settings):
            threads = max(1, len(os.sched_getaffinity(0)) // self.instances)
        if threads is not None:
            settings.append(f"threads={threads}")
        DeviceSettings.parse(settings).check_device(self.device)
        return {
            "device": self.device,
            "python": str(self.python),
            "worker_timeout_ms": str(self.worker_timeout_ms),
            "worker_start_timeout_ms": str(self.worker_start_timeout_ms),
            **dict(text.split("=", 1) for text in settings),
        }


@dataclass(frozen=True, kw_only=True)
class _Part:
    """One model to write."""

    source: Path
    signature: Signature
    config: str

    def write_version(self, version: Path) -> None:
        shutil.copytree(self.source, version / MODEL_DIRECTORY)
        self.signature.save(version)


def write_repository(
    directory: Path,
    chain_directory: Path,
    *,
    device: str = "native",
    instances: int = 1,
    python: Path | str = sys.executable,
    worker_timeout_ms: int = 60_000,
    worker_start_timeout_ms: int = 300_000,
    name: str | None = None,
    version: int | None = None,
    replace: bool = False,
    options: ModelOptions | None = None,
) -> Path:
    """Write the models `embedding`, `filter`, `interaction_network` and `tracking` of a chain into a repository.

    Everything the workers need is copied into it, so that the repository can be moved or mounted as a whole. Models
    of other names that are there stay. A server that is told to load a model meanwhile sees no half of a version.

    Args:
        directory: Repository; it is made where there is none, whole or not at all.
        chain_directory: Chain to serve.
        device: See `ModelOptions`.
        instances: See `ModelOptions`.
        python: See `ModelOptions`.
        worker_timeout_ms: See `ModelOptions`.
        worker_start_timeout_ms: See `ModelOptions`.
        name: Detector; its models are called `<name>_embedding` and so on. None gives no prefix.
        version: Version to write, beside those that are there; the options hold for all of them. None writes version 1
            in place of all versions of these models.
        replace: Let `version` take the place of an existing version of that number. Workers that start again read the
            new one even before the server is told to load it.
        options: Everything in one object, in place of the single options.

    Returns:
        `directory`.

    Raises:
        ConfigError: Unknown device, a number that is not positive, a directory or model that is not ours, a version
            that exists or takes and gives something else than those it would be served with.
        GraphError: The chain directory is incomplete or malformed.
    """
    options = options or ModelOptions(
        device=device,
        instances=instances,
        python=python,
        worker_timeout_ms=worker_timeout_ms,
        worker_start_timeout_ms=worker_start_timeout_ms,
    )
    if name is not None and not DETECTOR.fullmatch(name):
        raise ConfigError(f"name {name!r} is no name of a detector", remedy="use letters, digits, - and _")
    if version is not None and version < 1:
        raise ConfigError(f"version {version} is not positive", remedy="give at least 1")
    parts = _parts(chain_directory, name, options)
    check_ours(directory, tuple(parts))
    if not directory.exists():
        with atomic_directory(directory) as temporary:
            for model, part in parts.items():
                _write_model(temporary / model, part, version or FIRST_VERSION)
    elif version is None:
        with staging(directory) as prepared:
            for model, part in parts.items():
                _write_model(prepared / model, part, FIRST_VERSION)
            for model in parts:
                move_in(prepared / model, directory / model)
    else:
        _add_version(directory, parts, version, replace=replace)
    return directory


def _parts(chain_directory: Path, detector: str | None, options: ModelOptions) -> dict[str, _Part]:
    parameters = options.parameters()
    graphs = load_graphs(chain_directory)
    check_interfaces(graphs, load_config(chain_directory))
    answering = DeviceSettings.parse(options.settings).answering(options.device)
    signatures = {name: network_signature(graphs[name], device=answering) for name in NETWORKS}
    signatures[TRACKING] = tracking_signature()
    prefix = f"{detector}_" if detector else ""
    return {
        prefix + name: _Part(
            source=chain_directory if name == TRACKING else chain_directory / name,
            signature=signature,
            config=model_config(
                prefix + name,
                signature,
                instances=options.instances,
                parameters=parameters,
                max_queue_size=options.max_queue_size,
                max_queue_delay_us=options.max_queue_delay_us,
                versions=options.versions,
            ),
        )
        for name, signature in signatures.items()
    }


def _write_model(folder: Path, part: _Part, version: int) -> None:
    part.write_version(folder / str(version))
    (folder / CONFIG_FILE).write_text(part.config, encoding="utf-8")


def _add_version(directory: Path, parts: Mapping[str, _Part], version: int, *, replace: bool) -> None:
    for model, part in parts.items():
        if version in version_numbers(directory / model) and not replace:
            raise ConfigError(
                f"{directory / model} has version {version} already", remedy="give another number, or --replace"
            )
        check_versions(directory / model, part.signature, version)
    with staging(directory) as prepared:
        for model, part in parts.items():
            _write_model(prepared / model, part, version)
        for model, part in parts.items():
            if not (directory / model).exists():
                move_in(prepared / model, directory / model)
                continue
            move_in(prepared / model / str(version), directory / model / str(version))
            # After the version: the configuration of before describes the new version as well.
            with atomic_file(directory / model / CONFIG_FILE) as temporary:
                temporary.write_text(part.config, encoding="utf-8")
