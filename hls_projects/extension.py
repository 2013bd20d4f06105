"""Our graph layers in hls4ml: registered through its Extension API, for the Vitis, Vivado and Quartus backends."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from ..core import ToolError

KERNELS = Path(__file__).parent / "kernels"
AMD_HEADERS = (KERNELS / "nnet_rows.h", KERNELS / "nnet_edge.h")
HEADERS = {"Vitis": AMD_HEADERS, "Vivado": AMD_HEADERS, "Quartus": (KERNELS / "quartus" / "nnet_edge.h",)}

REQUANTIZE_CONFIG = """struct config{index} {{
    static const unsigned n_row = {n_row};
    static const unsigned n_feat = {n_feat};
    static const unsigned reuse_factor = {reuse};
}};
"""
CONCATENATE_CONFIG = """struct config{index} {{
    static const unsigned n_row = {n_row};
    static const unsigned n_lane = {n_lane};
    static const unsigned n_left = {n_left};
    static const unsigned n_right = {n_right};
    static const unsigned reuse_factor = {reuse};
}};
"""
GATHER_CONFIG = """struct config{index} : nnet::edge_config {{
    static const unsigned n_node = {n_node};
    static const unsigned n_edge = {n_edge};
    static const unsigned n_feat = {n_feat};
    static const unsigned n_lane = {n_lane};
    static const unsigned reuse_factor = {reuse};
}};
"""
AGGREGATE_CONFIG = """struct config{index} : nnet::edge_config {{
    static const unsigned n_node = {n_node};
    static const unsigned n_edge = {n_edge};
    static const unsigned n_feat = {n_feat};
    static const unsigned n_lane = {n_lane};
    static const unsigned column = {column};
    static const bool use_max = {use_max};
    static const unsigned reuse_factor = {reuse};
    typedef {accum_t.name} accum_t;
}};
"""


@functools.cache
def register() -> None:
    """Register our layers with the backends; calling it again does nothing.

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
    for backend_name, headers in HEADERS.items():
        backend = get_backend(backend_name)
        for template in _templates(layers, [header.name for header in headers]):
            backend.register_template(template)
        for header in headers:
            backend.register_source(header)


