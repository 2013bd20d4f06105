"""Our graph layers in hls4ml: registered through its Extension API, for the Vitis and Vivado backends."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from ..core import ToolError

KERNELS = Path(__file__).parent / "kernels"
HEADER = "nnet_edge.h"
BACKENDS = ("Vitis", "Vivado")

REQUANTIZE_CONFIG = """struct config{index} {{
    static const unsigned n_row = {n_row};
    static const unsigned n_feat = {n_feat};
    static const unsigned reuse_factor = {reuse};
}};
"""
GATHER_CONFIG = """struct config{index} : nnet::edge_config {{
    static const unsigned n_node = {n_node};
    static const unsigned n_edge = {n_edge};
    static const unsigned n_feat = {n_feat};
    static const unsigned reuse_factor = {reuse};
}};
"""
AGGREGATE_CONFIG = """struct config{index} : nnet::edge_config {{
    static const unsigned n_node = {n_node};
    static const unsigned n_edge = {n_edge};
    static const unsigned n_feat = {n_feat};
    static const unsigned column = {column};
    static const bool use_max = {use_max};
    static const unsigned reuse_factor = {reuse};
    typedef {accum_t.name} accum_t;
}};
"""


@functools.cache
def register() -> None:
    """Register the layers `HitfabricRequantize`, `EdgeGather` and `EdgeAggregate`; calling it again does nothing.

    The layers are classes of hls4ml's, and hls4ml is imported only here: who serves needs none of it.

    Raises:
        ToolError: hls4ml is not installed.
    """
    try:
        from hls4ml.backends import get_backend
        from hls4ml.model.layers import register_layer
    except ImportError as error:
        raise ToolError(f"hls4ml cannot be imported: {error}", remedy="run: pip install hls4ml==1.3.0") from error

    layers = _layer_classes()
    for name, layer in layers.items():
        register_layer(name, layer)
    for backend_name in BACKENDS:
        backend = get_backend(backend_name)
        for template in _templates(layers):
            backend.register_template(template)
        backend.register_source(KERNELS / HEADER)


def _layer_classes() -> dict[str, type]:
    from hls4ml.model.attributes import Attribute, TypeAttribute
    from hls4ml.model.layers import Layer

    class HitfabricRequantize(Layer):  # pyright: ignore[reportUntypedBaseClass]
        """Conversion of type; unlike hls4ml's linear activation it stays even where both types are equal."""

        _expected_attributes = (Attribute("n_row"), Attribute("n_feat"))

        def initialize(self) -> None:
            shape = list(self.get_input_variable().shape)
            self.set_attr("n_row", shape[0] if len(shape) == 2 else 1)
            self.set_attr("n_feat", shape[-1])
            self.add_output_variable(shape)

    class EdgeGather(Layer):  # pyright: ignore[reportUntypedBaseClass]
        """[x[sender], x[receiver]] of each edge."""

        _expected_attributes = (Attribute("n_node"), Attribute("n_edge"), Attribute("n_feat"))

        def initialize(self) -> None:
            nodes, edge_index = (self.get_input_variable(name).shape for name in self.inputs)
            self.set_attr("n_node", nodes[0])
            self.set_attr("n_feat", nodes[1])
            self.set_attr("n_edge", edge_index[0])
            self.add_output_variable([edge_index[0], 2 * nodes[1]])

    class EdgeAggregate(Layer):  # pyright: ignore[reportUntypedBaseClass]
        """Sum or maximum of edge features at a node; needs `n_node`, `column` and `use_max`."""

        _expected_attributes = (
            *(Attribute(name) for name in ("n_node", "n_edge", "n_feat", "column")),
            Attribute("use_max", value_type=bool),
            TypeAttribute("accum"),
        )

        def initialize(self) -> None:
            edges = self.get_input_variable(self.inputs[0]).shape
            self.set_attr("n_edge", edges[0])
            self.set_attr("n_feat", edges[1])
            self.add_output_variable([self.get_attr("n_node"), edges[1]])

    return {kind.__name__: kind for kind in (HitfabricRequantize, EdgeGather, EdgeAggregate)}


def _templates(layers: dict[str, type]) -> list[Any]:
    from hls4ml.backends.template import FunctionCallTemplate, LayerConfigTemplate

    class Config(LayerConfigTemplate):  # pyright: ignore[reportUntypedBaseClass]
        def __init__(self, layer: type, text: str) -> None:
            super().__init__(layer)
            self.text = text

        def format(self, node: Any) -> str:  # noqa: ANN401 - hls4ml is untyped
            return self.text.format(**self._default_config_params(node))

    class Call(FunctionCallTemplate):  # pyright: ignore[reportUntypedBaseClass]
        def __init__(self, layer: type, function: str) -> None:
            super().__init__(layer, include_header=[f"nnet_utils/{HEADER}"])
            self.function = function

        def format(self, node: Any) -> str:  # noqa: ANN401 - hls4ml is untyped
            variables = [node.get_input_variable(name) for name in node.inputs] + [node.get_output_variable()]
            types = ", ".join([variable.type.name for variable in variables] + [f"config{node.index}"])
            return f"nnet::{self.function}<{types}>({', '.join(variable.name for variable in variables)});"

    kinds = (
        ("HitfabricRequantize", REQUANTIZE_CONFIG, "requantize"),
        ("EdgeGather", GATHER_CONFIG, "edge_gather"),
        ("EdgeAggregate", AGGREGATE_CONFIG, "edge_aggregate"),
    )
    found: list[Any] = []
    for name, text, function in kinds:
        # The backends take something to call without arguments.
        found += [functools.partial(Config, layers[name], text), functools.partial(Call, layers[name], function)]
    return found
