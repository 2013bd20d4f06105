"""Cores give the golden model's integers: in Verilator, and wire by wire in Python."""

from __future__ import annotations

import os
import re
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hitfabric.core import GraphError, HitfabricWarning
from hitfabric.hls_projects.rtl_core_nodes import make_netlist
from hitfabric.hls_projects.rtl_core_products import Product, plain_product
from hitfabric.hls_projects.rtl_core_search import Problem
from hitfabric.hls_projects.rtl_cores import write_core
from hitfabric.hls_projects.rtl_fields import Core, Field, Solver
from hitfabric.hls_projects.rtl_simulation_words import pack_rows
from hitfabric.hls_projects.rtl_verilator import find_verilator
from hitfabric.quantization import Add, Concat, Dense, FixedPoint, GraphBuilder, Requantize, TypedGraph
from support.random_graphs import row_networks
from support.rtl_cores import CoreSimulation, Settings, expected, random_rows
from support.rtl_netlists import evaluate, random_rows_network, term_value

ZOO = Path(__file__).resolve().parents[2] / "models" / "zoo"
ROW_WISE = (Dense, Requantize, Concat, Add)


def whole_core(graph: TypedGraph, directory: Path, config: Settings, *, name: str = "core") -> tuple[Core, list[str]]:
    """One core of all row-wise nodes of a graph, whatever their domains; every other tensor is an input."""
    nodes = [node.name for node in graph.nodes if isinstance(node, ROW_WISE)]
    inputs = list(dict.fromkeys(source for node in nodes for source in graph[node].inputs if source not in nodes))
    outputs = [node for node in nodes if any(reader.name not in nodes for reader in graph.consumers(node))]
    core = write_core(graph, name=name, nodes=nodes, inputs=inputs, outputs=outputs, directory=directory, config=config)
    return core, nodes


def check(graph: TypedGraph, core: Core, nodes: list[str], *, rows: int = 2000) -> None:
    """Outputs of a simulated core against the golden model."""
    values = random_rows(graph, [field.tensor for field in core.inputs], rows)
    wanted, found = expected(graph, nodes, values), CoreSimulation(core, seed=1).run(values)
    for field in core.outputs:
        np.testing.assert_array_equal(found[field.tensor], wanted[field.tensor], err_msg=field.tensor)


@pytest.mark.parametrize(("seed", "spacing"), [(0, 1.0), pytest.param(1, 3.5, marks=pytest.mark.slow)])
def test_random_chains_in_verilator(seed: int, spacing: float, tmp_path: Path) -> None:
    graph = random_rows_network(seed, chains=12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HitfabricWarning)
        core, nodes = whole_core(graph, tmp_path, Settings(register_spacing=spacing, solver_seconds=0.001))
    assert core.latency >= 1
    check(graph, core, nodes)


@pytest.mark.slow
def test_random_chains_of_the_solver_in_verilator(tmp_path: Path) -> None:
    graph = random_rows_network(3, chains=8)
    core, nodes = whole_core(graph, tmp_path, Settings(solver_seconds=1000))  # small matrices: soon done
    assert core.solver == "da4ml"
    check(graph, core, nodes)


def every_requantization() -> TypedGraph:
    """One signed and one unsigned input, requantized to every kind of format near and far from their own."""
    builder = GraphBuilder()
    for signed in (False, True):
        source = FixedPoint(signed=signed, width=6, integer=3)
        name = builder.input(f"input{signed:d}", shape=("R", 1), format=source)
        kinds = [(False, "SAT"), (True, "SAT"), (True, "SAT_SYM")]
        formats = [
            FixedPoint(signed=kind, width=width, integer=integer, rounding=rounding, overflow=overflow)  # type: ignore[arg-type]
            for kind, overflow in kinds
            for rounding in ("TRN", "RND_CONV")
            for width in (2, 3, 5, 9)
            for integer in (-5, 0, 1, 3, 8, 13)
        ]
        for number, format in enumerate(formats):
            builder.output(f"out{signed:d}_{number}", builder.requantize(f"q{signed:d}_{number}", name, format=format))
    return TypedGraph.from_builder(builder, name="requantizations")


