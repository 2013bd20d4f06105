"""Tiny events and a tiny trained chain, made in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hitfabric.core import load_config
from hitfabric.pipeline.simulate import SimulateConfig, simulate
from hitfabric.pipeline.train import TrainConfig, train

SCHEDULE = {"float_epochs": 1, "quantized_epochs": 1, "steps": 8}
TRAINING: dict[str, Any] = {
    "data": {"events": 2, "validation_events": 1},
    "embedding": {"schedule": SCHEDULE, "network": {"hidden": [16]}},
    "filter": {"schedule": SCHEDULE, "network": {"hidden": [8]}},
    "interaction_network": {"schedule": SCHEDULE, "network": {"width": 4}},
}


@dataclass(frozen=True, kw_only=True)
class Tiny:
    """Folders of a tiny workload.

    Attributes:
        events: Five helix events.
        run: Run directory of `train` on three of them.
    """

    events: Path
    run: Path


def make_tiny(folder: Path) -> Tiny:
    """Simulate five events and train a chain on three; poor physics, real files."""
    events, run = folder / "events", folder / "train"
    simulate(SimulateConfig(out=events, events=5, pile_up=3.0, generator="helix"))
    train(load_config(TrainConfig, None, {"events": events, "out": run, "chain": TRAINING}))
    return Tiny(events=events, run=run)
