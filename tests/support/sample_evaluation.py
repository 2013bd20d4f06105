"""Made-up but consistent physics figures of a sample run."""

from __future__ import annotations

from collections import Counter

import numpy as np

from hitfabric.reports.evaluation_record import Evaluation

LAYERS_MM = np.array([32.0, 72.0, 116.0, 172.0, 260.0, 360.0, 500.0, 660.0, 820.0, 1020.0])


def event(generator: np.random.Generator, *, particles: int) -> dict[str, np.ndarray]:
    """Hits of straight-in-z helices on cylinders; one particle in ten is lost, one found track in twenty is mixed."""
    pt = 0.3 + generator.pareto(2.0, particles)
    phi, eta, charge = (
        generator.uniform(-np.pi, np.pi, particles),
        generator.normal(0, 1.4, particles),
        generator.choice((-1, 1), particles),
    )
    rho = pt / (0.3 * 2.0) * 1000.0
    r = np.broadcast_to(LAYERS_MM, (particles, LAYERS_MM.size))
    turn = np.arcsin(np.clip(r / (2 * rho[:, None]), -1, 1))
    angle = phi[:, None] - charge[:, None] * turn
    z = 2 * rho[:, None] * turn * np.sinh(eta)[:, None]
    seen = (np.abs(z) < 2900.0) & (r < 2 * rho[:, None])
    owner = np.broadcast_to(np.arange(particles)[:, None], r.shape)[seen]
    lost = generator.random(particles) < 0.1
    labels = np.where(lost[owner], -1, owner)
    swapped = generator.random(owner.size) < 0.05
    labels[swapped] = generator.permutation(labels[swapped])
    radius, azimuth = r[seen], angle[seen]
    return {
        "x": radius * np.cos(azimuth),
        "y": radius * np.sin(azimuth),
        "z": z[seen],
        "r": radius,
        "labels": labels.astype(np.int64),
        "particle_id": owner.astype(np.uint64) + np.uint64(1),
        "pt": pt[owner],
        "event": np.array("event 9030"),
    }


def evaluation(generator: np.random.Generator) -> Evaluation:
    """Scores, edges and tracks with Gaussian scores and an efficiency that rises with pT."""
    return Evaluation.model_validate(
        {
            "sample": "acts_ttbar_pu200, validation events 9030-9034",
            "events": 5,
            "hits": 574_210,
            "networks": {
                "filter": _scores(generator, true=60_000, false=540_000, distance=2.8),
                "interaction_network": _scores(generator, true=4_200, false=6_100, distance=3.6)
                | {"sample": "plus_2GeV, events 1060-1079"},
            },
            "stages": [
                {
                    "name": "radius graph",
                    "target": 61_200,
                    "kept": 60_000,
                    "edges": 600_000,
                    "hits": 574_210,
                    "binned": {"pt": {"edges": [1, 2, 50], "passed": [20_000, 40_000], "total": [20_900, 40_300]}},
                    "curve": {
                        "quantity": "radius",
                        "cut": [0.05, 0.1],
                        "edges": [60_000, 120_000],
                        "kept": [11_000, 12_000],
                        "target": 12_240,
                        "hits": 114_842,
                    },
                },
                {"name": "filter", "target": 61_200, "kept": 58_900, "edges": 121_000, "hits": 574_210},
                {"name": "interaction network", "target": 61_200, "kept": 57_100, "edges": 60_400, "hits": 574_210},
            ],
            "tracks": {
                "definition": "Particles with pT > 1 GeV and three hits; matched when both share more than half",
                "efficiency": {"passed": 4650, "total": 5000},
                "fake_rate": {"passed": 190, "total": 4900},
                "duplicate_rate": {"passed": 49, "total": 4900},
                "purity": {"edges": [0.0, 0.5, 0.9, 1.0], "tracks": [100, 400, 4400], "mean": 0.97, "error": 0.002},
                "trackml": {"score": 0.871, "error": 0.004, "events": 5},
                "binned": {
                    "pt": _binned(generator, np.geomspace(0.5, 20, 13), size=400),
                    "eta": _binned(generator, np.linspace(-4, 4, 17), size=300),
                    "phi": _binned(generator, np.linspace(-3.15, 3.15, 9), size=600),
                    "z0": _binned(generator, np.linspace(-200, 200, 9), size=600),
                    "vertex_radius": _binned(generator, np.linspace(0, 300, 7), size=20, tracks=False),
                    "pile_up": _binned(generator, np.linspace(150, 250, 5), size=1200),
                },
                "pile_up_given": True,
            },
            "graphs": graph_sizes(generator),
        }
    )


def graph_sizes(generator: np.random.Generator) -> list[dict[str, object]]:
    """Five events, and components of which one is larger than the maxima."""
    nodes = 2 + generator.poisson(8, 400)
    counts = Counter(zip(nodes.tolist(), (nodes - 1).tolist(), strict=True)) | {(300, 700): 1}
    maxima = {"nodes": 256, "edges": 512, "of": "interaction_network"}
    return [
        {"kind": "event, radius graph", "sample": "5 events", "sizes": [[114_000, 590_000, 2], [115_000, 610_000, 3]]},
        {
            "kind": "component, after the filter",
            "sample": "5 events",
            "limit": maxima,
            "sizes": [[*size, counts[size]] for size in sorted(counts)],
        },
    ]


def _scores(generator: np.random.Generator, *, true: int, false: int, distance: float) -> dict:
    good, bad = generator.normal(distance / 2, 1.0, true), generator.normal(-distance / 2, 1.0, false)
    edges = np.linspace(-6, 6, 61)
    thresholds = np.linspace(-6, 6, 201)
    kept = true - np.searchsorted(np.sort(good), thresholds)
    wrong = false - np.searchsorted(np.sort(bad), thresholds)
    purity = [float(k / (k + w)) if k + w else None for k, w in zip(kept, wrong, strict=True)]
    return {
        "true": true,
        "false": false,
        "threshold": 0.2,
        "roc": {
            "threshold": thresholds.tolist(),
            "efficiency": (kept / true).tolist(),
            "false_positive_rate": (wrong / false).tolist(),
            "purity": purity,
            "auc": 0.976,
        },
        "scores": {
            "quantity": "logit",
            "edges": edges.tolist(),
            "true": np.histogram(good, edges)[0].tolist(),
            "false": np.histogram(bad, edges)[0].tolist(),
        },
    }


def _binned(generator: np.random.Generator, edges: np.ndarray, *, size: int, tracks: bool = True) -> dict:
    total = generator.poisson(size, edges.size - 1)
    rates = {"efficiency": 0.6 + 0.38 * (1 - np.exp(-(edges[1:] ** 2))), "fake_rate": 0.04, "duplicate_rate": 0.012}
    counted = {
        name: {"edges": edges.tolist(), "passed": generator.binomial(total, rate).tolist(), "total": total.tolist()}
        for name, rate in rates.items()
    }
    if not tracks:
        del counted["fake_rate"]
        return counted
    means = {
        name: np.full(total.size, mean).tolist() for name, mean in (("value", 0.97), ("low", 0.96), ("high", 0.98))
    }
    return counted | {"purity": {"edges": edges.tolist(), "total": total.tolist()} | means}
