"""The parameters of the RTL engine accept what can be built, and no more."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from hitfabric.core import ConfigError, GraphError, load_config
from hitfabric.hls_projects.rtl_config import RtlConfig
from hitfabric.quantization import Maxima
from support.hand_graph import hand_graph


def test_a_configuration_survives_json() -> None:
    config = RtlConfig(maxima=Maxima(nodes=28, edges=56), edge_lanes=7, scatter="ordered")
    assert RtlConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    "wrong",
    [
        {"node_lanes": 6},
        {"edge_lanes": 0},
        {"edge_lanes": 65},
        {"clock_ns": 0},
        {"register_spacing": float("inf")},
        {"scatter": "hashed"},
        {"lanes": 8},
    ],
)
def test_what_cannot_be_built_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RtlConfig.model_validate(wrong)
    with pytest.raises(ConfigError):
        load_config(RtlConfig, None, wrong)


def test_maxima_change_the_ranges() -> None:
    graph = hand_graph()
    assert RtlConfig().sized(graph) is graph
    larger = RtlConfig(maxima=Maxima(nodes=4, edges=60)).sized(graph)
    assert larger["total"].tensor.high == 10 * graph["total"].tensor.high


def test_maxima_beyond_a_header_are_refused() -> None:
    with pytest.raises(GraphError, match="40000 edges"):
        RtlConfig(maxima=Maxima(nodes=4, edges=40000)).sized(hand_graph())