def _layer_classes() -> dict[str, type]:
    """Our layers. A tensor is [packets, lanes * features], without lanes [rows, features]; `n_lane` says which."""
    from hls4ml.model.attributes import Attribute, TypeAttribute, WeightAttribute
    from hls4ml.model.layers import Layer
    from hls4ml.model.types import IntegerPrecisionType, NamedType

    class HitfabricRequantize(Layer):  # pyright: ignore[reportUntypedBaseClass]
        """Conversion of type; unlike hls4ml's linear activation it stays even where both types are equal."""

        _expected_attributes = (Attribute("n_row"), Attribute("n_feat"))

        def initialize(self) -> None:
            shape = list(self.get_input_variable().shape)
            self.set_attr("n_row", shape[0] if len(shape) == 2 else 1)
            self.set_attr("n_feat", shape[-1])
            self.add_output_variable(shape)

    class HitfabricConcatenate(Layer):  # pyright: ignore[reportUntypedBaseClass]
        """Both inputs' features of each row, lane by lane; needs `n_lane`."""

        _expected_attributes = tuple(Attribute(name) for name in ("n_row", "n_lane", "n_left", "n_right"))

        def initialize(self) -> None:
            left, right = (self.get_input_variable(name).shape for name in self.inputs)
            self.set_attr("n_row", left[0])
            self.set_attr("n_left", left[1] // self.get_attr("n_lane"))
            self.set_attr("n_right", right[1] // self.get_attr("n_lane"))
            self.add_output_variable([left[0], left[1] + right[1]])

    class HitfabricDense(Layer):  # pyright: ignore[reportUntypedBaseClass]
        """hls4ml's Dense for each row of nodes or edges; needs `n_lane`, `n_in`, `n_out`, `weight_data`, `bias_data`.

        hls4ml itself makes a convolution of it, which takes the rows one after the other.
        """

        _expected_attributes = (
            *(Attribute(name) for name in ("n_row", "n_lane", "n_in", "n_out")),
            *(WeightAttribute(name) for name in ("weight", "bias")),
            *(TypeAttribute(name) for name in ("weight", "bias", "accum")),
        )

        def initialize(self) -> None:
            rows = self.get_input_variable().shape[0]
            self.set_attr("n_row", rows)
            self.add_output_variable([rows, self.get_attr("n_lane") * self.get_attr("n_out")])
            resource = self.model.config.is_resource_strategy(self)
            self.set_attr("strategy", "resource" if resource else "latency")
            if resource:  # its kernels read the weights output by output
                self.set_attr("weight_data", np.ascontiguousarray(self.get_attr("weight_data").T))
            self.set_attr("index_t", NamedType(f"layer{self.index}_index", IntegerPrecisionType(width=1, signed=False)))
            self.add_weights()
            if self.get_attr("bias_data") is None:
                nothing = {"type_name": "bias{index}_t", "precision": IntegerPrecisionType(width=1, signed=False)}
                data = np.zeros(self.get_attr("n_out"))
                self.add_weights_variable(name="bias", var_name="b{index}", data=data, **nothing)
            else:
                self.add_bias()

    class EdgeGather(Layer):  # pyright: ignore[reportUntypedBaseClass]
        """[x[sender], x[receiver]] of each edge; needs `n_node` (nodes, not packets) and `n_lane`."""

        _expected_attributes = tuple(Attribute(name) for name in ("n_node", "n_edge", "n_feat", "n_lane"))

        def initialize(self) -> None:
            nodes, edge_index = (self.get_input_variable(name).shape for name in self.inputs)
            self.set_attr("n_feat", nodes[1] // self.get_attr("n_lane"))
            self.set_attr("n_edge", edge_index[0] * self.get_attr("n_lane"))
            self.add_output_variable([edge_index[0], 2 * nodes[1]])

    class EdgeAggregate(Layer):  # pyright: ignore[reportUntypedBaseClass]
        """Sum or maximum of edge features at a node; needs `n_node`, `n_lane`, `column` and `use_max`."""

        _expected_attributes = (
            *(Attribute(name) for name in ("n_node", "n_edge", "n_feat", "n_lane", "column")),
            Attribute("use_max", value_type=bool),
            TypeAttribute("accum"),
        )

        def initialize(self) -> None:
            edges = self.get_input_variable(self.inputs[0]).shape
            lanes = self.get_attr("n_lane")
            self.set_attr("n_edge", edges[0] * lanes)
            self.set_attr("n_feat", edges[1] // lanes)
            self.add_output_variable([-(-self.get_attr("n_node") // lanes), edges[1]])

    return {
        kind.__name__: kind
        for kind in (HitfabricRequantize, HitfabricConcatenate, HitfabricDense, EdgeGather, EdgeAggregate)
    }


def _templates(layers: dict[str, type], headers: list[str]) -> list[Any]:
    from hls4ml.backends.template import FunctionCallTemplate, LayerConfigTemplate
    from hls4ml.backends.vivado.passes.core_templates import (
        DenseConfigTemplate,
        dense_config_template,
        dense_include_list,
    )

    class Config(LayerConfigTemplate):  # pyright: ignore[reportUntypedBaseClass]
        def __init__(self, layer: type, text: str) -> None:
            super().__init__(layer)
            self.text = text

        def format(self, node: Any) -> str:  # noqa: ANN401 - hls4ml is untyped
            return self.text.format(**self._default_config_params(node))

    class DenseConfig(DenseConfigTemplate):  # pyright: ignore[reportUntypedBaseClass]
        """hls4ml's configuration of a dense layer with our two sizes in it."""

        def __init__(self) -> None:
            LayerConfigTemplate.__init__(self, layers["HitfabricDense"])
            head, brace, body = dense_config_template.partition("{{\n")
            sizes = "".join(f"    static const unsigned {name} = {{{name}}};\n" for name in ("n_row", "n_lane"))
            self.template = head + brace + sizes + body

    class Call(FunctionCallTemplate):  # pyright: ignore[reportUntypedBaseClass]
        def __init__(self, layer: type, function: str, header: str) -> None:
            include = dense_include_list if function == "dense_rows" else []
            super().__init__(layer, include_header=[*include, f"nnet_utils/{header}"])
            self.function = function

        def format(self, node: Any) -> str:  # noqa: ANN401 - hls4ml is untyped
            variables = [node.get_input_variable(name) for name in node.inputs] + [node.get_output_variable()]
            types = ", ".join([variable.type.name for variable in variables] + [f"config{node.index}"])
            arguments = [*variables, *node.get_weights()]
            return f"nnet::{self.function}<{types}>({', '.join(argument.name for argument in arguments)});"

    # Quartus has one header and no lanes: hls4ml's own dense and concatenate serve there.
    kinds = [
        ("HitfabricRequantize", REQUANTIZE_CONFIG, "requantize", headers[0]),
        ("EdgeGather", GATHER_CONFIG, "edge_gather", headers[-1]),
        ("EdgeAggregate", AGGREGATE_CONFIG, "edge_aggregate", headers[-1]),
    ]
    if "nnet_rows.h" in headers:
        kinds.append(("HitfabricConcatenate", CONCATENATE_CONFIG, "concatenate_rows", "nnet_rows.h"))
    found: list[Any] = []
    for name, text, function, header in kinds:
        # The backends take something to call without arguments.
        found += [
            functools.partial(Config, layers[name], text),
            functools.partial(Call, layers[name], function, header),
        ]
    if "nnet_rows.h" in headers:
        found += [DenseConfig, functools.partial(Call, layers["HitfabricDense"], "dense_rows", "nnet_rows.h")]
    return found
