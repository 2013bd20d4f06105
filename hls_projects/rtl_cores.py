"""Row-wise nodes of a typed graph as pipelined Verilog without multipliers, equal to the graph bit by bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from ..core import atomic_file
from ..quantization import TypedGraph
from .rtl_core_cost import lut_estimate
from .rtl_core_nodes import Range, make_netlist
from .rtl_core_schedule import schedule
from .rtl_core_verilog import module_text
from .rtl_fields import Core, Field


class CoreSettings(Protocol):
    """What a core takes from the configuration of an RTL design."""

    @property
    def register_spacing(self) -> float:
        """Levels of logic between registers."""
        ...

    @property
    def solver_seconds(self) -> float:
        """Time that the solver may take for one core, s."""
        ...


def write_core(
    graph: TypedGraph,
    *,
    name: str,
    nodes: Sequence[str],
    inputs: Sequence[str],
    outputs: Sequence[str],
    directory: Path,
    config: CoreSettings,
    ranges: Mapping[str, Range] | None = None,
) -> Core:
    """Write row-wise nodes as one Verilog module.

    Args:
        graph: The network.
        name: Name of the module and of its file.
        nodes: Dense, Requantize, Concat and Add nodes of one domain, in the graph's order.
        inputs: Tensors from outside, in the order of their fields.
        outputs: Tensors that leave; nodes or inputs.
        directory: Where `<name>.v` is written.
        config: Register spacing and the solver's time.
        ranges: Integers that an input can hold where they are fewer than its type says.

    Returns:
        What was written.

    Raises:
        GraphError: A node is not row-wise, or reads what is neither an input nor a node before it.
    """
    fields = tuple(Field.of(graph, tensor) for tensor in inputs)
    results = tuple(Field.of(graph, tensor) for tensor in outputs)
    made = make_netlist(graph, nodes=nodes, inputs=fields, ranges=ranges or {}, seconds=config.solver_seconds)
    netlist = made.netlist
    leaving = [(netlist.positive(term), field.bits) for field in results for term in made.read(field.tensor, name)]
    terms = [term for term, _ in leaving]
    plan = schedule(netlist, terms, spacing=config.register_spacing)
    text = module_text(netlist, leaving, plan, name=name, input_bits=sum(field.width for field in fields))
    path = directory / f"{name}.v"
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="ascii")
    return Core(
        name=name,
        inputs=fields,
        outputs=results,
        latency=plan.latency,
        sources=(path,),
        lut_estimate=float(lut_estimate(netlist, terms)),
        register_bits=plan.register_bits,
        solver=made.solver,
    )
