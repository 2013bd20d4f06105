"""Settings and results of `validate` on one small network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hitfabric.pipeline.validate import ValidateConfig


def settings(network: Path, out: Path, **values: Any) -> ValidateConfig:
    """Golden against native in this process, unless `values` say otherwise."""
    return ValidateConfig(
        **{"networks": (str(network),), "executors": ("golden", "native"), "out": out, "jobs": 1, **values}
    )


def counts(out: Path) -> dict[str, Any]:
    """Everything that a run counted, without its times."""
    ladder = json.loads((out / "ladder.json").read_text())
    mutations = out / "mutations.json"
    return {**ladder, "seconds": None, "mutations": json.loads(mutations.read_text()) if mutations.exists() else None}
