"""New versions, reloads and damaged firmware, while requests go on."""

from __future__ import annotations

import os
import shutil
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import tritonclient.grpc as grpc
from tritonclient.utils import InferenceServerException

from hitfabric.fpga_backend import MODELS

PAUSE = 0.3
DAMAGED = {"embedding": "model/weights.npz", "filter": "model/graph.json", "interaction_network": "model/weights.npz"}
"""What is damaged in the firmware of each network; of the chain, the filter's weights."""


@dataclass(kw_only=True)
class Done:
    """What was done to the repository under load.

    Attributes:
        counts: By kind: reloads, versions, instance_changes, refused.
        reasons: What the server said of damaged firmware.
        errors: Loads that went wrong, or damaged firmware that was taken: none is right.
    """

    counts: Counter[str] = field(default_factory=Counter)
    reasons: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class Rollout(threading.Thread):
    """Changes one model after another until it is stopped.

    Args:
        url: `host:port` of a server with explicit model control.
        repository: Its model repository.
    """

    def __init__(self, *, url: str, repository: Path) -> None:
        super().__init__(daemon=True)
        self.repository = repository
        self.done = Done()
        self.rounds = 0
        self.ended = threading.Event()
        self._client = grpc.InferenceServerClient(url)

    def run(self) -> None:
        """All kinds of changes, model by model."""
        steps: tuple[Callable[[str], None], ...] = (
            self.reload,
            self.add_version,
            self.damage,
            lambda model: self.set_instances(model, 2),
            lambda model: self.set_instances(model, 1),
        )
        while not self.ended.is_set():
            for model in MODELS:
                for step in steps:
                    if self.ended.wait(PAUSE):
                        return
                    try:
                        step(model)
                    except (InferenceServerException, OSError) as error:
                        self.done.errors.append(f"{model}: {error}")
            self.rounds += 1

    def in_first_round(self) -> bool:
        """Whether some model still waits for its first changes."""
        return self.is_alive() and self.rounds == 0

    def stop(self) -> None:
        """Stop after the step under way."""
        self.ended.set()
        if self.is_alive():
            self.join()
        self._client.close()

    def reload(self, model: str) -> None:
        """Load a model again whose files look new."""
        os.utime(self._version(model, self._last(model)) / "signature.json")  # else it keeps what it has
        self._client.load_model(model)
        self.done.counts["reloads"] += 1

    def add_version(self, model: str) -> None:
        """Add a version, which takes the place of the one before; remove the one before."""
        last = self._last(model)
        shutil.copytree(self._version(model, last), self._version(model, last + 1))
        self._client.load_model(model)
        if not self._client.is_model_ready(model, str(last + 1)):
            self.done.errors.append(f"{model}: version {last + 1} is not ready after its load")
        shutil.rmtree(self._version(model, last))
        self.done.counts["versions"] += 1

    def damage(self, model: str) -> None:
        """Add a version whose firmware is damaged: it must be refused, with a reason, and leave nothing behind."""
        last = self._last(model)
        version = self._version(model, last + 1)
        shutil.copytree(self._version(model, last), version)
        damage(version / DAMAGED.get(model, "model/filter/weights.npz"))
        try:
            self._client.load_model(model)
        except InferenceServerException as error:
            self.done.reasons.append(str(error.message()))
            self.done.counts["refused"] += 1
        else:
            self.done.errors.append(f"{model}: damaged firmware was taken")
        shutil.rmtree(version)
        if not self._client.is_model_ready(model, str(last)):
            self.done.errors.append(f"{model}: version {last} is gone after a refused one")

    def set_instances(self, model: str, count: int) -> None:
        """Change the number of workers."""
        config = self._config(model)
        text = config.read_text(encoding="utf-8")
        changed = text.replace(f"count: {3 - count}", f"count: {count}")
        config.write_text(changed, encoding="utf-8")
        self._client.load_model(model)
        self.done.counts["instance_changes"] += 1

    def _config(self, model: str) -> Path:
        return self.repository / model / "config.pbtxt"

    def _version(self, model: str, version: int) -> Path:
        return self.repository / model / str(version)

    def _last(self, model: str) -> int:
        return max(int(path.name) for path in (self.repository / model).iterdir() if path.name.isdigit())


def damage(path: Path) -> None:
    """Change some bytes in the middle of a file, without its size."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    for place in range(middle, min(middle + 16, len(content))):
        content[place] ^= 0x5A
    path.write_bytes(bytes(content))