def test_every_rounding_and_saturation_of_every_value(tmp_path: Path) -> None:
    graph = every_requantization()
    core, nodes = whole_core(graph, tmp_path, Settings(register_spacing=2.0))
    values = {f"input{signed}": np.arange(64).reshape(-1, 1) - 32 * signed for signed in (0, 1)}
    wanted, found = expected(graph, nodes, values), CoreSimulation(core, seed=1).run(values)
    for name in nodes:
        node = graph[name]
        fraction = graph[node.inputs[0]].tensor.format.fraction
        np.testing.assert_array_equal(
            wanted[name], node.tensor.format.requantize(values[node.inputs[0]], fraction=fraction)
        )
        np.testing.assert_array_equal(found[name], wanted[name], err_msg=str(node.tensor.format))


def plain(problem: Problem, *, name: str, seconds: float) -> tuple[Product, Solver]:
    """Finds no shared sums, and takes no time."""
    return plain_product(problem.weight), "shift_add"


def check_wires(graph: TypedGraph, *, rows: int, seed: int = 0) -> None:
    """Every wire of a network's netlist within its range, and every node equal to the golden model's."""
    nodes = [node.name for node in graph.nodes if isinstance(node, ROW_WISE)]
    fields = [Field.of(graph, node.name) for node in graph.inputs]
    made = make_netlist(graph, nodes=nodes, inputs=fields, ranges={}, seconds=1, find=plain)
    values = random_rows(graph, [field.tensor for field in fields], rows, seed=seed)
    packed = [values[field.tensor] for field in fields]
    wires = [evaluate(made.netlist, int.from_bytes(row.tobytes(), "little")) for row in pack_rows(fields, packed)]
    for name, wanted in expected(graph, nodes, values).items():
        found = [[term_value(row, term) for term in made.values[name]] for row in wires]
        np.testing.assert_array_equal(np.array(found), wanted, err_msg=name)


@given(graph=row_networks(), seed=st.integers(0, 1000))
@settings(max_examples=40)
def test_ranges_and_values_of_every_wire(graph: TypedGraph, seed: int) -> None:
    check_wires(graph, rows=20, seed=seed)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=20)
def test_ranges_and_values_of_every_kind_of_node(seed: int) -> None:
    check_wires(random_rows_network(seed, chains=3), rows=20, seed=seed)


def test_embedding_of_a_whole_event() -> None:
    check_wires(TypedGraph.load(ZOO / "event-pixel" / "embedding"), rows=30)


@pytest.mark.slow
@pytest.mark.parametrize("network", ["sector-in-8", "sector-in-4bit"])
def test_cores_of_the_zoo(network: str, tmp_path: Path) -> None:
    graph = TypedGraph.load(ZOO / network)
    core, nodes = whole_core(graph, tmp_path, Settings(solver_seconds=35))  # whatever was found by then is exact
    check(graph, core, nodes, rows=3000)


def test_narrower_inputs_take_fewer_bits(tmp_path: Path) -> None:
    graph = every_requantization()
    nodes, fields = ["q1_7"], [Field.of(graph, "input1")]
    whole = make_netlist(graph, nodes=nodes, inputs=fields, ranges={}, seconds=1, find=plain)
    narrow = make_netlist(graph, nodes=nodes, inputs=fields, ranges={"input1": (-2, 1)}, seconds=1, find=plain)
    assert [made.netlist.wires[0].width for made in (whole, narrow)] == [6, 2]


def test_verilog_is_clean_and_names_are_its_own(tmp_path: Path) -> None:
    graph = random_rows_network(4, chains=8)
    first, _ = whole_core(graph, tmp_path, Settings(solver_seconds=30), name="first_core")
    second, _ = whole_core(graph, tmp_path, Settings(solver_seconds=30), name="second_core")
    modules = re.findall(r"^module (\w+)", "".join(c.sources[0].read_text() for c in (first, second)), re.MULTILINE)
    assert modules == ["first_core", "second_core"]
    verilator = find_verilator()
    environment = os.environ | {"VERILATOR_ROOT": str(verilator.root)}
    command = [str(verilator.executable), "--lint-only", "-Wall", str(first.sources[0])]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "%Warning" not in done.stderr


def test_what_is_not_row_wise_is_refused(tmp_path: Path) -> None:
    graph = TypedGraph.load(ZOO / "sector-in-8")
    for nodes, reason in ((["gather"], "not row-wise"), (["cat_2"], "reads gather, which is not in the core")):
        inputs = ["rounds_0_node_update_relu1", "edge_index"] if nodes == ["gather"] else []
        with pytest.raises(GraphError, match=reason):
            write_core(
                graph, name="core", nodes=nodes, inputs=inputs, outputs=nodes, directory=tmp_path, config=Settings()
            )
    assert list(tmp_path.iterdir()) == []
