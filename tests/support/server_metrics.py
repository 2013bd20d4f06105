"""What a server says of itself in Prometheus' text format."""

from __future__ import annotations

import urllib.request

from hitfabric.fpga_backend import TritonServer


def metrics(server: TritonServer, name: str, model: str) -> list[float]:
    """Values of a metric of a model, one for each of its instances."""
    text = urllib.request.urlopen(server.metrics_url, timeout=10).read().decode()
    lines = [line for line in text.splitlines() if line.startswith(name + "{") and f'model="{model}"' in line]
    return [float(line.rsplit(" ", 1)[1]) for line in lines]


def metric(server: TritonServer, name: str, model: str) -> float:
    """Their sum."""
    return sum(metrics(server, name, model))


def at_work(server: TritonServer, model: str) -> bool:
    """Whether an instance of a model has been handed a request that it has not answered."""
    return metric(server, "hitfabric_queue_depth", model) > 0
