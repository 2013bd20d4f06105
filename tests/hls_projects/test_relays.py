"""Relays keep every stream at the readers that hls4ml can clone, and change nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitfabric.hls_projects import ProjectConfig
from hitfabric.hls_projects.layers import LayerPlan, plan_layers
from hitfabric.hls_projects.relays import MAXIMAL_READERS, relay_streams
from hitfabric.quantization import Maxima
from support.message_passing import rounds_network


def readers(plan: LayerPlan) -> dict[str, int]:
    layers = [source for layer in plan.layers for source in layer.get("inputs", [])]
    return {name: layers.count(name) + plan.outputs.count(name) for name in plan.precisions}


def origin(plan: LayerPlan, name: str) -> str:
    """The layer whose stream a relay passes on."""
    layers = {layer["name"]: layer for layer in plan.layers}
    while "_relay" in name:
        (name,) = layers[name]["inputs"]
    return name


@given(
    ports=st.lists(st.lists(st.just("source"), min_size=1, max_size=2), min_size=1, max_size=120), output=st.booleans()
)
def test_any_number_of_readers(ports: list[list[str]], output: bool) -> None:
    layers: list[dict[str, Any]] = [{"class_name": "InputLayer", "name": "source"}]
    layers += [{"class_name": "Merge", "name": f"reader{k}", "inputs": inputs} for k, inputs in enumerate(ports)]
    names = [layer["name"] for layer in layers]
    plan = LayerPlan(layers=layers, precisions={name: {"result": "uint<3>"} for name in names})
    plan.outputs.extend(["source"] * output)
    relay_streams(plan)
    assert max(readers(plan).values()) <= MAXIMAL_READERS
    by_name = {layer["name"]: layer for layer in plan.layers}
    assert [layer["name"] for layer in plan.layers if layer["name"] in names] == names
    for k, inputs in enumerate(ports):
        assert [origin(plan, source) for source in by_name[f"reader{k}"]["inputs"]] == inputs
    seen: set[str] = set()
    for layer in plan.layers:  # every layer follows what it reads
        assert seen.issuperset(layer.get("inputs", []))
        seen.add(layer["name"])
    relays = [name for name in plan.precisions if "_relay" in name]
    assert all(plan.precisions[name] == {"result": "uint<3>"} for name in relays)
    assert bool(relays) == (sum(map(len, ports)) + output > MAXIMAL_READERS)


@pytest.mark.parametrize(("design", "relays"), [("dataflow", 6), ("throughput", 0)])
def test_eight_rounds(design: str, relays: int) -> None:
    graph = rounds_network(8, maxima=Maxima(nodes=7, edges=13), residual=False)
    plan = plan_layers(graph, config=ProjectConfig(design=design))  # type: ignore[arg-type] - a literal above
    assert sum("_relay" in layer["name"] for layer in plan.layers) == relays
