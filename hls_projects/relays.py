"""Streams that more layers read than hls4ml can clone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .layers import LayerPlan

MAXIMAL_READERS = 7  # of one stream, by hls4ml's clone_stream


def relay_streams(plan: LayerPlan) -> None:
    """Put relays between a stream and its readers wherever there are more than hls4ml's clone_stream serves.

    A relay passes its stream on unchanged, so that hls4ml clones the relays' streams instead: a tree. The edge index of
    a network with 8 rounds of message passing has 17 readers, hence 3 relays. A relay costs one more stream
    as deep as the others.

    Args:
        plan: The plan; its layers change in place.
    """
    for layer in list(plan.layers):
        _relay(plan, layer["name"])


def _relay(plan: LayerPlan, name: str) -> None:
    ports = [
        (layer, port) for layer in plan.layers for port, source in enumerate(layer.get("inputs", [])) if source == name
    ]
    room = MAXIMAL_READERS - plan.outputs.count(name)  # an output is the layer's own stream, never a relay's
    if len(ports) <= room:
        return
    groups = min(room, -(-len(ports) // MAXIMAL_READERS))
    place = 1 + next(k for k, layer in enumerate(plan.layers) if layer["name"] == name)
    for number in range(groups):
        relay = _unused(plan, f"{name}_relay{number}")
        plan.layers.insert(place + number, {"class_name": "HitfabricRequantize", "name": relay, "inputs": [name]})
        plan.precisions[relay] = {"result": plan.precisions[name]["result"]}
        # Neighbours in the order of the layers share a relay.
        for layer, port in ports[number * len(ports) // groups : (number + 1) * len(ports) // groups]:
            _set_source(layer, port, relay)
        _relay(plan, relay)


def _set_source(layer: dict[str, Any], port: int, source: str) -> None:
    layer["inputs"] = [*layer["inputs"][:port], source, *layer["inputs"][port + 1 :]]


def _unused(plan: LayerPlan, name: str) -> str:
    while name in plan.precisions:
        name += "_"
    return name
