"""A complete run directory with made-up but consistent figures, to look at and to test the report with."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hitfabric.core import RunDirectory
from hitfabric.reports import write_report
from hitfabric.reports.records import Ladder, Latency, Mutations, Projects, Summary
from support.sample_evaluation import evaluation, event

STAGES = {
    "simulate": 41.0,
    "train": 182.4,
    "build": 7.1,
    "validate": 64.0,
    "serve": 3.2,
    "track": 21.7,
    "evaluate": 9.8,
}
NODES = {
    "embedding": ("features", "dense_0", "relu_0", "dense_1", "relu_1", "dense_2", "embedding"),
    "filter": ("pairs", "dense_0", "relu_0", "logits"),
    "interaction_network": (
        "nodes",
        "edges",
        "edge_gather",
        "edge_concat",
        "relational_dense",
        "relu",
        "edge_aggregate",
        "logits",
    ),
}


@pytest.fixture(scope="session")
def sample_run_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run directory with every file of a run; not to be changed."""
    return write_sample_run(tmp_path_factory.mktemp("runs") / "sample")


@pytest.fixture(scope="session")
def sample_page(sample_run_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the complete run; not to be changed."""
    return write_report(Path(shutil.copytree(sample_run_template, tmp_path_factory.mktemp("pages") / "sample")))


@pytest.fixture
def sample_run(sample_run_template: Path, tmp_path: Path) -> Path:
    """Run directory with every file of a run, the test's own."""
    return Path(shutil.copytree(sample_run_template, tmp_path / "sample"))


@pytest.fixture(scope="session")
def make_ladder() -> Callable[..., Ladder]:
    """`make_ladder(mismatches=n)`: a ladder with n mismatches in one node of the C simulation of the filter."""
    return ladder


def write_sample_run(directory: Path, *, particles: int = 120) -> Path:
    """Write every file of a run into `directory` and return it."""
    generator = np.random.default_rng(7)
    run = RunDirectory(path=directory)
    run.record(command="hitfabric demo --out runs/sample", config={"events": 5, "chain": {"radius": 0.1}}, seed=7)
    run.write_json("summary.json", summary().model_dump(mode="json"))
    run.write_json("evaluation.json", evaluation(generator).model_dump(mode="json"))
    run.write_json("ladder.json", ladder().model_dump(mode="json"))
    run.write_json("mutations.json", mutations().model_dump(mode="json"))
    run.write_json("latency.json", latency(generator).model_dump(mode="json"))
    run.write_json("projects.json", projects().model_dump(mode="json"))
    run.write_json("rtl.json", engines())
    run.write_json("explore.json", exploration())
    run.write_json("cycles.json", [cycles(generator)])
    np.savez_compressed(directory / "event_display.npz", **event(generator, particles=particles))
    _write_training(directory / "training", generator)
    return directory


def summary() -> Summary:
    """Headline figures of the sample run."""
    return Summary.model_validate(
        {
            "mismatches": {network: {executor: 0 for executor in ("golden", "native", "csim")} for network in NODES},
            "outputs_compared": 3_456_000,
            "tracking": {"efficiency": 0.93, "fake_rate": 0.04, "duplicate_rate": 0.01, "events": 5, "hits": 574_210},
            "serving": {"requests": 120, "labels_equal": True, "p50_ms": 412.0, "server": "Triton 2.51.0"},
            "seconds": STAGES,
        }
    )


def cycles(generator: np.random.Generator) -> dict[str, object]:
    """As `hitfabric validate --executors golden,rtl` writes it: cycles that grow with the edges."""
    edges = generator.integers(20, 500, 60)
    return {
        "network": "sector-in-8",
        "workload": "phi sectors",
        "kind": "simulated",
        "size": "edges",
        "sizes": edges.tolist(),
        "latency": (60 + edges // 3).tolist(),
        "interval": (10 + edges[1:] // 8).tolist(),
        "result_interval": (10 + edges[:-1] // 8).tolist(),
        "limit": {"nodes": 256, "edges": 512, "of": "sector-in-8"},
        "left_out": 3,
        "mismatches": 0,
    }


def engines() -> list[dict[str, object]]:
    """As `hitfabric build --rtl --synthesise` writes it."""
    counted = {"value": 56877.0, "kind": "synthesised (Yosys)", "unit": "", "source": "Yosys 0.70"}
    depth = {"value": 76.0, "kind": "counted", "unit": "cycles", "source": "the generator"}
    config = {"edge_lanes": 8, "node_lanes": 8, "register_spacing": 4.0, "scatter": "banked", "clock_ns": 5.0}
    figures = {"LUT": [counted], "pipeline depth": [depth]}
    return [{"network": "sector", "directory": "rtl/sector", "config": config, "figures": figures, "modules": []}]


def exploration() -> dict[str, object]:
    """As `hitfabric explore` writes it."""
    points = []
    for lanes, lut, latency in ((2, 16000.0, 520.0), (4, 30000.0, 330.0), (8, 57000.0, 216.0)):
        figures = {
            "LUT": {"value": lut, "kind": "synthesised (Yosys)", "unit": "", "source": "Yosys"},
            "latency p95": {"value": latency, "kind": "simulated", "unit": "cycles", "source": "Verilator"},
            "interval p95": {"value": latency / 3, "kind": "simulated", "unit": "cycles", "source": "Verilator"},
            "frequency": {"value": None, "kind": "not measured", "unit": "", "source": "took too long"},
        }
        design = {"network": "sector-in-8", "lanes": lanes, "spacing": 4.0, "scatter": "banked"}
        points.append({"design": design, "made_from": "0", "auc": 0.9997, "figures": figures})
    return {"points": points, "front": [0, 2]}


def ladder(*, mismatches: int = 0) -> Ladder:
    """Three executors, every node; `mismatches` of them in one node of the C simulation."""
    rows = []
    for network, nodes in NODES.items():
        for place, node in enumerate(nodes):
            for executor in ("golden", "native", "csim"):
                broken = mismatches if (network, place, executor) == ("filter", 2, "csim") else 0
                hidden = executor == "csim" and node.startswith("dense")
                if hidden:
                    continue
                rows.append(
                    {
                        "network": network,
                        "node": node,
                        "executor": executor,
                        "compared": 48_000,
                        "mismatches": broken,
                        "first": {"index": [3, 5], "expected": 12, "found": 13} if broken else None,
                        "low": 0 if "relu" in node else -16_256,
                        "high": 127 if "relu" in node else 16_256,
                        "reached_low": 0 if "relu" in node else -9_120,
                        "reached_high": 127 if "relu" in node else 8_804,
                        "saturated": 31 if "relu" in node else 0,
                    }
                )
    return Ladder.model_validate({"reference": "Brevitas", "sample": "5 events and format extremes", "rows": rows})


def mutations() -> Mutations:
    """One fault of each kind in one network, all caught."""
    kinds = ("weight bit", "rounding", "accumulator", "edge")
    return Mutations.model_validate(
        {
            "interaction_network": [
                {"kind": kind, "what": f"one {kind}", "executor": "golden", "caught": True, "node": "relu"}
                for kind in kinds
            ]
        }
    )


def latency(generator: np.random.Generator) -> Latency:
    """Direct and served latencies of the four models."""
    scales = {"embedding": 4.0, "filter": 11.0, "interaction_network": 2.2, "tracking": 400.0}
    series = [
        {"model": model, "engine": engine, "samples_ms": (offset + generator.gamma(9.0, scale / 9.0, 120)).tolist()}
        for model, scale in scales.items()
        for engine, offset in (("direct", 0.0), ("triton", 1.2))
    ]
    return Latency.model_validate({"workload": "one event of 115k hits", "server": "Triton 2.51.0", "series": series})


def projects() -> Projects:
    """Two projects, one of them without an estimate."""
    counted = [{"value": 5_120, "kind": "counted"}]
    return Projects.model_validate(
        {
            "projects": [
                {
                    "network": network,
                    "io_type": io_type,
                    "reuse_factor": 1,
                    "figures": {
                        "MACs per row": counted,
                        "weights": counted,
                        "weight bits": [{"value": 7, "kind": "counted", "unit": "bit"}],
                        "LUT": [
                            {"value": 31_000, "kind": "estimated"},
                            {"value": 29_500, "kind": "implemented", "source": "export_impl.xml"},
                        ],
                        "latency": [{"value": None, "kind": "not measured", "unit": "ns"}],
                    },
                }
                for network, io_type in (
                    ("embedding", "io_parallel"),
                    ("filter", "io_parallel"),
                    ("interaction_network", "io_stream"),
                )
            ]
        }
    )


def _write_training(folder: Path, generator: np.random.Generator) -> None:
    folder.mkdir()
    for network in NODES:
        loss = np.exp(-np.arange(12) / 5) + generator.normal(0, 0.01, 12)
        lines = ["epoch,train_loss,validation_loss,efficiency,purity"]
        lines += [f"{epoch},{value},{value * 1.07},{1 - value / 4},{1 - value / 2}" for epoch, value in enumerate(loss)]
        (folder / f"{network}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
